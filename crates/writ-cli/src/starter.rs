//! What a new domain begins with: one person, one agent, their keys, and a policy that can be read in a minute.

use crate::error::CliError;
use crate::keys::{SECRET_FILE, SECRET_FOLDER, principal_seed, write_new, write_secret};
use serde_json::{Value, json};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use writ_protocol::Key;
use writ_protocol::Name;
use writ_protocol::entry::AssertedPrincipal;
use writ_tlog::{Algorithm, SigningKey};

const POLICY: &str = include_str!("starter/starter.cedar");
const EMPTY: &str = include_str!("starter/empty.cedar");
const SCHEMA: &str = include_str!("starter/schema.cedarschema");
const FIXTURES: &str = include_str!("starter/first-day.yaml");
const README: &str = include_str!("starter/README.md");

/// The policy that a domain begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A policy to begin with, which permits what people and builders usually run.
    Starter,
    /// One that permits no execution.
    Empty,
}

/// Makes `policy/` and the keys of the domain's first principals in its folder.
pub(crate) fn make(dir: &Path, first: First, user: &str, uid: u32) -> Result<(), CliError> {
    let policy = dir.join("policy");
    DirBuilder::new().mode(SECRET_FOLDER).create(&policy).map_err(CliError::file(&policy))?;
    let id = Name::new(user).map_err(|error| CliError::Usage(format!("--user: {error}")))?;
    let person = AssertedPrincipal { kind: name("User")?, id };
    let agent = AssertedPrincipal { kind: name("Agent")?, id: name("builder")? };
    let principals = json!([
        { "principal": text(&person), "uids": [uid], "keys": [key(dir, &person)?] },
        { "principal": text(&agent), "keys": [key(dir, &agent)?] },
    ]);
    let entities = entities(&person, &agent);
    let (file, text) = match first {
        First::Starter => ("starter.cedar", POLICY),
        First::Empty => ("orders.cedar", EMPTY),
    };
    for (file, content) in
        [(file, text.to_owned()), ("principals.json", pretty(&principals)?), ("entities.json", pretty(&entities)?)]
    {
        write_new(&policy.join(file), content.as_bytes(), SECRET_FILE)?;
    }
    Ok(())
}

/// The groups of a new domain, with the two who are in them.
fn entities(person: &AssertedPrincipal, agent: &AssertedPrincipal) -> Value {
    let group = |id: &str| json!({ "uid": { "type": "Group", "id": id }, "attrs": {}, "parents": [] });
    let member = |of: &AssertedPrincipal, groups: &[&str]| {
        let parents: Vec<_> = groups.iter().map(|id| json!({ "type": "Group", "id": id })).collect();
        let uid = json!({ "type": of.kind.as_str(), "id": of.id.as_str() });
        json!({ "uid": uid, "attrs": {}, "parents": parents })
    };
    json!([
        group("administrators"),
        group("agents"),
        group("operators"),
        member(person, &["administrators", "operators"]),
        member(agent, &["agents"]),
    ])
}

/// A working folder of its own: the starter's policies with fixtures that show what they let pass and what they stop. Nobody in it has a
/// key yet; `user` is known by their uid.
pub(crate) fn working_folder(dir: &Path, user: &str, uid: u32) -> Result<(), CliError> {
    let id = Name::new(user).map_err(|error| CliError::Usage(format!("--user: {error}")))?;
    let person = AssertedPrincipal { kind: name("User")?, id };
    let agent = AssertedPrincipal { kind: name("Agent")?, id: name("builder")? };
    let principals = json!([{ "principal": text(&person), "uids": [uid] }, { "principal": text(&agent) }]);
    let tests = dir.join("tests");
    DirBuilder::new().recursive(true).mode(SECRET_FOLDER).create(&tests).map_err(CliError::file(&tests))?;
    for (file, content) in [
        ("starter.cedar", POLICY.to_owned()),
        ("schema.cedarschema", SCHEMA.to_owned()),
        ("principals.json", pretty(&principals)?),
        ("entities.json", pretty(&entities(&person, &agent))?),
        ("tests/first-day.yaml", FIXTURES.replace("User::someone", &text(&person))),
        ("README.md", README.to_owned()),
    ] {
        write_new(&dir.join(file), content.as_bytes(), SECRET_FILE)?;
    }
    Ok(())
}

/// The name of a user as a principal's: what a name cannot hold becomes `_`.
pub(crate) fn user_name(login: Option<&str>, uid: u32) -> String {
    let login = login.filter(|login| !login.is_empty()).map_or_else(|| format!("uid-{uid}"), str::to_owned);
    let allowed = |one: char| one.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&one);
    login.chars().take(64).map(|one| if allowed(one) { one } else { '_' }).collect()
}

/// Makes the key of a principal; returns its public key, tagged, as principals.json has it.
pub(crate) fn key(dir: &Path, principal: &AssertedPrincipal) -> Result<String, CliError> {
    let path = principal_seed(dir, principal);
    let parent = path.parent().unwrap_or(dir);
    DirBuilder::new().recursive(true).mode(SECRET_FOLDER).create(parent).map_err(CliError::file(parent))?;
    let seed = write_secret(&path)?;
    let key = Key::from(SigningKey::from_seed(Algorithm::Ed25519, &seed).verifying_key());
    Ok(crate::render::hex(key.as_bytes()))
}

fn name(text: &str) -> Result<Name, CliError> {
    Name::new(text).map_err(|error| CliError::Usage(error.to_string()))
}

pub(crate) fn text(principal: &AssertedPrincipal) -> String {
    format!("{}::{}", principal.kind, principal.id)
}

fn pretty(value: &Value) -> Result<String, CliError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| CliError::Failed(error.to_string()))?;
    text.push('\n');
    Ok(text)
}
