//! The matrix of refusals: at each gateway, every code is provoked by a test, or it is said why it cannot occur.

use std::collections::BTreeMap;

use crate::repository::Repository;
use crate::spec::codes_in_source;

const SOURCE: &str = "crates/writ-protocol/src/refusal.rs";
const PAGE: &str = "docs/reference/refusal-matrix.md";
/// The crate of a gateway, whose section is named for what follows.
const GATEWAYS: &str = "crates/writ-gateway-";
const NEVER: &str = "cannot occur";

pub(crate) fn unprovoked(repository: &Repository) -> Vec<String> {
    let (Some(source), Some(page)) = (repository.text(SOURCE), repository.text(PAGE)) else {
        return vec![format!("{SOURCE} and {PAGE} must both exist")];
    };
    let codes = codes_in_source(source);
    let sections = sections(page);
    let mut offences = Vec::new();
    let gateways = repository.files.iter().filter_map(|file| {
        file.path
            .strip_prefix(GATEWAYS)
            .and_then(|rest| rest.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
    });
    for gateway in gateways.filter(|gateway| !sections.contains_key(gateway)) {
        offences.push(format!("{PAGE} has no section for the gateway `{gateway}`"));
    }
    if sections.is_empty() || codes.is_empty() {
        offences.push(format!("no gateway found in {PAGE}, or no code in {SOURCE}"));
    }
    for (gateway, rows) in sections {
        for code in &codes {
            match rows.iter().filter(|row| row.code == code).count() {
                1 => {}
                found => offences.push(format!("{gateway}: {code} has {found} rows")),
            }
        }
        for row in &rows {
            if !codes.iter().any(|code| code == row.code) {
                offences.push(format!("{gateway}: {} is no refusal code", row.code));
            }
            offences
                .extend(row.faults(repository).into_iter().map(|fault| format!("{gateway}: {}: {fault}", row.code)));
        }
    }
    offences
}

struct Row<'a> {
    code: &'a str,
    provoked: &'a str,
    outcome: &'a str,
}

impl Row<'_> {
    fn faults(&self, repository: &Repository) -> Vec<String> {
        let mut faults = Vec::new();
        if self.outcome.split_whitespace().count() < 3 {
            faults.push("the last cell says too little: what is recorded, or why it cannot occur".to_owned());
        }
        if self.provoked == NEVER {
            return faults;
        }
        let named: Vec<&str> = self.provoked.split('`').skip(1).step_by(2).collect();
        if named.is_empty() || !named.len().is_multiple_of(2) {
            faults.push(format!("expected `file` and `test`, or {NEVER}"));
        }
        for pair in named.chunks_exact(2) {
            let [file, test] = pair else { continue };
            match repository.text(file) {
                None => faults.push(format!("there is no file {file}")),
                Some(text) if has_test(text, test) => {}
                Some(_) => faults.push(format!("{file} has no test {test}")),
            }
        }
        faults
    }
}

/// Whether a file has this function, marked as a test.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let declared =
            line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        declared.is_some_and(|rest| rest.starts_with('('))
            && attributes.clone().any(|line| line.ends_with("test]"))
            && !attributes.clone().any(|line| line.starts_with("#[ignore"))
    })
}

/// The rows of each section `## Gateway: NAME`.
fn sections(page: &str) -> BTreeMap<&str, Vec<Row<'_>>> {
    let mut found = BTreeMap::new();
    let mut gateway = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            gateway = heading.strip_prefix("Gateway: ").map(str::trim);
        }
        let Some(gateway) = gateway else { continue };
        let rows: &mut Vec<Row<'_>> = found.entry(gateway).or_default();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, code, provoked, outcome, _] = cells[..] else { continue };
        if let Some(code) = code.strip_prefix('`').and_then(|code| code.strip_suffix('`')) {
            rows.push(Row { code, provoked, outcome });
        }
    }
    found
}

mod samples {
    use super::*;

    const TESTS: &str = "#[test]\nfn it_is_refused() {}\n\nfn no_test() {}\n\n#[test]\n#[ignore]\nfn asleep() {}\n\
                         #[tokio::test]\nasync fn it_waits() {}\n";
    const CODES: &str = "impl Code { const fn as_str(self) -> &'static str { match self { A => \"a\", B => \"b\" } } }";

    fn offences(page: &str) -> Vec<String> {
        let files = [(SOURCE, CODES), (PAGE, page), ("tests/x.rs", TESTS), ("crates/writ-gateway-p/Cargo.toml", "")];
        unprovoked(&Repository::sample(&files))
    }

    #[test]
    fn a_complete_matrix_passes() {
        let page = "## Gateway: p\n\n| code | provoked by | outcome |\n|---|---|---|\n\
                    | `a` | `tests/x.rs` `it_is_refused`, `tests/x.rs` `it_waits` | nothing runs, `report` |\n\
                    | `b` | cannot occur | nobody asks that |\n\n## Another heading\n| `c` | d | e |\n";
        assert_eq!(offences(page), [""; 0]);
    }

    #[test]
    fn a_code_without_row_and_one_that_does_not_exist_are_found() {
        let page = "## Gateway: p\n| `a` | cannot occur | nobody asks that |\n| `a` | cannot occur | nobody asks that |\n\
                    | `c` | cannot occur | nobody asks that |\n";
        assert_eq!(offences(page), ["p: a has 2 rows", "p: b has 0 rows", "p: c is no refusal code"]);
        assert_eq!(offences("no section\n").len(), 2);
    }

    #[test]
    fn a_test_that_does_not_exist_and_an_empty_reason_are_found() {
        for (provoked, outcome) in [
            ("`tests/x.rs` `it_is_refused`", ""),
            ("`tests/x.rs` `it_is_refused`", "nothing"),
            ("`tests/x.rs` `it_is_admitted`", "nothing runs, `report`"),
            ("`tests/x.rs` `it_is`", "nothing runs, `report`"),
            ("`tests/x.rs` `no_test`", "nothing runs, `report`"),
            ("`tests/x.rs` `asleep`", "nothing runs, `report`"),
            ("`tests/y.rs` `it_is_refused`", "nothing runs, `report`"),
            ("`tests/x.rs`", "nothing runs, `report`"),
            ("", "nothing runs, `report`"),
            ("cannot occur", ""),
            ("cannot occur", "never"),
        ] {
            let page =
                format!("## Gateway: p\n| `a` | {provoked} | {outcome} |\n| `b` | cannot occur | nobody asks that |\n");
            assert_eq!(offences(&page).len(), 1, "{page}");
        }
    }
}
