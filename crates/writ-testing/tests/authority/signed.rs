//! Domains whose root has pinned the authors of policies: the node decides by what the control chain names, and by nothing else.

use crate::answers::{denied, permitted, turned_away};
use writ_authority::{Authority, AuthorityError, Caller, Rate, Received, Semantics, Setting, SolverCommand};
use writ_ledger::{Ledger, LedgerError, Options, Place};
use writ_protocol::action::Command;
use writ_protocol::order::ActivePolicy;
use writ_protocol::statement::{Request, RootCommand};
use writ_protocol::{Body, Code};
use writ_testing::governed::{GovernedDomain, Myself, PolicyFiles, wait};
use writ_testing::scenario::{Domain, Secret, authors};

fn ledger(domain: &Domain, place: &Place, now_ms: u64) -> Ledger {
    Ledger::open(place, domain.ledger_signer(), Options::new(move || now_ms)).unwrap()
}

fn resumed(domain: &mut GovernedDomain) -> Result<Authority, AuthorityError> {
    domain.close();
    let now_ms = domain.clock.now_ms();
    Authority::resume(ledger(&domain.domain, &domain.place, now_ms), &domain.place.store, setting(now_ms))
}

fn setting(now_ms: u64) -> Setting {
    let (clock, solver) = (Box::new(move || now_ms), SolverCommand::new("cvc5"));
    Setting { clock, rate: Rate::STANDARD, rate_together: None, solver, semantics: Semantics::CURRENT }
}

fn active(authority: &Authority) -> ActivePolicy {
    authority.published().control.policy().unwrap().clone()
}

#[test]
fn a_node_takes_up_the_set_that_the_chain_names_and_no_other_comes_without_authors() {
    let mut domain = GovernedDomain::new();
    let standard = PolicyFiles::standard(&domain.members);
    domain.root_orders(RootCommand::PolicyAuthors(authors(2)), &standard).unwrap();
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    let before = active(domain.authority());
    let other = standard.with("more.cedar", "@id(\"more\") forbid (principal, action, resource);").snapshot();
    let refused = domain.authority().activate(&other);
    assert!(
        matches!(&refused, Err(AuthorityError::Ledger(LedgerError::Refused(why))) if why.code() == Code::SignatureInvalid),
        "{refused:?}"
    );
    assert_eq!(*domain.authority().policy().set.digest(), before.set, "what is not recorded is not in force");
    let authority = resumed(&mut domain).unwrap();
    assert_eq!((active(&authority), *authority.policy().set.digest()), (before.clone(), before.set));
    authority.close().unwrap();
    assert!(domain.judged().is_clean());
}

#[test]
fn without_a_set_that_can_be_read_back_no_node_starts() {
    let mut domain = GovernedDomain::new();
    let (index, commitment) = domain
        .entered()
        .iter()
        .find_map(|one| match &one.body {
            Body::Policy(activation) => Some((one.index, activation.content)),
            _ => None,
        })
        .unwrap();
    denied(&domain, domain.erases(index, commitment), Code::StillNeeded);
    domain.slips_in_erasure(index, commitment);
    let refused = resumed(&mut domain).err();
    assert!(matches!(refused, Some(AuthorityError::SetMissing { epoch: 1, at }) if at == index), "{refused:?}");

    let home = tempfile::tempdir().unwrap();
    let place = Place::new(home.path().join("ledger.db"), home.path().join("mark"));
    let empty = Domain::new(1_795_248_000_000);
    Ledger::create(&place, &empty.genesis(), &empty.ledger_signer()).unwrap();
    let ledger = ledger(&empty, &place, 1_795_248_001_000);
    ledger.append(empty.pin_authors()).unwrap();
    let refused = Authority::resume(ledger, &place.store, setting(1_795_248_001_000)).err();
    assert!(matches!(refused, Some(AuthorityError::NoSet)), "{refused:?}");
}

#[test]
fn whoever_hands_a_bundle_in_is_known_by_a_key_or_counted() {
    let mut domain = GovernedDomain::new();
    let publish = |bundle: &[u8]| Request {
        time_ms: domain.clock.now_ms(),
        ..domain.domain.asked_order(Command::Publish(writ_tlog::sha256(bundle)))
    };
    let origin = domain.domain.origin();
    let hand_in =
        |received: Received<'_>, bundle: &[u8]| wait(domain.authority().publish(&Caller::Remote, received, bundle));
    // A stranger is counted, a request for a writ is none, and so is one that nobody has signed.
    let stranger = Secret::new(writ_tlog::Algorithm::Ed25519, "stranger");
    let signed = publish(b"").sign(origin, stranger.signing_key());
    turned_away(&domain, || hand_in(Received::Signed(&signed), b""), Code::Unauthenticated);
    let bare = publish(b"").payload(origin);
    turned_away(&domain, || hand_in(Received::Bare(&bare), b""), Code::Unauthenticated);
    let asked = domain.member("alice").sign(&domain.asked_to_build(), origin);
    turned_away(&domain, || hand_in(Received::Signed(&asked), b""), Code::Malformed);
    // By the kernel's word alone nobody publishes, and an order that publishes comes with its bundle.
    let myself = Myself::now();
    let job = myself.as_user(domain.job_uid());
    let bare = publish(b"a").payload(origin);
    denied(&domain, wait(domain.authority().publish(&job, Received::Bare(&bare), b"a")), Code::Unauthenticated);
    denied(&domain, domain.orders("alice", Command::Publish(writ_tlog::sha256(b"b"))), Code::Malformed);
    let signed = domain.member("alice").sign(&publish(b"c"), origin);
    let (told, denial) = denied(&domain, hand_in(Received::Signed(&signed), b"c"), Code::Malformed);
    assert!(denial.text.is_some() && told.clauses.is_empty());
    // The same request again has the same answer.
    let (again, _) = denied(&domain, hand_in(Received::Signed(&signed), b"c"), Code::Malformed);
    assert!(again.receipt.repeated);
    assert!(domain.judged().is_clean());
}
