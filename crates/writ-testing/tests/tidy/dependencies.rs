//! What comes from outside: why, under which licence, from where, and how often.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::{Package, Workspace};
use crate::repository::{File, Repository};

const PAGE: &str = "docs/dependencies.md";
const DENY: &str = "deny.toml";

pub(crate) fn without_reason(repository: &Repository) -> Vec<String> {
    let Some(page) = repository.text(PAGE) else {
        return vec![format!("there is no {PAGE}")];
    };
    let reasons: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let mut used: BTreeMap<String, &str> = BTreeMap::new();
    for file in &repository.files {
        for name in named_dependencies(file) {
            used.entry(name).or_insert(&file.path);
        }
    }
    let missing = used
        .iter()
        .filter(|(name, _)| !reasons.contains(name.as_str()))
        .map(|(name, by)| format!("{name}, which {by} names, has no row"));
    let idle = reasons
        .iter()
        .filter(|name| !used.contains_key(**name))
        .map(|name| format!("{name} has a row, and nothing names it"));
    missing.chain(idle).collect()
}

/// The dependencies that a manifest names, those of our own left out.
fn named_dependencies(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let names: Vec<String> = match name {
        "Cargo.toml" => cargo_dependencies(&file.text),
        "go.mod" => go_dependencies(&file.text),
        "requirements.txt" => python_dependencies(&file.text),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| !name.starts_with("writ-")).collect()
}

/// The keys of every `[… dependencies]` table, and of tables named below one. The workspace's
/// own table counts too: what stands there is meant to be used.
fn cargo_dependencies(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            let mut parts = header.rsplit('.');
            let last = parts.next().unwrap_or_default();
            within = last.ends_with("dependencies");
            if parts.next().is_some_and(|table| table.ends_with("dependencies")) {
                found.push(last.trim_matches('"').to_owned());
            }
        } else if within && line.contains('=') && !line.starts_with(['#', ']', '"', '}']) {
            let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
            found.push(key.trim_matches('"').to_owned());
        }
    }
    found
}

fn go_dependencies(module: &str) -> Vec<String> {
    let mut within = false;
    let mut found = Vec::new();
    for line in module.lines().map(str::trim) {
        let required = match line.strip_prefix("require ") {
            Some("(") => {
                within = true;
                continue;
            }
            Some(single) => single,
            None if line == ")" => {
                within = false;
                continue;
            }
            None if within => line,
            None => continue,
        };
        if !required.ends_with("// indirect") && !required.starts_with("//") {
            found.extend(required.split_whitespace().next().map(str::to_owned));
        }
    }
    found
}

/// Lines below `# through` are dependencies of dependencies.
fn python_dependencies(requirements: &str) -> Vec<String> {
    requirements
        .lines()
        .take_while(|line| !line.starts_with("# through"))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .filter_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').next())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn forbidden_licences(repository: &Repository, workspace: &Workspace) -> Vec<String> {
    let deny = repository.text(DENY).unwrap_or_default();
    let allowed = quoted_list(deny, "licenses", "allow");
    let exceptions = licence_exceptions(deny);
    if allowed.is_empty() {
        return vec![format!("{DENY} allows no licence")];
    }
    workspace
        .packages
        .iter()
        .filter_map(|package| {
            let licence = package.licence.as_deref().unwrap_or("no licence at all");
            let mut allowed = allowed.clone();
            allowed.extend(exceptions.get(&package.name).into_iter().flatten().cloned());
            let fits = package.licence.is_some() && licence_fits(licence, &allowed);
            (!fits).then(|| format!("{} {}: {licence}", package.name, package.version))
        })
        .collect()
}

/// What single crates may have besides: the tables of `exceptions` in deny.toml, one on a line.
fn licence_exceptions(deny: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in list_lines(deny, "licenses", "exceptions") {
        let mut strings = line.split('"').skip(1).step_by(2).map(str::to_owned);
        if let Some(name) = strings.next() {
            found.entry(name).or_default().extend(strings);
        }
    }
    found
}

/// Whether a licence expression can be met with `allowed`: all of what `AND` joins, one of
/// what `OR` (in old manifests `/`) joins.
fn licence_fits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let fits = any_of(&mut rest, allowed);
    fits == Some(true) && rest.is_empty()
}

fn any_of(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut fits = all_of(rest, allowed)?;
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        fits |= all_of(rest, allowed)?;
    }
    Some(fits)
}

fn all_of(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut fits = one(rest, allowed)?;
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        fits &= one(rest, allowed)?;
    }
    Some(fits)
}

fn one(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    if *first == "(" {
        let fits = any_of(rest, allowed)?;
        *rest = rest.strip_prefix(&[")"])?;
        return Some(fits);
    }
    let mut licence = (*first).to_owned();
    if rest.first() == Some(&"WITH") {
        licence = format!("{licence} WITH {}", rest.get(1)?);
        *rest = &rest[2..];
    }
    Some(allowed.contains(&licence))
}

pub(crate) fn duplicates(repository: &Repository, workspace: &Workspace) -> Vec<String> {
    let skipped = quoted_list(repository.text(DENY).unwrap_or_default(), "bans", "skip");
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // What only tests link (their oracles) may bring its own versions.
    let shipped: BTreeSet<usize> = workspace
        .members()
        .filter(|package| package.name != "writ-testing")
        .flat_map(|package| workspace.closure(package))
        .collect();
    for package in shipped.into_iter().map(|at| &workspace.packages[at]) {
        if !skipped.iter().any(|skip| skips(skip, package)) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
    }
    versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name}: {}", versions.join(", ")))
        .collect()
}

