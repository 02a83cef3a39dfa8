//! `writ lineage`: where an execution comes from, what it has caused, and what it carries.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::render::{listed, told_action};
use crate::replay::index;
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use writ_ledger::{Kept, Kin, LedgerError, Lineage, Reader};
use writ_protocol::action::{Action, CommitmentKind};
use writ_protocol::entry::Grant;
use writ_protocol::order::ExecutionState;
use writ_protocol::{Body, Label, Name};
use writ_server::lineage_json;
use writ_tlog::LeafIndex;

const HELP: &str = "Reads the store alone, beside a node or without one. From the origin of the lineage down to the execution, marked with `*`, and then \
whatever that has caused. A lineage carries what any of its executions was granted with or has gained; whatever it causes next carries all of it.";

#[derive(ClapArgs)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    place: args::Place,
    /// Index of a grant or of a step of its execution, or an id: writ_…, req_… or exec_…
    #[arg(value_name = "INDEX|ID")]
    subject: String,
    /// Show the commands, from the vault
    #[arg(long)]
    disclose: bool,
    /// How many descendants to show; the rest is counted
    #[arg(short = 'n', long = "descendants", value_name = "NUMBER", default_value_t = 1000)]
    descendants_max: usize,
}

pub(crate) fn run(args: &Args, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(&args.place)?.store())?;
    let at = grant_of(&reader, index(&reader, &args.subject)?)?;
    let none = || CliError::Usage(format!("entry {at} is no grant, and no step of an execution"));
    let lineage = reader.lineage(at, args.descendants_max)?.ok_or_else(none)?;
    if as_json {
        json_line(&told_json(&reader, &lineage, args.disclose)?)
    } else {
        told(&reader, &lineage, args.disclose)
    }
}

/// A label as a command line has it.
pub(crate) fn label(text: &str) -> Result<Label, String> {
    Label::new(text).map_err(|error| error.to_string())
}

/// The grant that an entry belongs to: a step of an execution is of the execution's.
fn grant_of(reader: &Reader, at: LeafIndex) -> Result<LeafIndex, CliError> {
    let stored = reader.entry(at)?.ok_or(LedgerError::NoEntry(at))?;
    match stored.decode(reader.origin())?.body {
        Body::Spend(_) | Body::Start(_) | Body::Outcome(_) | Body::Report(_) => Ok(reader.grant_at(at)?.unwrap_or(at)),
        Body::Genesis(_)
        | Body::Gateway(_)
        | Body::Revocation(_)
        | Body::Halt(_)
        | Body::RootOrder(_)
        | Body::Policy(_)
        | Body::Entities(_)
        | Body::Grant(_)
        | Body::Denial(_)
        | Body::Hold(_)
        | Body::Approval(_)
        | Body::Mandate(_)
        | Body::Shadow(_)
        | Body::Advised(_)
        | Body::Tally(_)
        | Body::Erasure(_)
        | Body::Seal(_) => Ok(at),
    }
}

fn told(reader: &Reader, lineage: &Lineage, discloses: bool) -> Result<(), CliError> {
    let members: Vec<_> = lineage.members().collect();
    let depths: Vec<u64> = members.iter().map(|(below, ..)| *below).collect();
    let mut rows = Vec::with_capacity(members.len());
    for (at, (_, is_subject, kin)) in members.iter().enumerate() {
        let mark = if *is_subject { " *" } else { "" };
        let mut row = vec![
            format!("{}{}{mark}", branch(&depths, at), kin.index),
            who(kin),
            state(kin),
            names(kin.grant.policy.reasons.as_slice()),
            labels_of(kin),
        ];
        if discloses {
            row.push(command(reader, kin.index, &kin.grant)?.unwrap_or_else(|| "(erased)".to_owned()));
        }
        rows.push(row);
    }
    let mut heads = vec!["entry", "principal", "state", "permitted by", "labels"];
    heads.extend(discloses.then_some("command"));
    rows.insert(0, heads.into_iter().map(str::to_owned).collect());
    for text in aligned(&rows) {
        line(text)?;
    }
    if lineage.left_out > 0 {
        line(format_args!("{} more, and what they have caused; show them with -n", lineage.left_out))?;
    }
    match lineage.carries.as_slice() {
        [] => line("the lineage carries no labels"),
        labels => line(format_args!("the lineage carries {}", listed(labels))),
    }
}

