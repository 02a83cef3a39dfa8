//! `writ ps`: what has begun and not ended.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::lineage::{aligned, command};
use crate::time::utc;
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use writ_ledger::{Reader, Unended};
use writ_protocol::entry::Target;
use writ_tlog::LeafIndex;

const HELP: &str = "Reads the store alone, beside a node or without one: what began before a restart of the node is there too, and what runs on other machines. \
Begun and not ended is what the record says. Where a gateway or its machine died, what it ran is gone as well, and stays in this list until that gateway \
runs something again and closes it, as `unknown`.";

#[derive(ClapArgs)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    place: args::Place,
    /// Show the commands, from the vault
    #[arg(long)]
    disclose: bool,
}

pub(crate) fn run(args: &Args, as_json: bool) -> Result<(), CliError> {
    let reader = Reader::open(&Domain::of(&args.place)?.store())?;
    let control = reader.view()?.control;
    let listed = reader.unended()?.into_iter().map(|one| {
        let revoked = reader.unended_revoked(&control, &one)?;
        let command = if args.disclose { command(&reader, one.execution.grant, &one.grant)? } else { None };
        Ok(Listed { one, revoked, command })
    });
    let listed = listed.collect::<Result<Vec<_>, CliError>>()?;
    if as_json {
        let each = listed.iter().map(|one| one.json(args.disclose));
        return json_line(&Value::Array(each.collect()));
    }
    line(begun(listed.len() as u64))?;
    if listed.is_empty() {
        return Ok(());
    }
    let mut heads = vec!["execution", "since", "state", "grant", "principal", "gateway", "revoked"];
    heads.extend(args.disclose.then_some("command"));
    let heads = heads.into_iter().map(str::to_owned).collect();
    let rows: Vec<_> = std::iter::once(heads).chain(listed.iter().map(|one| one.row(args.disclose))).collect();
    aligned(&rows).into_iter().try_for_each(line)
}

/// How many there are, in words that do not say more than the record does.
pub(crate) fn begun(count: u64) -> String {
    match count {
        0 => "no execution has begun and not ended on the record".to_owned(),
        1 => "1 execution has begun and not ended on the record".to_owned(),
        count => format!("{count} executions have begun and not ended on the record"),
    }
}

/// How many that have begun and not ended rest on what was just revoked. Nothing where the store beside this command cannot tell.
pub(crate) fn concerned(domain: &Domain, target: &Target) -> Option<u64> {
    let reader = Reader::open(&domain.store()).ok()?;
    let control = reader.view().ok()?.control;
    // A copy that is older than the order knows nothing of it.
    control.revoked(target)?;
    let control = control.with_revoked_only(target);
    let mut count = 0;
    for one in reader.unended().ok()? {
        count += u64::from(reader.unended_revoked(&control, &one).ok()?.is_some());
    }
    Some(count)
}

/// One of them, as it is told.
struct Listed {
    one: Unended,
    /// The entry that revokes what it rests on.
    revoked: Option<LeafIndex>,
    /// Nothing where it was erased, or was not asked for.
    command: Option<String>,
}

impl Listed {
    fn principal(&self) -> String {
        let principal = &self.one.grant.principal;
        format!("{}::{}", principal.kind, principal.id)
    }

    fn row(&self, discloses: bool) -> Vec<String> {
        let execution = &self.one.execution;
        let mut row = vec![
            execution.id.to_string(),
            utc(self.one.since_ms),
            execution.state.as_str().to_owned(),
            execution.grant.to_string(),
            self.principal(),
            execution.gateway.to_string(),
            self.revoked.map_or_else(|| "-".to_owned(), |at| format!("by {at}")),
        ];
        if discloses {
            row.push(self.command.clone().unwrap_or_else(|| "(erased)".to_owned()));
        }
        row
    }

    fn json(&self, discloses: bool) -> Value {
        let execution = &self.one.execution;
        let mut told = json!({
            "execution": execution.id.to_string(),
            "since_ms": self.one.since_ms,
            "begun": self.one.begun.get(),
            "state": execution.state.as_str(),
            "grant": execution.grant.get(),
            "principal": self.principal(),
            "gateway": execution.gateway.as_str(),
            "revoked_by": self.revoked.map(LeafIndex::get),
        });
        if discloses && let Some(told) = told.as_object_mut() {
            told.insert("command".to_owned(), json!(self.command));
        }
        told
    }
}
