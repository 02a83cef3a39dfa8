//! A ledger that was begun by an earlier release: it goes on by the semantics it was begun under, until its authors publish, and all of it
//! is derived again, each decision by what it was made by.

use crate::answers::{denied, permitted};
use crate::replay::Decided;
use writ_authority::{AuthorityError, Outcome, Role, Semantics, Shift, Truth, backtest, replay, retell};
use writ_ledger::{Draft, Proposal, Reader};
use writ_protocol::action::Opening;
use writ_protocol::entry::{Activation, Grant};
use writ_protocol::{Body, Code, Label, Name, encode_policy_set};
use writ_testing::governed::{GovernedDomain, PolicyFiles};
use writ_tlog::{LeafIndex, sha256};

/// A domain of an earlier release, which has permitted one request and denied another for the number of its permits.
fn begun() -> (GovernedDomain, PolicyFiles) {
    let members = GovernedDomain::members();
    let policies = PolicyFiles::crowded(&members);
    let domain = GovernedDomain::begun_under(Semantics::Writ1, members, &policies);
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    refused_for_the_number(&domain);
    (domain, policies)
}

fn refused_for_the_number(domain: &GovernedDomain) {
    let (told, denial) =
        denied(domain, domain.asks("builder", &domain.asked(&[PolicyFiles::CROWDED])), Code::EvaluationError);
    assert!(told.why.contains("found 257"), "{}", told.why);
    assert_eq!(denial.policy.unwrap().semantics.as_str(), Semantics::Writ1.as_str());
}

fn permitted_with_the_first_named(domain: &GovernedDomain) -> Grant {
    let (_, grant) = permitted(domain, domain.asks("builder", &domain.asked(&[PolicyFiles::CROWDED])));
    assert_eq!(grant.policy.semantics.as_str(), Semantics::Writ2.as_str());
    let reasons: Vec<&str> = grant.policy.reasons.as_slice().iter().map(Name::as_str).collect();
    assert_eq!((reasons.len(), reasons[0], reasons[255]), (256, "crowd/000", "crowd/255"));
    grant
}

/// Epoch and semantics in force, as the node decides and as the chain says.
fn in_force(domain: &GovernedDomain) -> (u64, Semantics) {
    let (active, policy) =
        (domain.authority().published().control.policy().unwrap().clone(), domain.authority().policy());
    assert_eq!((active.epoch, active.semantics.as_str()), (policy.epoch, policy.set.semantics().as_str()));
    (policy.epoch.get(), policy.set.semantics())
}

/// Every decision that is recorded, derived again byte for byte; how many there are.
fn all_the_same(domain: &mut GovernedDomain) -> u64 {
    let judgement = domain.judged();
    assert!(judgement.is_clean() && judgement.replay.erased == 0, "{judgement:?}");
    let reader = Reader::open(&domain.place.store).unwrap();
    let decisions = domain.entered().into_iter().filter(|one| {
        matches!(&one.body, Body::Grant(_)) || matches!(&one.body, Body::Denial(denial) if denial.policy.is_some())
    });
    let mut count = 0;
    for decision in decisions {
        let retold = retell(&reader, LeafIndex::new(decision.index)).unwrap();
        assert!(matches!(retold.outcome, Outcome::Same { .. }), "{}: {:?}", decision.index, retold.outcome);
        count += 1;
    }
    assert_eq!(judgement.replay.same, count);
    count
}

#[test]
fn a_folder_that_is_followed_begins_an_epoch_under_the_new_semantics_and_says_so_in_the_ledger() {
    let (mut domain, policies) = begun();
    domain.semantics = Semantics::CURRENT;
    domain.open(&policies);
    assert_eq!(in_force(&domain), (2, Semantics::Writ2));
    let grant = permitted_with_the_first_named(&domain);

    // Against history, the folder is tried as it would be in force now.
    let tried = backtest(&domain.place.store, &policies.snapshot(), &|_, _| {}).unwrap();
    assert_eq!((tried.decided, tried.same, tried.count(Shift::Permitted)), (3, 2, 1), "{tried:?}");

    // All that permitted it are told of, also the one that the entry does not name.
    let index =
        domain.entered().iter().find(|one| matches!(&one.body, Body::Grant(found) if *found == grant)).unwrap().index;
    let explanation = retell(&Reader::open(&domain.place.store).unwrap(), LeafIndex::new(index)).unwrap().explanation;
    let determining = explanation.unwrap().policies.into_iter().filter(|told| told.role == Role::Determining);
    assert_eq!(determining.filter(|told| told.truth == Truth::Holds).count(), 257);
    assert_eq!(all_the_same(&mut domain), 3);
    // Started again, it goes on.
    domain.open(&policies);
    assert_eq!(in_force(&domain), (2, Semantics::Writ2));
}

