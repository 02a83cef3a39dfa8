//! The questions, and how they are put so that a solver answers them in moments.
//!
//! A set of a thousand policies is no question for a solver. But what may be wider is only what a changed policy lets through, and nearly
//! every other policy has nothing to do with that. So one policy is asked about at a time, with none of the others; where the solver names a
//! request, the engine evaluates the whole sets on it. Either they agree that it happens, and it is a counterexample, or some policy
//! prevents it, and is added to the question before it is asked again. A question that has no answer without the others has none
//! with them, for all they could do is to prevent more.

use crate::counterexample::Counterexample;
use crate::error::Unproved;
use crate::solver::{Process, SolverCommand, SolverLimits};
use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Effect, Entities, Policy, PolicyId, PolicySet as EngineSet, Request,
    RequestEnv, Response, Schema,
};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::SolverError;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use writ_policy::{PolicySet, meaning};

/// Permits that are asked about together, where any of them would do.
const TOGETHER: usize = 64;

/// How far a proof has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Questions that are answered.
    pub done: usize,
    /// Questions there are.
    pub of: usize,
}

/// A policy that can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erring {
    /// Which.
    pub policy: String,
    /// When.
    pub when: Counterexample,
    /// What the engine says then.
    pub why: String,
}

/// Something that is permitted now and was not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widening {
    /// The policy that makes it so: a permit that is new or says something else, or a forbid that does or is gone.
    pub policy: String,
    /// What, and by which policies.
    pub permits: Counterexample,
    /// The policies that forbade it before; where there are none, nothing permitted it.
    pub forbidden_by: Vec<String>,
}

/// Something that a guardrail should have kept from being permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The guardrail.
    pub guardrail: String,
    /// What, and by which policies.
    pub permits: Counterexample,
}

/// Asks a solver about policy sets.
pub struct Prover<'a> {
    command: SolverCommand,
    version: String,
    limits: SolverLimits,
    told: Box<dyn FnMut(Step) + 'a>,
}

impl<'a> Prover<'a> {
    /// With this solver, which must be there and new enough. `told` hears of each step.
    pub fn new(command: SolverCommand, limits: SolverLimits, told: impl FnMut(Step) + 'a) -> Result<Self, Unproved> {
        let version = command.ready()?;
        Ok(Self { command, version, limits, told: Box::new(told) })
    }

    /// Name and version of the solver, for the record of what it proved.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Finds the policies, and guardrails, that can fail while they are evaluated, each with a request for which it does. None is proof
    /// that none can.
    pub fn never_errors(&mut self, set: &PolicySet) -> Result<Vec<Erring>, Unproved> {
        let guardrails = set.guardrails().iter().map(|(guardrail, _)| guardrail);
        let set = Sides::of(set)?;
        let policies: Vec<&Policy> = set.policies.iter().copied().chain(guardrails).collect();
        let environments: Vec<RequestEnv> = set.schema.request_envs().collect();
        let mut solver = self.solver()?;
        let mut erring: Vec<Erring> = Vec::new();
        let of = environments.len().saturating_mul(policies.len());
        let mut done: usize = 0;
        for environment in &environments {
            for policy in &policies {
                done = done.saturating_add(1);
                (self.told)(Step { done, of });
                let id = name(policy);
                if erring.iter().any(|known| known.policy == id) {
                    continue;
                }
                let about = format!("whether `{id}` can fail");
                let compiled =
                    CompiledPolicy::compile(policy, environment, set.schema).map_err(as_unsupported(&about))?;
                let question = solver.symcc.check_never_errors_with_counterexample_opt(&compiled);
                let Some(env) = answered(question, &about)? else { continue };
                let alone = singleton(policy);
                let response = Authorizer::new().is_authorized(&env.request, &alone, &env.entities);
                let error = response.diagnostics().errors().next().ok_or(Unproved::Refuted { about })?;
                let AuthorizationError::PolicyEvaluationError(error) = error;
                let why = error.inner().to_string();
                let when = set.counterexample(&env, BTreeSet::from([id.clone()]));
                erring.push(Erring { policy: id, when, why });
            }
        }
        Ok(erring)
    }

