//! What all callers of a domain may cost together: a rate, and a bound to what its ledger holds.

use crate::answers::{denied, done, permitted, turned_away};
use crate::running::admitted;
use writ_authority::{Answer, Rate};
use writ_ledger::{LedgerError, Receipt};
use writ_protocol::action::{Command, Held};
use writ_protocol::entry::{Ascending, EntryRef, Positive, Target, Verdict};
use writ_protocol::statement::{Claim, Ending, Request};
use writ_protocol::{Body, Code, ExecutionId, Label};
use writ_testing::governed::{GovernedDomain, Members, PolicyFiles};
use writ_testing::scenario::Secret;
use writ_tlog::Algorithm;

const APPROVALS: &str = r#"
@id("agents-deploy") permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("an-operator") @approval("1 of operators") @approve_within("10m")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("operators-answer") permit (principal in Group::"operators", action in [Action::"approve", Action::"reject"], resource)
when { context.auth == "key" };
"#;

fn policies(members: &Members) -> PolicyFiles {
    PolicyFiles::standard(members).with("approvals.cedar", APPROVALS)
}

fn domain() -> GovernedDomain {
    let members = GovernedDomain::members();
    let files = policies(&members);
    GovernedDomain::with(members, &files)
}

/// The same domain with a ledger that is as large as it may be.
fn full(domain: &mut GovernedDomain) {
    domain.bytes_max = Some(1);
    domain.open(&policies(&domain.members));
}

fn unavailable(domain: &GovernedDomain, ask: impl FnOnce() -> Answer) {
    turned_away(domain, ask, Code::LedgerUnavailable);
}

fn started(domain: &GovernedDomain, writ: &Receipt, execution: ExecutionId) {
    let Body::Grant(grant) = &domain.entered()[usize::try_from(writ.index.get()).unwrap()].body else { panic!() };
    let (action, surroundings) = (grant.action.digest, grant.surroundings.digest);
    domain.states(0, Claim::Started { writ: writ.hash(), execution, action, surroundings }).unwrap();
}