/// `name@1.2` excuses versions 1.2 and 1.2.x, and no third one.
fn skips(skip: &str, package: &Package) -> bool {
    let Some((name, version)) = skip.split_once('@') else { return false };
    let rest = package.version.strip_prefix(version);
    name == package.name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The strings in the list `key` of a section of deny.toml. In a list of tables, those
/// that follow `crate =`.
fn quoted_list(text: &str, section: &str, key: &str) -> Vec<String> {
    let strings = |line: &str| {
        let tables = line.contains("crate =");
        let strings: Vec<String> = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        strings.into_iter().take(if tables { 1 } else { usize::MAX })
    };
    list_lines(text, section, key).into_iter().flat_map(strings).collect()
}

/// The lines of the list `key` of a section, comments left out.
fn list_lines<'a>(text: &'a str, section: &str, key: &str) -> Vec<&'a str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !(line.starts_with('[') && line.ends_with(']') && line.len() > 2))
        .skip_while(|line| line.split('=').next().map(str::trim) != Some(key));
    let mut found = Vec::new();
    for line in lines {
        found.push(line);
        if line.ends_with(']') {
            break;
        }
    }
    found
}

pub(crate) fn foreign_sources(repository: &Repository) -> Vec<String> {
    let default = ["registry+https://github.com/rust-lang/cra", "tes.io-index"].concat();
    repository
        .files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.lock"))
        .flat_map(|file| {
            file.text
                .lines()
                .filter_map(|line| line.strip_prefix("source = "))
                .filter(|source| source.trim_matches('"') != default)
                .map(|source| format!("{}: {source}", file.path))
        })
        .collect()
}

mod samples {
    use super::*;
    use crate::metadata::Kind;

    #[test]
    fn a_dependency_without_reason_is_found_in_every_manifest() {
        let manifest = "[workspace.dependencies]\na = { version = \"1\" }\n[dependencies]\n\
                        b.workspace = true\nwrit-tlog.workspace = true\n\
                        [target.'cfg(unix)'.dev-dependencies]\nc = \"1\"\n\
                        [build-dependencies.d]\nversion = \"1\"\n[features]\ne = []\n";
        let repository = Repository::sample(&[
            (PAGE, "| crate | why |\n|---|---|\n| `a` | x |\n| `idle` | x |\n"),
            ("crates/writ-tlog/Cargo.toml", manifest),
            ("go.mod", "module x\nrequire (\n\tg.org/f v1\n\tg.org/h v1 // indirect\n)\n"),
            ("requirements.txt", "# a comment\nwheel==1\n# through wheel\ncffi==2\n"),
        ]);
        let names: Vec<String> =
            without_reason(&repository).iter().map(|line| line.split([',', ' ']).next().unwrap().to_owned()).collect();
        assert_eq!(names, ["b", "c", "d", "g.org/f", "wheel", "idle"]);
    }

    #[test]
    fn licence_expressions_are_judged() {
        let allowed = ["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()];
        for (expression, fits) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("ISC AND (GPL-3.0 AND MIT)", false),
            ("A WITH B", true),
            ("A", false),
            ("(MIT", false),
            ("MIT ISC", false),
            ("", false),
        ] {
            assert_eq!(licence_fits(expression, &allowed), fits, "{expression}");
        }
    }

    #[test]
    fn a_forbidden_licence_and_a_duplicate_are_found() {
        let deny = "[licenses]\n# why\nallow = [\n  \"MIT\", # most\n]\nexceptions = [\n\
                    { crate = \"c\", allow = [\"ISC\", \"A WITH B\"] }, # built with\n\
                    { crate = \"a\", allow = [\"NCSA\"] },\n]\n[bans]\nskip = [\n\
                    { crate = \"twice@0.1\", reason = \"x\" },\n{ crate = \"thrice@0.3\", reason = \"x\" },\n]\n";
        let repository = Repository::sample(&[(DENY, deny)]);
        let mut workspace = Workspace::sample(&[("writ-tlog", &["a", "b", "c", "d", "twice", "thrice"])]);
        workspace.packages[1].licence = Some("GPL-3.0".to_owned());
        workspace.packages[2].licence = None;
        workspace.packages[3].licence = Some("A WITH B".to_owned());
        workspace.packages[4].licence = Some("A WITH B".to_owned());
        for name in ["twice", "thrice"] {
            let mut again = Workspace::sample(&[(name, &[])]).packages.remove(0);
            again.version = "0.2.0".to_owned();
            workspace.packages.push(again);
            let at = workspace.packages.len() - 1;
            workspace.packages[0].resolved.push((at, Kind::Normal));
        }
        assert_eq!(
            forbidden_licences(&repository, &workspace),
            ["a 0.1.0: GPL-3.0", "b 0.1.0: no licence at all", "d 0.1.0: A WITH B"]
        );
        assert_eq!(duplicates(&repository, &workspace), ["thrice: 0.1.0, 0.2.0"]);
    }

    #[test]
    fn a_git_dependency_is_found() {
        let lock = "source = \"git+https://example.com/x\"\n";
        let repository = Repository::sample(&[("fuzz/Cargo.lock", lock)]);
        assert_eq!(foreign_sources(&repository).len(), 1);
    }
}
