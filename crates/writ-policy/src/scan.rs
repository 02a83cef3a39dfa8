//! Reads Cedar text just far enough to cut it into policies and to bound its depth, before the engine's recursive parser sees it.

use crate::error::Problem;
use std::ops::Range;

/// Levels of brackets and `if` that a policy or schema may have.
pub(crate) const DEPTH_MAX: usize = 64;
/// Operators that may follow each other within the levels of one policy: each makes the engine's tree one deeper.
pub(crate) const CHAIN_MAX: usize = 400;

/// Which language is read: in a schema, `<` and `>` are brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Policy,
    Schema,
}

/// What is wrong, at which byte.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) problem: Problem,
}

/// The byte ranges of the statements of a text, each from its first token to its `;`.
pub(crate) fn statements(text: &str, language: Language) -> Result<Vec<Range<usize>>, Fault> {
    let mut scan = Scan { language, frames: vec![Frame::default()], start: None, found: Vec::new() };
    let tokens = Tokens { text, at: 0 };
    for token in tokens {
        let Token { kind, span } = token?;
        let (start, end) = (span.start, span.end);
        scan.start.get_or_insert(start);
        scan.token(kind, text.get(span).unwrap_or_default(), end)
            .map_err(|problem| Fault { offset: start, problem })?;
    }
    match scan.start {
        None => Ok(scan.found),
        // The last closing brace of a schema's namespace needs no `;`.
        Some(_) if language == Language::Schema && scan.frames.len() == 1 => Ok(scan.found),
        Some(offset) => Err(Fault { offset, problem: Problem::Unclosed }),
    }
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Number,
    Text,
    Symbol,
}

pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// The tokens of text that was read before, as far as it can be read.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    Tokens { text, at: 0 }.map_while(Result::ok).collect()
}

struct Scan {
    language: Language,
    frames: Vec<Frame>,
    start: Option<usize>,
    found: Vec<Range<usize>>,
}

/// One level of brackets: how deep the tree of its present part can be, at most.
#[derive(Default)]
struct Frame {
    chain: usize,
    ifs: usize,
    below: usize,
    deepest: usize,
}

impl Frame {
    fn end_of_part(&mut self) {
        self.deepest = self.depth();
        (self.chain, self.ifs, self.below) = (0, 0, 0);
    }

    fn depth(&self) -> usize {
        self.deepest.max(self.chain + self.below)
    }
}

impl Scan {
    fn token(&mut self, kind: Kind, text: &str, end: usize) -> Result<(), Problem> {
        match (kind, text) {
            (Kind::Text | Kind::Number, _) => Ok(()),
            (Kind::Word, "if") => self.link(true),
            (Kind::Word, "when" | "unless" | "in" | "is" | "has" | "like") => self.link(false),
            (Kind::Word, _) => Ok(()),
            (Kind::Symbol, "?") if self.language == Language::Policy => Err(Problem::Template(text.to_owned())),
            (Kind::Symbol, "(" | "[" | "{") => self.open(),
            (Kind::Symbol, ")" | "]" | "}") => self.close(),
            (Kind::Symbol, "<") if self.language == Language::Schema => self.open(),
            (Kind::Symbol, ">") if self.language == Language::Schema => self.close(),
            (Kind::Symbol, ",") => self.end_of_part(),
            (Kind::Symbol, ";") => {
                self.end_of_part()?;
                if self.frames.len() == 1
                    && let Some(start) = self.start.take()
                {
                    self.found.push(start..end);
                }
                Ok(())
            }
            (Kind::Symbol, "@" | ":" | "?" | "=") => Ok(()),
            (Kind::Symbol, _) => self.link(false),
        }
    }

    fn link(&mut self, is_if: bool) -> Result<(), Problem> {
        if let Some(frame) = self.frames.last_mut() {
            frame.chain += 1;
            frame.ifs += usize::from(is_if);
            if frame.depth() > CHAIN_MAX {
                return Err(Problem::TooLong(CHAIN_MAX));
            }
        }
        self.judge_depth()
    }

    fn open(&mut self) -> Result<(), Problem> {
        self.link(false)?;
        self.frames.push(Frame::default());
        self.judge_depth()
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.frames.pop().filter(|_| !self.frames.is_empty()) else {
            return Err(Problem::Unclosed);
        };
        if let Some(outer) = self.frames.last_mut() {
            outer.below = outer.below.max(frame.depth());
            if outer.depth() > CHAIN_MAX {
                return Err(Problem::TooLong(CHAIN_MAX));
            }
        }
        Ok(())
    }

    fn end_of_part(&mut self) -> Result<(), Problem> {
        if let Some(frame) = self.frames.last_mut() {
            frame.end_of_part();
        }
        // Statements of a file are not parts of each other.
        if self.frames.len() == 1
            && let Some(frame) = self.frames.last_mut()
        {
            frame.deepest = 0;
        }
        Ok(())
    }

    fn judge_depth(&self) -> Result<(), Problem> {
        let ifs: usize = self.frames.iter().map(|frame| frame.ifs).sum();
        if self.frames.len() - 1 + ifs > DEPTH_MAX { Err(Problem::TooDeep(DEPTH_MAX)) } else { Ok(()) }
    }
}

/// The tokens of Cedar text, white space and comments left out. It ends comments and strings where the engine does; where the two
/// should ever differ, the number of policies they count is compared (`compile.rs`).
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.skip_blank();
        let rest = self.text.get(start..)?;
        let first = rest.chars().next()?;
        let (kind, length) = if first == '"' {
            match text_length(rest) {
                Some(length) => (Kind::Text, length),
                None => {
                    self.at = self.text.len();
                    return Some(Err(Fault { offset: start, problem: Problem::Unclosed }));
                }
            }
        } else if first.is_ascii_digit() {
            (Kind::Number, run_length(rest, |c| c.is_ascii_digit()))
        } else if is_word(first) {
            (Kind::Word, run_length(rest, is_word))
        } else {
            (Kind::Symbol, symbol_length(rest, first))
        };
        self.at = start + length;
        Some(Ok(Token { kind, span: start..self.at }))
    }
}

impl Tokens<'_> {
    fn skip_blank(&mut self) -> usize {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return self.at;
            }
            self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn run_length(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn symbol_length(text: &str, first: char) -> usize {
    let double = ["==", "!=", "<=", ">=", "||", "&&", "::"].iter().find(|double| text.starts_with(**double));
    double.map_or(first.len_utf8(), |double| double.len())
}

fn text_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
