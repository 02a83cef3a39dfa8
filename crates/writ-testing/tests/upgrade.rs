//! A node is upgraded under a domain whose sets are signed: nothing is decided otherwise before its authors publish, and then the whole
//! ledger is derived again, each half by what it was decided by.
//!
//! Alone in its process: what a solver is started from holds every open lock for a moment, and other tests open ledgers again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use writ_authority::{Answer, Caller, Outcome, Received, Semantics, retell};
use writ_ledger::Reader;
use writ_protocol::action::Command;
use writ_protocol::entry::{Ascending, Denial, Grant};
use writ_protocol::statement::{Request, RootCommand};
use writ_protocol::{Body, Code, Name, PolicyBundle};
use writ_testing::governed::{GovernedDomain, PolicyFiles, wait};
use writ_testing::scenario::{authors, set_files};
use writ_tlog::{LeafIndex, sha256};

/// Two authors sign the set for the next epoch, and alice hands it in.
fn publish(domain: &GovernedDomain, files: &PolicyFiles, accepts: &[&str]) -> Answer {
    let snapshot = files.snapshot();
    let files: Vec<(&str, &[u8])> =
        snapshot.files().iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let (files, active) = (set_files(&files), domain.authority().policy());
    let (epoch, replaces) = (active.epoch.get() + 1, Some(*active.set.digest()));
    let mut manifest = domain.domain.manifest(epoch, snapshot.digest(), replaces, &files);
    let now_ms = domain.clock.now_ms();
    (manifest.time_ms, manifest.from_ms, manifest.until_ms) = (now_ms, now_ms - 1, now_ms + 60_000);
    manifest.accepts = Ascending::new(accepts.iter().map(|accept| Name::new(*accept).unwrap()));
    let bundle = PolicyBundle::assemble(&domain.domain.sign_manifest(&manifest, &[0, 1]), &files);
    let asked = domain.domain.asked_order(Command::Publish(sha256(&bundle)));
    let order = Request { time_ms: now_ms, ..asked };
    let order = domain.member("alice").sign(&order, domain.domain.origin());
    wait(domain.authority().publish(&Caller::Remote, Received::Signed(&order), &bundle))
}

#[test]
fn an_upgrade_changes_no_decision_until_the_authors_publish_and_both_halves_replay() {
    let members = GovernedDomain::members();
    let policies = PolicyFiles::crowded(&members);
    let mut domain = GovernedDomain::begun_under(Semantics::Writ1, members, &policies);
    granted(&domain, "/usr/bin/make", Semantics::Writ1);
    refused_for_the_number(&domain);
    domain.root_orders(RootCommand::PolicyAuthors(authors(2)), &policies).unwrap();
    let before = domain.size();

    // The next release takes the ledger over, and nothing is appended by itself.
    domain.semantics = Semantics::CURRENT;
    domain.resume().unwrap();
    assert_eq!((domain.size(), in_force(&domain)), (before, (1, Semantics::Writ1)));
    refused_for_the_number(&domain);

    // What the set in force denied for the number of permits is no proof against the new one.
    let Answer::Deny(told) = publish(&domain, &policies, &[]) else { panic!("it was published") };
    assert_eq!(told.code, Code::GateFailed);
    assert!(told.why.contains("`no_wider`") && told.why.contains("--accept semantics"), "{}", told.why);
    assert_eq!(in_force(&domain), (1, Semantics::Writ1));
    let Answer::Deny(told) = publish(&domain, &policies, &["semantics"]) else { panic!("it was published") };
    assert!(told.why.contains("`backtest`") && told.why.contains("crowd/002 and 253 more"), "{}", told.why);
    published(publish(&domain, &policies, &["history:newly_permitted", "semantics"]));
    assert_eq!(in_force(&domain), (2, Semantics::Writ2));
    let grant = granted(&domain, PolicyFiles::CROWDED, Semantics::Writ2);
    assert_eq!(grant.policy.reasons.as_slice().len(), 256);
    granted(&domain, "/usr/bin/make", Semantics::Writ2);
    // From then on there is nothing to accept.
    published(publish(&domain, &policies, &[]));

    domain.resume().unwrap();
    assert_eq!(in_force(&domain), (3, Semantics::Writ2));
    assert_eq!(all_the_same(&mut domain), 5);
}

fn published(answer: Answer) {
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
}

fn granted(domain: &GovernedDomain, path: &str, semantics: Semantics) -> Grant {
    let Answer::Permit(receipt) = domain.asks("builder", &domain.asked(&[path])) else { panic!("{path} is refused") };
    match receipt.decode(domain.domain.origin()).unwrap().body {
        Body::Grant(grant) => {
            assert_eq!(grant.policy.semantics.as_str(), semantics.as_str());
            grant
        }
        other => panic!("expected a grant, found {other:?}"),
    }
}

fn refused_for_the_number(domain: &GovernedDomain) {
    let answer = domain.asks("builder", &domain.asked(&[PolicyFiles::CROWDED]));
    let Answer::Deny(told) = answer else { panic!("{answer:?}") };
    assert!(told.code == Code::EvaluationError && told.why.contains("found 257"), "{}", told.why);
    match told.receipt.decode(domain.domain.origin()).unwrap().body {
        Body::Denial(Denial { policy: Some(policy), .. }) => {
            assert_eq!(policy.semantics.as_str(), Semantics::Writ1.as_str());
        }
        other => panic!("expected a denial by policy, found {other:?}"),
    }
}

/// Epoch and semantics in force, as the node decides and as the chain says.
fn in_force(domain: &GovernedDomain) -> (u64, Semantics) {
    let (chain, policy) = (domain.authority().published().control, domain.authority().policy());
    let active = chain.policy().unwrap();
    assert_eq!((active.epoch, active.semantics.as_str()), (policy.epoch, policy.set.semantics().as_str()));
    (policy.epoch.get(), policy.set.semantics())
}

/// Derives every decision that is recorded again, byte for byte; how many there are.
fn all_the_same(domain: &mut GovernedDomain) -> u64 {
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.erased == 0, "{judgement:?}");
    let reader = Reader::open(&domain.place.store).unwrap();
    let mut count = 0;
    for one in domain.entered() {
        if matches!(&one.body, Body::Grant(_) | Body::Denial(Denial { policy: Some(_), .. })) {
            let retold = retell(&reader, LeafIndex::new(one.index)).unwrap();
            assert!(matches!(retold.outcome, Outcome::Same { .. }), "{}: {:?}", one.index, retold.outcome);
            count += 1;
        }
    }
    assert_eq!(judgement.replay.same, count);
    count
}
