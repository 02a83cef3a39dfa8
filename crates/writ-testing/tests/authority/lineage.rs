//! What executions carry: labels flow through a lineage, and what it causes is counted (Invariants 5 and 8).

use crate::answers::{denied, permitted};
use crate::running::{Running, admitted};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use writ_authority::Answer;
use writ_protocol::entry::{Grant, Place, Positive, Target};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Body, Code, ExecutionId, Label};
use writ_testing::governed::{GovernedDomain, PolicyFiles};
use writ_tlog::{Hash, Origin};

const READ: &str = "/usr/bin/read-secret";
const SEND: &str = "/usr/bin/send";
const POLICIES: &str = r#"
@id("read") @label("secret-read")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/read-secret");

@id("no-leak")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/send")
when { context.lineage.labels.contains("secret-read") };

@id("jobs")
permit (principal == Workload::"job", action == Action::"exec", resource);

@id("few-children") @budget("3 per parent")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/child");

@id("few-in-all") @budget("4 per origin")
permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/any");
"#;

fn domain() -> GovernedDomain {
    let members = GovernedDomain::members();
    let policies = PolicyFiles::standard(&members).with("labels.cedar", POLICIES);
    GovernedDomain::with(members, &policies)
}

fn labels(grant: &Grant) -> Vec<&str> {
    grant.labels.as_slice().iter().map(Label::as_str).collect()
}

#[test]
fn what_policy_labels_is_carried_by_all_that_it_causes() {
    let running = Running::of(domain(), READ);
    let (_, grant) = permitted(&running.domain, running.asks(&running.domain.asked_to_build()));
    assert_eq!(labels(&grant), ["secret-read"]);
    let (_, denial) = denied(&running.domain, running.asks(&running.domain.asked(&[SEND])), Code::PolicyDenied);
    let reasons: Vec<String> = denial.policy.unwrap().reasons.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(reasons, ["no-leak"]);
    running.clean();
}

#[test]
fn what_a_child_has_learnt_its_parent_may_know_once_it_has_begun() {
    let running = Running::of(domain(), "/usr/bin/make");
    let domain = &running.domain;
    permitted(domain, running.asks(&domain.asked(&[SEND])));
    // A writ that nobody has used has taught nothing.
    let (writ, grant) = permitted(domain, running.asks(&domain.asked(&[READ])));
    permitted(domain, running.asks(&domain.asked(&[SEND])));
    let (execution, usage) = (domain.domain.execution_id(), Positive::ONE);
    assert_eq!(labels(&grant), ["secret-read"]);
    domain.states(0, Claim::Spent { writ: writ.hash(), index: writ.index.get(), execution, usage }).unwrap();
    denied(domain, running.asks(&domain.asked(&[SEND])), Code::PolicyDenied);
    running.clean();
}

#[test]
fn an_execution_gains_labels_while_it_runs_and_none_once_it_has_ended() {
    let running = Running::of(domain(), "/usr/bin/make");
    permitted(&running.domain, running.asks(&running.domain.asked(&[SEND])));
    running.gains(&["other", "secret-read"]).unwrap();
    denied(&running.domain, running.asks(&running.domain.asked(&[SEND])), Code::PolicyDenied);
    let (_, grant) = permitted(&running.domain, running.asks(&running.domain.asked_to_build()));
    assert_eq!(labels(&grant), ["other", "secret-read"]);
    running.ended();
    assert_eq!(running.gains(&["late"]).unwrap_err().code(), Code::LineageBroken);
    running.clean();
}

#[test]
fn a_writ_from_before_its_lineage_learnt_something_is_of_no_use_after() {
    let running = Running::of(domain(), "/usr/bin/make");
    let domain = &running.domain;
    let (early, _) = permitted(domain, running.asks(&domain.asked(&[SEND])));
    let (used, _) = permitted(domain, running.asks(&domain.asked_to_build()));
    let spent = |writ: &writ_ledger::Receipt| Claim::Spent {
        writ: writ.hash(),
        index: writ.index.get(),
        execution: domain.domain.execution_id(),
        usage: Positive::ONE,
    };
    domain.states(0, spent(&used)).unwrap();
    running.gains(&["secret-read"]).unwrap();
    assert_eq!(domain.states(0, spent(&early)).unwrap_err().code(), Code::LabelsMissing);
    running.clean();
}

