//! The workspace as Cargo resolves it, for this machine's target.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::repository::root;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    pub(crate) member: bool,
    /// What its own manifest names.
    pub(crate) declared: Vec<(String, Kind)>,
    /// What it is linked with: indexes into the packages.
    pub(crate) resolved: Vec<(usize, Kind)>,
    /// Source files from which Cargo builds a target.
    pub(crate) targets: Vec<String>,
}

pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    /// The main workspace, asked for once.
    pub(crate) fn main() -> &'static Self {
        static MAIN: OnceLock<Workspace> = OnceLock::new();
        MAIN.get_or_init(|| {
            let root = root();
            let answer = Command::new(env!("CARGO"))
                .args(["metadata", "--format-version", "1", "--filter-platform", "host-tuple"])
                .current_dir(&root)
                .output()
                .expect("cargo is needed to read the dependency graph");
            assert!(answer.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&answer.stderr));
            let json = serde_json::from_slice(&answer.stdout).expect("cargo metadata prints JSON");
            Self::parse(&json, root.to_str().expect("the root's path is UTF-8"))
        })
    }

    fn parse(json: &Value, root: &str) -> Self {
        let nodes: BTreeMap<&str, &Value> =
            list(&json["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
        let members: BTreeSet<&str> = list(&json["workspace_members"]).map(text).collect();
        let known: Vec<&Value> =
            list(&json["packages"]).filter(|package| nodes.contains_key(text(&package["id"]))).collect();
        let index: BTreeMap<&str, usize> =
            known.iter().enumerate().map(|(at, package)| (text(&package["id"]), at)).collect();
        let packages = known
            .iter()
            .map(|package| {
                let id = text(&package["id"]);
                Package {
                    name: text(&package["name"]).to_owned(),
                    version: text(&package["version"]).to_owned(),
                    licence: package["license"].as_str().map(str::to_owned),
                    member: members.contains(id),
                    declared: list(&package["dependencies"])
                        .map(|named| (text(&named["name"]).to_owned(), kind(&named["kind"])))
                        .collect(),
                    resolved: list(&nodes[id]["deps"])
                        .filter(|dep| is_built(package, nodes[id], text(&dep["name"])))
                        .flat_map(|dep| {
                            let at = index[text(&dep["pkg"])];
                            list(&dep["dep_kinds"]).map(move |of| (at, kind(&of["kind"])))
                        })
                        .collect(),
                    targets: list(&package["targets"])
                        .filter_map(|target| text(&target["src_path"]).strip_prefix(root))
                        .map(|path| path.trim_start_matches('/').to_owned())
                        .collect(),
                }
            })
            .collect();
        Self { packages }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }

    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.members().any(|package| package.name == name)
    }

    /// The names of everything that is linked into `package`, itself not included.
    pub(crate) fn linked(&self, package: &Package) -> BTreeSet<&str> {
        self.closure(package).into_iter().map(|at| self.packages[at].name.as_str()).collect()
    }

    /// The same as indexes into the packages: one name may stand for two versions.
    pub(crate) fn closure(&self, package: &Package) -> BTreeSet<usize> {
        let mut open: Vec<&Package> = vec![package];
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            for (at, kind) in &next.resolved {
                let found = &self.packages[*at];
                if *kind == Kind::Normal && seen.insert(*at) {
                    open.push(found);
                }
            }
        }
        seen
    }

    /// A workspace made up for a self-test: each crate with its normal dependencies. Names
    /// that are not themselves listed are crates from outside.
    pub(crate) fn sample(crates: &[(&str, &[&str])]) -> Self {
        let mut names: Vec<&str> = crates.iter().map(|(name, _)| *name).collect();
        for (_, dependencies) in crates {
            for name in *dependencies {
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        let packages = names
            .iter()
            .map(|name| {
                let listed = crates.iter().find(|(known, _)| known == name);
                let dependencies = listed.map_or(&[][..], |(_, dependencies)| *dependencies);
                Package {
                    name: (*name).to_owned(),
                    version: "0.1.0".to_owned(),
                    licence: Some("MIT".to_owned()),
                    member: name.starts_with("writ-"),
                    declared: dependencies.iter().map(|name| ((*name).to_owned(), Kind::Normal)).collect(),
                    resolved: dependencies
                        .iter()
                        .filter_map(|name| names.iter().position(|known| known == name))
                        .map(|at| (at, Kind::Normal))
                        .collect(),
                    targets: Vec::new(),
                }
            })
            .collect();
        Self { packages }
    }
}

/// Whether a resolved dependency is one that any feature turns on. Cargo's answer also names optional ones that a weak feature (`x?/y`)
/// merely mentions; nothing compiles those. What cannot be told apart counts as built.
fn is_built(package: &Value, node: &Value, dependency: &str) -> bool {
    let same = |name: &str| name.replace('-', "_") == dependency;
    let mut named = list(&package["dependencies"])
        .filter(|named| package["source"].is_null() || !matches!(kind(&named["kind"]), Kind::Dev))
        .filter(|named| same(named["rename"].as_str().unwrap_or(text(&named["name"]))))
        .peekable();
    let optional = named.peek().is_some() && named.all(|named| named["optional"] == true);
    let wakes = |part: &str| match (part.strip_prefix("dep:"), part.split_once('/')) {
        (Some(name), _) => same(name),
        (None, Some((name, _))) => same(name),
        (None, None) => false,
    };
    !optional
        || list(&node["features"])
            .flat_map(|feature| list(&package["features"][text(feature)]))
            .any(|part| wakes(text(part)))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn kind(value: &Value) -> Kind {
    match value.as_str() {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(other) => panic!("cargo metadata names an unknown kind of dependency: {other}"),
    }
}

mod samples {
    use super::*;

    #[test]
    fn an_optional_dependency_counts_once_a_feature_turns_it_on() {
        let optional = |name: &str| serde_json::json!({ "name": name, "kind": null, "rename": null, "optional": true });
        let package = serde_json::json!({
            "source": "registry",
            "dependencies": [optional("a-b"), optional("c"), { "name": "d", "kind": null, "optional": false },
                             { "name": "c", "kind": "dev", "optional": false }],
            "features": { "weak": ["a-b?/x", "c?/x"], "strong": ["dep:a-b"], "implied": ["c/x"] },
        });
        for (features, built) in [
            (vec!["weak"], [false, false]),
            (vec!["weak", "strong"], [true, false]),
            (vec!["implied"], [false, true]),
            (vec![], [false, false]),
        ] {
            let node = serde_json::json!({ "features": features });
            let found = ["a_b", "c"].map(|name| is_built(&package, &node, name));
            assert_eq!(found, built, "{features:?}");
            assert!(is_built(&package, &node, "d"), "one that is not optional");
            assert!(is_built(&package, &node, "webpki"), "one whose name in the code is not that of its package");
        }
    }
}
