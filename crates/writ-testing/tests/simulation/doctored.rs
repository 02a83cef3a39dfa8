//! The judge of histories is judged itself: true histories, each with one thing changed that no rule would have let pass.

use crate::run;
use std::sync::OnceLock;
use writ_protocol::Body;
use writ_protocol::entry::{
    Approval, ApprovalFields, Ascending, AssertedPrincipal, Audience, Draw, Draws, EntryRef, Grant, GrantFields, Halt,
    Mandate, MandateFields, Obligation, Positive, Principal, Revocation, Target, Verdict, Window,
};
use writ_protocol::scope::{Scope, ScopeFields};
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

/// A schedule in which something was approved by two and granted, the places of its approvals, and that of its grant.
fn approved() -> (Outcome, Vec<usize>, usize) {
    static APPROVED: OnceLock<Outcome> = OnceLock::new();
    let resolved = |outcome: &Outcome| {
        outcome.entries.iter().enumerate().find_map(|(at, one)| match &one.body {
            Body::Grant(grant) => grant.hold.clone().map(|hold| (at, hold)),
            _ => None,
        })
    };
    let outcome = APPROVED.get_or_init(|| {
        (1..400)
            .map(run)
            .find(|outcome| resolved(outcome).is_some())
            .expect("a schedule in which something is approved")
    });
    assert_eq!(found(outcome), [] as [u8; 0]);
    let (at, hold) = resolved(outcome).unwrap();
    let of = |body: &Body| matches!(body, Body::Approval(approval) if approval.hold == hold);
    let approvals = (0..at).filter(|before| of(&outcome.entries[*before].body)).collect();
    (good_again(outcome), approvals, at)
}

#[test]
fn a_grant_without_its_approvals_breaks_invariant_5() {
    let (outcome, approvals, at) = approved();
    assert!(approvals.len() >= 2);
    let mut doctored = good_again(&outcome);
    for approval in approvals[1..].iter().rev() {
        doctored.entries.remove(*approval);
    }
    assert!(found(&doctored).contains(&5), "one of two");
    let mut doctored = good_again(&outcome);
    doctored.entries.insert(approvals[0], outcome.entries[approvals[0]].clone());
    assert_eq!(found(&doctored), [] as [u8; 0], "one more by the same changes nothing");
    for approval in approvals[1..].iter().rev() {
        doctored.entries.remove(*approval + 1);
    }
    assert!(found(&doctored).contains(&5), "the same one twice");
    let mut doctored = good_again(&outcome);
    let mut no = outcome.entries[approvals[0]].clone();
    if let Body::Approval(approval) = &no.body {
        let fields = ApprovalFields { verdict: Verdict::Reject, ..(**approval).clone() };
        no.body = Body::Approval(Approval::new(fields).unwrap());
    }
    doctored.entries.insert(at, no);
    assert!(found(&doctored).contains(&5), "one said no");
    let mut doctored = good_again(&outcome);
    doctored.entries.insert(at, outcome.entries[at].clone());
    assert!(found(&doctored).contains(&5), "granted twice");
}

#[test]
fn an_approval_by_who_has_asked_breaks_invariant_13() {
    let (mut outcome, approvals, at) = approved();
    let Body::Grant(grant) = outcome.entries[at].body.clone() else { panic!("a grant") };
    let mut own = outcome.entries[approvals[0]].clone();
    if let Body::Approval(approval) = &own.body {
        let fields = ApprovalFields { by: grant.principal.clone(), ..(**approval).clone() };
        own.body = Body::Approval(Approval::new(fields).unwrap());
    }
    outcome.entries.insert(at, own);
    assert_eq!(found(&outcome), [13]);
}

#[test]
fn what_is_taken_back_by_another_or_granted_after_breaks_an_invariant() {
    let (outcome, approvals, at) = approved();
    let Body::Grant(grant) = &outcome.entries[at].body else { panic!("a grant") };
    let withdrawn = |by: &Principal| {
        let mut doctored = good_again(&outcome);
        let mut withdrawal = outcome.entries[approvals[0]].clone();
        if let Body::Approval(approval) = &withdrawal.body {
            let (verdict, groups) = (Verdict::Withdraw, Ascending::new([]));
            let fields = ApprovalFields { by: by.clone(), verdict, groups, ..(**approval).clone() };
            withdrawal.body = Body::Approval(Approval::new(fields).unwrap());
        }
        doctored.entries.insert(at, withdrawal);
        found(&doctored)
    };
    assert_eq!(withdrawn(&grant.principal), [5], "nothing waits any more, and it is granted");
    let Body::Approval(approval) = &outcome.entries[approvals[0]].body else { panic!("an approval") };
    assert_eq!(withdrawn(&approval.by), [13, 5], "by who was asked");
}

