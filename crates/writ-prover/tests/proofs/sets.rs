use std::path::PathBuf;
use writ_policy::{PolicyError, PolicySet, Semantics, Snapshot};
use writ_prover::{Prover, SolverCommand, SolverLimits};

const ENTITIES: &str = r#"[
  { "uid": { "type": "Group", "id": "operators" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Group", "id": "quarantined" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Agent", "id": "builder" }, "attrs": {}, "parents": [{ "type": "Group", "id": "operators" }] },
  { "uid": { "type": "User", "id": "ada" }, "attrs": {}, "parents": [] }
]"#;

/// As most tests begin.
pub(crate) const DEPLOY: &str = r#"
@id("deploy")
permit (principal in Group::"operators", action == Action::"exec", resource)
when { context.path == "/usr/bin/deploy" && context.argc <= 10 && context.argv.contains("staging") };
@id("quarantine")
forbid (principal in Group::"quarantined", action, resource);
"#;

pub(crate) fn set(policies: &str) -> PolicySet {
    with_schema(policies, None)
}

pub(crate) fn with_schema(policies: &str, schema: Option<&str>) -> PolicySet {
    let more: Vec<(&str, &str)> = schema.map(|schema| ("schema.cedarschema", schema)).into_iter().collect();
    compiled(policies, &more).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

pub(crate) fn guarded(policies: &str, guardrails: &str) -> Result<PolicySet, Vec<PolicyError>> {
    compiled(policies, &[("guardrails/never.cedar", guardrails)])
}

pub(crate) fn compiled(policies: &str, more: &[(&str, &str)]) -> Result<PolicySet, Vec<PolicyError>> {
    PolicySet::compile(&snapshot(policies, more)?, Semantics::CURRENT)
}

pub(crate) fn snapshot(policies: &str, more: &[(&str, &str)]) -> Result<Snapshot, Vec<PolicyError>> {
    let files = [("rules.cedar", policies), ("entities.json", ENTITIES), ("principals.json", "[]")];
    let each = files.iter().chain(more).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Snapshot::new(each.collect())
}

pub(crate) fn solver() -> SolverCommand {
    SolverCommand::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/cvc5"))
}

pub(crate) fn prover() -> Prover<'static> {
    Prover::new(solver(), SolverLimits::STANDARD, |_| {}).unwrap()
}

/// The names of the attributes that a counterexample shows.
pub(crate) fn names(example: &writ_prover::Counterexample) -> Vec<&str> {
    example.context.iter().map(|value| value.name.as_str()).collect()
}
