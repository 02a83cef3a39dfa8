//! `writ log tail`: the newest entries, a line each.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::render::{entry_json, entry_line, told_action};
use crate::time::{now_ms, utc_seconds};
use clap::Args as ClapArgs;
use serde_json::{Value as Json, json};
use std::time::Duration;
use writ_ledger::{Kept, LedgerError, Reader, StoredEntry};
use writ_protocol::action::{Action, CommitmentKind};
use writ_protocol::entry::EntryType;
use writ_protocol::{Body, Entry};
use writ_tlog::LeafIndex;

/// How often `--follow` looks for new entries.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

#[derive(ClapArgs)]
pub(crate) struct Tail {
    /// How many entries
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    entries: u64,
    /// Go on and show entries as they come
    #[arg(short, long)]
    follow: bool,
    /// Show seals too
    #[arg(long)]
    seals: bool,
    /// Only entries of these types, such as `denial` or `grant,hold`
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = entry_type)]
    types: Vec<EntryType>,
    /// Only what this principal has asked, answered or ordered: `Agent::builder`
    #[arg(long, value_name = "TYPE::ID")]
    principal: Option<String>,
    /// Only entries since so long ago, such as 30s, 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = crate::holds::wait)]
    since: Option<Duration>,
    /// Show the commands that were asked for, from the vault
    #[arg(long)]
    disclose: bool,
}

fn entry_type(text: &str) -> Result<EntryType, String> {
    let known = |kind: &&EntryType| kind.as_str() == text;
    EntryType::ALL.iter().find(known).copied().ok_or_else(|| {
        let names: Vec<&str> = EntryType::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("the types are {}", names.join(", "))
    })
}

pub(crate) fn run(place: &args::Place, args: &Tail, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(place)?.store())?;
    let wanted = Wanted::of(args);
    let mut next = first(&reader, args.entries, &wanted)?;
    loop {
        let (size, _) = reader.checkpoint()?;
        for index in next..size.get() {
            let one = One::at(&reader, LeafIndex::new(index))?;
            if wanted.has(&one) {
                one.tell(&reader, args.disclose, as_json)?;
            }
        }
        next = size.get();
        if !args.follow {
            return Ok(());
        }
        std::thread::sleep(FOLLOW_EVERY);
    }
}

/// Tells one entry, as they are told here.
pub(crate) fn tell(reader: &Reader, index: LeafIndex, as_json: bool) -> Result<(), CliError> {
    One::at(reader, index)?.tell(reader, false, as_json)
}

/// Which entries are shown.
struct Wanted<'a> {
    args: &'a Tail,
    since_ms: u64,
}

impl<'a> Wanted<'a> {
    fn of(args: &'a Tail) -> Self {
        let ago = args.since.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
        Self { args, since_ms: ago.map_or(0, |ago| now_ms().saturating_sub(ago)) }
    }

    fn has(&self, one: &One) -> bool {
        let kind = one.entry.body.entry_type();
        let is_of_type = match self.args.types.as_slice() {
            [] => self.args.seals || kind != EntryType::Seal,
            types => types.contains(&kind),
        };
        let is_theirs = |who: &String| one.who().is_some_and(|found| found == *who);
        is_of_type && self.args.principal.as_ref().is_none_or(is_theirs) && !self.is_over(one)
    }

    /// Whether this and everything before it is too long ago. What tells no time is judged by what comes after.
    fn is_over(&self, one: &One) -> bool {
        one.time_ms().is_some_and(|time_ms| time_ms < self.since_ms)
    }
}

/// The index from which as many entries are shown as were asked for.
fn first(reader: &Reader, entries: u64, wanted: &Wanted<'_>) -> Result<u64, CliError> {
    let (size, _) = reader.checkpoint()?;
    let mut first = size.get();
    let mut left = entries;
    while left > 0 && first > 0 {
        let one = One::at(reader, LeafIndex::new(first - 1))?;
        if matches!(one.entry.body, Body::Seal(_)) && wanted.is_over(&one) {
            break;
        }
        first -= 1;
        left -= u64::from(wanted.has(&one));
    }
    Ok(first)
}

/// An entry that is looked at.
struct One {
    stored: StoredEntry,
    entry: Entry,
    shown: Json,
}

impl One {
    fn at(reader: &Reader, index: LeafIndex) -> Result<Self, CliError> {
        let stored = reader.entry(index)?.ok_or(LedgerError::NoEntry(index))?;
        let (entry, shown) = (stored.decode(reader.origin())?, entry_json(&stored));
        Ok(Self { stored, entry, shown })
    }

    /// When its decision, order or statement was made, as the entry says.
    fn time_ms(&self) -> Option<u64> {
        let time = |place: &str| self.shown.pointer(place).and_then(Json::as_u64);
        time("/body/time_ms").or_else(|| time("/body/statement/body/time_ms"))
    }

    /// Who asked for it, or ordered it.
    fn who(&self) -> Option<String> {
        let by = self.shown.pointer("/body/principal").or_else(|| self.shown.pointer("/body/by"))?;
        let text = |field: &str| by.get(field).and_then(Json::as_str);
        Some(format!("{}::{}", text("type")?, text("id")?))
    }

    fn tell(mut self, reader: &Reader, discloses: bool, as_json: bool) -> Result<(), CliError> {
        let command = if discloses { self.command(reader)? } else { None };
        if as_json {
            if let (Some(fields), Some(command)) = (self.shown.as_object_mut(), command) {
                fields.insert("command".to_owned(), json!(command));
            }
            return json_line(&self.shown);
        }
        let time = self.time_ms().map(utc_seconds).unwrap_or_default();
        let command = command.map(|command| format!("  {command}")).unwrap_or_default();
        line(format_args!("{}{command}", entry_line(&self.stored, reader.origin(), &time)))
    }

    /// What was asked for; nothing where an entry is about nothing of the kind.
    fn command(&self, reader: &Reader) -> Result<Option<String>, CliError> {
        let held = self.entry.body.commitments();
        let Some((kind, commitment)) = held.into_iter().find(|(kind, _)| *kind == CommitmentKind::Action) else {
            return Ok(None);
        };
        Ok(match reader.kept(self.stored.index, kind, &commitment)? {
            Kept::Value(opening) => Some(told_action(&Action::decode(&opening.value).map_err(CliError::Refused)?)),
            Kept::Erased => Some("(erased)".to_owned()),
            Kept::Nothing => None,
        })
    }
}
