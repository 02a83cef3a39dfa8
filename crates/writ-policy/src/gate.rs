//! The gates: what a policy set must pass before it comes into force, in this order, each with its result. A gate whose question cannot be
//! answered has failed; none is ever skipped in silence.

use crate::entity_snapshot::EntitySnapshot;
use crate::error::{PolicyError, Problem};
use crate::fixture::Tested;
use crate::policy_set::PolicySet;
use crate::scan::{Language, statements};
use crate::semantics::Semantics;
use crate::snapshot::Snapshot;
use std::fmt;

/// Authors accept a policy as `policy:<id>`, which must be a name too.
pub const ID_CHARS_MAX: usize = 120;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// Only files that a set may have, within its limits.
    Files,
    /// Every policy can be read, alone and as its file.
    Syntax,
    /// Every policy has an id of its own, and annotations that are known.
    Ids,
    /// Schema, entities and principals are sound, and policies name only what is there.
    Entities,
    /// Every policy fits the schema, strictly.
    Validation,
    /// No policy follows more references than the limit.
    Level,
    /// Every fixture comes out as it says.
    Fixtures,
    /// No policy can fail while it is evaluated: proved by a solver.
    NeverErrors,
    /// Nothing gets past a guardrail: proved by a solver.
    Guardrails,
    /// Nothing is permitted that was not before, but for what its authors accept: proved by a solver.
    NoWider,
    /// Nobody who asked lately would be answered otherwise, but for what its authors accept.
    Backtest,
}

impl Gate {
    /// The gates that [`gate`] looks at, in order; proofs come after them.
    pub const ALL: &'static [Self] =
        &[Self::Files, Self::Syntax, Self::Ids, Self::Entities, Self::Validation, Self::Level, Self::Fixtures];

    /// The gates that need a solver, in order.
    pub const PROOFS: &'static [Self] = &[Self::NeverErrors, Self::Guardrails, Self::NoWider];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Syntax => "syntax",
            Self::Ids => "ids",
            Self::Entities => "entities",
            Self::Validation => "validation",
            Self::Level => "level",
            Self::Fixtures => "fixtures",
            Self::NeverErrors => "never_errors",
            Self::Guardrails => "guardrails",
            Self::NoWider => "no_wider",
            Self::Backtest => "backtest",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came of one gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateResult {
    /// So many things were looked at, and all are in order.
    Passed(u64),
    /// What is not in order.
    Failed(Vec<PolicyError>),
    /// A gate before it failed, so nothing can be said.
    NotReached,
}

/// What came of all gates. The set is there only if every one was passed.
#[derive(Debug)]
pub struct Gated {
    /// Each gate, in order.
    pub results: Vec<(Gate, GateResult)>,
    /// What came of each fixture, if that gate was reached.
    pub tested: Vec<Tested>,
    compiled: Option<PolicySet>,
}

impl Gated {
    /// The set, if it has passed every gate; else every finding, in the order of the gates.
    pub fn into_set(self) -> Result<PolicySet, Vec<PolicyError>> {
        let findings = self.findings().cloned().collect::<Vec<_>>();
        if findings.is_empty() { self.compiled.ok_or(findings) } else { Err(findings) }
    }

    /// The set, if it has passed every gate.
    pub fn set(&self) -> Option<&PolicySet> {
        self.compiled.as_ref().filter(|_| self.findings().next().is_none())
    }

    /// The set as far as it compiles, whatever came of the fixtures: to explain what they met.
    pub fn compiled(&self) -> Option<&PolicySet> {
        self.compiled.as_ref()
    }

    /// Every finding, in the order of the gates.
    pub fn findings(&self) -> impl Iterator<Item = &PolicyError> {
        self.results.iter().flat_map(|(_, result)| match result {
            GateResult::Failed(findings) => findings.as_slice(),
            GateResult::Passed(_) | GateResult::NotReached => &[],
        })
    }

