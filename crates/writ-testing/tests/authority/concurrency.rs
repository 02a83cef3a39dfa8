//! What holds for one request holds for many at once (Invariant 5).

use crate::answers::permitted;
use std::collections::BTreeMap;
use std::sync::Barrier;
use writ_authority::Answer;
use writ_protocol::action::Command;
use writ_protocol::entry::Target;
use writ_protocol::{Body, Code};
use writ_testing::governed::{GovernedDomain, Member, Members, PolicyFiles};

#[test]
fn sixty_four_requests_at_once_draw_ten_of_ten() {
    let budget =
        r#"@id("ten") @budget("10") permit (principal == Agent::"builder", action == Action::"exec", resource);"#;
    let members = Members::standard(4_000);
    let policies = PolicyFiles::standard(&members).with("budget.cedar", budget);
    let mut domain = GovernedDomain::with(members, &policies);
    let together = Barrier::new(64);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || {
            let request = domain.asked_to_build();
            together.wait();
            domain.asks("builder", &request)
        };
        let askers: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::new();
    for answer in &answers {
        let what = match answer {
            Answer::Permit(_) => "permit",
            Answer::Deny(denied) => denied.code.as_str(),
            Answer::Hold(_) | Answer::Done(_) | Answer::Shadow(_) | Answer::TurnedAway(_) => panic!("{answer:?}"),
        };
        *counts.entry(what).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([("permit", 10), ("budget_exceeded", 54)]));
    let entered = domain.entered();
    let grants = entered.iter().filter(|one| matches!(one.body, Body::Grant(_))).count();
    let exceeded = |body: &Body| matches!(body, Body::Denial(denial) if denial.code == Code::BudgetExceeded);
    assert_eq!((grants, entered.iter().filter(|one| exceeded(&one.body)).count()), (10, 54));
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
}

#[test]
fn no_grant_follows_the_revocation_that_it_raced() {
    const ROUNDS: usize = 24;
    let mut members = Members::standard(4_000);
    members.0.extend((0..ROUNDS).map(|round| Member::new("Agent", &format!("agent-{round}"), &["agents"])));
    let policies = PolicyFiles::standard(&members);
    let mut domain = GovernedDomain::with(members, &policies);
    let mut refused = 0;
    for round in 0..ROUNDS {
        refused += race(&domain, &format!("agent-{round}"));
    }
    let mut revoked = Vec::new();
    let (mut before, mut after) = (0, 0);
    for entered in domain.entered() {
        match entered.body {
            Body::Revocation(revocation) => revoked.push(revocation.target),
            Body::Grant(grant) => {
                let name = writ_protocol::entry::AssertedPrincipal {
                    kind: grant.principal.kind.clone(),
                    id: grant.principal.id.clone(),
                };
                let stands = !revoked.contains(&Target::Principal(name));
                assert!(stands, "entry {} grants what is revoked", entered.index);
                before += 1;
            }
            Body::Denial(denial) => {
                assert_eq!(denial.code, Code::Revoked);
                after += 1;
            }
            _ => {}
        }
    }
    assert_eq!((revoked.len(), after), (ROUNDS, refused));
    assert!(before > 0 && after > 0, "{before} grants before and {after} refusals after: nothing raced");
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let judgement = domain.judged();
    assert!(judgement.is_clean(), "{judgement:?}");
}

/// Six ask as one agent, again and again, until they are refused; meanwhile it is revoked. Returns how many refusals there were.
fn race(domain: &GovernedDomain, agent: &str) -> usize {
    let target = Target::Principal(domain.member(agent).name().clone());
    let together = Barrier::new(7);
    std::thread::scope(|scope| {
        let ask = || {
            together.wait();
            // An answer before the revocation is a permit, and one after it a refusal: it never turns back.
            let mut refusals = 0;
            while refusals < 2 {
                match domain.asks(agent, &domain.asked_to_build()) {
                    Answer::Permit(receipt) => assert_eq!(refusals, 0, "entry {} after a refusal", receipt.index),
                    Answer::Deny(denied) => {
                        assert_eq!(denied.code, Code::Revoked, "{}", denied.why);
                        refusals += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            refusals
        };
        let askers: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        together.wait();
        let answer = domain.orders("alice", Command::Revoke(target));
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
        askers.into_iter().map(|asker| asker.join().unwrap()).sum()
    })
}

#[test]
fn the_same_request_sent_many_times_at_once_is_one_entry() {
    let mut domain = GovernedDomain::new();
    let execution = domain.domain.execution_id();
    let request = GovernedDomain::changed(domain.asked_to_build(), |ask| {
        ask.admit = Some(writ_protocol::entry::Admitted { nonce: writ_tlog::sha256(b"nonce"), execution });
    });
    let signed = domain.member("builder").sign(&request, domain.domain.origin());
    let together = Barrier::new(16);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let send = || {
            together.wait();
            domain.sent(&signed)
        };
        let senders: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let receipts: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Answer::Permit(receipt) => (receipt.index, receipt.hash(), receipt.repeated),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(receipts.iter().all(|(index, hash, _)| (*index, *hash) == (receipts[0].0, receipts[0].1)));
    assert_eq!(receipts.iter().filter(|(.., repeated)| !repeated).count(), 1);
    assert!(domain.judged().is_clean());
}