#[test]
fn who_is_named_by_a_gateway_that_may_not_breaks_invariant_13() {
    let place = |outcome: &Outcome| {
        let spoken =
            |body: &Body| matches!(body, Body::Grant(grant) if grant.principal.auth.as_str() == Principal::BY_GATEWAY);
        outcome.entries.iter().position(|one| spoken(&one.body))
    };
    let outcome = (1..200).map(run).find(|outcome| place(outcome).is_some()).expect("a grant to who was spoken for");
    assert_eq!(found(&outcome), [] as [u8; 0]);
    let at = place(&outcome).unwrap();
    let Body::Grant(grant) = &outcome.entries[at].body else { panic!("a grant") };
    let changed = |change: &dyn Fn(&mut GrantFields)| {
        let mut doctored = good_again(&outcome);
        let mut fields = GrantFields::clone(grant);
        change(&mut fields);
        doctored.entries[at].body = Body::Grant(Grant::new(fields).unwrap());
        found(&doctored)
    };
    assert!(changed(&|grant| grant.principal.id = Name::new("alice").unwrap()).contains(&13), "for another");
    assert!(changed(&|grant| grant.principal.key = None).contains(&13), "by no key");
    assert!(changed(&|grant| grant.audience = Audience::Group(Name::new("builders").unwrap())).contains(&13));
    let mut doctored = good_again(&outcome);
    for one in &mut doctored.entries {
        if let Body::Gateway(enrolment) = &mut one.body {
            enrolment.asserts = Ascending::new([]);
        }
    }
    assert!(found(&doctored).contains(&13), "enrolled for nobody");
    let again = outcome.entries[..at].iter().rfind(|one| matches!(one.body, Body::Gateway(_))).unwrap().clone();
    let mut doctored = good_again(&outcome);
    doctored.entries.insert(at, again);
    assert!(found(&doctored).contains(&13), "an epoch that was there before");
}

#[test]
fn a_label_that_is_lost_breaks_invariant_8() {
    let grants = |outcome: &Outcome| {
        let labelled = |body: &Body| matches!(body, Body::Grant(grant) if !grant.labels.as_slice().is_empty());
        outcome.entries.iter().position(|one| labelled(&one.body))
    };
    let outcome = (1..400).map(run).find(|outcome| grants(outcome).is_some()).expect("a grant that carries a label");
    assert_eq!(found(&outcome), [] as [u8; 0]);
    let mut doctored = good_again(&outcome);
    let at = grants(&outcome).unwrap();
    if let Body::Grant(grant) = &outcome.entries[at].body {
        let fields = GrantFields { labels: Ascending::new([]), ..(**grant).clone() };
        doctored.entries[at].body = Body::Grant(Grant::new(fields).unwrap());
    }
    assert!(found(&doctored).contains(&8));
}

/// A schedule with a grant under a mandate that was handed on, and the places of both mandates and the grant.
fn mandated() -> (Outcome, [usize; 3]) {
    let places = |outcome: &Outcome| {
        let entries = &outcome.entries;
        let named = |named: &EntryRef| entries.iter().position(|one| one.hash == named.entry);
        entries.iter().enumerate().find_map(|(at, one)| {
            let Body::Grant(grant) = &one.body else { return None };
            let own = named(grant.cause.mandate.as_ref()?)?;
            let Body::Mandate(mandate) = &entries[own].body else { return None };
            Some([named(mandate.parent.as_ref()?)?, own, at])
        })
    };
    let outcome = (1..600).map(run).find(|outcome| places(outcome).is_some()).expect("a grant under two mandates");
    assert_eq!(found(&outcome), [] as [u8; 0]);
    let found = places(&outcome).unwrap();
    (outcome, found)
}

#[test]
fn what_escapes_its_mandate_breaks_invariant_8() {
    let (outcome, [above, own, at]) = mandated();
    let changed = |place: usize, change: &dyn Fn(&mut MandateFields)| {
        let mut doctored = good_again(&outcome);
        let Body::Mandate(mandate) = &outcome.entries[place].body else { panic!("a mandate") };
        let mut fields = MandateFields::clone(mandate);
        change(&mut fields);
        doctored.entries[place].body = Body::Mandate(Mandate::new(fields).unwrap());
        found(&doctored)
    };
    let another = AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new("another").unwrap() };
    for place in [above, own] {
        assert!(changed(place, &|mandate| mandate.to = another.clone()).contains(&8), "for another");
    }
    let scoped = |place: usize, change: &dyn Fn(&mut ScopeFields)| {
        changed(place, &|mandate| {
            let mut scope: ScopeFields = (*mandate.scope).clone();
            change(&mut scope);
            mandate.scope = Scope::new(scope).unwrap();
        })
    };
    let sooner = |scope: &mut ScopeFields| {
        let from_ms = scope.window.from_ms();
        scope.window = Window::new(from_ms, from_ms + 1).unwrap();
    };
    let uncounted = |scope: &mut ScopeFields| scope.uses = Positive::new(77);
    for change in [&sooner as &dyn Fn(&mut ScopeFields), &uncounted] {
        for place in [above, own] {
            assert!(scoped(place, change).contains(&8), "it ends sooner, or counts");
        }
    }
    let mut doctored = good_again(&outcome);
    doctored.entries.remove(own);
    assert!(found(&doctored).contains(&8), "it was never given");
    let template = (1..200)
        .map(run)
        .find_map(|outcome| outcome.entries.into_iter().find(|one| matches!(one.body, Body::Revocation(_))));
    for place in [above, own] {
        let mut revocation = template.clone().expect("a revocation");
        if let Body::Revocation(body) = &mut revocation.body {
            body.target = Target::Mandate(outcome.entries[place].hash);
        }
        let mut doctored = good_again(&outcome);
        doctored.entries.insert(at, revocation);
        assert!(found(&doctored).contains(&5), "it was revoked");
    }
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
