//! Colours, for people at a terminal.

use std::io::IsTerminal;

/// What is good, wrong, or a heading.
#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Green,
    Red,
    Bold,
}

/// Paints where standard output is a terminal that has colours, and nobody asked for none (`NO_COLOR`).
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn of_stdout(as_json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
        Self(!as_json && !plain && !dumb && std::io::stdout().is_terminal())
    }

    /// The text in a colour. It must be harmless already.
    pub(crate) fn text(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Green => 32,
            Colour::Red => 31,
            Colour::Bold => 1,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line of a difference, by its first character. It must be harmless already.
    pub(crate) fn difference(self, line: &str) -> String {
        match line.as_bytes() {
            [b'-', b'-', b'-', b' ', ..] | [b'+', b'+', b'+', b' ', ..] | [b'@', b'@', ..] => {
                self.text(Colour::Bold, line)
            }
            [b'+', ..] => self.text(Colour::Green, line),
            [b'-', ..] => self.text(Colour::Red, line),
            _ => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, Paint};

    #[test]
    fn only_where_colours_are_wanted_there_are_any() {
        assert_eq!(Paint(false).text(Colour::Red, "FAIL"), "FAIL");
        assert_eq!(Paint(true).text(Colour::Red, "FAIL"), "\x1b[31mFAIL\x1b[0m");
        for (line, code) in [("+ a", 32), ("-a", 31), ("--- a/x", 1), ("+++ b/x", 1), ("@@ -1,1 +1,1 @@", 1)] {
            assert_eq!(Paint(true).difference(line), format!("\x1b[{code}m{line}\x1b[0m"), "{line}");
            assert_eq!(Paint(false).difference(line), line);
        }
        assert_eq!(Paint(true).difference("  the same"), "  the same");
    }
}
