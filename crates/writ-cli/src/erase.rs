//! `writ erase`: an order that has values behind commitments erased from the vault.

use crate::args::{As, Reach};
use crate::domain::{Domain, read_trust_root};
use crate::error::CliError;
use crate::orders::Office;
use crate::who::connect;
use clap::Args as ClapArgs;
use writ_protocol::action::{Command, CommitmentKind};
use writ_protocol::entry::{Activation, Ascending, Enrolment, Erased};
use writ_protocol::{Body, Bundle};
use writ_tlog::Hash;

const ERASE_HELP: &str = "An erasure is for good. The entries stay, and everything that was proved of them; what they commit to can be read by nobody any more, \
and a decision that rests on it cannot be derived again. What is still needed is refused (still_needed): the policy set and the entities in force, what \
waits for approval, what can still be executed or has not ended. A grant and the hold it resolves commit to the same values: name both. Backups keep \
theirs. The order needs a key, from outside every governed execution, and a policy that permits `erase`.";

#[derive(ClapArgs)]
#[command(after_help = ERASE_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// The entries whose values are erased: their indices
    #[arg(required = true, value_name = "INDEX")]
    entries: Vec<u64>,
    /// Only values of this kind; once for each: action, facts, request, policy, entities, text [default: every kind that the entries hold]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<CommitmentKind>,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

fn kind(text: &str) -> Result<CommitmentKind, String> {
    let known = CommitmentKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| "expected action, facts, request, policy, entities or text".to_owned())
}

pub(crate) fn run(args: &Args, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let mut erased = Vec::new();
    for index in &args.entries {
        erased.extend(values(args, &domain, *index)?);
    }
    let command = Command::Erase(Ascending::new(erased));
    Office { reach: &args.reach, who: &args.who, domain }.order(command, &args.reason, as_json)
}

/// The commitments of an entry that this process has verified: whoever orders signs which they are.
fn values(args: &Args, domain: &Domain, index: u64) -> Result<Vec<Erased>, CliError> {
    let client = connect(&args.reach, domain)?;
    let bytes = client.bundle(index, false).map_err(|error| CliError::Refused(error.refusal()))?;
    let story = Bundle::verify(&bytes, &read_trust_root(&domain.trust_root())?).map_err(CliError::Refused)?;
    let found = story.entries.iter().find(|one| one.index.get() == index);
    let held = found.map(|one| one.entry.body.commitments()).unwrap_or_default();
    let has_request = found.is_none_or(|one| was_asked_for(&one.entry.body));
    let meant = |kind: &CommitmentKind| match args.kind.as_slice() {
        [] => has_request || *kind != CommitmentKind::Request,
        named => named.contains(kind),
    };
    let named: Vec<Erased> = held
        .iter()
        .filter(|(kind, _)| meant(kind))
        .map(|(_, commitment)| Erased { index, commitment: *commitment })
        .collect();
    if named.is_empty() {
        return Err(CliError::Usage(nothing_to_erase(index, &held, &args.kind, has_request)));
    }
    Ok(named)
}

/// What the node does by itself, such as putting a policy folder in force, has the commitment of a request that nobody has made: no vault has it.
fn was_asked_for(body: &Body) -> bool {
    let (Body::Policy(Activation { by, .. }) | Body::Gateway(Enrolment { by, .. })) = body else { return true };
    by.auth.as_str() != "operator"
}

fn nothing_to_erase(
    index: u64,
    held: &[(CommitmentKind, Hash)],
    named: &[CommitmentKind],
    has_request: bool,
) -> String {
    let listed = |kinds: Vec<&str>| kinds.join(", ");
    let kept = held.iter().map(|(kind, _)| *kind).filter(|kind| has_request || *kind != CommitmentKind::Request);
    let kept: Vec<&str> = kept.map(CommitmentKind::as_str).collect();
    if kept.is_empty() {
        return format!("entry {index} has no values behind it, so there is nothing to erase");
    }
    let named = listed(named.iter().map(|kind| kind.as_str()).collect());
    format!(
        "entry {index} has no {named} behind it, but {}; name one of these with --kind, or none for all",
        listed(kept)
    )
}

/// What an order erases, in words.
pub(crate) fn told(erased: &Ascending<Erased>) -> String {
    let mut entries: Vec<String> = erased.as_slice().iter().map(|one| one.index.to_string()).collect();
    entries.dedup();
    let values = match erased.as_slice().len() {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    };
    match entries.as_slice() {
        [one] => format!("{values} of entry {one}"),
        several => format!("{values} of entries {}", several.join(", ")),
    }
}
