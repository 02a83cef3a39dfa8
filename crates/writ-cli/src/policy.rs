//! `writ policy check`: a policy folder, compiled as the node compiles it.

use crate::args;
use crate::domain::Domain;
use crate::error::{CliError, json_line, line};
use crate::render::{counted, hex};
use serde_json::{Value, json};
use std::path::Path;
use writ_server::{AuthorityError, PolicyError, PolicySet, Snapshot, read_policy_folder};

/// What the node would make of a folder.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Compiled {
    /// It would put it in force.
    Sound(PolicySet),
    /// It would not.
    Refused {
        /// The digest, if the files are those of a folder at all.
        digest: Option<String>,
        /// Why not.
        findings: Vec<PolicyError>,
    },
}

/// Compiles a folder; an error only if it cannot be read.
pub(crate) fn compiled(folder: &Path) -> Result<Compiled, CliError> {
    match read_policy_folder(folder) {
        Ok(snapshot) => Ok(of_snapshot(&snapshot)),
        Err(AuthorityError::Policy(findings)) => Ok(Compiled::Refused { digest: None, findings }),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}

/// The same for files that are not in a folder yet.
pub(crate) fn of_snapshot(snapshot: &Snapshot) -> Compiled {
    PolicySet::compile(snapshot).map_or_else(
        |findings| Compiled::Refused { digest: Some(hex(snapshot.digest().as_bytes())), findings },
        Compiled::Sound,
    )
}

pub(crate) fn check(args: &args::Check, as_json: bool) -> Result<(), CliError> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => Domain::of(&args.place)?.policy(),
    };
    let compiled = compiled(&folder)?;
    if as_json {
        json_line(&told_json(&compiled))?;
    }
    match compiled {
        Compiled::Sound(_) if as_json => Ok(()),
        Compiled::Sound(set) => {
            for warning in set.warnings() {
                line(format_args!("warning: {warning}"))?;
            }
            let policies = counted(set.len() as u64, "policy", "policies");
            line(format_args!("{}: sound, {policies}", folder.display()))?;
            line(format_args!("  digest      {}", hex(set.digest().as_bytes())))
        }
        Compiled::Refused { digest, findings } => {
            if !as_json {
                for finding in &findings {
                    line(finding)?;
                }
                line(format_args!("  digest      {}", digest.as_deref().unwrap_or("none")))?;
            }
            let found = counted(findings.len() as u64, "finding", "findings");
            Err(CliError::Found(format!("{found}: the node would not take {}", folder.display())))
        }
    }
}

fn told_json(compiled: &Compiled) -> Value {
    let shown = |all: &[PolicyError]| {
        let each = all.iter().map(|one| {
            json!({
                "file": one.file,
                "line": one.line,
                "column": one.column,
                "what": one.problem.to_string(),
                "next": one.advice(),
            })
        });
        each.collect::<Vec<_>>()
    };
    match compiled {
        Compiled::Sound(set) => json!({
            "ok": true,
            "digest": hex(set.digest().as_bytes()),
            "policies": set.len(),
            "findings": [],
            "warnings": shown(set.warnings()),
        }),
        Compiled::Refused { digest, findings } => {
            json!({ "ok": false, "digest": digest, "findings": shown(findings), "warnings": [] })
        }
    }
}
