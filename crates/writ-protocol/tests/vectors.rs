//! Every vector, judged by our implementation.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "vectors/judge.rs"]
mod judge;

use judge::judge;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path())
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).unwrap()
}

#[test]
fn every_vector_is_judged_as_it_expects() {
    let (mut judged, mut failed) = (0, Vec::new());
    for directory in entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")).filter(|path| path.is_dir())
    {
        for file in entries(&directory).filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
            let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let result = judge(name(&directory), &case);
            if result.as_ref() != Ok(&case["expect"]) {
                let at = format!("{}/{}", name(&directory), name(&file));
                failed.push(format!("{at}: expected {}, got {result:?}", case["expect"]));
            }
            judged += 1;
        }
    }
    assert!(judged > 1_000, "only {judged} vectors were found; `vectors write vectors` makes them");
    assert!(failed.is_empty(), "{} of {judged} failed:\n  {}", failed.len(), failed.join("\n  "));
}

#[test]
fn a_check_that_nobody_knows_is_an_error() {
    assert!(judge("writ", &json!({ "check": "telepathy", "input": {} })).is_err());
}
