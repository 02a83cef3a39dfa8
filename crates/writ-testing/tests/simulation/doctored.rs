//! The judge of histories is judged itself: true histories, each with one thing changed that no rule would have let pass.

use crate::run;
use std::sync::OnceLock;
use writ_protocol::Body;
use writ_protocol::entry::{AssertedPrincipal, Draw, Draws, Grant, Halt, Obligation, Positive, Revocation, Target};
use writ_protocol::{EntryType, Name};
use writ_testing::simulation::{Outcome, breaches};
use writ_tlog::sha256;

fn found(outcome: &Outcome) -> Vec<u8> {
    let Outcome { origin, entries, effects, acknowledged, .. } = outcome;
    breaches(origin, entries, effects, acknowledged).iter().map(|breach| breach.invariant).collect()
}

/// A schedule with grants, spends and effects in it, of which the judge has nothing to say.
fn good() -> Outcome {
    static GOOD: OnceLock<Outcome> = OnceLock::new();
    let outcome = GOOD.get_or_init(|| (1..200).map(run).find(is_rich).expect("a schedule in which everything happens"));
    assert_eq!(found(outcome), [] as [u8; 0]);
    good_again(outcome)
}

fn is_rich(outcome: &Outcome) -> bool {
    let has = |wanted: &EntryType| outcome.entries.iter().any(|one| one.body.entry_type() == *wanted);
    let wanted = [EntryType::Grant, EntryType::Spend, EntryType::Start, EntryType::Revocation];
    outcome.effects.count() > 1 && wanted.iter().all(has)
}

/// The place of the last grant.
fn last_grant(outcome: &Outcome) -> (usize, Grant) {
    let mut grants = outcome.entries.iter().enumerate().filter_map(|(at, one)| match &one.body {
        Body::Grant(grant) => Some((at, grant.clone())),
        _ => None,
    });
    grants.next_back().unwrap()
}

#[test]
fn a_grant_after_what_forbids_it_breaks_invariant_5() {
    let outcome = good();
    let (at, grant) = last_grant(&outcome);
    let template = outcome.entries.iter().find(|one| matches!(one.body, Body::Revocation(_))).unwrap().clone();
    let name = AssertedPrincipal { kind: grant.principal.kind.clone(), id: grant.principal.id.clone() };
    let targets = [
        Target::Principal(name),
        Target::Key(grant.principal.key.as_ref().unwrap().fingerprint()),
        Target::Key(grant.holder.key().fingerprint()),
        Target::Policy(grant.policy.set),
    ];
    for target in targets {
        let mut doctored = good_again(&outcome);
        let mut revocation = template.clone();
        if let Body::Revocation(body) = &mut revocation.body {
            body.target = target.clone();
        }
        doctored.entries.insert(at, revocation);
        assert!(found(&doctored).contains(&5), "{target:?}");
    }
    let mut halt = template;
    if let Body::Revocation(Revocation { by, id, facts, action, policy, reason, control, request, time_ms, .. }) =
        halt.body
    {
        halt.body = Body::Halt(Halt { by, id, facts, action, policy, reason, control, request, time_ms });
    }
    assert!(matches!(halt.body, Body::Halt(_)));
    let mut doctored = good_again(&outcome);
    doctored.entries.insert(at, halt);
    assert!(found(&doctored).contains(&5), "a halt");
    let mut doctored = good_again(&outcome);
    if let Some(Body::Policy(activation)) =
        doctored.entries[..at].iter_mut().rev().map(|one| &mut one.body).find(|body| matches!(body, Body::Policy(_)))
    {
        activation.set = sha256(b"another set");
    }
    assert!(found(&doctored).contains(&5), "another policy set");
}

#[test]
fn a_counter_beyond_its_limit_breaks_invariant_5() {
    let mut outcome = good();
    let (at, grant) = last_grant(&outcome);
    let counter = Name::new("a-counter-of-nobody-else").unwrap();
    let draw = Draw { limit: Positive::ONE, counter };
    let mut fields = (*grant).clone();
    fields.obligations = vec![Obligation::Budget(Draws::new(vec![draw]).unwrap())];
    fields.admitted = None;
    let drawing = Grant::new(fields).unwrap();
    let mut twice = outcome.entries[at].clone();
    twice.body = Body::Grant(drawing);
    outcome.entries.insert(at, twice.clone());
    assert!(!found(&outcome).contains(&5), "one of one");
    outcome.entries.insert(at, twice);
    assert!(found(&outcome).contains(&5), "two of one");
}

#[test]
fn a_second_effect_breaks_invariant_6() {
    let outcome = good();
    let (of, execution) = {
        let (of, executions) = outcome.effects.of_uses().next().unwrap();
        (*of, executions[0])
    };
    let mut doctored = good_again(&outcome);
    doctored.effects.happen(of.0, of.1, execution);
    assert_eq!(found(&doctored), [6], "the same execution twice");
    let mut doctored = good_again(&outcome);
    doctored.effects.happen(of.0, of.1 + 1, execution);
    assert_eq!(found(&doctored), [6], "a use that was never spent");
    let start = outcome.entries.iter().position(|one| matches!(one.body, Body::Start(_))).unwrap();
    let mut doctored = good_again(&outcome);
    let again = doctored.entries[start].clone();
    doctored.entries.insert(start, again);
    assert!(found(&doctored).contains(&6), "a second start");
    let spend = outcome.entries.iter().position(|one| matches!(one.body, Body::Spend(_))).unwrap();
    let mut doctored = good_again(&outcome);
    let again = doctored.entries[spend].clone();
    doctored.entries.insert(spend, again);
    assert!(found(&doctored).contains(&6), "a second spend");
    let mut doctored = good_again(&outcome);
    doctored.entries.retain(|one| !matches!(one.body, Body::Start(_)));
    assert!(found(&doctored).contains(&6), "effects without a start");
}

#[test]
fn an_acknowledged_entry_that_is_gone_or_changed_breaks_invariant_9() {
    let outcome = good();
    let index = *outcome.acknowledged.keys().last().unwrap();
    let at = usize::try_from(index).unwrap();
    let mut doctored = good_again(&outcome);
    doctored.entries.truncate(at);
    assert!(found(&doctored).contains(&9), "gone");
    let mut doctored = good_again(&outcome);
    doctored.entries[at].hash = sha256(b"another entry");
    assert!(found(&doctored).contains(&9), "changed");
}

fn good_again(outcome: &Outcome) -> Outcome {
    Outcome {
        report: outcome.report.clone(),
        trace: Vec::new(),
        origin: outcome.origin.clone(),
        entries: outcome.entries.clone(),
        effects: outcome.effects.clone(),
        acknowledged: outcome.acknowledged.clone(),
    }
}
