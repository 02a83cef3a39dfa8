//! The gates that need a proof, after those that a set passes by itself.

use crate::counterexample::Counterexample;
use crate::error::Unproved;
use crate::prover::{Breach, Erring, Prover, Step, Widening};
use crate::solver::{SolverCommand, SolverLimits};
use std::collections::BTreeSet;
use writ_policy::{Gate, GateResult, Gated, Looser, PolicyError, PolicySet, Problem, meaning};

/// What the authors of a set know to be wider than before, and accept.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a>(&'a BTreeSet<&'a str>);

impl<'a> Accepted<'a> {
    /// `policy:<id>` for each policy by which more may be permitted (of one of the old set that can fail: also what was denied because it
    /// failed), `guardrail:<id>` for each guardrail that does not hold any more,
    /// `entities`, `schema` and `semantics` where they are others, and `wider` for whatever it is: then nothing is compared.
    pub fn new(all: &'a BTreeSet<&'a str>) -> Self {
        Self(all)
    }

    fn policy(&self, id: &str) -> bool {
        self.0.contains(format!("policy:{id}").as_str())
    }

    fn guardrail(&self, id: &str) -> bool {
        self.0.contains(format!("guardrail:{id}").as_str())
    }

    fn all(&self) -> bool {
        self.0.contains("wider")
    }

    fn schema(&self) -> bool {
        self.0.contains("schema")
    }

    fn semantics(&self) -> bool {
        self.0.contains("semantics")
    }

    fn entities(&self) -> bool {
        self.0.contains("entities")
    }
}

