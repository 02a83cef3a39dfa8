//! Entries for people and for programs. Both are made from the bytes themselves, so every type is shown whole, the next one too.

use crate::time::utc;
use serde_json::{Map, Value as Json, json};
use writ_ledger::StoredEntry;
use writ_protocol::action::{Action, Advice, Party};
use writ_protocol::cbor::{Decode, Value};
use writ_protocol::entry::{Audience, Target, Would};
use writ_protocol::statement::{Claim, RootCommand, RootStatement, Signed};
use writ_protocol::{Body, Entry, Label};
use writ_server::command_text;
use writ_tlog::{Hash, Origin};

/// An entry as JSON: the envelope's parts by name, bytes as hex, nested statements read.
pub(crate) fn entry_json(stored: &StoredEntry) -> Json {
    let mut shown = Map::new();
    shown.insert("index".to_owned(), json!(stored.index.get()));
    shown.insert("hash".to_owned(), json!(hex(stored.hash.as_bytes())));
    if let Ok(Value::Array(parts)) = Value::from_cbor(&stored.bytes) {
        for (name, part) in ["context", "type", "version", "origin", "body"].iter().zip(&parts) {
            shown.insert((*name).to_owned(), value_json(name, part));
        }
    }
    Json::Object(shown)
}

/// Any value as JSON. What is named `statement` or `payload` is CBOR in bytes and is shown as what it says.
pub(crate) fn value_json(name: &str, value: &Value) -> Json {
    match value {
        Value::Uint(number) => json!(number),
        Value::Nint(number) => json!(number),
        Value::Bytes(bytes) => nested(name, bytes).unwrap_or_else(|| json!(hex(bytes))),
        Value::Text(text) => json!(text),
        Value::Array(items) => items.iter().map(|item| value_json("", item)).collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key.clone(), value_json(key, value))).collect(),
        Value::Bool(value) => json!(value),
        Value::Null => Json::Null,
        Value::Float(number) => json!(number),
    }
}

fn nested(name: &str, bytes: &[u8]) -> Option<Json> {
    if name != "statement" {
        return None;
    }
    let Ok(Value::Array(parts)) = Value::from_cbor(bytes) else { return None };
    let [_, _, Value::Bytes(payload), Value::Array(signatures)] = parts.as_slice() else { return None };
    let Ok(Value::Array(said)) = Value::from_cbor(payload) else { return None };
    let [_, kind, _, _, body] = said.as_slice() else { return None };
    let signers: Json = signatures
        .iter()
        .map(|signature| {
            let Value::Array(parts) = signature else { return Json::Null };
            parts.first().map_or(Json::Null, |by| value_json("", by))
        })
        .collect();
    Some(json!({ "kind": value_json("", kind), "body": value_json("", body), "signed_by": signers }))
}

/// An entry as a tree of lines.
pub(crate) fn entry_text(stored: &StoredEntry) -> String {
    let mut shown = entry_json(stored);
    let mut out = format!("entry {}\n", stored.index);
    if let Some(parts) = shown.as_object_mut() {
        for key in ["index", "context"] {
            parts.remove(key);
        }
        for key in ["type", "version", "origin", "hash"] {
            if let Some(value) = parts.get(key) {
                leaf(&mut out, 1, key, value);
            }
        }
        if let Some(body) = parts.get("body") {
            tree(&mut out, 1, "body", body);
        }
    }
    out.trim_end().to_owned()
}

fn tree(out: &mut String, depth: usize, key: &str, value: &Json) {
    match value {
        Json::Object(pairs) if !pairs.is_empty() => {
            out.push_str(&format!("{}{key}\n", "  ".repeat(depth)));
            for (key, value) in pairs {
                tree(out, depth + 1, key, value);
            }
        }
        Json::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            out.push_str(&format!("{}{key}\n", "  ".repeat(depth)));
            for (number, item) in items.iter().enumerate() {
                tree(out, depth + 1, &format!("{}.", number + 1), item);
            }
        }
        Json::Object(_) | Json::Array(_) | Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => {
            leaf(out, depth, key, value);
        }
    }
}

const KEY_COLUMN: usize = 24;

fn leaf(out: &mut String, depth: usize, key: &str, value: &Json) {
    let indent = "  ".repeat(depth);
    let width = KEY_COLUMN.saturating_sub(indent.len());
    let shown = match value {
        Json::String(text) => shortened(text),
        Json::Number(number) if key.ends_with("time_ms") || matches!(key, "from_ms" | "until_ms") => {
            number.as_u64().map_or_else(|| number.to_string(), utc)
        }
        Json::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), shortened)).collect();
            if items.is_empty() { "none".to_owned() } else { items.join(", ") }
        }
        Json::Number(_) | Json::Bool(_) | Json::Null | Json::Object(_) => value.to_string(),
    };
    out.push_str(&format!("{indent}{key:<width$}{shown}\n"));
}

/// Long hex (post-quantum keys have 2,600 digits) is cut for people; `--json` has all of it.
fn shortened(text: &str) -> String {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.get(..64) {
        Some(start) if is_hex && text.len() > 80 => format!("{start}… ({} bytes)", text.len() / 2),
        Some(_) | None => text.to_owned(),
    }
}

