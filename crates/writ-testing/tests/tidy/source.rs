//! Just enough reading of source text: what is code, and what is string or comment.

use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Go,
    Python,
}

impl Language {
    pub(crate) fn of(extension: &str) -> Option<Self> {
        match extension {
            "rs" => Some(Self::Rust),
            "go" => Some(Self::Go),
            "py" => Some(Self::Python),
            _ => None,
        }
    }
}

/// Source in which each byte of a string or comment is a space. Offsets and lines are
/// those of the original.
pub(crate) struct Code {
    pub(crate) text: String,
    /// The contents of the string literals, without quotes, as ranges of the original.
    pub(crate) strings: Vec<Range<usize>>,
}

impl Code {
    pub(crate) fn of(source: &str, language: Language) -> Self {
        let mut lexer =
            Lexer { bytes: source.as_bytes(), code: source.as_bytes().to_vec(), strings: Vec::new(), at: 0, language };
        lexer.run();
        let text = String::from_utf8(lexer.code).expect("only whole characters are blanked");
        Self { text, strings: lexer.strings }
    }

    /// The same without its `#[cfg(test)]` modules.
    pub(crate) fn without_tests(mut self) -> Self {
        for module in test_modules(&self.text) {
            let blank: String = self.text[module.clone()]
                .chars()
                .map(|c| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) })
                .collect();
            self.text.replace_range(module, &blank);
        }
        self
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    code: Vec<u8>,
    strings: Vec<Range<usize>>,
    at: usize,
    language: Language,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while self.at < self.bytes.len() {
            match self.language {
                Language::Rust => self.rust(),
                Language::Go => self.go(),
                Language::Python => self.python(),
            }
        }
    }

    fn rust(&mut self) {
        if self.sees("//") {
            self.line_comment();
        } else if self.sees("/*") {
            self.block_comment(true);
        } else if self.sees("\"") {
            self.quoted("\"", true);
        } else if let Some(hashes) = self.raw_string() {
            let from = self.at;
            self.at += 1 + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            self.until(&close, from);
        } else if self.sees("'") {
            self.char_or_lifetime();
        } else {
            self.at += 1;
        }
    }

    fn go(&mut self) {
        if self.sees("//") {
            self.line_comment();
        } else if self.sees("/*") {
            self.block_comment(false);
        } else if self.sees("`") {
            self.quoted("`", false);
        } else if self.sees("\"") {
            self.quoted("\"", true);
        } else if self.sees("'") {
            self.quoted("'", true);
        } else {
            self.at += 1;
        }
    }

    fn python(&mut self) {
        if self.sees("#") {
            self.line_comment();
            return;
        }
        for quote in ["\"\"\"", "'''", "\"", "'"] {
            if self.sees(quote) {
                self.quoted(quote, true);
                return;
            }
        }
        self.at += 1;
    }

    fn sees(&self, what: &str) -> bool {
        self.bytes[self.at..].starts_with(what.as_bytes())
    }

    fn blank(&mut self, range: Range<usize>) {
        for byte in &mut self.code[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }

    fn line_comment(&mut self) {
        let from = self.at;
        while self.at < self.bytes.len() && self.bytes[self.at] != b'\n' {
            self.at += 1;
        }
        self.blank(from..self.at);
    }

    fn block_comment(&mut self, nests: bool) {
        let from = self.at;
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            if self.sees("/*") && (nests || depth == 0) {
                depth += 1;
                self.at += 2;
            } else if self.sees("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                self.at += 1;
            }
        }
        self.blank(from..self.at);
    }

    /// A string from the quote at hand to the next one that is not escaped.
    fn quoted(&mut self, quote: &str, escapes: bool) {
        let from = self.at;
        self.at += quote.len();
        let inner = self.at;
        while self.at < self.bytes.len() && !self.sees(quote) {
            self.at += if escapes && self.sees("\\") { 2 } else { 1 };
        }
        let end = self.at.min(self.bytes.len());
        self.strings.push(inner..end);
        self.at = (end + quote.len()).min(self.bytes.len());
        self.blank(from..self.at);
    }

    fn until(&mut self, close: &str, from: usize) {
        let inner = self.at;
        while self.at < self.bytes.len() && !self.sees(close) {
            self.at += 1;
        }
        self.strings.push(inner..self.at);
        self.at = (self.at + close.len()).min(self.bytes.len());
        self.blank(from..self.at);
    }

    /// The number of hashes, where a raw string begins here.
    fn raw_string(&self) -> Option<usize> {
        if self.bytes[self.at] != b'r' {
            return None;
        }
        let before = self.at.checked_sub(1).map_or(b' ', |at| self.bytes[at]);
        let prefix = matches!(before, b'b' | b'c') && !self.at.checked_sub(2).is_some_and(|at| is_word(self.bytes[at]));
        if is_word(before) && !prefix {
            return None;
        }
        let rest = &self.bytes[self.at + 1..];
        let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
        (rest.get(hashes) == Some(&b'"')).then_some(hashes)
    }

    fn char_or_lifetime(&mut self) {
        let rest = &self.bytes[self.at + 1..];
        if rest.first() == Some(&b'\\') {
            let from = self.at;
            self.at += 3;
            while self.at < self.bytes.len() && self.bytes[self.at] != b'\'' {
                self.at += 1;
            }
            self.at = (self.at + 1).min(self.bytes.len());
            self.blank(from..self.at);
            return;
        }
        let width = rest.iter().skip(1).take_while(|byte| (**byte & 0xC0) == 0x80).count() + 1;
        if rest.get(width) == Some(&b'\'') {
            self.blank(self.at..self.at + width + 2);
            self.at += width + 2;
        } else {
            self.at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Where `word` stands in `text` as a whole word.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).is_none_or(|before| !is_word(bytes[before]));
        let after = bytes.get(at + word.len()).is_none_or(|after| !is_word(*after));
        before && after
    })
}