/// Puts a set that has passed the other gates through those that need a proof, against the set it is to replace if there is one. What
/// cannot be proved has not passed. `told` hears of each step.
pub fn prove(
    command: &SolverCommand,
    limits: SolverLimits,
    gated: &mut Gated,
    replaced: Option<(&PolicySet, Accepted<'_>)>,
    told: impl FnMut(Step),
) {
    let replaced = replaced.filter(|(_, accepted)| !accepted.all());
    let Some(set) = gated.set().cloned() else { return not_reached(gated, Gate::PROOFS, replaced.is_some()) };
    match Prover::new(command.clone(), limits, told) {
        Ok(mut prover) => prover.gate(gated, &set, replaced),
        Err(unproved) => {
            let (first, rest) = Gate::PROOFS.split_at(1);
            for gate in first {
                gated.add(*gate, GateResult::Failed(vec![unproved_finding(&unproved)]));
            }
            not_reached(gated, rest, replaced.is_some());
        }
    }
}

impl Prover<'_> {
    fn gate(&mut self, gated: &mut Gated, set: &PolicySet, replaced: Option<(&PolicySet, Accepted<'_>)>) {
        let policies = set.len() as u64;
        let mut reached = true;
        let mut results = Vec::new();
        let mut told = |gate: Gate, found: Result<Vec<PolicyError>, Unproved>, looked_at: u64| {
            let result = match found {
                Ok(found) if found.is_empty() => GateResult::Passed(looked_at),
                Ok(found) => GateResult::Failed(found),
                Err(unproved) => GateResult::Failed(vec![unproved_finding(&unproved)]),
            };
            let passed = matches!(result, GateResult::Passed(_));
            results.push((gate, result));
            passed
        };
        let erring = self.never_errors(set).map(|found| found.iter().map(|one| can_fail(set, one)).collect());
        reached &= told(Gate::NeverErrors, erring, policies);
        // What follows is proved of sets in which nothing fails.
        if reached {
            told(Gate::Guardrails, self.guarded(set), set.guardrails().len() as u64);
            if let Some((old, accepted)) = replaced {
                told(Gate::NoWider, self.no_wider(set, old, accepted), policies);
            }
        } else {
            results.push((Gate::Guardrails, GateResult::NotReached));
            if replaced.is_some() {
                results.push((Gate::NoWider, GateResult::NotReached));
            }
        }
        for (gate, result) in results {
            gated.add(gate, result);
        }
    }

    fn guarded(&mut self, set: &PolicySet) -> Result<Vec<PolicyError>, Unproved> {
        Ok(self.breaches(set)?.iter().map(|breach| passed(set, breach)).collect())
    }

    fn no_wider(
        &mut self,
        set: &PolicySet,
        old: &PolicySet,
        accepted: Accepted<'_>,
    ) -> Result<Vec<PolicyError>, Unproved> {
        // Where a policy of the old set fails, that set denies, whatever its others say. The solver and the engine pass over a policy that
        // fails: what they compare is right of every request for which none does, and the rest is for its authors to accept. A guardrail
        // decides nothing.
        let fails = self.never_errors(old)?;
        let fails = fails.iter().filter(|one| old.place_of(&one.policy).is_some() && !accepted.policy(&one.policy));
        let fails = fails.map(|one| failed_before(set, old, one));
        let wider = self.widening(set, old)?;
        let wider = wider.iter().filter(|one| !accepted.policy(&one.policy)).map(|one| is_wider(set, old, one));
        let looser = set.looser_than(old);
        let looser = looser.iter().filter(|one| !accepted.policy(one.policy.as_str())).map(|one| is_looser(set, one));
        let gone = gone_guardrails(set, old).into_iter().filter(|id| !accepted.guardrail(id));
        let gone = gone.map(|id| at("guardrails", 1, Problem::GuardrailGone(id)));
        let mut findings: Vec<PolicyError> = fails.chain(wider).chain(looser).chain(gone).collect();
        if !accepted.entities() && !set.has_entities_of(old) {
            findings.push(at("entities.json", 1, Problem::EntitiesChanged));
        }
        // The solver knows nothing of how many policies permit: what the old set denied for that is not in its answers.
        if !accepted.semantics() && old.may_permit_too_often() {
            findings.push(nowhere(Problem::SemanticsChanged(old.semantics().as_str())));
        }
        if !accepted.schema() && !set.has_schema_of(old) {
            findings.push(at("schema.cedarschema", 1, Problem::SchemaChanged));
        }
        Ok(findings)
    }
}

/// The guardrails of the old set that the new one does not have in the same words.
fn gone_guardrails(set: &PolicySet, old: &PolicySet) -> BTreeSet<String> {
    let said = |set: &PolicySet| -> BTreeSet<(String, Option<String>)> {
        let each = set.guardrails().iter();
        each.map(|(guardrail, _)| (AsRef::<str>::as_ref(guardrail.id()).to_owned(), meaning(guardrail))).collect()
    };
    let kept = said(set);
    said(old).into_iter().filter(|one| one.1.is_none() || !kept.contains(one)).map(|(id, _)| id).collect()
}

fn not_reached(gated: &mut Gated, gates: &[Gate], compared: bool) {
    for gate in gates.iter().filter(|gate| compared || **gate != Gate::NoWider) {
        gated.add(*gate, GateResult::NotReached);
    }
}

fn at(file: &str, line: usize, problem: Problem) -> PolicyError {
    PolicyError { file: file.to_owned(), line, column: 1, problem }
}

/// Of no file.
fn nowhere(problem: Problem) -> PolicyError {
    at("", 1, problem)
}

/// At the policy, where the set has it.
fn about(set: &PolicySet, policy: &str, problem: Problem) -> PolicyError {
    match set.place_of(policy) {
        Some(clause) => at(&clause.file, clause.line, problem),
        None => guarding(set, policy, problem),
    }
}

fn unproved_finding(unproved: &Unproved) -> PolicyError {
    nowhere(Problem::Unproved { why: unproved.to_string(), advice: unproved.advice() })
}

fn can_fail(set: &PolicySet, erring: &Erring) -> PolicyError {
    let Erring { policy, when, why } = erring;
    about(set, policy, Problem::CanFail { policy: policy.clone(), why: why.clone(), when: when.asking() })
}

fn failed_before(set: &PolicySet, old: &PolicySet, erring: &Erring) -> PolicyError {
    let Erring { policy, when, why } = erring;
    let problem = Problem::FailsInForce { policy: policy.clone(), why: why.clone(), when: when.asking() };
    either(set, old, policy, problem)
}

fn passed(set: &PolicySet, breach: &Breach) -> PolicyError {
    let Breach { guardrail, permits } = breach;
    let problem = Problem::GuardrailPassed { guardrail: guardrail.clone(), permits: by_policies(permits) };
    guarding(set, guardrail, problem)
}

/// At the guardrail.
fn guarding(set: &PolicySet, id: &str, problem: Problem) -> PolicyError {
    let found = set.guardrails().iter().find(|(guardrail, _)| AsRef::<str>::as_ref(guardrail.id()) == id);
    match found {
        Some((_, clause)) => at(&clause.file, clause.line, problem),
        None => nowhere(problem),
    }
}

fn is_wider(set: &PolicySet, old: &PolicySet, widening: &Widening) -> PolicyError {
    let Widening { policy, permits, forbidden_by } = widening;
    let before = match forbidden_by.as_slice() {
        [] => "nothing permitted it before".to_owned(),
        ids => format!("before, it was forbidden by {}", quoted(ids)),
    };
    let problem = Problem::Wider { policy: policy.clone(), permits: by_policies(permits), before };
    either(set, old, policy, problem)
}

/// At the policy in the new set, or in the old one where that one alone has it.
fn either(set: &PolicySet, old: &PolicySet, policy: &str, problem: Problem) -> PolicyError {
    if set.place_of(policy).is_some() { about(set, policy, problem) } else { about(old, policy, problem) }
}

fn is_looser(set: &PolicySet, looser: &Looser) -> PolicyError {
    let Looser { policy, than, what } = looser;
    about(set, policy.as_str(), Problem::Looser { policy: policy.to_string(), than: than.to_string(), what })
}

fn by_policies(permits: &Counterexample) -> String {
    format!("{permits}, by {}", quoted(&permits.policies))
}

fn quoted(ids: &[String]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" and ")
}
