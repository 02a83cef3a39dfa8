//! `writ holds`, `writ approve`, `writ reject` and `writ withdraw`: what waits for approval, shown to whoever is asked from what they have verified themselves.

use crate::args::{As, Reach};
use crate::domain::{Domain, read, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::orders::Office;
use crate::render::{counted, hex, visible, would_run};
use crate::time::{left, utc, utc_seconds};
use crate::who::connect;
use clap::Args as ClapArgs;
use serde_json::{Value as Json, json};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use writ_client::Held;
use writ_protocol::action::{Action, Command, CommitmentKind, Held as Answered, Opening};
use writ_protocol::bundle::{BUNDLE_BYTES_MAX, Story};
use writ_protocol::cbor::{Decode, Value};
use writ_protocol::entry::{EntryRef, Hold, Need, Verdict};
use writ_protocol::{Body, Bundle, Code, Refusal};

const ANSWER_HELP: &str = "The hold is fetched with the values behind its commitments, proved against the trust root, and shown; what is signed is the \
digest that was computed from what was shown. Those values are given to the node's own user. Elsewhere, have somebody send the file that \
`writ log bundle INDEX --disclose` writes, and give it with --bundle. The order needs a key, from outside every governed execution.";

const WITHDRAW_HELP: &str = "Whoever asked takes it back, and nobody else: nobody can approve it any more, and its place among those that wait is free. What somebody \
has rejected is not withdrawn: the no stands until it would have lapsed. The order needs the key of whoever asked, from outside every governed \
execution, and a policy that permits `withdraw`.";

#[derive(ClapArgs)]
pub(crate) struct Holds {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// Show this hold, proved, with what would run if this user may see it
    pub(crate) index: Option<u64>,
    /// Show it from this bundle
    #[arg(long, value_name = "FILE", requires = "index")]
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(ClapArgs)]
#[command(after_help = ANSWER_HELP)]
pub(crate) struct Answer {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    /// The hold: the index of its entry, as `writ holds` shows it
    pub(crate) index: u64,
    /// Take the hold from this bundle, as `writ log bundle INDEX --disclose` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Do not ask whether this is meant
    #[arg(long)]
    pub(crate) yes: bool,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
#[command(after_help = WITHDRAW_HELP)]
pub(crate) struct Withdraw {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) who: As,
    /// The hold: the index of its entry, as `writ holds` shows it
    pub(crate) index: u64,
    /// Why, as a word: a-z 0-9 . _ -
    #[arg(long, default_value = "unspecified", value_name = "WORD")]
    pub(crate) reason: String,
}

#[derive(ClapArgs)]
pub(crate) struct Waiting {
    /// Where it is held, wait for its approval, for so long at most: 30s, 10m, 1h
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = WAIT_DEFAULT, value_parser = wait)]
    pub(crate) wait: Option<std::time::Duration>,
}

/// Shows what waits.
pub(crate) fn run(args: &Holds, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let Some(index) = args.index else { return all(args, &domain, as_json) };
    let shown = Shown::of(&args.reach, &domain, index, args.bundle.as_deref())?;
    if as_json { json_line(&shown.json()) } else { shown.tell() }
}

fn all(args: &Holds, domain: &Domain, as_json: bool) -> Result<(), CliError> {
    let told = connect(&args.reach, domain)?.holds().map_err(|error| CliError::Refused(error.refusal()))?;
    if as_json {
        return json_line(&told);
    }
    let holds = told.get("holds").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    if holds.is_empty() {
        return line("nothing waits for approval");
    }
    for hold in holds {
        let text = |name: &str| hold.get(name).and_then(Json::as_str).unwrap_or_default();
        let number = |name: &str| hold.get(name).and_then(Json::as_u64).unwrap_or_default();
        line(format_args!("{:>8}  {:<9} {}", number("index"), text("state"), text("principal")))?;
        if let Ok(shown) = Shown::of(&args.reach, domain, number("index"), None) {
            line(format_args!("          asked {}{}", utc_seconds(shown.hold.time_ms), shown.in_brief()))?;
        }
        line(format_args!("          {}; lapses {}", standing(hold), left(number("until_ms"))))?;
    }
    line(
        "  next    `writ holds INDEX` shows one, `writ approve INDEX` and `writ reject INDEX` answer it, `writ withdraw INDEX` takes back your own",
    )
}