    /// Adds what came of one more gate: of a proof.
    pub fn add(&mut self, gate: Gate, result: GateResult) {
        self.results.push((gate, result));
    }

    /// Files that are none of a policy set.
    pub fn of_findings(findings: Vec<PolicyError>) -> Self {
        Self { results: sorted(findings, |_| 0), tested: Vec::new(), compiled: None }
    }
}

/// Puts a snapshot that shall decide by these semantics through every gate.
pub fn gate(snapshot: &Snapshot, semantics: Semantics) -> Gated {
    gate_with(snapshot, semantics, None)
}

/// The same for a set that shall decide with these entities beside its own.
pub fn gate_with(snapshot: &Snapshot, semantics: Semantics, others: Option<&EntitySnapshot>) -> Gated {
    let files = snapshot.files().len() as u64;
    match PolicySet::compile_with(snapshot, semantics, others) {
        Ok(set) => {
            let (tested, findings) = match set.test() {
                Ok(tested) => {
                    let failed = tested.iter().filter_map(|one| one.failure.clone()).collect();
                    (tested, failed)
                }
                Err(unread) => (Vec::new(), unread),
            };
            let policies = set.len() as u64;
            let principals = set.principals().iter().count() as u64;
            let results = sorted(long_ids(&set).chain(findings).collect(), |gate| match gate {
                Gate::Files => files,
                Gate::Entities => principals,
                Gate::Fixtures => tested.len() as u64,
                Gate::Syntax
                | Gate::Ids
                | Gate::Validation
                | Gate::Level
                | Gate::NeverErrors
                | Gate::Guardrails
                | Gate::NoWider
                | Gate::Backtest => policies,
            });
            Gated { results, tested, compiled: Some(set) }
        }
        Err(findings) => {
            let policies = written(snapshot);
            let results = sorted(findings, |gate| match gate {
                Gate::Files => files,
                Gate::Syntax
                | Gate::Ids
                | Gate::Entities
                | Gate::Validation
                | Gate::Level
                | Gate::Fixtures
                | Gate::NeverErrors
                | Gate::Guardrails
                | Gate::NoWider
                | Gate::Backtest => policies,
            });
            Gated { results, tested: Vec::new(), compiled: None }
        }
    }
}

/// Ids that no author could ever accept by name. They compile, for sets that were in force with such ids are derived again.
fn long_ids(set: &PolicySet) -> impl Iterator<Item = PolicyError> {
    let named = set.ids().filter_map(|id| Some((id, set.clause(id)?)));
    named.filter(|(id, _)| id.as_str().len() > ID_CHARS_MAX).map(|(id, clause)| PolicyError {
        file: clause.file.clone(),
        line: clause.line,
        column: 1,
        problem: Problem::IdLong { id: id.to_string(), limit: ID_CHARS_MAX },
    })
}

/// How many policies the files seem to have: what a gate before the failed one has looked at.
fn written(snapshot: &Snapshot) -> u64 {
    let texts = snapshot.policy_files().filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok());
    texts.filter_map(|text| statements(text, Language::Policy).ok()).map(|found| found.len() as u64).sum()
}

/// Findings by gate. Of a gate after the first that failed, without findings of its own, nothing can be said.
fn sorted(findings: Vec<PolicyError>, count: impl Fn(Gate) -> u64) -> Vec<(Gate, GateResult)> {
    let mut failed_before = false;
    let results = Gate::ALL.iter().map(|gate| {
        let own: Vec<PolicyError> = findings.iter().filter(|one| one.problem.gate() == *gate).cloned().collect();
        let result = match (own.is_empty(), failed_before) {
            (false, _) => GateResult::Failed(own),
            (true, true) => GateResult::NotReached,
            (true, false) => GateResult::Passed(count(*gate)),
        };
        failed_before |= matches!(result, GateResult::Failed(_));
        (*gate, result)
    });
    results.collect()
}