/// The number of the line, from 1, that holds the byte at `offset`.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The end of the block whose brace opens at `open`, brace included.
pub(crate) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The `#[cfg(test)] mod … { … }` of a file.
pub(crate) fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut modules = Vec::new();
    for (from, mark) in code.match_indices("#[cfg(test)]") {
        let rest = &code[from + mark.len()..];
        let head = rest.find(['{', ';']).unwrap_or(rest.len());
        let opens = rest[head..].starts_with('{');
        if opens && words(&rest[..head], "mod").next().is_some() {
            modules.push(from..block_end(code, from + mark.len() + head));
        }
    }
    modules
}

/// A function: its name and its lines, from its keyword to the end of its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

pub(crate) fn functions(code: &str, language: Language) -> Vec<Function> {
    match language {
        Language::Rust => rust_functions(code),
        Language::Go => go_functions(code),
        Language::Python => python_functions(code),
    }
}

fn rust_functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = name_at(code[at + 2..].trim_start());
        // `fn(u8) -> u8` is a type; a trait's method without a body ends at its semicolon.
        let Some(open) = body_of(code, at).filter(|_| !name.is_empty()) else { continue };
        let line = line_of(code, at);
        let lines = line_of(code, block_end(code, open) - 1) - line + 1;
        found.push(Function { name, line, lines });
    }
    found
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Where the body of the function at `from` opens, if it has one.
fn body_of(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Formatted Go closes a top-level function with a brace in the first column.
fn go_functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, head) in lines.iter().enumerate() {
        let Some(rest) = head.strip_prefix("func ") else { continue };
        let rest = match rest.strip_prefix('(') {
            Some(receiver) => receiver.split_once(')').map_or("", |(_, rest)| rest).trim_start(),
            None => rest,
        };
        let length = if head.trim_end().ends_with('}') {
            1
        } else {
            lines[at..].iter().take_while(|line| !line.starts_with('}')).count() + 1
        };
        found.push(Function { name: name_at(rest), line: at + 1, lines: length });
    }
    found
}