#[test]
fn over_the_network_a_request_carries_what_is_under_way_in_its_askers_name() {
    let running = Running::of(domain(), "/usr/bin/make");
    let domain = &running.domain;
    permitted(domain, domain.asks("builder", &domain.asked(&[SEND])));
    running.gains(&["secret-read"]).unwrap();
    denied(domain, domain.asks("builder", &domain.asked(&[SEND])), Code::PolicyDenied);
    let (_, grant) = permitted(domain, domain.asks("builder", &domain.asked_to_build()));
    assert_eq!((labels(&grant), &grant.cause.place), (vec!["secret-read"], &Place::Origin));
    // Nobody else's work is theirs.
    let (_, grant) = permitted(domain, domain.asks("tester", &domain.asked(&[SEND])));
    assert_eq!(labels(&grant), [""; 0]);
    running.ended();
    permitted(domain, domain.asks("builder", &domain.asked(&[SEND])));
    running.clean();
}

#[test]
fn a_process_of_this_machine_outside_every_tree_carries_nothing() {
    let mut domain = domain();
    let (execution, asked) = admitted(&domain, READ);
    let (writ, grant) = permitted(&domain, domain.asks_as_user(domain.job_uid(), &asked));
    assert_eq!(labels(&grant), ["secret-read"]);
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    domain.states(0, Claim::Started { writ: writ.hash(), execution, action, surroundings }).unwrap();
    let (_, grant) = permitted(&domain, domain.asks_as_user(domain.job_uid(), &domain.asked(&[SEND])));
    assert_eq!(labels(&grant), [""; 0], "it descends from nothing that runs");
    denied(&domain, domain.asks("job", &domain.asked(&[SEND])), Code::PolicyDenied);
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn what_carries_more_labels_than_an_entry_records_gets_nothing() {
    let running = Running::of(domain(), "/usr/bin/make");
    let label = |number: usize| format!("label-{number:03}");
    let names: Vec<String> = (0..256).map(label).collect();
    running.gains(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let (_, grant) = permitted(&running.domain, running.asks(&running.domain.asked_to_build()));
    assert_eq!(grant.labels.as_slice().len(), 256);
    denied(&running.domain, running.asks(&running.domain.asked(&[READ])), Code::LabelsMissing);
    running.gains(&["one-more"]).unwrap();
    let (_, denial) = denied(&running.domain, running.asks(&running.domain.asked_to_build()), Code::LabelsMissing);
    assert_eq!(denial.facts, None, "policy was not asked");
    running.clean();
}

/// So many ask at once inside of a tree.
fn together(running: &Running, count: usize, program: &str) -> BTreeMap<String, usize> {
    let barrier = Barrier::new(count);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || {
            let request = running.domain.asked(&[program]);
            barrier.wait();
            running.asks(&request)
        };
        let askers: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::new();
    for answer in answers {
        let what = match &answer {
            Answer::Permit(_) => "permit",
            Answer::Deny(denied) => denied.code.as_str(),
            other @ (Answer::Hold(_) | Answer::Done(_) | Answer::Shadow(_) | Answer::TurnedAway(_)) => {
                panic!("{other:?}")
            }
        };
        *counts.entry(what.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Agents may run all of `/usr/bin` by another permit, without a budget; what several permit is counted by each.
#[test]
fn one_execution_causes_no_more_than_its_budget_however_many_ask_at_once() {
    let running = Running::of(domain(), "/usr/bin/make");
    let expected = BTreeMap::from([("permit".to_owned(), 3), ("budget_exceeded".to_owned(), 21)]);
    assert_eq!(together(&running, 24, "/usr/bin/child"), expected);
    let expected = BTreeMap::from([("permit".to_owned(), 4), ("budget_exceeded".to_owned(), 20)]);
    assert_eq!(together(&running, 24, "/usr/bin/any"), expected);
    // An origin is caused by nothing, so nothing of this counts it.
    for _ in 0..5 {
        permitted(&running.domain, running.domain.asks("builder", &running.domain.asked(&["/usr/bin/child"])));
    }
    running.clean();
}

#[test]
fn a_chain_with_a_revoked_member_causes_nothing_more_wherever_it_stands() {
    type Revoked = fn(&GovernedDomain, Hash) -> Target;
    let lineage: Revoked = |domain, entry| Target::Lineage { ledger: domain.domain.origin().clone(), entry };
    for target in [lineage, |_, entry| Target::Writ(entry)] {
        for place in 0..3 {
            let origin = Running::of(domain(), "/usr/bin/make");
            let mut chain = vec![origin.writ.hash()];
            let middle = origin.deeper();
            chain.push(middle.writ.hash());
            let last = middle.deeper();
            chain.push(last.writ.hash());
            let (_, grant) = permitted(&last.domain, last.asks(&last.domain.asked_to_build()));
            assert_eq!(grant.cause.depth(), 3);
            last.domain.revoke(target(&last.domain, chain[place]));
            denied(&last.domain, last.asks(&last.domain.asked_to_build()), Code::Revoked);
            last.clean();
        }
    }
}

/// No grant of this domain is deeper than four steps.
#[test]
fn nothing_passes_the_greatest_depth_however_many_ask_at_once() {
    let third = Running::of(domain(), "/usr/bin/make").deeper().deeper().deeper();
    assert_eq!(together(&third, 8, "/usr/bin/make"), BTreeMap::from([("permit".to_owned(), 8)]));
    let fourth = third.deeper();
    assert_eq!(together(&fourth, 8, "/usr/bin/make"), BTreeMap::from([("scope_widened".to_owned(), 8)]));
    fourth.clean();
}

/// Labels of an execution far below are those of all of its lineage, whoever there has learnt them.
#[test]
fn what_is_learnt_far_below_is_known_above_and_aside() {
    let deep = Running::of(domain(), "/usr/bin/make").deeper().deeper();
    deep.gains(&["secret-read"]).unwrap();
    denied(&deep.domain, deep.asks(&deep.domain.asked(&[SEND])), Code::PolicyDenied);
    let (_, grant) = permitted(&deep.domain, deep.asks(&deep.domain.asked_to_build()));
    assert_eq!(labels(&grant), ["secret-read"]);
    deep.clean();
}

/// What each lineage must carry, told from the entries alone.
#[derive(Default)]
struct Model {
    lineages: BTreeMap<Hash, BTreeSet<Label>>,
    grants: BTreeMap<Hash, Grant>,
}

impl Model {
    fn of<'a>(grant: &'a Grant, own: &'a Hash) -> &'a Hash {
        match &grant.cause.place {
            Place::Origin => own,
            Place::Caused { origin, .. } => &origin.entry,
        }
    }

    fn begins(&mut self, writ: &Hash) {
        let grant = self.grants.get(writ).unwrap();
        let carried = self.lineages.entry(*Self::of(grant, writ)).or_default();
        carried.extend(grant.labels.as_slice().iter().cloned());
    }

    /// Takes in the next entry; panics where a grant lacks what its lineage carries.
    fn follow(&mut self, origin: &Origin, hash: Hash, body: &Body) {
        if let Body::Grant(grant) = body {
            let has: BTreeSet<Label> = grant.labels.as_slice().iter().cloned().collect();
            if let Place::Caused { origin: first, parent, .. } = &grant.cause.place {
                let carried = self.lineages.get(&first.entry).cloned().unwrap_or_default();
                assert!(has.is_superset(&carried), "{has:?} lacks some of {carried:?}");
                let of_parent: BTreeSet<Label> = self.grants[&parent.entry].labels.as_slice().iter().cloned().collect();
                assert!(has.is_superset(&of_parent), "{has:?} lacks some of {of_parent:?}");
            }
            self.grants.insert(hash, grant.clone());
            if grant.admitted.is_some() {
                self.begins(&hash);
            }
        }
        let Some(claims) = body.statement().map(|statement| Signed::decode(statement).unwrap()) else { return };
        let Ok(said) = claims.gateway_claims(origin) else { return };
        match said.claim {
            Claim::Spent { writ, .. } => self.begins(&writ),
            Claim::Labelled { writ, labels, .. } => {
                let lineage = *Self::of(&self.grants[&writ], &writ);
                self.lineages.entry(lineage).or_default().extend(labels.as_slice().iter().cloned());
            }
            Claim::Started { .. } | Claim::Ended { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => {}
        }
    }
}

/// One step of somebody inside of the tree, or of its gateway.
#[derive(Clone, Debug)]
enum Step {
    Gain(u8),
    Ask(u8),
    Begin(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        prop_oneof![(0u8..6).prop_map(Step::Gain), (0u8..3).prop_map(Step::Ask), (0u8..3).prop_map(Step::Begin),];
    proptest::collection::vec(step, 1..12)
}

fn take(running: &Running, steps: &[Step]) {
    let program = |which: u8| [READ, SEND, "/usr/bin/make"][usize::from(which)];
    for step in steps {
        match step {
            // The statements of one gateway are numbered, so of several at once only one is next.
            Step::Gain(which) => drop(running.gains(&[&format!("label-{which}")])),
            Step::Ask(which) => drop(running.asks(&running.domain.asked(&[program(*which)]))),
            Step::Begin(which) => {
                let (_, asked): (ExecutionId, _) = admitted(&running.domain, program(*which));
                drop(running.asks(&asked));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn labels_are_lost_on_no_path_however_lineages_grow(sides in proptest::collection::vec(steps(), 1..4)) {
        let running = Running::of(domain(), "/usr/bin/make");
        std::thread::scope(|scope| {
            for steps in &sides {
                scope.spawn(|| take(&running, steps));
            }
        });
        let mut model = Model::default();
        for entered in running.domain.entered() {
            model.follow(running.domain.domain.origin(), entered.hash, &entered.body);
        }
        running.ended();
        running.clean();
    }
}
