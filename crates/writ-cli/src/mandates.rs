//! `writ mandate`: who is for what. Given and handed on by a key, listed, shown.

use crate::args::{As, Reach};
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::holds::wait;
use crate::orders::Office;
use crate::time::{left, now_ms, utc};
use crate::who::{connect, principal};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value as Json, json};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;
use writ_gateway_process::Executable;
use writ_protocol::action::{Command, Given};
use writ_protocol::entry::{EntryRef, Mandate, Positive, Window};
use writ_protocol::scope::{Among, Beginning, File, Measured, Path, Place, Places, Program, Scope, ScopeFields};
use writ_protocol::{Body, Bundle, Label, Name};
use writ_tlog::Hash;

const GRANT_HELP: &str = "A mandate permits nothing: policy decides as it does without one, and whatever is run under it must be within all that is said here. What is \
not said is not constrained. It ends; it can be revoked; and what is run under it cannot leave it. What is said stands in the ledger, readable: name no \
secrets. The order needs a key, from outside every governed execution, and a policy that permits it.";
const DELEGATE_HELP: &str = "Only whom a mandate is for hands it on. What is not said here is taken over from it; what is said must be within it. It ends no later, and what is \
run under it counts there too. Whoever revokes the one above revokes this one.";

#[derive(Subcommand)]
pub(crate) enum MandateCommand {
    /// Give somebody a mandate
    Grant(Grant),
    /// Hand a mandate on, narrower or as it is
    Delegate(Delegate),
    /// Show the mandates that have not ended
    List(List),
    /// Show one mandate
    Show(Show),
}

