use crate::site::{Site, json};
use std::fs;
use std::path::Path;

/// Every sample passes every gate, proofs included, shows what it stops, and shows what it lets pass.
#[test]
fn each_sample_set_shows_what_it_stops_and_what_it_lets_pass() {
    let site = Site::empty();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples");
    let mut samples: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.is_dir());
    assert!(samples.len() >= 3, "{samples:?}");
    for sample in samples {
        let name = sample.to_str().unwrap();
        let checked = json(&site.writ(&["--json", "policy", "check", name, "--prove"]));
        assert_eq!(checked["warnings"].as_array().map(Vec::len), Some(0), "{name}");
        let tested = json(&site.writ(&["--json", "policy", "test", name]));
        let fixtures = tested["fixtures"].as_array().unwrap();
        let found =
            |wanted: &str| fixtures.iter().filter(|one| one["found"].as_str().unwrap().starts_with(wanted)).count();
        assert!(found("permit") >= 1 && found("policy_denied") >= 3, "{name}: {fixtures:?}");
        // No policy that no fixture meets.
        let met: Vec<&str> = fixtures
            .iter()
            .flat_map(|one| one["policies"].as_array().unwrap())
            .map(|policy| policy.as_str().unwrap())
            .collect();
        for entry in fs::read_dir(&sample).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "cedar") {
                let text = fs::read_to_string(path).unwrap();
                for id in text.lines().filter_map(|line| line.strip_prefix("@id(\"")?.strip_suffix("\")")) {
                    assert!(met.contains(&id), "{name}: no fixture meets {id}");
                }
            }
        }
    }
}
