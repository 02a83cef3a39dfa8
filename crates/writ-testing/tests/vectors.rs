//! The vectors are made, not written by hand. Ours are judged by them in `writ-protocol`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use writ_testing::vectors::all;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

/// The files of a directory that end so, without the ending.
fn names(directory: &Path) -> BTreeSet<String> {
    let Ok(found) = std::fs::read_dir(directory) else { return BTreeSet::new() };
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect()
}

fn directories() -> BTreeMap<String, BTreeSet<String>> {
    let found = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let directories = found.filter(|entry| entry.file_type().unwrap().is_dir());
    let with_names = directories.map(|entry| (entry.file_name().into_string().unwrap(), names(&entry.path())));
    with_names.filter(|(_, names)| !names.is_empty()).collect()
}

#[test]
fn the_vectors_are_those_that_the_generator_makes() {
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in all() {
        let fresh = made.entry(case.directory.to_owned()).or_default().insert(case.name.clone());
        assert!(fresh, "{} is made twice", case.path());
        let stored = std::fs::read_to_string(root().join(case.path())).unwrap_or_default();
        assert!(stored == case.to_json(), "{} is not what the generator makes; `vectors write vectors`", case.path());
    }
    assert_eq!(made, directories(), "a file in vectors/ that no generator makes, or one that was never written");
}
