//! What is shown: a line for each attempt, judged against what it was meant to show.

use super::found::Found;
use super::stage::Stage;
use super::stop;
use crate::error::{CliError, harmless, json_line, line, painted_line};
use crate::paint::{Colour, Paint};
use crate::render::counted;
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

/// How wide what is tried may be, so that a line fits 80 columns with number, verdict, the longest code and the longest place.
const TRIED: usize = 37;
/// Before it stand number and verdict.
const MARGIN: usize = 11;

/// How many lines there were of each kind.
#[derive(Default)]
struct Kinds {
    ran: u64,
    recorded: u64,
    unrecorded: u64,
    barred: u64,
    evidence: u64,
}

/// The lines so far.
pub(super) struct Table {
    as_json: bool,
    paint: Paint,
    kinds: Kinds,
    section: &'static str,
    lines: usize,
    /// What was not as expected.
    wrong: Vec<String>,
}

impl Table {
    pub(super) fn new(as_json: bool) -> Self {
        let paint = Paint::of_stdout(as_json);
        Self { as_json, paint, kinds: Kinds::default(), section: "", lines: 0, wrong: Vec::new() }
    }

    /// What the columns are, and where their words are explained.
    pub(super) fn head(&self) -> Result<(), CliError> {
        line("Codes are explained in spec/refusals.md; `writ log show ENTRY` shows an entry.\n")?;
        line(format_args!("{:>3}  {:<5} {:<TRIED$} {:<21} {:>9}", "#", "", "what is tried", "refused with", "entry"))
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
        match (attempt.code, attempt.kept) {
            (None, _) => self.kinds.barred += 1,
            (Some(_), Kept::Entry) => self.kinds.recorded += 1,
            (Some(_), Kept::Nowhere(_)) => self.kinds.unrecorded += 1,
        }
        if wrong.is_some() {
            stop::settle();
        }
        if self.as_json {
            json_line(&json!({
                "number": self.lines, "section": self.section, "name": attempt.name, "tried": attempt.tried,
                "expected": attempt.code.map(Code::as_str), "code": code, "index": index, "no_entry": no_entry,
                "mark": left, "ok": wrong.is_none(), "wrong": wrong,
            }))?;
        } else {
            let place = index.map_or_else(|| no_entry.unwrap_or("none").to_owned(), |index| index.to_string());
            self.print(attempt.tried, code.unwrap_or("barred"), &place, wrong.as_deref())?;
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
        match self.section {
            "evidence" => self.kinds.evidence += 1,
            _ => self.kinds.ran += 1,
        }
        if wrong.is_some() {
            stop::settle();
        }
        if self.as_json {
            json_line(&json!({
                "number": self.lines, "section": self.section, "name": name, "tried": tried, "expected": "done",
                "code": null, "index": index, "ok": wrong.is_none(), "wrong": wrong,
            }))?;
        } else {
            let place = index.map_or_else(String::new, |index| index.to_string());
            self.print(tried, "done", &place, wrong.as_deref())?;
        }
        self.judge(name, wrong);
        Ok(())
    }

    fn print(&self, tried: &str, code: &str, place: &str, wrong: Option<&str>) -> Result<(), CliError> {
        let mut parts = wrapped(tried, TRIED).into_iter();
        let (first, verdict) = (parts.next().unwrap_or_default(), self.verdict(wrong.is_none()));
        painted_line(format!("{:>3}  {verdict} {first:<TRIED$} {code:<21} {place:>9}", self.lines).trim_end())?;
        let why = wrong.map(|wrong| harmless(wrong).replace('\n', " ")).unwrap_or_default();
        for part in parts.chain(wrapped(&why, 80 - MARGIN)) {
            line(format_args!("{:MARGIN$}{part}", ""))?;
        }
        Ok(())
    }

    /// A word, and on a terminal a colour that says the same.
    fn verdict(&self, right: bool) -> String {
        let (word, colour) = if right { ("ok   ", Colour::Green) } else { ("WRONG", Colour::Red) };
        self.paint.text(colour, word)
    }

    fn judge(&mut self, name: &str, wrong: Option<String>) {
        self.wrong.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
    }

    /// The last line, and the outcome of everything.
    pub(super) fn end(self) -> Result<(), CliError> {
        let Self { as_json, lines, wrong, kinds, .. } = self;
        let Kinds { ran, recorded, unrecorded, barred, evidence } = kinds;
        if as_json {
            let kinds = json!({
                "ran": ran, "recorded": recorded, "unrecorded": unrecorded, "barred": barred, "evidence": evidence,
            });
            json_line(&json!({ "ok": wrong.is_empty(), "lines": lines, "kinds": kinds, "wrong": wrong }))?;
        } else if wrong.is_empty() {
            line(format_args!("\nAll {lines} as expected:"))?;
            let attempts = |count| counted(count, "attempt", "attempts");
            line(format_args!("  {}, run and recorded", counted(ran, "permitted command", "permitted commands")))?;
            line(format_args!("  {} refused, each with an entry of its own", attempts(recorded)))?;
            line(format_args!("  {} refused without one; its column says why", attempts(unrecorded)))?;
            line(format_args!("  {} barred by the kernel, nobody was asked", attempts(barred)))?;
            line(format_args!("  {} of the evidence: all of it verifies", counted(evidence, "check", "checks")))?;
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(format!("{} of {lines} not as expected: {}", wrong.len(), wrong.join("; "))))
    }
}

/// A text in lines of so many characters at most, broken between words where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
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