/// What it needs, and who has answered.
fn standing(hold: &Json) -> String {
    let listed = |name: &str, told: fn(&Json) -> String| {
        hold.get(name).and_then(Json::as_array).into_iter().flatten().map(told).collect::<Vec<_>>().join(", ")
    };
    let (needs, answers) = (listed("needs", need_of), listed("answers", answer_of));
    format!("needs {needs}; answered: {}", if answers.is_empty() { "nobody yet" } else { &answers })
}

fn need_of(need: &Json) -> String {
    let count = need.get("count").and_then(Json::as_u64).unwrap_or_default();
    format!("{count} of {}", need.get("group").and_then(Json::as_str).unwrap_or_default())
}

fn answer_of(answer: &Json) -> String {
    let text = |name: &str| answer.get(name).and_then(Json::as_str).unwrap_or_default();
    let all = [Verdict::Approve, Verdict::Reject, Verdict::Withdraw];
    let verb = all.into_iter().find(|one| one.as_str() == text("verdict")).map_or("answered", Verdict::done);
    let counts = answer.get("counts").and_then(Json::as_bool).unwrap_or(true);
    // Whoever gave it is not trusted any more, or has left the group.
    let but = if counts { "" } else { " (counts no longer)" };
    format!("{verb} by {}{but}", text("by"))
}

/// Takes back what was asked: by whoever asked, who need not be shown it.
pub(crate) fn withdraw(args: &Withdraw, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let client = connect(&args.reach, &domain)?;
    let bytes = client.bundle(args.index, false).map_err(|error| CliError::Refused(error.refusal()))?;
    let story = Bundle::verify(&bytes, &read_trust_root(&domain.trust_root())?).map_err(CliError::Refused)?;
    let found = story.entries.iter().find(|one| one.index.get() == args.index);
    let Some((one, Body::Hold(hold))) = found.map(|one| (one, &one.entry.body)) else {
        let why = format!("entry {} is no hold; `writ holds` shows what waits", args.index);
        return Err(CliError::Usage(why));
    };
    let reference = EntryRef { entry: one.hash, index: args.index, ledger: one.entry.origin.clone() };
    let held = Answered { hold: reference, action: hold.action.digest };
    let command = Command::Answer(Verdict::Withdraw, held);
    Office { reach: &args.reach, who: &args.who, domain }.order(command, &args.reason, as_json)
}

/// Answers one.
pub(crate) fn answer(args: &Answer, verdict: Verdict, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.reach.place)?;
    let shown = Shown::of(&args.reach, &domain, args.index, args.bundle.as_deref())?;
    let Some((action, _)) = &shown.action else {
        let why = format!("what would run {}; nobody answers what they have not seen", shown.absent());
        return Err(CliError::Refused(Refusal::new(Code::EvidenceIncomplete, why)));
    };
    // Computed here, from the bytes that are shown; the verification has compared it with the hold's.
    let held = Answered { hold: shown.hold_ref(), action: action.commitment() };
    if !args.yes {
        shown.tell()?;
        shown.confirmed(verdict)?;
    }
    let office = Office { reach: &args.reach, who: &args.who, domain };
    office.order(Command::Answer(verdict, held), &args.reason, as_json)?;
    if as_json {
        return Ok(());
    }
    // The answer stands whether or not the node says how far the hold has come.
    let told = connect(&args.reach, &office.domain)?.holds().unwrap_or_default();
    let all = told.get("holds").and_then(Json::as_array).into_iter().flatten();
    let Some(hold) = all.into_iter().find(|hold| hold.get("index").and_then(Json::as_u64) == Some(args.index)) else {
        return Ok(());
    };
    let state = hold.get("state").and_then(Json::as_str).unwrap_or_default();
    line(format_args!("  {state:<9} {}", standing(hold)))
}