/// Puts a set in force, whatever it says, and pins authors; or only the first.
fn in_force_is(domain: &mut GovernedDomain, value: Vec<u8>, semantics: &str, signed: bool) {
    let (activation, content) = domain.domain.activation(2);
    let content = Opening { value, ..content };
    let activation = Activation {
        set: sha256(&content.value),
        content: content.commitment(),
        semantics: Label::new(semantics).unwrap(),
        ..activation
    };
    let pinned = signed.then(|| domain.domain.pin_authors());
    let activated = Proposal::new(Draft::Policy(activation)).with_openings(vec![content]);
    domain.slips_in([activated].into_iter().chain(pinned));
}

#[test]
fn a_node_that_cannot_go_on_by_what_is_in_force_does_not_start_and_says_what_to_do() {
    let members = GovernedDomain::members();
    let sound = PolicyFiles::standard(&members).snapshot().encode();
    let unsound = encode_policy_set([("a.cedar", &b"permit ("[..]), ("principals.json", b"[]")].into_iter());
    let known = Semantics::CURRENT.as_str();
    for (value, semantics, expected) in [
        (
            sound,
            "cedar-5.0-writ-9",
            "decides by `cedar-5.0-writ-9`, and this release has `cedar-4.14-writ-1`, `cedar-4.14-writ-2`: start the node with the release that put the set in force",
        ),
        (unsound, known, "this release cannot read it, so nothing can be decided: a.cedar:1:"),
        (b"no set".to_vec(), known, "this release cannot read it, so nothing can be decided: malformed"),
    ] {
        let mut domain = GovernedDomain::new();
        in_force_is(&mut domain, value, semantics, true);
        let before = domain.entered().len();
        let error = domain.resume().unwrap_err();
        assert!(
            matches!(
                error,
                AuthorityError::SemanticsUnknown { epoch: 2, .. } | AuthorityError::SetUnread { epoch: 2, .. }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(domain.entered().len(), before, "nothing is appended by itself");
    }
}

#[test]
fn decisions_by_semantics_that_are_not_in_this_binary_are_named_and_are_no_success() {
    let mut decided = Decided::new();
    let standard = PolicyFiles::standard(&decided.domain.members).snapshot().encode();
    let (set, later) = (sha256(&standard), Label::new("cedar-5.0-writ-9").unwrap());
    in_force_is(&mut decided.domain, standard, later.as_str(), false);
    let grant = decided.grant(|fields| {
        (fields.policy.set, fields.policy.epoch, fields.policy.semantics) = (set, 2, later.clone());
    });
    decided.domain.slips_in([grant]);
    let judgement = decided.domain.judged();
    assert!(judgement.findings.is_empty() && !judgement.is_clean(), "{judgement:?}");
    let replay = judgement.replay;
    assert_eq!((replay.same, replay.different, replay.erased, replay.unknown_semantics), (2, 0, 0, 1));
    let [named] = replay.not_replayable.as_slice() else { panic!("{replay:?}") };
    let what = "it was decided by `cedar-5.0-writ-9`, and this release has `cedar-4.14-writ-1`, `cedar-4.14-writ-2`";
    assert_eq!(named.what, what);
    let retold = retell(&Reader::open(&decided.domain.place.store).unwrap(), LeafIndex::new(named.index)).unwrap();
    assert_eq!(retold.outcome, Outcome::UnknownSemantics(what.to_owned()));
    assert!(retold.explanation.is_none());
    // What was recorded of it is still tried against a candidate.
    let candidate = PolicyFiles::standard(&decided.domain.members).snapshot();
    let tried = backtest(&decided.domain.place.store, &candidate, &|_, _| {}).unwrap();
    assert_eq!((tried.decided, tried.undecided), (3, 0));
}

/// Kept from the epoch before, the set is derived from under the semantics of each.
#[test]
fn a_set_that_is_erased_in_one_epoch_is_replayed_from_another_under_both_semantics() {
    let (mut domain, policies) = begun();
    domain.semantics = Semantics::CURRENT;
    domain.open(&policies);
    permitted_with_the_first_named(&domain);
    let first = domain.entered().into_iter().filter(|one| matches!(one.body, Body::Policy(_))).nth(1).unwrap();
    let Body::Policy(activation) = &first.body else { panic!("{first:?}") };
    let commitment = activation.content;
    domain.slips_in_erasure(first.index, commitment);
    let (report, replayed) =
        replay(&domain.place.store, Some(&domain.place.mark), &domain.domain.trust_root(), &mut |_, _| {}).unwrap();
    assert_eq!((report.findings.len(), replayed.same, replayed.erased), (0, 3, 0), "{replayed:?}");
}
