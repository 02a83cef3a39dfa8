//! `writ key new`: one more principal, with a key of its own.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::keys::{SECRET_FILE, principal_seed, read_key, write_new};
use crate::known::authors;
use crate::policy::{beside as entities_beside, of_snapshot};
use crate::render::{hex, quoted};
use crate::starter;
use crate::who::principal;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use writ_protocol::Key;
use writ_protocol::entry::AssertedPrincipal;
use writ_server::{EntitySnapshot, Snapshot, read_policy_folder};

const PRINCIPALS: &str = "principals.json";
const ENTITIES: &str = "entities.json";

pub(crate) fn new(args: &args::NewKey, as_json: bool) -> Result<(), CliError> {
    let domain = Domain::of(&args.place)?;
    let new = principal(&args.principal)?;
    let seed = principal_seed(domain.dir(), &new);
    let is_there = seed.symlink_metadata().is_ok();
    let public = if is_there { kept(args, &seed, &domain)? } else { starter::key(domain.dir(), &new)? };
    let lines = Lines::of(&new, &public, &args.groups);
    let added = match args.add {
        true => add(&domain.policy(), &lines, entities_beside(&domain)?.as_ref()),
        false => Ok(()),
    };
    if let Err(error) = added {
        // A key that nothing knows would be in the way of the next try.
        if !is_there {
            fs::remove_file(&seed).ok();
        }
        return Err(error);
    }
    if as_json {
        return json_line(&json!({
            "principal": args.principal,
            "seed": seed,
            "key": public,
            "added": args.add,
            PRINCIPALS: lines.principal,
            ENTITIES: lines.entity,
        }));
    }
    let made = if is_there { "the key that is there" } else { "a new key" };
    line(format_args!("{}: {made}", args.principal))?;
    line(format_args!("  seed        {}   for its owner alone", seed.display()))?;
    line(format_args!("  public key  {public}"))?;
    if args.add {
        let folder = domain.policy();
        let then =
            if authors(&domain).is_some() { "its authors publish them with the set" } else { "the node takes them" };
        return line(format_args!("  added       to {PRINCIPALS} and {ENTITIES} in {}; {then}", folder.display()));
    }
    line(format_args!("\nadd to {}:\n  {}", quoted(&domain.policy().join(ENTITIES)), lines.entity))?;
    line(format_args!("add to {}:\n  {}", quoted(&domain.policy().join(PRINCIPALS)), lines.principal))
}

/// The public key of a principal whose key was made before, for the folder that does not know it yet.
fn kept(args: &args::NewKey, seed: &Path, domain: &Domain) -> Result<String, CliError> {
    let known = |why: &str| {
        let seed = seed.display();
        Err(CliError::Usage(format!("{seed} exists already, the key of {}; {why}", args.principal)))
    };
    if !args.add {
        return known("--add puts it into the policy folder");
    }
    let listed = fs::read(domain.policy().join(PRINCIPALS)).unwrap_or_default();
    let listed: Vec<Value> = serde_json::from_slice(&listed).unwrap_or_default();
    if listed.iter().any(|one| one.get("principal").and_then(Value::as_str) == Some(args.principal.as_str())) {
        return known("principals.json has this principal; a further key is added there by hand");
    }
    let key = Key::from(read_key(seed)?.verifying_key());
    Ok(hex(key.as_bytes()))
}

/// What the two files say of a principal.
struct Lines {
    principal: Value,
    entity: Value,
}

impl Lines {
    fn of(new: &AssertedPrincipal, public: &str, groups: &[String]) -> Self {
        let parents: Vec<Value> = groups.iter().map(|id| json!({ "type": "Group", "id": id })).collect();
        let uid = json!({ "type": new.kind.as_str(), "id": new.id.as_str() });
        Self {
            principal: json!({ "principal": starter::text(new), "keys": [public] }),
            entity: json!({ "uid": uid, "attrs": {}, "parents": parents }),
        }
    }
}

/// Adds to both files, or to neither: what would not compile is not written. The entity comes first, since it is sound alone: whatever moment
/// the node looks at, it finds a sound folder.
fn add(folder: &Path, lines: &Lines, others: Option<&EntitySnapshot>) -> Result<(), CliError> {
    let snapshot = read_policy_folder(folder).map_err(|error| CliError::Failed(error.to_string()))?;
    let mut files = snapshot.files().clone();
    for (name, item) in [(ENTITIES, &lines.entity), (PRINCIPALS, &lines.principal)] {
        let text = files.get(name).map_or("[]\n".into(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let longer = appended(&text, item)
            .ok_or_else(|| CliError::Failed(format!("{}: expected a JSON array", folder.join(name).display())))?;
        files.insert(name.to_owned(), longer.into_bytes());
    }
    let findings: Vec<String> = match Snapshot::new(files.clone()) {
        Ok(snapshot) => of_snapshot(&snapshot, others).gated.findings().map(ToString::to_string).collect(),
        Err(findings) => findings.iter().map(ToString::to_string).collect(),
    };
    if !findings.is_empty() {
        return Err(CliError::Usage(format!(
            "nothing was added, since the folder would not compile:\n  {}",
            findings.join("\n  ")
        )));
    }
    let written = [ENTITIES, PRINCIPALS].map(|name| {
        let bytes = files.get(name).map(Vec::as_slice).unwrap_or_default();
        Ok::<_, CliError>((folder.join(name), beside(folder, name, bytes)?))
    });
    // Both are complete before the first takes its place.
    for (path, making) in written.into_iter().collect::<Result<Vec<_>, _>>()? {
        fs::rename(&making, &path).map_err(CliError::file(&path))?;
    }
    Ok(())
}

/// The array with one item more; the rest stays as it was written.
fn appended(text: &str, item: &Value) -> Option<String> {
    let (head, tail) = text.split_at_checked(text.rfind(']')?)?;
    let head = head.trim_end();
    let comma = if head.ends_with('[') { "" } else { "," };
    Some(format!("{head}{comma}\n  {item}\n{tail}"))
}

/// Writes what is renamed over a file once all of it is there. The node does not see names that begin with a dot.
fn beside(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, CliError> {
    let making = folder.join(format!(".{name}.making"));
    match fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(CliError::file(&making)(error)),
        Ok(()) | Err(_) => {}
    }
    write_new(&making, bytes, SECRET_FILE)?;
    Ok(making)
}

#[cfg(test)]
mod tests {
    use super::appended;
    use serde_json::json;

    #[test]
    fn an_item_is_appended_and_the_rest_stays_as_it_was() {
        for (before, after) in [
            ("[]\n", "[\n  {\"a\":1}\n]\n"),
            ("[\n  { \"b\": 2 }\n]\n", "[\n  { \"b\": 2 },\n  {\"a\":1}\n]\n"),
            ("[ 1 ]", "[ 1,\n  {\"a\":1}\n]"),
        ] {
            assert_eq!(appended(before, &json!({ "a": 1 })).as_deref(), Some(after));
        }
        assert_eq!(appended("{}", &json!(1)), None);
    }
}