    /// Finds what the new set permits and the old one did not: one example for each policy that lets something through. None is proof that there is nothing where no policy of either set
    /// fails, as long as the old one denies nothing for the number of its permits: both are for the caller to ask.
    pub fn widening(&mut self, new: &PolicySet, old: &PolicySet) -> Result<Vec<Widening>, Unproved> {
        let (new, old) = (Sides::of(new)?, Sides::of(old)?);
        let added: Vec<&Policy> = new.permits().filter(|permit| !old.has(permit)).collect();
        let removed: Vec<&Policy> = old.forbids().filter(|forbid| !new.has(forbid)).collect();
        let environments: Vec<RequestEnv> = new.schema.request_envs().collect();
        let mut solver = self.solver()?;
        let mut found: Vec<Widening> = Vec::new();
        let of = environments.len().saturating_mul(added.len().saturating_add(removed.len()));
        let mut done: usize = 0;
        for environment in &environments {
            for permit in &added {
                done = done.saturating_add(1);
                (self.told)(Step { done, of });
                if found.iter().any(|known| known.policy == name(permit)) {
                    continue;
                }
                let question = Question { environment, permits: &[permit], covered: old.like(permit), zone: None };
                found.extend(solver.ask_wider(&new, &old, permit, question)?);
            }
            for forbid in &removed {
                done = done.saturating_add(1);
                (self.told)(Step { done, of });
                if found.iter().any(|known| known.policy == name(forbid)) {
                    continue;
                }
                let zone = (*forbid).clone();
                let permits: Vec<&Policy> = new.permits().collect();
                for permits in permits.chunks(TOGETHER) {
                    let question = Question { environment, permits, covered: Vec::new(), zone: Some(&zone) };
                    if let Some(wider) = solver.ask_wider(&new, &old, forbid, question)? {
                        found.push(wider);
                        break;
                    }
                }
            }
        }
        found.sort_by(|a, b| a.policy.cmp(&b.policy));
        Ok(found)
    }

    /// Finds what the set permits against its guardrails, one example for each guardrail. None is proof that it permits nothing of
    /// the kind, under the same condition as [`Prover::widening`].
    pub fn breaches(&mut self, set: &PolicySet) -> Result<Vec<Breach>, Unproved> {
        let guardrails = set.guardrails();
        let set = Sides::of(set)?;
        let environments: Vec<RequestEnv> = set.schema.request_envs().collect();
        let mut solver = self.solver()?;
        let mut found = Vec::new();
        let of = environments.len().saturating_mul(guardrails.len());
        let mut done: usize = 0;
        for environment in &environments {
            for (guardrail, _) in guardrails {
                done = done.saturating_add(1);
                (self.told)(Step { done, of });
                if found.iter().any(|known: &Breach| known.guardrail == name(guardrail)) {
                    continue;
                }
                let zone = as_forbid(guardrail)?;
                let permits: Vec<&Policy> = set.permits().collect();
                for permits in permits.chunks(TOGETHER) {
                    let question = Question { environment, permits, covered: Vec::new(), zone: Some(&zone) };
                    let none = |_: &Request, _: &Entities| None;
                    if let Some((env, response)) = solver.ask(&set, question, &none)? {
                        let guardrail = name(guardrail);
                        found.push(Breach { guardrail, permits: set.counterexample(&env, reasons(&response)) });
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn solver(&self) -> Result<Asking, Unproved> {
        let no_solver = |source| Unproved::NoSolver { path: self.command.path().to_owned(), source };
        let process = Process::start(&self.command, self.limits).map_err(no_solver)?;
        let symcc = CedarSymCompiler::new(process).map_err(as_failed)?;
        Ok(Asking { symcc })
    }
}

/// A policy set as the solver and the engine see it.
struct Sides<'a> {
    set: &'a PolicySet,
    schema: &'a Schema,
    policies: Vec<&'a Policy>,
    engine: EngineSet,
    meanings: BTreeSet<String>,
}

impl<'a> Sides<'a> {
    fn of(set: &'a PolicySet) -> Result<Self, Unproved> {
        let (schema, policies) = set.engine();
        let policies: Vec<&Policy> = policies.collect();
        let engine = EngineSet::from_policies(policies.iter().map(|policy| (*policy).clone()))
            .map_err(|error| unsupported("the set", &error.to_string()))?;
        let meanings = policies.iter().filter_map(|policy| meaning(policy)).collect();
        Ok(Self { set, schema, policies, engine, meanings })
    }

    fn permits(&self) -> impl Iterator<Item = &'a Policy> + '_ {
        self.policies.iter().copied().filter(|policy| policy.effect() == Effect::Permit)
    }

    fn forbids(&self) -> impl Iterator<Item = &'a Policy> + '_ {
        self.policies.iter().copied().filter(|policy| policy.effect() == Effect::Forbid)
    }

    /// Whether it has a policy that says the same, whatever it is called.
    fn has(&self, policy: &Policy) -> bool {
        meaning(policy).is_some_and(|meaning| self.meanings.contains(&meaning))
    }

    /// Its policy of the same name, if that permits too: likely what was changed.
    fn like(&self, permit: &Policy) -> Vec<&'a Policy> {
        self.permits().filter(|other| other.id() == permit.id()).collect()
    }

    fn by_id(&self, id: &PolicyId) -> Option<&'a Policy> {
        self.policies.iter().copied().find(|policy| policy.id() == id)
    }

    fn decide(&self, request: &Request, entities: &Entities) -> Response {
        Authorizer::new().is_authorized(request, &self.engine, entities)
    }

    fn counterexample(&self, env: &Env, policies: BTreeSet<String>) -> Counterexample {
        Counterexample::of(env, &policies, self.reads(&policies).as_ref())
    }

    fn reads(&self, policies: &BTreeSet<String>) -> Option<BTreeSet<&'a str>> {
        self.set.reads(&policies.iter().map(String::as_str).collect())
    }
}

/// What is asked: is there a request of this kind that one of the permits lets through, that nothing covers, and that lies in the zone?
struct Question<'a> {
    environment: &'a RequestEnv,
    permits: &'a [&'a Policy],
    covered: Vec<&'a Policy>,
    /// As a forbid.
    zone: Option<&'a Policy>,
}