#[derive(ClapArgs)]
#[command(after_help = GRANT_HELP)]
pub(crate) struct Grant {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// Whom it is for, such as Agent::builder
    #[arg(long, value_name = "PRINCIPAL")]
    to: String,
    /// Give it in advance: the principal need not exist yet
    #[arg(long)]
    unknown_ok: bool,
    #[command(flatten)]
    scope: Constraints,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
#[command(after_help = DELEGATE_HELP)]
pub(crate) struct Delegate {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    who: As,
    /// The mandate: the index of its entry, as `writ mandate list` shows it
    mandate: u64,
    /// Whom it is for, such as Agent::tester
    #[arg(long, value_name = "PRINCIPAL")]
    to: String,
    /// Give it in advance: the principal need not exist yet
    #[arg(long)]
    unknown_ok: bool,
    #[command(flatten)]
    scope: Constraints,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    reason: String,
}

#[derive(ClapArgs)]
pub(crate) struct List {
    #[command(flatten)]
    reach: Reach,
}

#[derive(ClapArgs)]
pub(crate) struct Show {
    #[command(flatten)]
    reach: Reach,
    /// The mandate: the index of its entry
    mandate: u64,
}

#[derive(ClapArgs)]
struct Constraints {
    /// A program that may be run: a path, or a name to look up in PATH; once for each
    #[arg(long, value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// A folder whose programs may be run; once for each
    #[arg(long, value_name = "FOLDER")]
    beneath: Vec<PathBuf>,
    /// A program with how its arguments begin, such as "git push"; once for each
    #[arg(long, value_name = "WORDS")]
    command: Vec<String>,
    /// A folder in which, or beneath which, it may run; once for each
    #[arg(long, value_name = "FOLDER")]
    folder: Vec<PathBuf>,
    /// The SHA-256 of a file that may be loaded to run, an interpreter among them; once for each
    #[arg(long, value_name = "HASH", value_parser = digest)]
    content: Vec<Hash>,
    /// A gateway, or group of gateways, that may execute; once for each
    #[arg(long, value_name = "NAME", value_parser = name)]
    gateway: Vec<Name>,
    /// What a component of the surroundings may be, such as host=build-1; once for each value
    #[arg(long = "where", value_name = "LABEL=VALUE", value_parser = measured)]
    places: Vec<(Label, String)>,
    /// How many executions in all, whatever is handed on included
    #[arg(long, value_name = "N", value_parser = uses)]
    uses: Option<Positive>,
    /// How many steps from the beginning of a lineage at most; 0 lets nothing be caused
    #[arg(long, value_name = "N")]
    depth: Option<u64>,
    /// For how long, 7 days (168h) at most: 30s, 10m, 4h [default: 8h; what is handed on, as long as the one above]
    #[arg(long = "for", value_name = "TIME", value_parser = wait)]
    lasts: Option<Duration>,
}

/// A day's work.
const LASTS: Duration = Duration::from_secs(8 * 3600);
/// It begins a little before now, for a node whose clock is behind.
const BEFORE_MS: u64 = 60_000;

pub(crate) fn run(command: &MandateCommand, as_json: bool) -> Result<(), CliError> {
    match command {
        MandateCommand::Grant(grant) => self::grant(grant, as_json),
        MandateCommand::Delegate(delegate) => self::delegate(delegate, as_json),
        MandateCommand::List(list) => self::list(list, as_json),
        MandateCommand::Show(show) => self::show(show, as_json),
    }
}

fn grant(args: &Grant, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let given = Given { to: principal(&args.to)?, scope: args.scope.read(None)?, parent: None };
    let office = Office { reach: &args.reach, who: &args.who, domain };
    give(&office, given, args.unknown_ok, &args.reason, as_json)
}

fn delegate(args: &Delegate, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let (parent, above) = verified(&args.reach, &domain, args.mandate)?;
    let scope = args.scope.read(Some(&above.scope))?;
    // The node would refuse it too; here it is said before anything is signed.
    scope.narrows(&above.scope).map_err(CliError::Refused)?;
    let given = Given { to: principal(&args.to)?, scope, parent: Some(parent) };
    let office = Office { reach: &args.reach, who: &args.who, domain };
    give(&office, given, args.unknown_ok, &args.reason, as_json)
}

/// For a misspelt name it would be on record, and of use to nobody.
fn give(office: &Office<'_>, given: Given, unknown_ok: bool, reason: &str, as_json: bool) -> Result<(), CliError> {
    if !unknown_ok {
        office.must_exist(&given.to, "give it in advance")?;
    }
    office.order(Command::Mandate(Box::new(given)), reason, as_json)
}

/// A mandate that this process has verified: whoever hands it on signs what it is.
fn verified(reach: &Reach, domain: &Domain, index: u64) -> Result<(EntryRef, Mandate), CliError> {
    let bytes = connect(reach, domain)?.bundle(index, false).map_err(|error| CliError::Refused(error.refusal()))?;
    let story = Bundle::verify(&bytes, &read_trust_root(&domain.trust_root())?).map_err(CliError::Refused)?;
    let found = story.entries.iter().find(|one| one.index == story.subject && one.index.get() == index);
    match found.map(|one| (one, &one.entry.body)) {
        Some((one, Body::Mandate(mandate))) => {
            Ok((EntryRef { entry: one.hash, index, ledger: one.entry.origin.clone() }, mandate.clone()))
        }
        Some(_) | None => {
            Err(CliError::Usage(format!("entry {index} is no mandate; `writ mandate list` shows those that there are")))
        }
    }
}

/// The mandate at an index, to be named in a request or an order.
pub(crate) fn named(reach: &Reach, domain: &Domain, index: u64) -> Result<EntryRef, CliError> {
    let told = connect(reach, domain)?.mandate(index).map_err(|error| CliError::Refused(error.refusal()))?;
    let entry = told.get("entry").and_then(Json::as_str).and_then(crate::render::from_hex);
    let entry = entry.ok_or_else(|| CliError::Failed("the node names no entry of the mandate".to_owned()))?;
    Ok(EntryRef { entry, index, ledger: domain.origin()? })
}

impl Constraints {
    /// What was said, and what was not said as the one above has it.
    fn read(&self, above: Option<&Scope>) -> Result<Scope, CliError> {
        let fault = |what: &str, error: writ_protocol::cbor::ShapeError| CliError::Usage(format!("{what}: {error}"));
        let folders = self.folder.iter().map(|folder| path(folder)).collect::<Result<Vec<_>, _>>()?;
        let window = self.window(above)?;
        let fields = ScopeFields {
            uses: self.uses.or(above.and_then(|above| above.uses)),
            depth: self.depth.or(above.and_then(|above| above.depth)),
            window,
            folders: among(folders).or_else(|| above.and_then(|above| above.folders.clone())),
            contents: among(self.content.clone()).or_else(|| above.and_then(|above| above.contents.clone())),
            gateways: among(self.gateway.clone()).or_else(|| above.and_then(|above| above.gateways.clone())),
            programs: among(self.programs()?).or_else(|| above.and_then(|above| above.programs.clone())),
            surroundings: self.surroundings()?.or_else(|| above.and_then(|above| above.surroundings.clone())),
        };
        Scope::new(fields).map_err(|error| fault("the mandate", error))
    }

