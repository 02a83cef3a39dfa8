//! `writ gateway`: who may execute. A gateway of another machine, or of another make, is enrolled by an order.

use crate::args::{As, Place, Reach};
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FOLDER, must_be_new, write_secret};
use crate::mandates::name as gateway_name;
use crate::orders::Office;
use crate::render::{bytes_from_hex, counted, hex, quoted};
use crate::who::{connect, principal};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use writ_protocol::action::{Command as Ordered, Enrolled};
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::{Ed25519Key, Key, Name};
use writ_tlog::{Algorithm, SigningKey};

const HELP: &str = "The gateways of the node's own machine are enrolled by whoever starts it (`writ up --slots`). Any other is enrolled by an order: \
decided by policy (action \"enrol\"), recorded, and in force with its entry. It needs a person's key, from outside every governed execution.";

const NEW_HELP: &str = "It makes a slot for `writ run` on this machine, for one execution at a time: as many are made as shall run at once. DIR needs nothing \
besides but the domain's `trust-root`; the folder of the node itself is refused. The key stays here; what is printed is for whoever enrols it.";

const ENROL_HELP: &str = "What one gateway is enrolled for: to be named by writs that are for it or its groups, and to say what it did. With --speaks-for it may \
besides ask in somebody's name, by its own signature, for what it executes itself; whoever it names is then known as policy has them, with `gateway` \
as how (context.auth). To enrol a name again is to renew it: its epoch ends, with every writ for it that was not used yet.";

#[derive(ClapArgs)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a gateway slot of this machine with a key of its own, and say how it is enrolled
    New(New),
    /// Enrol a gateway, or renew one
    Enrol(Enrol),
    /// Show which gateways there are, and for what
    List(List),
}

#[derive(ClapArgs)]
#[command(after_help = NEW_HELP)]
struct New {
    #[command(flatten)]
    place: Place,
    /// Its name, such as process/build-7
    name: String,
    /// Make another key in the place of the one that is there, to renew its enrolment
    #[arg(long)]
    renew: bool,
}

#[derive(ClapArgs)]
#[command(after_help = ENROL_HELP)]
struct Enrol {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// Its name, such as process/build-7
    #[arg(value_parser = gateway_name)]
    name: Name,
    /// Its public key, as `writ gateway new` prints it
    #[arg(value_name = "KEY")]
    public: String,
    /// A group of gateways that it belongs to; once for each [default: the first part of its name, as `process`]
    #[arg(long, value_name = "NAME", value_parser = gateway_name)]
    group: Vec<Name>,
    /// In whose name it may ask, such as Agent::builder; once for each
    #[arg(long, value_name = "PRINCIPAL")]
    speaks_for: Vec<String>,
    /// It is enrolled already: give it this key, these groups and names instead
    #[arg(long)]
    renew: bool,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
struct List {
    #[command(flatten)]
    reach: Reach,
}

pub(crate) fn run(args: &Args, as_json: bool) -> Result<(), CliError> {
    match &args.command {
        Command::New(new) => make(new, as_json),
        Command::Enrol(enrol) => self::enrol(enrol, as_json),
        Command::List(list) => self::list(list, as_json),
    }
}

fn make(args: &New, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    if domain.store().exists() {
        let dir = domain.dir().display();
        return Err(CliError::Usage(format!(
            "{dir} is the folder of the node, whose slots `writ up --slots` makes; run this on the other machine, in a folder with a copy of {dir}/trust-root"
        )));
    }
    let slots = domain.slots();
    let unfit = || {
        CliError::Usage(format!(
            "expected process/ and a word of a-z A-Z 0-9 . _ -, such as process/build-7, found {:?}",
            args.name
        ))
    };
    let word = args.name.strip_prefix("process/").filter(|word| is_word(word)).ok_or_else(unfit)?;
    let seed = slots.join(format!("{word}.seed"));
    if args.renew {
        // Nothing runs with it any more once its enrolment is renewed; until then nothing runs with the new one.
        fs::rename(&seed, seed.with_extension("set-aside")).map_err(CliError::file(&seed))?;
    }
    must_be_new(&seed)?;
    DirBuilder::new().recursive(true).mode(SECRET_FOLDER).create(&slots).map_err(CliError::file(&slots))?;
    let key = SigningKey::from_seed(Algorithm::Ed25519, &write_secret(&seed)?);
    let public = hex(Key::from(key.verifying_key()).as_bytes());
    if as_json {
        return json_line(&json!({ "gateway": args.name, "seed": seed, "key": public }));
    }
    line(format_args!("{}: a new gateway slot", args.name))?;
    line(format_args!("  seed        {}   for its owner alone", quoted(&seed)))?;
    line(format_args!("  public key  {public}"))?;
    let renew = if args.renew { " --renew" } else { "" };
    line(format_args!(
        "\nhave it enrolled, by whoever policy lets:\n  writ gateway enrol {} {public}{renew}",
        args.name
    ))
}

/// What a file and the last part of a gateway's name can both be.
fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !word.is_empty() && word.len() <= 64 && !word.starts_with('.') && word.bytes().all(fits)
}

