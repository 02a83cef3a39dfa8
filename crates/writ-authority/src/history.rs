//! History as a gate: before a set replaces the one in force, the newest recorded decisions say who would be answered otherwise.
//!
//! Both sets decide what was asked, and where they answer differently the authors must have said that they accept it. What could not be
//! decided again, nobody knows, and that is accepted or refused too.

use crate::authority::recorded;
use crate::backtest::{Backtest, Came, Changed, Reach, Shift, newest};
use crate::error::AuthorityError;
use std::collections::BTreeSet;
use std::path::Path;
use writ_ledger::Reader;
use writ_policy::{GateResult, PolicyError, PolicySet, Problem};
use writ_protocol::Name;

/// So far is looked back. Deciding all that again must not keep a publisher waiting, however much others have asked for.
pub const LOOKED_BACK: Reach = Reach { entries: 32_768, bytes: 64 * 1024 * 1024 };
/// The thread that decides again gives way to those that answer requests.
const NICENESS: i32 = 5;
/// A message names so many groups of each kind, and policies of each group; a report has more groups.
const TOLD_MAX: usize = 3;
/// A report names so many groups of each kind: there is room for all kinds, whatever somebody fills one of them with.
const DETAILS_MAX: usize = 40;
/// What somebody asked for is shown so far.
const RESOURCE_CHARS_MAX: usize = 120;

/// What can be found, and accepted.
struct Kind {
    /// Nothing for what could not be decided again.
    shift: Option<Shift>,
    name: &'static str,
    words: &'static str,
    advice: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        shift: Some(Shift::Permitted),
        name: "history:newly_permitted",
        words: "newly permitted",
        advice: "narrow the set, or have its authors accept it: `writ policy sign --accept history:newly_permitted`",
    },
    Kind {
        shift: Some(Shift::Denied),
        name: "history:newly_denied",
        words: "newly denied",
        advice: "permit it, or have its authors accept it: `writ policy sign --accept history:newly_denied`",
    },
    Kind {
        shift: Some(Shift::Held),
        name: "history:newly_held",
        words: "newly held",
        advice: "permit it, or have its authors accept it: `writ policy sign --accept history:newly_held`",
    },
    Kind {
        shift: None,
        name: "history:undecided",
        words: "undecided",
        advice: "nobody knows what they would be; have the authors accept that: `writ policy sign --accept history:undecided`",
    },
];

/// What the newest decisions say of a set that is to replace another.
#[derive(Clone, Debug)]
pub struct History(Backtest);

/// What the gate makes of it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What came of the gate.
    pub result: GateResult,
    /// What the authors accept, in words.
    pub accepted: Vec<String>,
}

/// The policy set in force by the control chain in a store, wherever its node runs.
pub fn set_in_force(store: &Path) -> Result<PolicySet, AuthorityError> {
    let reader = Reader::open(store)?;
    let control = reader.view()?.control;
    let active = control.policy().cloned().ok_or(AuthorityError::NoSet)?;
    recorded(&reader, &active, control.entities())
}

