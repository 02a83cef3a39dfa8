//! The specification against the source and the vectors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::repository::Repository;
use crate::source::{Code, Language, block_end, words};

const SOURCE: &str = "crates/writ-protocol/src/refusal.rs";
const PAGE: &str = "spec/refusals.md";

pub(crate) fn differing_codes(repository: &Repository) -> Vec<String> {
    let (Some(source), Some(page)) = (repository.text(SOURCE), repository.text(PAGE)) else {
        return vec![format!("{SOURCE} and {PAGE} must both exist")];
    };
    let (source, page) = (codes_in_source(source), codes_in_page(page));
    let mut offences = Vec::new();
    for (place, codes) in [(SOURCE, &source), (PAGE, &page)] {
        if codes.is_empty() {
            offences.push(format!("no refusal code found in {place}"));
        }
        let distinct: BTreeSet<&String> = codes.iter().collect();
        if distinct.len() != codes.len() {
            offences.push(format!("{place} names a code twice"));
        }
    }
    let missing = |of: &[String], other: &[String], place: &str| {
        of.iter()
            .filter(|code| !other.contains(code))
            .map(|code| format!("{code} is missing from {place}"))
            .collect::<Vec<_>>()
    };
    offences.extend(missing(&source, &page, PAGE));
    offences.extend(missing(&page, &source, SOURCE));
    offences
}

/// The string literals in the body of `fn as_str`.
pub(crate) fn codes_in_source(source: &str) -> Vec<String> {
    let code = Code::of(source, Language::Rust);
    let Some(at) = words(&code.text, "as_str").find(|at| code.text[..*at].trim_end().ends_with("fn")) else {
        return Vec::new();
    };
    let open = code.text[at..].find('{').map_or(code.text.len(), |offset| at + offset);
    let body = open..block_end(&code.text, open);
    code.strings
        .iter()
        .filter(|range| body.contains(&range.start))
        .map(|range| source[range.clone()].to_owned())
        .collect()
}

/// The first cells of the tables that hold a code.
fn codes_in_page(page: &str) -> Vec<String> {
    page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(code, _)| code.to_owned()).collect()
}

/// The directories that pages of the specification say hold their vectors.
fn described(repository: &Repository) -> BTreeMap<&str, &str> {
    repository
        .with_extension("md")
        .filter(|file| file.path.starts_with("spec/"))
        .flat_map(|file| {
            let named = file.text.lines().filter_map(|line| line.strip_prefix("Vectors: "));
            named.map(|directory| (directory.trim().trim_end_matches('/'), file.path.as_str()))
        })
        .collect()
}

pub(crate) fn missing_vectors(repository: &Repository) -> Vec<String> {
    let described = described(repository);
    let mut offences = Vec::new();
    if described.is_empty() {
        offences.push("no page of spec/ names its vectors".to_owned());
    }
    for (directory, page) in &described {
        let within = format!("{directory}/");
        let expected: Vec<Value> = repository
            .with_extension("json")
            .filter(|file| file.path.starts_with(&within))
            .filter_map(|file| serde_json::from_str::<Value>(&file.text).ok())
            .map(|case| case["expect"].clone())
            .collect();
        if !expected.iter().any(|expect| expect.get("ok").is_some()) {
            offences.push(format!("{directory} (of {page}) has no case to accept"));
        }
        if !expected.iter().any(|expect| refusal(expect).is_some()) {
            offences.push(format!("{directory} (of {page}) has no case to refuse"));
        }
    }
    let directories: BTreeSet<&str> = repository
        .with_extension("json")
        .filter_map(|file| {
            let (name, _) = file.path.strip_prefix("vectors/")?.split_once('/')?;
            file.path.get(.."vectors/".len() + name.len())
        })
        .collect();
    for directory in directories.iter().filter(|directory| !described.contains_key(*directory)) {
        offences.push(format!("{directory} is named by no page of spec/"));
    }
    offences
}

fn refusal(expect: &Value) -> Option<&Value> {
    expect.get("refused").or_else(|| expect.get("fault"))
}

pub(crate) fn malformed_vectors(repository: &Repository) -> Vec<String> {
    let codes = codes_in_page(repository.text(PAGE).unwrap_or_default());
    let described = described(repository);
    let mut offences = Vec::new();
    for file in repository.with_extension("json") {
        let of_a_format = |directory: &&str| file.path.starts_with(&format!("{directory}/"));
        if !described.keys().any(of_a_format) {
            continue;
        }
        let Ok(case) = serde_json::from_str::<Value>(&file.text) else {
            offences.push(format!("{} is not JSON", file.path));
            continue;
        };
        for field in ["about", "check", "input", "expect"] {
            if case.get(field).is_none() {
                offences.push(format!("{} has no `{field}`", file.path));
            }
        }
        let expect = &case["expect"];
        let results = ["ok", "refused", "fault"].iter().filter(|name| expect.get(name).is_some());
        if results.count() != 1 {
            offences.push(format!("{} does not expect exactly one result", file.path));
        }
        if let Some(code) = expect["refused"].as_str()
            && !codes.iter().any(|known| known == code)
        {
            offences.push(format!("{} expects the unknown refusal {code}", file.path));
        }
    }
    offences
}

mod samples {
    use super::*;

    #[test]
    fn codes_are_read_from_the_right_function() {
        let source = "//! fn as_str \"no\"\nimpl Code {\n  fn parse(s: &str) { \"no\" }\n\
                      pub const fn as_str(self) -> &'static str {\n match self {\n\
                      // \"no\"\n Self::A => \"a\",\n Self::B => \"b_c\",\n } }\n\
                      fn after() { \"no\" } }\n";
        assert_eq!(codes_in_source(source), ["a", "b_c"]);
    }

    #[test]
    fn differing_codes_are_found_both_ways() {
        let repository = Repository::sample(&[
            (SOURCE, "fn as_str(self) { \"a\"; \"b\"; }"),
            (PAGE, "| code | meaning |\n|---|---|\n| `b` | x |\n| `c` | `a` |\n"),
        ]);
        assert_eq!(
            differing_codes(&repository),
            [format!("a is missing from {PAGE}"), format!("c is missing from {SOURCE}")]
        );
        assert_eq!(differing_codes(&Repository::sample(&[])).len(), 1);
    }

    #[test]
    fn missing_and_unnamed_vectors_are_found() {
        let repository = Repository::sample(&[
            ("spec/a.md", "# A\n\nVectors: vectors/a/\n"),
            ("vectors/a/good.json", "{\"expect\": {\"ok\": {}}}"),
            ("vectors/b/bad.json", "{\"expect\": {\"fault\": \"x\"}}"),
            ("vectors/reader/cbor.py", ""),
        ]);
        assert_eq!(
            missing_vectors(&repository),
            ["vectors/a (of spec/a.md) has no case to refuse", "vectors/b is named by no page of spec/",]
        );
    }

    #[test]
    fn a_vector_without_one_known_result_is_found() {
        let case =
            |expect: &str| format!("{{\"about\": \"\", \"check\": \"\", \"input\": {{}}, \"expect\": {expect}}}");
        let repository = Repository::sample(&[
            (PAGE, "| `known` | x |\n"),
            ("spec/a.md", "Vectors: vectors/a/\n"),
            ("vectors/a/both.json", &case("{\"ok\": {}, \"refused\": \"known\"}")),
            ("vectors/a/unknown.json", &case("{\"refused\": \"unknown\"}")),
            ("vectors/a/right.json", &case("{\"refused\": \"known\"}")),
            ("vectors/a/broken.json", "{"),
        ]);
        assert_eq!(malformed_vectors(&repository).len(), 3);
    }
}