/// The beginning of what whoever asked has claimed, on one line.
fn brief(claimed: &str) -> String {
    const SHOWN_MAX: usize = 320;
    let shown = visible(claimed.as_bytes());
    match shown.split_at_checked(SHOWN_MAX) {
        Some((beginning, rest)) if !rest.is_empty() => format!("{beginning} and {} characters more", rest.len()),
        Some(_) | None => shown,
    }
}

/// A hold as this process has verified it.
struct Shown {
    story: Story,
    hold: Hold,
    /// What opens its action, and the action; nothing where values were not disclosed, or are there no more.
    action: Option<(Opening, Action)>,
    values: Values,
}

/// Whence the values behind the commitments are.
enum Values {
    /// The node gave all that it has.
    Given,
    /// It gave none.
    Withheld,
    /// From a bundle, made by somebody with or without them.
    InFile,
}

impl Shown {
    fn of(reach: &Reach, domain: &Domain, index: u64, file: Option<&std::path::Path>) -> Result<Self, CliError> {
        let (bytes, values) = match file {
            Some(file) => (read(file, BUNDLE_BYTES_MAX)?, Values::InFile),
            None => {
                let client = connect(reach, domain)?;
                // Whoever may not see the values gets the hold without them.
                let given = client.bundle(index, true).map(|bundle| (bundle, Values::Given));
                let bundle = given.or_else(|_| client.bundle(index, false).map(|bundle| (bundle, Values::Withheld)));
                let (bundle, values) = bundle.map_err(|error| CliError::Refused(error.refusal()))?;
                (bundle.to_vec(), values)
            }
        };
        let none = || CliError::Usage(format!("entry {index} is no hold; `writ holds` shows those that are open"));
        let trust = read_trust_root(&domain.trust_root())?;
        let story = Bundle::verify(&bytes, &trust).map_err(|refusal| {
            // There is no story of a seal, or of what another entry tells.
            let is_no_subject = file.is_none() && refusal.code() == Code::EvidenceIncomplete;
            if is_no_subject { none() } else { CliError::Refused(refusal) }
        })?;
        let story = Story::clone(&story);
        let subject = story.entries.iter().find(|one| one.index == story.subject && story.subject.get() == index);
        let Some(Body::Hold(hold)) = subject.map(|one| one.entry.body.clone()) else { return Err(none()) };
        let action = story.openings.iter().find(|opening| opening.kind == CommitmentKind::Action);
        let action = action.map(|opening| Ok((opening.clone(), Action::decode(&opening.value)?))).transpose();
        Ok(Self { action: action.map_err(CliError::Refused)?, hold, story, values })
    }

    /// The beginning of what would run, where it may be seen here. Whoever answers is shown all of it.
    fn in_brief(&self) -> String {
        let told = self.action.as_ref().map(|(_, action)| would_run(action));
        let first = told.and_then(|told| told.into_iter().next());
        first.map(|(_, text)| format!(": {}", brief(&text))).unwrap_or_default()
    }