impl History {
    /// The names by which findings are accepted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name)
    }

    /// Asks the newest decisions in `store`, on a thread of its own that gives way to those that answer.
    pub fn ask(
        store: &Path,
        candidate: &PolicySet,
        replaced: &PolicySet,
        reach: Reach,
    ) -> Result<Self, AuthorityError> {
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                // Where it may not give way it is only less polite.
                rustix::process::nice(NICENESS).ok();
                newest(store, candidate, replaced, reach).map(Self)
            });
            asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The same for a set that is to replace the one in force by the control chain in `store`, wherever it runs.
    pub fn ask_store(store: &Path, candidate: &PolicySet) -> Result<Self, AuthorityError> {
        Self::ask(store, candidate, &set_in_force(store)?, LOOKED_BACK)
    }

    /// What was found.
    pub fn found(&self) -> &Backtest {
        &self.0
    }

    /// Whether the gate is passed, given what the authors accept. Names go by kind: history grows between signing and publishing.
    pub fn judged(&self, accepts: &BTreeSet<&str>) -> Looked {
        let (mut findings, mut accepted) = (Vec::new(), Vec::new());
        for kind in KINDS.iter().filter(|kind| self.count(kind) > 0) {
            if accepts.contains(kind.name) {
                accepted.push(format!("{} (accepted: {})", self.summary(kind), kind.name));
            } else {
                let problem = Problem::History { told: self.summary(kind), advice: kind.advice };
                findings.push(PolicyError { file: String::new(), line: 1, column: 1, problem });
            }
        }
        let result =
            if findings.is_empty() { GateResult::Passed(self.0.decided) } else { GateResult::Failed(findings) };
        Looked { result, accepted }
    }

    /// How far was looked, and of each kind the largest groups of what was found, a line each.
    pub fn details(&self) -> Vec<String> {
        let Backtest { first, entries, decided, undecided, .. } = &self.0;
        let mut lines = vec![format!(
            "looked at the newest {entries} entries, from entry {first} on: {decided} decided again, {undecided} undecided"
        )];
        for kind in KINDS.iter().filter(|kind| self.count(kind) > 0) {
            let mut each = self.each(kind);
            lines.extend(each.by_ref().take(DETAILS_MAX).map(|one| format!("{}: {one}", kind.words)));
            match each.count() {
                0 => {}
                more => lines.push(format!("{}: and {more} more", kind.words)),
            }
        }
        if self.0.ungrouped > 0 {
            lines.push(format!("and {} more, in too many groups to tell", self.0.ungrouped));
        }
        lines
    }

    fn count(&self, kind: &Kind) -> u64 {
        kind.shift.map_or(self.0.undecided, |shift| self.0.count(shift))
    }

    fn each(&self, kind: &Kind) -> Box<dyn Iterator<Item = String> + '_> {
        match kind.shift {
            Some(shift) => Box::new(self.0.changed.iter().filter(move |one| one.shift == shift).map(group)),
            None => Box::new(self.0.not_decided.iter().map(|one| format!("entry {}: {}", one.index, one.what))),
        }
    }

    fn summary(&self, kind: &Kind) -> String {
        let count = self.count(kind);
        let mut each = self.each(kind);
        let told: Vec<String> = each.by_ref().take(TOLD_MAX).collect();
        let more = match each.count() {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let Backtest { first, decided, undecided, .. } = &self.0;
        let all = decided + undecided;
        format!("{}: {count} of the {all} decisions from entry {first} on: {}{more}", kind.words, told.join("; "))
    }
}

fn group(one: &Changed) -> String {
    let Changed { principal, action, was, would, count, .. } = one;
    let shadow = if one.shadow { " in shadow" } else { "" };
    let entries: Vec<String> = one.examples.iter().map(u64::to_string).collect();
    let more = if *count > one.examples.len() as u64 { format!(" … {}", one.last) } else { String::new() };
    format!(
        "{count} x {principal} {action} {}{shadow}, {} -> {}, entries {}{more}",
        shown(&one.resource),
        came(was),
        came(would),
        entries.join(", ")
    )
}

/// Whoever asked chose what it is called, so it is quoted, and what would end the quotation or the line is escaped.
fn shown(resource: &str) -> String {
    let mut shown = String::from("\"");
    for character in resource.chars().take(RESOURCE_CHARS_MAX) {
        match character {
            '"' => shown.push_str("\\\""),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode())
            }
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown.push_str(if resource.chars().nth(RESOURCE_CHARS_MAX).is_some() { "…\"" } else { "\"" });
    shown
}

fn came(came: &Came) -> String {
    let outcome = came.outcome.as_str();
    let by: Vec<&str> = came.reasons.iter().take(TOLD_MAX).map(Name::as_str).collect();
    match came.reasons.len().saturating_sub(TOLD_MAX) {
        _ if by.is_empty() => outcome.to_owned(),
        0 => format!("{outcome} by {}", by.join(", ")),
        more => format!("{outcome} by {} and {more} more", by.join(", ")),
    }
}