    fn window(&self, above: Option<&Scope>) -> Result<Window, CliError> {
        let now_ms = now_ms();
        let ends = |lasts: Duration| now_ms.saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let from_ms = now_ms.saturating_sub(BEFORE_MS);
        let (from_ms, until_ms) = match above {
            None => (from_ms, ends(self.lasts.unwrap_or(LASTS))),
            Some(above) => {
                let until_ms = self.lasts.map_or(above.window.until_ms(), ends);
                (from_ms.max(above.window.from_ms()), until_ms)
            }
        };
        Window::new(from_ms, until_ms).map_err(|_| CliError::Usage("the mandate above has ended".to_owned()))
    }

    fn programs(&self) -> Result<Vec<Program>, CliError> {
        let mut programs = Vec::new();
        for program in &self.program {
            programs.push(Program { file: File::Exact(found(program)?), argv: None });
        }
        for folder in &self.beneath {
            programs.push(Program { file: File::Beneath(path(folder)?), argv: None });
        }
        for command in &self.command {
            let words: Vec<Vec<u8>> = command.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
            let program = words.first().ok_or_else(|| CliError::Usage("--command: expected a program".to_owned()))?;
            let file = File::Exact(found(&OsString::from_vec(program.clone()))?);
            let argv = Beginning::new(words).map_err(|error| CliError::Usage(format!("--command: {error}")))?;
            programs.push(Program { file, argv: Some(argv) });
        }
        Ok(programs)
    }