    /// Why a value of the hold is not here.
    fn absent(&self) -> &'static str {
        match self.values {
            Values::Given => "was erased, and nobody can be shown it any more",
            Values::Withheld => "is for the node's own user; see `writ help approve`",
            Values::InFile => "is not in the bundle; `writ log bundle --disclose` puts it there, unless it was erased",
        }
    }

    fn confirmed(&self, verdict: Verdict) -> Result<(), CliError> {
        let verb = verdict.as_str();
        if !std::io::stdin().is_terminal() {
            return Err(CliError::Usage(format!("nobody can be asked here whether to {verb}; say --yes")));
        }
        let failed = |error: std::io::Error| CliError::Failed(format!("the terminal: {error}"));
        let (by, subject) = (&self.hold.principal, self.story.subject);
        write!(std::io::stderr(), "{verb} just this, hold {subject} of {}::{}? type {verb}: ", by.kind, by.id)
            .map_err(failed)?;
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed).map_err(failed)?;
        if typed.trim() == verb {
            return Ok(());
        }
        Err(CliError::Usage(format!("nothing was done: {verb} was not typed")))
    }

    fn hold_ref(&self) -> EntryRef {
        let found = self.story.entries.iter().find(|one| one.index == self.story.subject);
        let (entry, ledger) = found.map_or_else(
            || (writ_tlog::Hash::from_bytes([0; 32]), self.hold.as_of.ledger.clone()),
            |one| (one.hash, one.entry.origin.clone()),
        );
        EntryRef { entry, index: self.story.subject.get(), ledger }
    }

    /// What was measured, as a person reads it.
    fn facts(&self) -> Vec<(String, String)> {
        let facts = self.story.openings.iter().find(|opening| opening.kind == CommitmentKind::Facts);
        let Some(Value::Map(fields)) = facts.and_then(|facts| Value::from_cbor(&facts.value).ok()) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("gateway", Value::Text(gateway)) => told.push((name, gateway)),
                ("surroundings", Value::Array(pairs)) => {
                    let pairs = pairs.iter().filter_map(component);
                    told.push((name, pairs.collect::<Vec<_>>().join(" ")));
                }
                ("labels", Value::Array(labels)) => {
                    let labels = labels
                        .iter()
                        .filter_map(|label| if let Value::Text(text) = label { Some(text.as_str()) } else { None });
                    told.push((name, labels.collect::<Vec<_>>().join(" ")));
                }
                _ => {}
            }
        }
        told
    }

    fn tell(&self) -> Result<(), CliError> {
        let hold = &self.hold;
        line(format_args!(
            "hold: entry {}, asked {}, lapses {}",
            self.story.subject,
            utc(hold.time_ms),
            left(hold.until_ms)
        ))?;
        let principal = &hold.principal;
        line(format_args!("  asked by  {}::{} (by {})", principal.kind, principal.id, principal.auth))?;
        let depth = hold.cause.depth();
        if depth > 0 {
            line(format_args!("  caused    {} below what began it", counted(depth, "step", "steps")))?;
        }
        let policies: Vec<&str> = hold.policy.reasons.as_slice().iter().map(writ_protocol::Name::as_str).collect();
        line(format_args!("  held by   {}", policies.join(", ")))?;
        line(format_args!("  needs     {}", needs(&hold.needs)))?;
        for one in &self.story.entries {
            if let Body::Approval(answer) = &one.entry.body {
                let verb = answer.verdict.done();
                line(format_args!("  {verb:<9} by {}::{}, entry {}", answer.by.kind, answer.by.id, one.index))?;
            }
        }
        if !self.story.openings.iter().any(|opening| opening.kind == CommitmentKind::Facts) {
            line(format_args!("  where     not shown: it {}", self.absent()))?;
        }
        for (name, value) in self.facts() {
            line(format_args!("  {:<9} {}", if name == "surroundings" { "where" } else { &name }, brief(&value)))?;
        }
        self.tell_action()
    }

    /// What would run, last: it stands above the question, whatever else whoever asks has filled the screen with.
    fn tell_action(&self) -> Result<(), CliError> {
        let Some((opening, action)) = &self.action else {
            return line(format_args!("  action    not shown: it {}", self.absent()));
        };
        let (first, rest): (Vec<_>, Vec<_>) = would_run(action).into_iter().partition(|(name, _)| *name == "command");
        for (name, value) in rest.into_iter().chain(first) {
            line(format_args!("  {name:<9} {value}"))?;
        }
        line(format_args!("  digest    {}   computed here", hex(opening.commitment().as_bytes())))
    }

    fn json(&self) -> Json {
        let hold = &self.hold;
        let answers = self.story.entries.iter().filter_map(|one| {
            let Body::Approval(answer) = &one.entry.body else { return None };
            Some(json!({
                "by": format!("{}::{}", answer.by.kind, answer.by.id),
                "verdict": answer.verdict.as_str(),
                "index": one.index.get(),
            }))
        });
        let action = self.action.as_ref().map(|(opening, action)| {
            let told: serde_json::Map<String, Json> =
                would_run(action).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            json!({ "digest": hex(opening.commitment().as_bytes()), "told": told })
        });
        json!({
            "index": self.story.subject.get(),
            "principal": format!("{}::{}", hold.principal.kind, hold.principal.id),
            "action": action,
            "facts": self.facts().into_iter().map(|(name, value)| (name, value.into())).collect::<serde_json::Map<_, _>>(),
            "depth": hold.cause.depth(),
            "policies": hold.policy.reasons.as_slice().iter().map(writ_protocol::Name::as_str).collect::<Vec<_>>(),
            "needs": hold.needs.iter().map(|need| json!({ "group": need.group.as_str(), "count": need.count.get() })).collect::<Vec<_>>(),
            "answers": answers.collect::<Vec<_>>(),
            "asked_ms": hold.time_ms,
            "until_ms": hold.until_ms,
        })
    }
}

