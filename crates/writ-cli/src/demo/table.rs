//! What is shown: a line for each attempt, judged against what it was meant to show.

use super::found::Found;
use super::stage::Stage;
use crate::error::{CliError, harmless, json_line, line};
use serde_json::json;
use std::path::Path;
use writ_protocol::Code;

/// Where a refusal is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// As an entry of its own.
    Entry,
    /// As no entry, and why not.
    Nowhere(&'static str),
}

/// Nobody who is known has asked; the ledger gets their number.
pub(super) const COUNTED: Kept = Kept::Nowhere("counted");
/// It failed before any node was asked.
pub(super) const NOT_ASKED: Kept = Kept::Nowhere("not asked");
/// There was no node to record it.
pub(super) const NO_NODE: Kept = Kept::Nowhere("no node");
/// A gateway said what cannot be true; it is not taken into the ledger.
pub(super) const NOT_TAKEN: Kept = Kept::Nowhere("not taken");

/// What is tried, and what must become of it.
pub(super) struct Attempt {
    /// Its name, and that of the mark it would leave.
    pub(super) name: &'static str,
    /// What is tried, in plain words.
    pub(super) tried: &'static str,
    /// The code of the refusal; nothing where the kernel bars the way.
    pub(super) code: Option<Code>,
    pub(super) kept: Kept,
}

impl Attempt {
    /// One that is refused on the record.
    pub(super) fn recorded(name: &'static str, tried: &'static str, code: Code) -> Self {
        Self { name, tried, code: Some(code), kept: Kept::Entry }
    }

    /// One that is refused without an entry.
    pub(super) fn unrecorded(name: &'static str, tried: &'static str, code: Code, kept: Kept) -> Self {
        Self { name, tried, code: Some(code), kept }
    }

    /// One that the kernel bars.
    pub(super) fn barred(name: &'static str, tried: &'static str) -> Self {
        Self { name, tried, code: None, kept: NOT_ASKED }
    }
}

/// The lines so far.
pub(super) struct Table {
    as_json: bool,
    section: &'static str,
    lines: usize,
    /// What was not as expected.
    wrong: Vec<String>,
}

impl Table {
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json, section: "", lines: 0, wrong: Vec::new() }
    }

    /// Begins a section; `title` is for people.
    pub(super) fn section(&mut self, section: &'static str, title: &str) -> Result<(), CliError> {
        self.section = section;
        if self.as_json {
            return Ok(());
        }
        line(format_args!("\n{title}"))
    }

    /// Shows what became of an attempt that must be refused, and looks whether anything happened nevertheless.
    pub(super) fn refused(&mut self, stage: &Stage, attempt: &Attempt, found: &Found) -> Result<(), CliError> {
        let left = Path::new(&stage.mark(attempt.name)).exists();
        let (code, index) = match found {
            Found::Refused { code, index } => (Some(code.as_str()), *index),
            Found::Done | Found::Barred | Found::Unclear(_) => (None, None),
        };
        let recorded = index.map(|index| stage.recorded_code(index)).transpose()?.flatten();
        let wrong = wrong_with(attempt, found, recorded, left);
        let no_entry = match (attempt.kept, index) {
            (Kept::Nowhere(why), None) => Some(why),
            (Kept::Entry, _) | (Kept::Nowhere(_), Some(_)) => None,
        };
        self.lines += 1;
        if self.as_json {
            json_line(&json!({
                "number": self.lines, "section": self.section, "name": attempt.name, "tried": attempt.tried,
                "expected": attempt.code.map(Code::as_str), "code": code, "index": index, "no_entry": no_entry,
                "mark": left, "ok": wrong.is_none(), "wrong": wrong,
            }))?;
        } else {
            let place = index.map_or_else(|| no_entry.unwrap_or("none").to_owned(), |index| index.to_string());
            let verdict = wrong.as_deref().map_or("nothing ran".to_owned(), |wrong| format!("WRONG: {wrong}"));
            self.print(attempt.tried, code.unwrap_or("barred"), &place, &verdict)?;
        }
        self.judge(attempt.name, wrong);
        Ok(())
    }

    /// Shows what must be done: that it is true, and where it stands.
    pub(super) fn done(
        &mut self,
        name: &str,
        tried: &str,
        index: Option<u64>,
        wrong: Option<String>,
    ) -> Result<(), CliError> {
        self.lines += 1;
        if self.as_json {
            json_line(&json!({
                "number": self.lines, "section": self.section, "name": name, "tried": tried, "expected": "done",
                "code": null, "index": index, "ok": wrong.is_none(), "wrong": wrong,
            }))?;
        } else {
            let place = index.map_or_else(String::new, |index| index.to_string());
            let verdict = wrong.as_deref().map_or("as expected".to_owned(), |wrong| format!("WRONG: {wrong}"));
            self.print(tried, "done", &place, &verdict)?;
        }
        self.judge(name, wrong);
        Ok(())
    }

    fn print(&self, tried: &str, code: &str, place: &str, verdict: &str) -> Result<(), CliError> {
        let verdict = harmless(verdict).replace('\n', " ");
        line(format_args!("{:>4}  {tried:<66} {code:<22} {place:>9}  {verdict}", self.lines))
    }

    fn judge(&mut self, name: &str, wrong: Option<String>) {
        self.wrong.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
    }

    /// The last line, and the outcome of everything.
    pub(super) fn end(self) -> Result<(), CliError> {
        let Self { as_json, lines, wrong, .. } = self;
        if as_json {
            json_line(&json!({ "ok": wrong.is_empty(), "lines": lines, "wrong": wrong }))?;
        } else if wrong.is_empty() {
            line(format_args!("\nAll {lines} as expected."))?;
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(format!("{} of {lines} not as expected: {}", wrong.len(), wrong.join("; "))))
    }
}

/// What is wrong with how an attempt ended: `recorded` is the code that the entry named in the refusal holds, `left` whether its mark is there.
fn wrong_with(attempt: &Attempt, found: &Found, recorded: Option<&str>, left: bool) -> Option<String> {
    if left {
        return Some("it has left its mark".to_owned());
    }
    let expected = attempt.code.map(Code::as_str);
    match (found, expected) {
        (Found::Done, _) => Some("it was done".to_owned()),
        (Found::Unclear(said), _) => Some(said.clone()),
        (Found::Barred, None) => None,
        (Found::Barred, Some(code)) => Some(format!("barred, expected {code}")),
        (Found::Refused { code, .. }, None) => Some(format!("{code}, expected that the kernel bars it")),
        (Found::Refused { code, .. }, Some(expected)) if code != expected => {
            Some(format!("{code}, expected {expected}"))
        }
        (Found::Refused { code, index }, Some(_)) => match (attempt.kept, index) {
            (Kept::Entry, Some(_)) if recorded == Some(code) => None,
            (Kept::Entry, Some(index)) => Some(format!("entry {index} does not record {code}")),
            (Kept::Entry, None) => Some(format!("{code}, expected with an entry")),
            (Kept::Nowhere(_), Some(index)) => Some(format!("{code} in entry {index}, expected without one")),
            (Kept::Nowhere(_), None) => None,
        },
    }
}

#[cfg(test)]
mod tests;