fn python_functions(code: &str) -> Vec<Function> {
    let lines: Vec<&str> = code.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (at, head) in lines.iter().enumerate() {
        let bare = head.trim_start();
        let bare = bare.strip_prefix("async ").unwrap_or(bare);
        let Some(rest) = bare.strip_prefix("def ") else { continue };
        let mut depth = 0_i32;
        let mut last = at;
        for (offset, line) in lines[at..].iter().enumerate() {
            let goes_on = depth > 0 || offset == 0 || indent(line) > indent(head);
            if !line.trim().is_empty() {
                if !goes_on {
                    break;
                }
                last = at + offset;
            }
            for byte in line.bytes() {
                match byte {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth -= 1,
                    _ => {}
                }
            }
        }
        found.push(Function { name: name_at(rest), line: at + 1, lines: last - at + 1 });
    }
    found
}

/// The paths that the `use` statements of a Rust file bring in, groups taken apart.
/// A glob ends in `*`.
pub(crate) fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "use") {
        let statement = &code[at + 3..];
        let end = statement.find(';').unwrap_or(statement.len());
        let mut paths = Vec::new();
        let tree: String = statement[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        flatten("", &tree, &mut paths);
        found.extend(paths.into_iter().map(|path| (line_of(code, at), path)));
    }
    found
}

fn flatten(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    if let Some((head, group)) = tree.split_once('{') {
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        let prefix = format!("{prefix}{}", head.replace(' ', ""));
        let mut depth = 0_i32;
        let mut from = 0;
        for (at, byte) in group.bytes().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b',' if depth == 0 => {
                    flatten(&prefix, &group[from..at], paths);
                    from = at + 1;
                }
                _ => {}
            }
        }
        flatten(&prefix, &group[from..], paths);
        return;
    }
    let path = tree.split(" as ").next().unwrap_or_default().replace(' ', "");
    if path == "self" {
        paths.push(prefix.trim_end_matches("::").to_owned());
    } else if !path.is_empty() {
        paths.push(format!("{prefix}{path}").trim_start_matches("::").to_owned());
    }
}

mod samples {
    use super::{Code, Function, Language, functions, imports, words};

    #[test]
    fn strings_comments_and_chars_are_no_code() {
        let source = r####"a /* x /* { */ } */ b "c { \" d" 'e' '\'' '{' &'f str r#"g " {"# br"h" // i {
        j r#fn 'k: loop"####;
        let code = Code::of(source, Language::Rust);
        let left: Vec<&str> = code.text.split_whitespace().collect();
        assert_eq!(left, ["a", "b", "&'f", "str", "b", "j", "r#fn", "'k:", "loop"]);
        assert_eq!(code.text.len(), source.len());
        let strings: Vec<&str> = code.strings.iter().map(|range| &source[range.clone()]).collect();
        assert_eq!(strings, ["c { \\\" d", "g \" {", "h"]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("unsafe_code munsafe unsafe{", "unsafe").collect::<Vec<_>>(), [20]);
    }

    #[test]
    fn rust_functions_are_measured() {
        let source = "trait T { fn none(&self) -> [u8; 2]; }\nfn one(f: fn(u8)) {}\n\
                      fn four(a: [u8; 3])\nwhere u8: Copy {\n  let x = '}';\n}\n";
        let code = Code::of(source, Language::Rust);
        let found: Vec<(String, usize)> =
            functions(&code.text, Language::Rust).into_iter().map(|function| (function.name, function.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 1), ("four".to_owned(), 4)]);
    }

    #[test]
    fn go_and_python_functions_are_measured() {
        let go = "func (t *T) Run() map[string]struct{} {\n\tx := `}`\n\treturn nil\n}\n";
        let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
        assert_eq!(functions(go, Language::Go), [function("Run", 1, 4)]);
        let python = "def f(\n    a,\n) -> int:\n    b\n\n    c\n\nd\n";
        assert_eq!(functions(python, Language::Python), [function("f", 1, 6)]);
    }

    #[test]
    fn test_modules_are_left_out() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nfn c() {}\n";
        let code = Code::of(source, Language::Rust).without_tests();
        assert_eq!(words(&code.text, "fn").count(), 2);
    }

    #[test]
    fn imports_are_taken_apart() {
        let code = "use std::{fs::{self, File as F}, io};\nuse ::std :: time::*;\n";
        let paths: Vec<String> = imports(code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["std::fs", "std::fs::File", "std::io", "std::time::*"]);
    }
}