/// An entry in one line: when, what happened, to whom.
pub(crate) fn entry_line(stored: &StoredEntry, origin: &Origin, time: &str) -> String {
    let index = format_args!("{:>8}  {time:<20}", stored.index.get()).to_string();
    match Entry::decode(&stored.bytes, origin) {
        Ok(entry) => {
            let kind = entry.body.entry_type().as_str();
            format!("{index}  {kind:<11} {}", summary(&entry.body, origin))
        }
        Err(refusal) => format!("{index}  ?           {refusal}"),
    }
}

/// What an entry says, without its index and type.
pub(crate) fn summary(body: &Body, origin: &Origin) -> String {
    let who = |principal: &writ_protocol::entry::Principal| format!("{}::{}", principal.kind, principal.id);
    match body {
        Body::Genesis(body) => format!("{} {}", body.domain, body.cluster),
        Body::Gateway(body) => format!("{} epoch {} by {}", body.gateway, body.epoch.get(), who(&body.by)),
        Body::Revocation(body) => format!("{} by {}: {}", target(&body.target), who(&body.by), body.reason),
        Body::Halt(body) => format!("by {}: {}", who(&body.by), body.reason),
        Body::RootOrder(order) => root_order(&order.statement.0, origin),
        Body::Policy(body) => {
            format!("epoch {} {} by {}", body.epoch.get(), hex(body.set.as_bytes()), who(&body.by))
        }
        Body::Entities(body) => {
            format!("epoch {} {} entities by {}: {}", body.epoch.get(), body.count, who(&body.by), body.reason)
        }
        Body::Tally(body) => {
            let counts = body.counts.iter().map(|one| format!("{} {}", one.count.get(), one.code));
            format!("turned away: {}", counts.collect::<Vec<_>>().join(", "))
        }
        Body::Grant(body) => {
            let audience = match &body.audience {
                Audience::Gateway { gateway, epoch } => format!("{gateway} epoch {}", epoch.get()),
                Audience::Group(group) => format!("any of {group}"),
            };
            let carrying = match body.labels.as_slice() {
                [] => String::new(),
                labels => format!(" carrying {}", listed(labels)),
            };
            let under = body.cause.mandate.as_ref().map(|named| format!(" under mandate {}", named.index));
            format!("{} {} for {audience}{carrying}{}", body.id, who(&body.principal), under.unwrap_or_default())
        }
        Body::Denial(body) => format!("{} {} {}", body.id, who(&body.principal), body.code),
        Body::Approval(body) => {
            format!("hold {} {} by {}", body.hold.index, body.verdict.done(), who(&body.by))
        }
        Body::Mandate(body) => {
            let above = body.parent.as_ref().map(|parent| format!(" under {}", parent.index)).unwrap_or_default();
            let until = utc(body.scope.window.until_ms());
            format!("for {}::{} by {}{above} until {until}", body.to.kind, body.to.id, who(&body.by))
        }
        Body::Shadow(body) => format!("{} {}", who(&body.principal), would(body.would)),
        Body::Advised(body) => {
            let about = body.subject.as_ref().map(|subject| format!(" on {}::{}", subject.kind, subject.id));
            let found = body.found.map(|found| format!(", {found} found"));
            let (about, found) = (about.unwrap_or_default(), found.unwrap_or_default());
            format!("{} advised{about}: {}{found}", who(&body.principal), body.decision.as_str())
        }
        Body::Hold(body) => {
            let needs: Vec<String> =
                body.needs.iter().map(|need| format!("{} of {}", need.count.get(), need.group)).collect();
            format!("{} {} needs {}", body.id, who(&body.principal), needs.join(" and "))
        }
        Body::Spend(evidence) | Body::Start(evidence) | Body::Outcome(evidence) | Body::Report(evidence) => {
            statement(&evidence.statement.0, origin)
        }
        Body::Erasure(body) => format!("{} values by {}: {}", body.erased.as_slice().len(), who(&body.by), body.reason),
        Body::Seal(body) => format!("batch {} of {} at {}", body.batch, body.count.get(), utc(body.time_ms)),
    }
}

/// What would have been, in words that nobody takes for a decision.
pub(crate) fn would(would: Would) -> String {
    match would.refusal() {
        None if would == Would::Hold => "would hold".to_owned(),
        None => "would permit".to_owned(),
        Some(code) => format!("would refuse {code}"),
    }
}

/// A question about somebody, on one line, with nothing in it that a terminal would act on.
pub(crate) fn asked_about(question: &Advice) -> String {
    let text = |text: &str| visible(text.as_bytes());
    let party = |party: &Party| {
        let id = party.id.as_ref().map_or_else(|| "any".to_owned(), |id| text(id.as_str()));
        format!("{}::{id}", text(party.kind.as_str()))
    };
    let verb = question.action.as_ref().map_or_else(|| "any".to_owned(), |verb| text(verb.name.as_str()));
    let (subject, resource) = (party(&question.subject), party(&question.resource));
    format!("{}: {subject} {verb} {resource}", question.asks.as_str())
}

