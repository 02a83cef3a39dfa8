//! What the stage's policy adds to the starter's: a tool for each term that is to be seen at work.

use crate::error::CliError;
use crate::keys::{SECRET_FILE, write_new};
use crate::render::hex;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use writ_tlog::sha256;

/// The scripts in the folder of tools.
pub(super) const TOOLS: &[&str] = &["plain", "brief", "fresh", "scarce", "pinned", "sum", "origin", "other"];

/// Writes `demo.cedar`, and pins the digest of one tool.
pub(super) fn write(dir: &Path, folder: &Path, tool: &[u8]) -> Result<(), CliError> {
    let tools = dir.join("tools");
    let tools = tools.to_string_lossy();
    write_new(&folder.join("demo.cedar"), text(&tools).as_bytes(), SECRET_FILE)?;
    let path = folder.join("entities.json");
    let known = fs::read(&path).map_err(CliError::file(&path))?;
    let mut entities: Vec<Value> =
        serde_json::from_slice(&known).map_err(|error| CliError::Failed(error.to_string()))?;
    entities.push(json!({
        "uid": { "type": "Executable", "id": format!("{tools}/pinned") },
        "attrs": { "digest": hex(sha256(tool).as_bytes()) },
        "parents": [],
    }));
    fs::write(&path, Value::from(entities).to_string()).map_err(CliError::file(&path))
}

fn text(tools: &str) -> String {
    let permits = |id: &str, annotations: &str, path: &str| {
        format!(
            "@id(\"{id}\")\n{annotations}\
             permit (principal in Group::\"operators\", action == Action::\"exec\", resource)\n\
             when {{ context.path == \"{tools}/{path}\" }};\n\n"
        )
    };
    let mut text = ["plain", "touch", "pinned", "sum", "origin"].map(|tool| permits(tool, "", tool)).concat();
    text.push_str(&permits("brief", "@window(\"1s\")\n", "brief"));
    text.push_str(&permits("fresh", "@freeze_after(\"200ms\")\n", "fresh"));
    text.push_str(&permits("scarce", "@budget(\"1\")\n", "scarce"));
    text.push_str(&format!(
        "@id(\"origins-only\")\nforbid (principal, action == Action::\"exec\", resource)\n\
         when {{ context.path == \"{tools}/origin\" && context.depth > 0 }};\n"
    ));
    text
}

/// A policy that cannot be evaluated for one tool: the sum overflows.
pub(super) fn overflowing(dir: &Path) -> String {
    format!(
        "@id(\"overflow\")\nforbid (principal, action == Action::\"exec\", resource)\n\
         when {{ context.path == \"{}/tools/sum\" && context.argc + 9223372036854775807 > 0 }};\n",
        dir.display()
    )
}