fn enrol(args: &Enrol, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let unread = || CliError::Usage("expected a public key of Ed25519, as `writ gateway new` prints it".to_owned());
    let key = bytes_from_hex(&args.public).and_then(|bytes| Key::from_bytes(&bytes).and_then(Ed25519Key::new).ok());
    let key = key.ok_or_else(unread)?;
    let speaks_for = args.speaks_for.iter().map(|text| principal(text)).collect::<Result<Vec<_>, _>>()?;
    let groups = match (args.group.as_slice(), args.name.as_str().split_once('/')) {
        ([], Some((first, _))) => vec![Name::new(first).map_err(|error| CliError::Usage(error.to_string()))?],
        (named, _) => named.to_vec(),
    };
    let known = known(&connect(&args.reach, &domain)?.status().map_err(|error| CliError::Refused(error.refusal()))?);
    let known = known.into_iter().find(|one| one.name == args.name.as_str()).map(|one| one.epoch);
    let epoch = match (known, args.renew) {
        (None, false) => Positive::ONE,
        (Some(epoch), true) => Positive::new(epoch.saturating_add(1)).unwrap_or(Positive::ONE),
        (Some(epoch), false) => {
            let name = &args.name;
            return Err(CliError::Usage(format!(
                "gateway {name} is enrolled, in epoch {epoch}; take another name, or end that epoch with --renew"
            )));
        }
        (None, true) => {
            return Err(CliError::Usage(format!("gateway {} is not enrolled; leave out --renew", args.name)));
        }
    };
    let enrolled = Enrolled {
        key,
        epoch,
        groups: Ascending::new(groups),
        asserts: Ascending::new(speaks_for),
        gateway: args.name.clone(),
    };
    Office { reach: &args.reach, who: &args.who, domain }.order(
        Ordered::Enrol(Box::new(enrolled)),
        &args.reason,
        as_json,
    )
}

/// What an order enrols, in words.
pub(crate) fn told(enrolled: &Enrolled) -> String {
    let asserts = enrolled.asserts.as_slice();
    let speaks = match asserts {
        [] => String::new(),
        some => format!(
            ", for {}",
            some.iter().map(|who| format!("{}::{}", who.kind, who.id)).collect::<Vec<_>>().join(", ")
        ),
    };
    format!("{} in epoch {}{speaks}", enrolled.gateway, enrolled.epoch.get())
}

/// A gateway, as a node tells of it.
struct Known {
    name: String,
    epoch: u64,
    groups: String,
    speaks_for: String,
    is_revoked: bool,
}

fn known(status: &Value) -> Vec<Known> {
    let all = status.get("gateways").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let listed = |one: &Value, name: &str| {
        let texts = one.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(", ")
    };
    let read = |one: &Value| {
        Some(Known {
            name: one.get("name")?.as_str()?.to_owned(),
            epoch: one.get("epoch")?.as_u64()?,
            groups: listed(one, "groups"),
            speaks_for: listed(one, "asserts"),
            is_revoked: one.get("revoked").and_then(Value::as_bool).unwrap_or_default(),
        })
    };
    all.iter().filter_map(read).collect()
}

fn list(args: &List, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let status = connect(&args.reach, &domain)?.status().map_err(|error| CliError::Refused(error.refusal()))?;
    if as_json {
        return json_line(status.get("gateways").unwrap_or(&Value::Null));
    }
    let known = known(&status);
    line(format_args!("{} enrolled", counted(known.len() as u64, "gateway", "gateways")))?;
    let width = known.iter().map(|one| one.name.len()).max().unwrap_or_default();
    for one in &known {
        let groups = if one.groups.is_empty() { String::new() } else { format!("  of {}", one.groups) };
        let speaks = if one.speaks_for.is_empty() { String::new() } else { format!("  for {}", one.speaks_for) };
        let revoked = if one.is_revoked { "  revoked" } else { "" };
        line(format_args!("  {:width$}  epoch {}{groups}{speaks}{revoked}", one.name, one.epoch))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_word;

    #[test]
    fn a_slot_has_a_name_that_a_file_can_have() {
        for good in ["01", "build-7", "a.b_c", "B"] {
            assert!(is_word(good), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "..", "a b", "ü", &"x".repeat(65)] {
            assert!(!is_word(bad), "{bad}");
        }
    }
}
