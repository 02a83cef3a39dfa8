//! Links, commands and decision records in the documents.

use crate::repository::{File, Repository};

pub(crate) fn broken_links(repository: &Repository) -> Vec<String> {
    let mut offences = Vec::new();
    for file in repository.with_extension("md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in prose(file) {
            for target in links(&text) {
                let path = target.split('#').next().unwrap_or_default();
                let elsewhere = path.contains("://") || path.starts_with("mailto:");
                if path.is_empty() || elsewhere {
                    continue;
                }
                if !resolve(folder, path).is_some_and(|path| repository.has(&path)) {
                    offences.push(format!("{}:{line} {target}", file.path));
                }
            }
        }
    }
    offences
}

/// The lines outside code blocks, without the inline code in them.
fn prose(file: &File) -> Vec<(usize, String)> {
    split_code(file).into_iter().filter(|(_, _, code)| !code).map(|(at, text, _)| (at, text)).collect()
}

/// The code blocks' lines, and each piece of inline code.
fn code(file: &File) -> Vec<(usize, String)> {
    split_code(file).into_iter().filter(|(_, _, code)| *code).map(|(at, text, _)| (at, text)).collect()
}

fn split_code(file: &File) -> Vec<(usize, String, bool)> {
    let mut pieces = Vec::new();
    let mut in_block = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            pieces.push((at + 1, line.to_owned(), true));
        } else {
            // Even pieces are prose. They are joined again, since a link may hold inline code.
            let mut prose = String::new();
            for (index, piece) in line.split('`').enumerate() {
                if index % 2 == 0 {
                    prose.push_str(piece);
                } else {
                    pieces.push((at + 1, piece.to_owned(), true));
                }
            }
            pieces.push((at + 1, prose, false));
        }
    }
    pieces
}

/// The targets of `[text](target)` and of `[label]: target`.
fn links(line: &str) -> Vec<&str> {
    let inline = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split([')', ' ']).next());
    let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    inline.chain(reference).collect()
}

/// `path` from `folder`, from the root; nothing, where it leads out of the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

pub(crate) fn unknown_make_targets(repository: &Repository) -> Vec<String> {
    let Some(makefile) = repository.text("Makefile") else {
        return vec!["there is no Makefile".to_owned()];
    };
    let targets: Vec<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut offences = Vec::new();
    for file in repository.with_extension("md") {
        for (line, text) in code(file) {
            for name in make_targets(&text) {
                if !targets.contains(&name) {
                    offences.push(format!("{}:{line} make {name}", file.path));
                }
            }
        }
    }
    offences
}

/// What a command line asks of make: `$ TIME=5 make fuzz` asks for `fuzz`.
fn make_targets(command: &str) -> Vec<&str> {
    let command = command.split('#').next().unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|word| *word == "$" || *word == "sudo" || word.contains('='));
    if words.next() != Some("make") {
        return Vec::new();
    }
    words
        .take_while(|word| !matches!(*word, "&&" | "||" | "|" | ";" | ">"))
        .filter(|word| !word.contains('=') && !word.starts_with('-'))
        .collect()
}

pub(crate) fn misnumbered_decisions(repository: &Repository) -> Vec<String> {
    let names: Vec<&str> = repository
        .paths
        .iter()
        .filter_map(|path| path.strip_prefix("docs/decisions/"))
        .filter(|name| *name != "README.md")
        .collect();
    let mut offences = Vec::new();
    if names.is_empty() {
        offences.push("docs/decisions/ holds no decision".to_owned());
    }
    for (at, name) in names.iter().enumerate() {
        let expected = format!("{:04}-", at + 1);
        let title = name.strip_prefix(&expected).and_then(|rest| rest.strip_suffix(".md"));
        if title.is_none_or(str::is_empty) {
            offences.push(format!("docs/decisions/{name} stands where {expected}*.md is due"));
        }
    }
    offences
}

mod samples {
    use super::*;

    #[test]
    fn broken_links_are_found_in_prose_only() {
        let page = "[a](b.md) [`b`](../README.md#top) [c](gone.md)\n`[d](gone.md)`\n\
                    ```\n[e](gone.md)\n```\n[f]: gone.md\n[g](https://example.com) [h](../../up.md)\n";
        let repository =
            Repository::sample(&[("docs/a.md", page), ("docs/b.md", "[folder](../docs/)\n"), ("README.md", "")]);
        assert_eq!(
            broken_links(&repository),
            ["docs/a.md:1 gone.md", "docs/a.md:6 gone.md", "docs/a.md:7 ../../up.md"]
        );
    }

    #[test]
    fn an_unknown_command_is_found() {
        let page = "We make sure. `make test`, `make gone`\n```\n$ TIME=5 make fuzz T=a # make x\n\
                    make lost && make test\n```\n";
        let makefile = "X := 1\n.PHONY: gone\ntest: ## all\n\tmake lost:\nfuzz bench: build\n";
        let repository = Repository::sample(&[("a.md", page), ("Makefile", makefile)]);
        assert_eq!(unknown_make_targets(&repository), ["a.md:1 make gone", "a.md:4 make lost"]);
    }

    #[test]
    fn a_gap_between_decisions_is_found() {
        let repository =
            Repository::sample(&[("docs/decisions/0001-one.md", ""), ("docs/decisions/0003-three.md", "")]);
        assert_eq!(misnumbered_decisions(&repository).len(), 1);
        assert_eq!(misnumbered_decisions(&Repository::sample(&[])).len(), 1);
    }
}
