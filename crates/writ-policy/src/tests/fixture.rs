use crate::{Decision, Deny, Facts, Permit, PolicyError, PolicySet, Problem, Semantics, Snapshot, decide};
use std::collections::BTreeMap;
use writ_protocol::action::{Action, Command, Exec, ExecFields, Interpreter, Order, Stdin, Variables};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Code, Label, Name};
use writ_tlog::sha256;

/// 2026-11-21T08:05:09.007Z
pub(super) const NOW_MS: u64 = 1_795_248_309_007;

pub(super) const ENTITIES: &str = r#"[
    {"uid": {"type": "Group", "id": "all"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Group", "id": "builders"}, "attrs": {}, "parents": [{"type": "Group", "id": "all"}]},
    {"uid": {"type": "Agent", "id": "builder"}, "attrs": {}, "parents": [{"type": "Group", "id": "builders"}]},
    {"uid": {"type": "User", "id": "ada"}, "attrs": {}, "parents": []}
]"#;

pub(super) const PERMIT_ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The usual entities, no keys, and these files instead of or beside them.
pub(super) fn files(given: &[(&str, &str)]) -> Files {
    let usual = [("entities.json", ENTITIES), ("principals.json", "[]")];
    usual.iter().chain(given).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

pub(super) fn compile(given: &[(&str, &str)]) -> Result<PolicySet, Vec<PolicyError>> {
    PolicySet::compile(&Snapshot::new(files(given)).unwrap(), Semantics::CURRENT)
}

/// The same set, decided by every version.
pub(super) fn under_each(set: &PolicySet) -> impl Iterator<Item = PolicySet> {
    Semantics::ALL.iter().map(|semantics| PolicySet { semantics: *semantics, ..set.clone() })
}

pub(super) fn policies(text: &str) -> PolicySet {
    compile(&[("p.cedar", text)]).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// The problems with these files, which must not compile.
#[track_caller]
pub(super) fn problems(given: &[(&str, &str)]) -> Vec<Problem> {
    let findings = compile(given).expect_err("it must not compile");
    findings.into_iter().map(|finding| finding.problem).collect()
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

pub(super) fn principal(kind: &str, id: &str) -> AssertedPrincipal {
    AssertedPrincipal { kind: name(kind), id: name(id) }
}

pub(super) fn fields(argv: &[&str]) -> ExecFields {
    ExecFields {
        executable: sha256(b"cargo"),
        argv: argv.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        path: b"/usr/bin/cargo".to_vec(),
        variables: variables(&["HOME", "PATH"]),
        cwd: b"/work".to_vec(),
        stdin: Stdin::Null,
        interpreter: None,
    }
}

pub(super) fn variables(names: &[&str]) -> Variables {
    Variables::new(names.iter().map(|name| (name.as_bytes(), b"value".as_slice()))).unwrap()
}

pub(super) fn exec(argv: &[&str]) -> Action {
    Action::Exec(Exec::new(fields(argv)).unwrap())
}

pub(super) fn exec_of(fields: ExecFields) -> Action {
    Action::Exec(Exec::new(fields).unwrap())
}

pub(super) fn script(path: &str, interpreter: &str) -> Action {
    let interpreter = Interpreter { path: interpreter.as_bytes().to_vec(), digest: sha256(b"sh") };
    let fields = ExecFields { path: path.as_bytes().to_vec(), interpreter: Some(interpreter), ..fields(&["script"]) };
    exec_of(fields)
}

pub(super) fn order(command: Command) -> Action {
    Action::Order(Order { command, reason: label("drill") })
}

pub(super) fn facts() -> Facts {
    Facts {
        now_ms: NOW_MS,
        auth: label("key"),
        principal: principal("Agent", "builder"),
        depth: 0,
        approvals: vec![],
        answers: None,
        changes: None,
        values: None,
        labels: Vec::new(),
        mandate: None,
        caused: None,
        gateway: Some(name("gateway/one")),
        surroundings: vec![(label("kernel"), "6.12".to_owned()), (label("uid"), "other".to_owned())],
    }
}

#[track_caller]
pub(super) fn permitted(decision: Decision) -> Permit {
    match decision {
        Decision::Permit(permit) => permit,
        found @ (Decision::Hold(_) | Decision::Deny(_)) => panic!("expected a permit, found {found:?}"),
    }
}

#[track_caller]
pub(super) fn denied(decision: Decision, code: Code) -> Deny {
    match decision {
        Decision::Deny(deny) if deny.code == code => deny,
        found @ (Decision::Deny(_) | Decision::Hold(_) | Decision::Permit(_)) => {
            panic!("expected {code}, found {found:?}")
        }
    }
}

/// Whether a condition holds for an exec: decided with one permit that has it.
#[track_caller]
pub(super) fn holds(condition: &str, action: &Action, facts: &Facts) -> bool {
    let set = policies(&format!(
        r#"@id("c") permit (principal, action == Action::"exec", resource) when {{ {condition} }};"#
    ));
    match decide(&set, action, facts) {
        Decision::Permit(_) => true,
        Decision::Hold(hold) => panic!("{condition}: {hold:?}"),
        Decision::Deny(deny) => {
            assert_eq!(deny.code, Code::PolicyDenied, "{condition}: {deny:?}");
            false
        }
    }
}