/// What was asked for, on one line: a command is quoted, so that one argument is told from two.
pub(crate) fn told_action(action: &Action) -> String {
    match action {
        Action::Exec(exec) => command(&exec.argv),
        Action::Order(order) => format!("{} because {}", order.command.as_str(), order.reason),
        Action::Advice(question) => asked_about(question),
    }
}

/// A command as policies see it: each argument quoted where a shell would need that.
pub(crate) fn command(argv: &[Vec<u8>]) -> String {
    command_text(argv.iter().map(Vec::as_slice))
}

/// What would run, for whoever is to say whether it may: each part whole, with nothing in it that a terminal would act on.
pub(crate) fn would_run(action: &Action) -> Vec<(&'static str, String)> {
    let text = visible;
    match action {
        Action::Exec(exec) => {
            let argv: Vec<String> = exec.argv.iter().map(|one| shell_word(&text(one))).collect();
            let mut told = vec![("command", argv.join(" ")), ("program", text(&exec.path))];
            told.push(("content", hex(exec.executable.as_bytes())));
            told.extend(exec.interpreter.as_ref().map(|found| ("script by", text(&found.path))));
            told.push(("folder", text(&exec.cwd)));
            let names: Vec<String> = exec.variables.names().iter().map(|name| text(name)).collect();
            told.push(("variables", names.join(" ")));
            told.push(("stdin", exec.stdin.as_str().to_owned()));
            told
        }
        Action::Order(order) => vec![("order", format!("{} because {}", order.command.as_str(), order.reason))],
        Action::Advice(question) => vec![("question", asked_about(question))],
    }
}

/// Bytes that somebody else has chosen, on one line: nothing in them is hidden, and no run of blanks makes a terminal's edge look like the end
/// of a line.
pub(crate) fn visible(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("  ", " \\x20")
}

fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%,".contains(&byte);
    let is_plain = !text.is_empty() && text.bytes().all(plain);
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn root_order(signed: &[u8], origin: &Origin) -> String {
    match Signed::decode(signed).and_then(|signed| signed.root_claims(origin)) {
        Ok(RootStatement { order: RootCommand::Halt(reason), .. }) => format!("root halts: {reason}"),
        Ok(RootStatement { order: RootCommand::Resume(reason), .. }) => format!("root resumes: {reason}"),
        Ok(RootStatement { order: RootCommand::LedgerKeys(_), .. }) => "root replaces the ledger's keys".to_owned(),
        Ok(RootStatement { order: RootCommand::RootKeys(root), .. }) => {
            format!("root members replaced: {} of {} must sign", root.threshold(), root.members().len())
        }
        Ok(RootStatement { order: RootCommand::PolicyAuthors(authors), .. }) => {
            format!("policy authors: {} of {} must sign", authors.threshold(), authors.keys().len())
        }
        Err(refusal) => refusal.to_string(),
    }
}

pub(crate) fn target(target: &Target) -> String {
    match target {
        Target::Writ(writ) => format!("writ {}", hex(writ.as_bytes())),
        Target::Key(key) => key.to_string(),
        Target::Principal(principal) => format!("{}::{}", principal.kind, principal.id),
        Target::Policy(set) => format!("policy set {}", hex(set.as_bytes())),
        Target::Lineage { ledger, entry } => format!("lineage of {} in {ledger}", hex(entry.as_bytes())),
        Target::Gateway(gateway) => format!("gateway {gateway}"),
        Target::Mandate(mandate) => format!("mandate {}", hex(mandate.as_bytes())),
    }
}

fn statement(signed: &[u8], origin: &Origin) -> String {
    let claims = match Signed::decode(signed).and_then(|signed| signed.gateway_claims(origin)) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.to_string(),
    };
    let said = match &claims.claim {
        Claim::Spent { execution, usage, .. } => format!("{execution} use {}", usage.get()),
        Claim::Started { execution, .. } => execution.to_string(),
        Claim::Ended { execution, result, .. } => format!("{execution} {result}"),
        Claim::Labelled { execution, labels, .. } => format!("{execution} carries {}", listed(labels.as_slice())),
        Claim::Refused { code, .. } => format!("refused {code}"),
        Claim::Heartbeat { size, .. } => format!("follows {size} entries"),
    };
    format!("{said} by {} epoch {}", claims.gateway, claims.epoch.get())
}

/// Labels, separated by commas.
pub(crate) fn listed(labels: &[Label]) -> String {
    labels.iter().map(Label::as_str).collect::<Vec<_>>().join(", ")
}

/// A policy that decided, for programs.
pub(crate) fn policy_json(one: &writ_client::PolicyNote) -> Json {
    json!({ "id": one.id, "file": one.file, "line": one.line, "effect": one.effect, "text": one.text })
}

/// `1 entry`, `2 entries`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A path as a shell takes it, so that what is shown can be typed.
pub(crate) fn quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

pub(crate) fn from_hex(text: &str) -> Option<Hash> {
    Hash::from_slice(&bytes_from_hex(text)?)
}

pub(crate) fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