struct Asking {
    symcc: CedarSymCompiler<Process>,
}

impl Asking {
    fn ask_wider(
        &mut self,
        new: &Sides<'_>,
        old: &Sides<'_>,
        cause: &Policy,
        question: Question<'_>,
    ) -> Result<Option<Widening>, Unproved> {
        let permitted_before = |request: &Request, entities: &Entities| {
            let response = old.decide(request, entities);
            let first = || response.diagnostics().reason().min().and_then(|id| old.by_id(id)).cloned();
            if response.decision() == Decision::Allow { first() } else { None }
        };
        let Some((env, response)) = self.ask(new, question, &permitted_before)? else { return Ok(None) };
        let forbidden_by = reasons(&old.decide(&env.request, &env.entities));
        let permits = reasons(&response);
        // What those read that forbade it matters as much.
        let (ours, theirs) = (new.reads(&permits), old.reads(&forbidden_by));
        let reads = ours.and_then(|ours| Some(ours.union(&theirs?).copied().collect()));
        let permits = Counterexample::of(&env, &permits, reads.as_ref());
        Ok(Some(Widening { policy: name(cause), permits, forbidden_by: forbidden_by.into_iter().collect() }))
    }

    /// Asks, and asks again with each policy that would have prevented what was found: one that forbids it, or one that permitted it before.
    fn ask(
        &mut self,
        set: &Sides<'_>,
        question: Question<'_>,
        covers: &dyn Fn(&Request, &Entities) -> Option<Policy>,
    ) -> Result<Option<(Env, Response)>, Unproved> {
        let Question { environment, permits, covered, zone } = question;
        let about = match permits {
            [one] => format!("what `{}` permits", name(one)),
            [first, ..] => format!("what `{}` and others permit", name(first)),
            [] => return Ok(None),
        };
        let mut ours: Vec<Policy> = permits.iter().map(|policy| (*policy).clone()).collect();
        let mut theirs: Vec<Policy> = covered.into_iter().cloned().collect();
        if let Some(zone) = zone {
            let everything = Policy::parse(Some(PolicyId::new("everything")), "permit (principal, action, resource);");
            theirs.push(everything.map_err(|error| unsupported(&about, &error.to_string()))?);
            theirs.push(zone.clone());
        }
        // Each turn adds a policy that is not there yet, and there are only so many.
        loop {
            let ours_compiled = compiled(&ours, environment, set.schema, &about)?;
            let theirs_compiled = compiled(&theirs, environment, set.schema, &about).map_err(as_other_schema)?;
            let question = self.symcc.check_implies_with_counterexample_opt(&ours_compiled, &theirs_compiled);
            let Some(env) = answered(question, &about)? else { return Ok(None) };
            let response = set.decide(&env.request, &env.entities);
            if response.decision() == Decision::Deny {
                let forbids = response.diagnostics().reason().min().and_then(|id| set.by_id(id));
                let forbid = forbids.filter(|forbid| !ours.contains(forbid));
                ours.push(forbid.ok_or(Unproved::Refuted { about: about.clone() })?.clone());
                continue;
            }
            if zone.is_some_and(|zone| !is_in(zone, &env)) {
                return Err(Unproved::Refuted { about });
            }
            match covers(&env.request, &env.entities) {
                None => return Ok(Some((env, response))),
                Some(policy) if theirs.contains(&policy) => return Err(Unproved::Refuted { about }),
                Some(policy) => theirs.push(policy),
            }
        }
    }
}

