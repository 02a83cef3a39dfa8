//! The shape of files: length, names, white space, and what must not stand in them.

use crate::metadata::Workspace;
use crate::repository::{File, Repository};
use crate::source::{Code, Language, functions, line_of, test_modules, words};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

const BANNED: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager", "stuff"];

pub(crate) fn long_files(repository: &Repository) -> Vec<String> {
    repository
        .files
        .iter()
        .filter(|file| matches!(file.extension(), "rs" | "py" | "go" | "ts") && !file.is_apart())
        .map(|file| (file, lines_without_tests(file)))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{} has {lines} lines (at most {FILE_LINES_MAX})", file.path))
        .collect()
}

fn lines_without_tests(file: &File) -> usize {
    let all = file.text.lines().count();
    if file.extension() != "rs" {
        return all;
    }
    let code = Code::of(&file.text, Language::Rust).text;
    let tests: usize = test_modules(&code)
        .into_iter()
        .map(|module| line_of(&code, module.end - 1) - line_of(&code, module.start) + 1)
        .sum();
    all - tests
}

pub(crate) fn long_functions(repository: &Repository) -> Vec<String> {
    let mut offences = Vec::new();
    for file in repository.files.iter().filter(|file| !file.is_apart()) {
        let Some(language) = Language::of(file.extension()) else { continue };
        let code = Code::of(&file.text, language).without_tests();
        for function in functions(&code.text, language) {
            if function.lines > FUNCTION_LINES_MAX {
                offences.push(format!(
                    "{}:{} {} has {} lines (at most {FUNCTION_LINES_MAX})",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    offences
}

pub(crate) fn banned_names(repository: &Repository) -> Vec<String> {
    let banned = |part: &str| {
        let stem = part.trim_start_matches('.').split('.').next().unwrap_or_default();
        // `tree_utils` says no more than `utils`.
        BANNED.contains(&stem) || BANNED.contains(&stem.rsplit(['_', '-']).next().unwrap_or(stem))
    };
    repository.paths.iter().filter(|path| path.split('/').any(banned)).cloned().collect()
}

pub(crate) fn forgotten_files(repository: &Repository, workspace: &Workspace) -> Vec<String> {
    let targets: Vec<&str> = workspace.members().flat_map(|package| &package.targets).map(String::as_str).collect();
    let sources: Vec<(&File, String)> = repository
        .with_extension("rs")
        .filter(|file| file.crate_name().is_some())
        .map(|file| (file, Code::of(&file.text, Language::Rust).text))
        .collect();
    sources
        .iter()
        .map(|(file, _)| file.path.as_str())
        .filter(|path| {
            let declares = |(parent, code): &(&File, String)| {
                parent.path != **path && declares_module(&parent.path, &parent.text, code, path)
            };
            !targets.contains(path) && !sources.iter().any(declares)
        })
        .map(str::to_owned)
        .collect()
}

/// Whether the file at `parent` declares the file at `path` as a module of its own.
fn declares_module(parent: &str, text: &str, code: &str, path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (parent_folder, parent_name) = parent.rsplit_once('/').unwrap_or(("", parent));
    let (home, module) = match name.strip_suffix(".rs") {
        Some("mod") => folder.rsplit_once('/').unwrap_or(("", folder)),
        Some(stem) => (folder, stem),
        None => return false,
    };
    let parent_stem = parent_name.trim_end_matches(".rs");
    let owner = matches!(parent_stem, "lib" | "main" | "mod") && home == parent_folder;
    let nested = home == format!("{parent_folder}/{parent_stem}");
    // The root file of a test or binary declares its siblings.
    let root = home == parent_folder && parent_folder.ends_with("/tests");
    let declared =
        words(code, "mod").any(|at| words(code[at + 3..].split(';').next().unwrap_or_default(), module).count() == 1);
    let pointed = path
        .strip_prefix(&format!("{parent_folder}/"))
        .is_some_and(|relative| text.contains(&format!("#[path = \"{relative}\"]")));
    declared && (owner || nested || root || pointed)
}

pub(crate) fn leftovers(repository: &Repository) -> Vec<String> {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]].map(|halves| halves.concat());
    let calls = ["todo", "unimplemented"];
    let mut offences = Vec::new();
    for file in repository.files.iter().filter(|file| !is_data(file)) {
        for mark in &marks {
            offences
                .extend(words(&file.text, mark).map(|at| format!("{}:{} {mark}", file.path, line_of(&file.text, at))));
        }
        if file.extension() != "rs" {
            continue;
        }
        let code = Code::of(&file.text, Language::Rust).text;
        for call in calls {
            offences.extend(
                words(&code, call)
                    .filter(|at| code[at + call.len()..].starts_with('!'))
                    .map(|at| format!("{}:{} {call}!", file.path, line_of(&code, at))),
            );
        }
        offences.extend(
            code.match_indices("#[ignore").map(|(at, _)| format!("{}:{} #[ignore]", file.path, line_of(&code, at))),
        );
    }
    offences
}

/// Encoded bytes may spell anything.
fn is_data(file: &File) -> bool {
    matches!(file.extension(), "json" | "lock" | "sum" | "svg")
        || file.path.starts_with("vectors/") && file.extension() != "py" && file.extension() != "md"
        || file.path.contains("/corpus/")
}

pub(crate) fn stray_white_space(repository: &Repository) -> Vec<String> {
    let mut offences = Vec::new();
    for file in &repository.files {
        if !matches!(file.extension(), "rs" | "md") {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            if line.contains('\t') || line.ends_with(char::is_whitespace) {
                offences.push(format!("{}:{}", file.path, at + 1));
            }
        }
        if !file.text.ends_with('\n') || file.text.ends_with("\n\n") {
            offences.push(format!("{} does not end in one newline", file.path));
        }
    }
    offences
}

pub(crate) fn machine_names(repository: &Repository) -> Vec<String> {
    // In halves, so that this file does not hold what it forbids.
    let forbidden = [
        ["/wo", "rk/main"],
        ["/wo", "rk/shared"],
        ["../sh", "ared"],
        ["/root/.ca", "rgo"],
        ["/root/.ru", "stup"],
        ["/root/.py", "env"],
        ["/tmp/ta", "rget"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["python", "hosted.org"],
        ["proxy.go", "lang.org"],
        ["sum.go", "lang.org"],
        ["registry.np", "mjs.org"],
    ]
    .map(|halves| halves.concat());
    let mut offences = Vec::new();
    for file in &repository.files {
        // Lock files name the registry by their format; their sources are checked apart.
        if matches!(file.extension(), "lock" | "sum") || file.path.ends_with("package-lock.json") {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            if let Some(name) = forbidden.iter().find(|name| line.contains(*name)) {
                offences.push(format!("{}:{} {name}", file.path, at + 1));
            }
        }
    }
    offences
}

mod samples {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "//\n".repeat(599);
        let tests = "#[cfg(test)]\nmod tests {\n  fn a() {}\n}\n";
        let repository = Repository::sample(&[
            ("crates/a/src/at_limit.rs", &format!("{code}//\n{tests}")),
            ("crates/a/src/above.rs", &format!("{code}//\n//\n{tests}")),
            ("crates/a/tests/apart.rs", &"//\n".repeat(900)),
            ("interop/above.go", &"//\n".repeat(601)),
        ]);
        assert_eq!(
            long_files(&repository),
            ["crates/a/src/above.rs has 601 lines (at most 600)", "interop/above.go has 601 lines (at most 600)",]
        );
    }

    #[test]
    fn a_long_function_is_found() {
        let body = |lines: usize| "  a();\n".repeat(lines);
        let rust = format!("fn fits() {{\n{}}}\nfn long() {{\n{}}}\n", body(68), body(69));
        let repository = Repository::sample(&[("crates/a/src/lib.rs", &rust)]);
        assert_eq!(long_functions(&repository), ["crates/a/src/lib.rs:71 long has 71 lines (at most 70)"]);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        let repository = Repository::sample(&[
            ("crates/a/src/utils.rs", ""),
            ("crates/a/src/helpers/tree.rs", ""),
            ("sdk/http-util.test.ts", ""),
            ("crates/a/src/utilization.rs", ""),
        ]);
        assert_eq!(banned_names(&repository).len(), 3);
    }

    #[test]
    fn a_file_nobody_declares_is_found() {
        let repository = Repository::sample(&[
            ("crates/a/src/lib.rs", "mod tree;\nmod gone_unused;\n"),
            ("crates/a/src/tree.rs", "mod node;\n"),
            ("crates/a/src/tree/node.rs", ""),
            ("crates/a/src/tree/leaf.rs", "// mod leaf;"),
            ("crates/a/tests/all.rs", "#[path = \"all/case.rs\"]\nmod case;\n"),
            ("crates/a/tests/all/case.rs", ""),
            ("crates/a/tests/orphan.rs", ""),
        ]);
        let mut workspace = Workspace::sample(&[("writ-a", &[])]);
        workspace.packages[0].targets = vec!["crates/a/src/lib.rs".to_owned(), "crates/a/tests/all.rs".to_owned()];
        assert_eq!(forgotten_files(&repository, &workspace), ["crates/a/src/tree/leaf.rs", "crates/a/tests/orphan.rs"]);
    }

    #[test]
    fn leftovers_are_found() {
        let mark = ["TO", "DO"].concat();
        let source = format!("// {mark}: later\nfn a() {{ todo!() }}\n#[ignore = \"slow\"]\n");
        let repository = Repository::sample(&[
            ("crates/a/src/lib.rs", &source),
            ("vectors/a/b.json", &mark),
            ("scripts/a", "mktemp -d name-XXXXXX"),
        ]);
        assert_eq!(leftovers(&repository).len(), 3, "{:?}", leftovers(&repository));
    }

    #[test]
    fn stray_white_space_is_found() {
        let repository = Repository::sample(&[("a.md", "a \nb\n\tc\nd"), ("b.rs", "\n\n"), ("c.go", "\t\n")]);
        assert_eq!(stray_white_space(&repository).len(), 4);
    }

    #[test]
    fn names_of_a_machine_are_found() {
        let path = ["see ", "/wo", "rk/main/x"].concat();
        let repository = Repository::sample(&[("a.md", &path), ("b.md", "/work of others")]);
        assert_eq!(machine_names(&repository).len(), 1);
    }
}