/// What leads to a member in the graph: lines down from each ancestor that has another child still to come.
fn branch(depths: &[u64], at: usize) -> String {
    let depth = depths.get(at).copied().unwrap_or_default();
    // Whether something stands at this depth further on, before anything above it.
    let goes_on = |level: u64| {
        let after = depths.iter().skip(at + 1).find(|depth| **depth <= level);
        after == Some(&level)
    };
    let mut text = String::new();
    for level in 1..=depth {
        text.push_str(match (level == depth, goes_on(level)) {
            (true, true) => "├─ ",
            (true, false) => "└─ ",
            (false, true) => "│  ",
            (false, false) => "   ",
        });
    }
    text
}

/// Columns as wide as their widest cell; nothing trails.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let cell = |(column, text): (usize, &String)| {
        let wide = width(column).unwrap_or_default();
        format!("{text}{}  ", " ".repeat(wide.saturating_sub(text.chars().count())))
    };
    rows.iter().map(|row| row.iter().enumerate().map(cell).collect::<String>().trim_end().to_owned()).collect()
}

fn who(kin: &Kin) -> String {
    let principal = &kin.grant.principal;
    let under = kin.grant.cause.mandate.as_ref().map(|named| format!(", mandate {}", named.index));
    format!("{}::{} by {}{}", principal.kind, principal.id, principal.auth, under.unwrap_or_default())
}

fn names(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// How far its executions have come; a writ that nobody has used has none.
fn state(kin: &Kin) -> String {
    let each = kin.executions.iter().map(|execution| match execution.state {
        ExecutionState::Ended(result) => format!("ended {result}"),
        state @ (ExecutionState::Spent | ExecutionState::Started) => state.as_str().to_owned(),
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { "not used".to_owned() } else { each.join(", ") }
}

fn labels_of(kin: &Kin) -> String {
    let mut text = listed(kin.grant.labels.as_slice());
    for (at, labels) in &kin.gained {
        let gap = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{gap}{} since {at}", listed(labels)));
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

/// The command, on one line; nothing where it was erased.
pub(crate) fn command(reader: &Reader, at: LeafIndex, grant: &Grant) -> Result<Option<String>, CliError> {
    let Kept::Value(opening) = reader.kept(at, CommitmentKind::Action, &grant.action.digest)? else {
        return Ok(None);
    };
    Ok(Some(told_action(&Action::decode(&opening.value).map_err(CliError::Refused)?)))
}

fn told_json(reader: &Reader, lineage: &Lineage, discloses: bool) -> Result<Value, CliError> {
    let mut told = lineage_json(lineage);
    if discloses && let Some(members) = told.get_mut("members").and_then(Value::as_array_mut) {
        for (member, (_, _, kin)) in members.iter_mut().filter_map(Value::as_object_mut).zip(lineage.members()) {
            member.insert("command".to_owned(), json!(command(reader, kin.index, &kin.grant)?));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::{aligned, branch};

    #[test]
    fn lines_lead_to_each_member_of_a_graph() {
        let depths = [0, 1, 2, 2, 3, 1, 2];
        let drawn: Vec<String> = (0..depths.len()).map(|at| format!("{}{at}", branch(&depths, at))).collect();
        assert_eq!(drawn, ["0", "├─ 1", "│  ├─ 2", "│  └─ 3", "│     └─ 4", "└─ 5", "   └─ 6"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["└─ 1", "a", ""], ["2", "bcd", "e"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), ["└─ 1  a", "2     bcd  e"]);
    }
}