fn compiled(
    policies: &[Policy],
    environment: &RequestEnv,
    schema: &Schema,
    about: &str,
) -> Result<CompiledPolicySet, Unproved> {
    // Names are of no account here, and two sets may use one for different policies.
    let numbered = policies.iter().enumerate().map(|(at, policy)| policy.new_id(PolicyId::new(at.to_string())));
    let set = EngineSet::from_policies(numbered).map_err(|error| unsupported(about, &error.to_string()))?;
    CompiledPolicySet::compile(&set, environment, schema).map_err(as_unsupported(about))
}

/// Our solver answers before it returns, so that nothing is ever waited for.
fn answered<E>(question: impl Future<Output = Result<Option<E>, Error>>, about: &str) -> Result<Option<E>, Unproved> {
    let answer = match pin!(question).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => return Err(Unproved::Failed { why: "the question was left open".to_owned() }),
    };
    answer.map_err(|error| {
        if matches!(error, Error::SolverUnknown) {
            return Unproved::Undecided { about: about.to_owned() };
        }
        as_failed(error)
    })
}

fn as_failed(error: Error) -> Unproved {
    if let Error::SolverError(SolverError::SolverMarkedFailed) = error {
        return Unproved::Late;
    }
    Unproved::Failed { why: error.to_string() }
}

fn unsupported(about: &str, why: &str) -> Unproved {
    Unproved::Unsupported { about: about.to_owned(), why: why.to_owned() }
}

fn as_unsupported(about: &str) -> impl Fn(Error) -> Unproved {
    move |error| unsupported(about, &error.to_string())
}

/// A policy of the old set that cannot be put to the solver under the new schema does not fit it: it was compiled under its own.
fn as_other_schema(error: Unproved) -> Unproved {
    if let Unproved::Unsupported { why, .. } = error {
        return Unproved::OtherSchema { why };
    }
    error
}

fn name(policy: &Policy) -> String {
    AsRef::<str>::as_ref(policy.id()).to_owned()
}

fn reasons(response: &Response) -> BTreeSet<String> {
    response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect()
}

/// Whether the zone, a forbid, forbids what was found.
fn is_in(zone: &Policy, env: &Env) -> bool {
    let response = Authorizer::new().is_authorized(&env.request, &singleton(zone), &env.entities);
    response.diagnostics().reason().next().is_some()
}

/// The same with the other effect.
fn as_forbid(policy: &Policy) -> Result<Policy, Unproved> {
    let about = format!("`{}`", name(policy));
    let mut json = policy.to_json().map_err(|error| unsupported(&about, &error.to_string()))?;
    if let Some(fields) = json.as_object_mut() {
        fields.insert("effect".to_owned(), "forbid".into());
    }
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| unsupported(&about, &error.to_string()))
}

fn singleton(policy: &Policy) -> EngineSet {
    EngineSet::from_policies([policy.clone()]).unwrap_or_default()
}