    fn surroundings(&self) -> Result<Option<Places>, CliError> {
        let mut labels: Vec<&Label> = self.places.iter().map(|(label, _)| label).collect();
        labels.sort();
        labels.dedup();
        let place = |name: &Label| {
            let values = self.places.iter().filter(|(label, _)| label == name);
            let values = Among::new(values.map(|(_, value)| Measured(value.clone())))?;
            Ok(Place { name: name.clone(), values })
        };
        if labels.is_empty() {
            return Ok(None);
        }
        let places = labels.into_iter().map(place).collect::<Result<Vec<_>, _>>().and_then(Places::new);
        places.map(Some).map_err(|error: writ_protocol::cbor::ShapeError| CliError::Usage(format!("--where: {error}")))
    }
}

fn among<T: Ord>(items: Vec<T>) -> Option<Among<T>> {
    Among::new(items).ok()
}

/// A program as the kernel will name it: found as a shell finds it, symbolic links resolved.
fn found(program: &OsString) -> Result<Path, CliError> {
    let executable = Executable::open(program, std::env::var_os("PATH").as_deref());
    let executable = executable.map_err(|error| CliError::Usage(format!("--program: {}", error.refusal().why())))?;
    Path::new(executable.path().as_os_str().as_bytes()).map_err(|error| CliError::Usage(format!("--program: {error}")))
}

/// A folder, symbolic links resolved: executions name theirs so.
fn path(folder: &std::path::Path) -> Result<Path, CliError> {
    let folder = std::fs::canonicalize(folder).map_err(CliError::file(folder))?;
    Path::new(folder.as_os_str().as_bytes()).map_err(|error| CliError::Usage(format!("{}: {error}", folder.display())))
}

fn digest(text: &str) -> Result<Hash, String> {
    crate::render::from_hex(text).ok_or_else(|| "expected 64 hex digits".to_owned())
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

fn uses(text: &str) -> Result<Positive, String> {
    text.parse().ok().and_then(Positive::new).ok_or_else(|| "expected a number from 1".to_owned())
}

fn measured(text: &str) -> Result<(Label, String), String> {
    let (label, value) = text.split_once('=').ok_or("expected LABEL=VALUE, such as host=build-1")?;
    Ok((Label::new(label).map_err(|error| error.to_string())?, value.to_owned()))
}

fn list(args: &List, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let told = connect(&args.reach, &domain)?.mandates().map_err(|error| CliError::Refused(error.refusal()))?;
    if as_json {
        return json_line(&told);
    }
    let mandates = told.get("mandates").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    if mandates.is_empty() {
        return line("no mandate is in force");
    }
    for mandate in mandates {
        let text = |name: &str| mandate.get(name).and_then(Json::as_str).unwrap_or_default();
        let index = mandate.get("index").and_then(Json::as_u64).unwrap_or_default();
        line(format_args!("{index:>8}  {:<9} {} by {}; {}", text("state"), text("to"), text("by"), brief(mandate)))?;
    }
    line("  next    `writ mandate show INDEX` shows one; `writ run --mandate INDEX -- COMMAND` runs under it")
}

/// Its end, and what is left of it.
fn brief(mandate: &Json) -> String {
    let scope = mandate.get("scope");
    let number = |name: &str| scope.and_then(|scope| scope.get(name)).and_then(Json::as_u64);
    let until = number("until_ms").map(left).unwrap_or_default();
    let used = mandate.get("used").and_then(Json::as_u64);
    match (number("uses"), used) {
        (Some(uses), Some(used)) => format!("used {used} of {uses}; ends {until}"),
        (_, _) => format!("ends {until}"),
    }
}

fn show(args: &Show, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let client = connect(&args.reach, &domain)?;
    let told = client.mandate(args.mandate).map_err(|error| CliError::Refused(error.refusal()))?;
    if as_json {
        return json_line(&told);
    }
    let text = |name: &str| told.get(name).and_then(Json::as_str).unwrap_or_default();
    line(format_args!("mandate {}: {}, for {} by {}", args.mandate, text("state"), text("to"), text("by")))?;
    line(format_args!("  entry       {}", text("entry")))?;
    let above: Vec<String> =
        told.get("above").and_then(Json::as_array).into_iter().flatten().map(Json::to_string).collect();
    if !above.is_empty() {
        line(format_args!("  above       {}", above.join(", ")))?;
    }
    let none = json!({});
    let scope = told.get("scope").unwrap_or(&none);
    let number = |name: &str| scope.get(name).and_then(Json::as_u64).unwrap_or_default();
    line(format_args!("  window      {} to {}", utc(number("from_ms")), utc(number("until_ms"))))?;
    if scope.get("uses").is_some() {
        let used = told.get("used").and_then(Json::as_u64).unwrap_or_default();
        line(format_args!("  uses        {used} of {}", number("uses")))?;
    }
    for name in ["depth", "programs", "folders", "contents", "gateways", "surroundings"] {
        match scope.get(name) {
            Some(Json::Array(all)) => {
                for one in all {
                    line(format_args!("  {name:<11} {}", words(one)))?;
                }
            }
            Some(one) => line(format_args!("  {name:<11} {one}"))?,
            None => {}
        }
    }
    if let Some(at) = told.get("revoked").and_then(Json::as_u64) {
        line(format_args!("  revoked     by entry {at}"))?;
    }
    Ok(())
}

/// One element of a constraint, on one line and with nothing in it that a terminal would act on.
fn words(one: &Json) -> String {
    let text =
        |value: &Json| value.as_str().map_or_else(|| value.to_string(), |text| crate::render::visible(text.as_bytes()));
    let listed = |value: &Json| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
    match one {
        Json::Object(fields) => {
            let file = fields.get("exact").map(text);
            let folder = fields.get("beneath").map(|folder| format!("whatever lies in {}", text(folder)));
            let begins = fields.get("argv").map(|argv| format!("as `{} …`", listed(argv)));
            let place = fields
                .get("name")
                .map(|name| format!("{} is {}", text(name), fields.get("values").map(listed).unwrap_or_default()));
            [file, folder, begins, place].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => text(one),
    }
}