#[test]
fn whoever_has_a_revoked_key_takes_nothing_of_its_owners_rate() {
    let mut domain = domain();
    let spare = Secret::new(Algorithm::Ed25519, "a spare key");
    let mut principals: serde_json::Value = serde_json::from_str(&domain.members.principals()).unwrap();
    let builder =
        principals.as_array_mut().unwrap().iter_mut().find(|one| one["principal"] == "Agent::builder").unwrap();
    let key: String = spare.public().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    builder["keys"].as_array_mut().unwrap().push(key.into());
    domain.rate = Rate::of(10);
    domain.open(&policies(&domain.members).with("principals.json", &principals.to_string()));
    domain.revoke(Target::Key(domain.member("builder").public().key().fingerprint()));
    let mut recorded = 0;
    let refused = loop {
        match domain.asks("builder", &domain.asked_to_build()) {
            Answer::Deny(denied) => {
                assert_eq!(denied.code, Code::Revoked);
                recorded += 1;
            }
            Answer::TurnedAway(refusal) => break refusal,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((refused.code(), recorded), (Code::RateLimited, 20));
    let signed = domain.asked_to_build().sign(domain.domain.origin(), spare.signing_key());
    permitted(&domain, domain.sent(&signed));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_full_ledger_takes_nothing_new_and_still_what_ends_stops_or_answers() {
    let mut domain = domain();
    let (execution, asked) = admitted(&domain, "/usr/bin/make");
    let (own, _) = permitted(&domain, domain.asks("builder", &asked));
    let handed_over = domain.asked_to_build();
    let (writ, _) = permitted(&domain, domain.asks("builder", &handed_over));
    let Answer::Hold(held) = domain.asks("builder", &domain.asked(&["/usr/bin/deploy"])) else { panic!() };
    full(&mut domain);
    // Nothing new: no permit, no hold, no mandate, no shadow; and no denial, which anybody could fill it with. Each is counted.
    unavailable(&domain, || domain.asks("builder", &domain.asked_to_build()));
    unavailable(&domain, || domain.asks("builder", &domain.asked(&["/usr/bin/deploy", "b"])));
    unavailable(&domain, || domain.asks("builder", &domain.asked(&["/usr/bin/dd"])));
    unavailable(&domain, || domain.shadows("builder", &domain.in_shadow(domain.asked_to_build())));
    unavailable(&domain, || domain.orders("bob", Command::Halt));
    let stricter = policies(&domain.members).with("more.cedar", "@id(\"m\") forbid (principal, action, resource);");
    assert!(
        domain.authority().activate(&stricter.snapshot()).is_err_and(|error| error.to_string().contains("as large"))
    );
    // What was answered is answered again.
    let (same, _) = permitted(&domain, domain.asks("builder", &handed_over));
    assert!(same.repeated && same.index == writ.index);
    // A writ from before starts nothing new; what was admitted before goes on, says what it carries, and ends.
    let (another, usage) = (domain.domain.execution_id(), Positive::ONE);
    let size = domain.size();
    let spent = Claim::Spent { writ: writ.hash(), index: writ.index.get(), execution: another, usage };
    assert_eq!(domain.states(0, spent).unwrap_err().code(), Code::LedgerUnavailable);
    let refused = Claim::Refused { code: Code::Expired, writ: None, action: None };
    assert_eq!(domain.states(0, refused).unwrap_err().code(), Code::LedgerUnavailable);
    assert_eq!(domain.size(), size);
    started(&domain, &own, execution);
    let labels = Ascending::new([Label::new("secret-read").unwrap()]);
    domain.states(0, Claim::Labelled { writ: own.hash(), execution, labels }).unwrap();
    domain.states(0, Claim::Ended { writ: own.hash(), execution, result: Ending::Exited(0) }).unwrap();
    let held_at = EntryRef {
        entry: held.receipt.hash(),
        index: held.receipt.index.get(),
        ledger: domain.domain.origin().clone(),
    };
    let Body::Hold(hold) = &domain.entered()[usize::try_from(held_at.index).unwrap()].body else { panic!() };
    let answer = Held { hold: held_at, action: hold.action.digest };
    done(&domain, domain.orders("alice", Command::Answer(Verdict::Approve, answer)));
    domain.revoke(Target::Writ(writ.hash()));
    done(&domain, domain.orders("alice", Command::Halt));
    let judged = domain.judged();
    assert!(judged.is_clean(), "{judged:?}");
}

#[test]
fn a_ledger_grows_to_its_bound_and_by_one_entry_at_most() {
    let mut domain = domain();
    let bytes_max = domain.authority().published().bytes + 256 * 1024;
    domain.bytes_max = Some(bytes_max);
    domain.open(&policies(&domain.members));
    let refused = (0..10_000).find_map(|_| match domain.asks("builder", &domain.asked_to_build()) {
        Answer::Permit(_) => None,
        other => Some(other),
    });
    let Some(Answer::TurnedAway(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code(), Code::LedgerUnavailable);
    let found = domain.authority().published().bytes;
    assert!((bytes_max..bytes_max + 64 * 1024).contains(&found), "{found} of {bytes_max}");
    // More room, and it goes on.
    domain.bytes_max = Some(bytes_max * 2);
    domain.open(&policies(&domain.members));
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    assert!(domain.judged().is_clean());
}

/// A reader in the middle of something keeps the log, which then grows beside a store that hardly does.
#[test]
fn a_log_that_somebody_reads_counts_and_is_emptied_once_they_have_gone() {
    let mut domain = domain();
    domain.open(&policies(&domain.members));
    let bytes_max = domain.authority().published().bytes + 1024 * 1024;
    domain.bytes_max = Some(bytes_max);
    domain.open(&policies(&domain.members));
    let reading = rusqlite::Connection::open(&domain.place.store).unwrap();
    reading.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    let ask = || domain.asks("builder", &domain.asked_to_build());
    let refused = (0..10_000).find_map(|_| match ask() {
        Answer::Permit(_) => None,
        other => Some(other),
    });
    let Some(Answer::TurnedAway(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.code(), Code::LedgerUnavailable);
    assert_eq!(domain.authority().published().has_room(), Err(refusal));
    let bytes = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    let log = domain.place.store.with_extension("db-wal");
    let found = bytes(&domain.place.store) + bytes(&log);
    assert!(found < bytes_max + 256 * 1024, "{found} of {bytes_max}");
    assert!(bytes(&domain.place.store) < bytes_max / 2, "the store alone is not full");
    // Whoever waits for it to be ready need not ask anything.
    drop(reading);
    let begun = std::time::Instant::now();
    while domain.authority().published().has_room().is_err() {
        assert!(begun.elapsed().as_secs() < 120, "it is never emptied");
        std::thread::yield_now();
    }
    permitted(&domain, ask());
    assert!(domain.judged().is_clean());
}

#[test]
fn a_full_ledger_opens_and_not_with_another_policy() {
    let mut domain = domain();
    full(&mut domain);
    domain.close();
    let ledger = writ_ledger::Ledger::open(
        &domain.place,
        domain.domain.ledger_signer(),
        writ_ledger::Options::new({
            let clock = domain.clock.clone();
            move || clock.now_ms()
        })
        .within(Some(1)),
    )
    .unwrap();
    let stricter = policies(&domain.members).with("more.cedar", "@id(\"m\") forbid (principal, action, resource);");
    let clock = domain.clock.clone();
    let setting = writ_authority::Setting {
        clock: Box::new(move || clock.now_ms()),
        rate: Rate::STANDARD,
        rate_together: None,
        solver: writ_authority::SolverCommand::new("cvc5"),
        semantics: writ_authority::Semantics::CURRENT,
    };
    let opened = writ_authority::Authority::open(ledger, &domain.place.store, &stricter.snapshot(), setting);
    let Err(writ_authority::AuthorityError::Ledger(LedgerError::Refused(refusal))) = opened else { panic!() };
    assert_eq!(refusal.code(), Code::LedgerUnavailable);
    assert!(domain.judged().is_clean());
}

#[test]
fn all_principals_of_a_domain_ask_so_often_together_and_a_halt_still_gets_in() {
    let mut domain = domain();
    domain.rate_together = Some(Rate { per_second: 1, burst: 2 });
    domain.open(&policies(&domain.members));
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
    let ask = |request: &Request| domain.asks("builder", request);
    turned_away(&domain, || ask(&domain.asked_to_build()), Code::RateLimited);
    turned_away(&domain, || domain.asks("tester", &domain.asked_to_build()), Code::RateLimited);
    turned_away(&domain, || domain.shadows("tester", &domain.in_shadow(domain.asked_to_build())), Code::RateLimited);
    // Orders have as many of their own.
    denied(&domain, domain.orders("bob", Command::Halt), Code::PolicyDenied);
    done(&domain, domain.orders("alice", Command::Halt));
    turned_away(&domain, || domain.orders("alice", Command::Halt), Code::RateLimited);
    domain.clock.pass(1_000);
    denied(&domain, ask(&domain.asked_to_build()), Code::Halted);
    assert!(domain.judged().is_clean());
}

/// What a gateway begins or turns away counts, and what has begun is never lost by it.
#[test]
fn gateways_begin_so_often_together_and_what_has_begun_goes_on_the_record() {
    let mut domain = domain();
    let (execution, asked) = admitted(&domain, "/usr/bin/make");
    let (own, _) = permitted(&domain, domain.asks("builder", &asked));
    let (writ, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    domain.rate_together = Some(Rate { per_second: 1, burst: 2 });
    domain.open(&policies(&domain.members));
    let refused = || domain.states(0, Claim::Refused { code: Code::Expired, writ: None, action: None });
    // Whoever forges one takes nothing of it.
    let mut forged = domain.statement(0, Claim::Refused { code: Code::Expired, writ: None, action: None });
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..3 {
        let answer =
            writ_testing::governed::wait(domain.authority().state(&writ_authority::Caller::Remote, &forged, None));
        assert_ne!(answer.unwrap_err().code(), Code::RateLimited);
    }
    refused().unwrap();
    refused().unwrap();
    let size = domain.size();
    assert_eq!(refused().unwrap_err().code(), Code::RateLimited);
    let (another, usage) = (domain.domain.execution_id(), grant.uses);
    let spent = || Claim::Spent { writ: writ.hash(), index: writ.index.get(), execution: another, usage };
    assert_eq!(domain.states(0, spent()).unwrap_err().code(), Code::RateLimited);
    assert_eq!(domain.size(), size, "and nothing of it is recorded");
    // What was admitted starts, says what it carries, and ends; requests and orders have their own.
    started(&domain, &own, execution);
    let labels = Ascending::new([Label::new("secret-read").unwrap()]);
    domain.states(0, Claim::Labelled { writ: own.hash(), execution, labels }).unwrap();
    domain.states(0, Claim::Ended { writ: own.hash(), execution, result: Ending::Exited(0) }).unwrap();
    permitted(&domain, domain.asks("tester", &domain.asked_to_build()));
    domain.clock.pass(1_000);
    domain.states(0, spent()).unwrap();
    done(&domain, domain.orders("alice", Command::Halt));
    assert!(domain.judged().is_clean());
}

/// A gateway whose key is stolen states more than there is room for: nobody else's turn is taken, and what was granted ends on the record.
#[test]
fn a_gateway_states_so_much_by_itself_and_takes_nothing_from_another() {
    let mut domain = domain();
    let (execution, asked) = admitted(&domain, "/usr/bin/make");
    let (own, _) = permitted(&domain, domain.asks("builder", &asked));
    let heartbeat = || Claim::Heartbeat { size: 0, root: writ_tlog::empty_root() };
    domain.rate = Rate { per_second: 1, burst: 3 };
    domain.open(&policies(&domain.members));
    let labels = |text: &str| {
        let labels = Ascending::new([Label::new(text).unwrap()]);
        domain.states(0, Claim::Labelled { writ: own.hash(), execution, labels })
    };
    started(&domain, &own, execution);
    for text in ["a", "b", "c"] {
        labels(text).unwrap();
    }
    let size = domain.size();
    assert_eq!(labels("d").unwrap_err().code(), Code::RateLimited);
    assert_eq!(domain.states(0, heartbeat()).unwrap_err().code(), Code::RateLimited);
    assert_eq!(domain.size(), size, "and nothing of it is recorded");
    domain.states(1, heartbeat()).unwrap();
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    domain.states(0, Claim::Ended { writ: own.hash(), execution, result: Ending::Exited(0) }).unwrap();
    domain.clock.pass(1_000);
    domain.states(0, heartbeat()).unwrap();
    assert!(domain.judged().is_clean());
}