/// One of the surroundings, as `label=value`.
fn component(pair: &Value) -> Option<String> {
    let Value::Array(pair) = pair else { return None };
    let [Value::Text(label), Value::Text(value)] = pair.as_slice() else { return None };
    Some(format!("{label}={value}"))
}

fn needs(needs: &[Need]) -> String {
    needs.iter().map(|need| format!("{} of {}", need.count.get(), need.group)).collect::<Vec<_>>().join(", ")
}

/// What whoever asked is told of a hold.
pub(crate) fn told(held: &Held) -> Vec<String> {
    let mut lines = vec![format!("  lapses  {}", left(held.until_ms))];
    lines.extend(held.policies.iter().map(|policy| format!("  policy  {}", policy.id)));
    lines.push(format!("  entry   {}", held.index));
    lines.push("  next    ask again once it is approved, or say --wait; `writ holds` shows how far it is".to_owned());
    lines
}

/// The same for programs.
pub(crate) fn told_json(held: &Held) -> Json {
    json!({
        "outcome": "hold",
        "code": Code::ApprovalPending.as_str(),
        "why": held.why,
        "index": held.index,
        "until_ms": held.until_ms,
        "policies": held.policies.iter().map(crate::render::policy_json).collect::<Vec<_>>(),
        "next": "ask again once it is approved",
    })
}

/// How long `--wait` waits where it does not say.
pub(crate) const WAIT_DEFAULT: &str = "1h";

/// Seven days.
const WAIT_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// `30s`, `10m`, `1h`.
pub(crate) fn wait(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "expected a time such as 30s, 10m or 1h".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => return Err(wrong()),
    };
    seconds
        .filter(|seconds| (1..=WAIT_SECONDS_MAX).contains(seconds))
        .map(std::time::Duration::from_secs)
        .ok_or_else(|| "expected from 1s to 7 days (168h)".to_owned())
}

/// Tells a person, once, that this process waits.
pub(crate) fn waiting(held: &Held) {
    let lapses = left(held.until_ms);
    crate::run::say(&format!("writ: {}; entry {}, lapses {lapses}; waiting", held.why, held.index));
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn what_was_claimed_stays_on_its_line() {
        let claimed = "uid=0\nhold: entry 7\u{200b}\u{202e}\t\x1b[2J";
        let shown = brief(claimed);
        assert_eq!(shown, r"uid=0\nhold: entry 7\xe2\x80\x8b\xe2\x80\xae\t\x1b[2J");
        let blanks = brief(&format!("uid=0{}hold: entry 7", " ".repeat(80)));
        assert!(!blanks.contains("  "), "{blanks}");
        let long = brief(&"x".repeat(1_000));
        assert_eq!(long, format!("{} and 680 characters more", "x".repeat(320)));
    }
}
