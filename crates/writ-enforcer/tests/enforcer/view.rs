//! What the control chain says against a writ, and a view of it that is too old, of another ledger, or shown by nobody.

use crate::ledger::{GATEWAY, LIMIT_MS, Ledger, NOW_MS, OTHER_GATEWAY, name, policy_set, public};
use crate::play::{FREEZE_MS, Handed, ORIGIN, Play, SENT, Way, admitted, assert_refused, good, refused};
use writ_enforcer::{BootTime, ControlView};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{AssertedPrincipal, EntryRef, Place, Target, Window};
use writ_protocol::{Bundle, Code, Refusal};
use writ_tlog::{ConsistencyProof, Hash};

fn meanwhile(code: Code, what: impl Fn(&mut Ledger, Hash) + 'static) {
    refused(Way::Handed, code, |play| play.meanwhile = Box::new(what));
}

#[test]
fn a_writ_of_which_anything_is_revoked_admits_nothing() {
    meanwhile(Code::Revoked, |ledger, writ| ledger.revoke(Target::Writ(writ)));
    meanwhile(Code::Revoked, |ledger, _| ledger.revoke(Target::Key(public("holder").key().fingerprint())));
    meanwhile(Code::Revoked, |ledger, _| {
        ledger.revoke(Target::Principal(AssertedPrincipal { kind: name("Agent"), id: name("builder") }));
    });
    meanwhile(Code::Revoked, |ledger, _| ledger.revoke(Target::Policy(policy_set(1))));
    meanwhile(Code::Revoked, |ledger, _| ledger.revoke(Target::Gateway(name(GATEWAY))));
    meanwhile(Code::Revoked, |ledger, entry| {
        let origin = ledger.origin().clone();
        ledger.revoke(Target::Lineage { ledger: origin, entry });
    });
}

#[test]
fn a_writ_whose_cause_is_revoked_admits_nothing() {
    let cause = Hash::from_bytes([1; 32]);
    for lineage in [true, false] {
        refused(Way::Handed, Code::Revoked, |play| {
            let parent = EntryRef { entry: cause, index: 2, ledger: play.ledger.origin().clone() };
            play.terms.cause.place = Place::Caused { depth: 1, parent: parent.clone(), origin: parent };
            play.meanwhile = Box::new(move |ledger, _| {
                let origin = ledger.origin().clone();
                let whole = Target::Lineage { ledger: origin, entry: cause };
                ledger.revoke(if lineage { whole } else { Target::Writ(cause) });
            });
        });
    }
}

#[test]
fn what_is_revoked_of_others_does_not_matter() {
    let mut play = good(Way::Handed);
    play.meanwhile = Box::new(|ledger, _| {
        ledger.revoke(Target::Writ(Hash::from_bytes([1; 32])));
        ledger.revoke(Target::Gateway(name(OTHER_GATEWAY)));
        ledger.revoke(Target::Policy(policy_set(7)));
        ledger.revoke(Target::Key(public("somebody").key().fingerprint()));
    });
    admitted(Way::Handed, play);
}

#[test]
fn while_the_domain_is_halted_nothing_is_admitted() {
    meanwhile(Code::Halted, |ledger, _| ledger.halt());
}

#[test]
fn a_writ_of_an_earlier_policy_is_stale() {
    meanwhile(Code::PolicyStale, |ledger, _| ledger.activate(2));
}

/// A ledger never takes such a grant; whoever presents one has it from a ledger without rules.
#[test]
fn a_writ_of_a_policy_that_was_never_in_force_admits_nothing() {
    refused(Way::Handed, Code::PolicyMismatch, |play| play.terms.policy.set = policy_set(9));
    refused(Way::Handed, Code::PolicyMismatch, |play| play.terms.policy.epoch = 2);
}

#[test]
fn a_view_that_is_too_old_admits_nothing() {
    let mut late = good(Way::Handed);
    late.now.boot = BootTime(SENT.0 + FREEZE_MS + 1);
    // Not even to a spend: the use would be lost.
    assert_refused(Code::ViewStale, late.hand_over());
    let mut last = good(Way::Handed);
    last.now.boot = BootTime(SENT.0 + FREEZE_MS);
    admitted(Way::Handed, last);
}

/// A quiet ledger has an old seal. The clock is held against that of the newest tree.
#[test]
fn the_clock_is_compared_with_the_newest_seal() {
    let begun_ms_ago = |ms: u64| {
        examined(|play| {
            play.ledger.time_ms = NOW_MS - ms;
            play.ledger.enrol("process/03", 1);
            let mut view = ControlView::begin(play.ledger.trust(), &play.ledger.bundle()).unwrap();
            let heartbeat = play.say((&view).into());
            play.ledger.time_ms = NOW_MS;
            let at = play.ledger.report(&heartbeat);
            play.follow(&mut view).unwrap();
            view.confirm(&heartbeat, &play.ledger.proved(at), SENT).unwrap();
            view
        })
    };
    for ms in [0, 20_000] {
        assert_eq!(begun_ms_ago(ms).unwrap().spend().unwrap().usage().get(), 1);
    }
}

/// The scene up to the view, which a test may then withhold something from.
fn examined(view: impl FnOnce(&mut Play) -> ControlView) -> Result<Handed, Refusal> {
    let mut play = good(Way::Handed);
    let index = play.granted();
    let entry = play.ledger.hash(index);
    let view = view(&mut play);
    let examined = play.examine(&play.writ(index), entry, &view)?;
    Ok(Handed { play, examined })
}

#[test]
fn a_view_that_nothing_has_confirmed_admits_nothing() {
    assert_refused(Code::ViewStale, examined(|play| play.view_to_confirm().0));
    assert_eq!(examined(Play::view).unwrap().spend().unwrap().usage().get(), 1);
}

#[test]
fn a_view_of_before_the_writ_admits_nothing() {
    let mut play = good(Way::Handed);
    let early = play.view();
    let index = play.granted();
    let entry = play.ledger.hash(index);
    assert_refused(Code::ViewStale, play.examine(&play.writ(index), entry, &early));
    let late = play.view();
    assert_eq!(*play.examine(&play.writ(index), entry, &late).unwrap().writ().entry(), entry);
}

/// A confirmation that the view does not hold yet says nothing about what the view says.
#[test]
fn a_confirmation_that_is_newer_than_the_view_does_not_count() {
    let late = |play: &mut Play| {
        let mut view = ControlView::begin(play.ledger.trust(), &play.ledger.bundle()).unwrap();
        let heartbeat = play.say((&view).into());
        let at = play.ledger.report(&heartbeat);
        view.confirm(&heartbeat, &play.ledger.proved(at), SENT).unwrap();
        view
    };
    assert_refused(Code::ViewStale, examined(late));
    examined(|play| {
        let mut view = late(play);
        play.follow(&mut view).unwrap();
        view
    })
    .unwrap();
}

#[test]
fn a_receipt_for_another_statement_confirms_nothing() {
    let mut play = good(Way::Handed);
    let (mut view, heartbeat, receipt) = play.view_to_confirm();
    let other = play.say(writ_protocol::statement::Claim::Heartbeat { size: 1, root: Hash::from_bytes([0; 32]) });
    assert_refused(Code::ViewStale, view.confirm(&other, &receipt, SENT));
    let genesis = play.ledger.proved(0);
    assert_refused(Code::ViewStale, view.confirm(&heartbeat, &genesis, SENT));
    assert_refused(Code::ViewStale, view.age_ms(SENT));
    view.confirm(&heartbeat, &receipt, SENT).unwrap();
    assert_eq!(view.age_ms(SENT).unwrap(), 0);
}

#[test]
fn a_receipt_of_another_ledger_confirms_nothing() {
    let mut play = good(Way::Handed);
    let (mut view, heartbeat, _) = play.view_to_confirm();
    let mut other = Ledger::new("other.example/ledger");
    let at = other.report(&heartbeat);
    assert_refused(Code::UnknownAuthority, view.confirm(&heartbeat, &other.proved(at), SENT));
    assert_refused(Code::ViewStale, view.age_ms(SENT));
}

#[test]
fn a_forged_receipt_confirms_nothing() {
    let mut play = good(Way::Handed);
    let (mut view, heartbeat, _) = play.view_to_confirm();
    let at = play.ledger.size() - 2;
    let mut proof = play.ledger.proof(at);
    proof.proof = writ_tlog::InclusionProof::new(vec![Hash::from_bytes([0; 32]); proof.proof.hashes().len()]);
    assert_refused(Code::ProofInvalid, view.confirm(&heartbeat, &proof.encode(), SENT));
    assert_refused(Code::ViewStale, view.age_ms(SENT));
}

#[test]
fn a_ledger_that_shows_another_history_is_not_followed() {
    let common = Ledger::new(ORIGIN);
    let (mut one, mut other) = (common.clone(), common);
    one.enrol("process/03", 1);
    other.enrol("process/04", 1);
    let mut view = ControlView::begin(one.trust(), &one.bundle()).unwrap();
    let before = (view.size(), view.root(), view.state().head());
    other.halt();
    let proof = other.consistency(view.size().get());
    assert_refused(Code::ProofInvalid, view.advance(&other.bundle(), &proof));
    assert_refused(Code::ProofInvalid, view.advance(&other.bundle(), &ConsistencyProof::new(Vec::new())));
    assert_eq!((view.size(), view.root(), view.state().head()), before);
    one.halt();
    view.advance(&one.bundle(), &one.consistency(view.size().get())).unwrap();
    assert!(view.state().halted().is_some());
}

/// An older copy of the same ledger hides what came since.
#[test]
fn a_ledger_that_went_back_is_not_followed() {
    let old = Ledger::new(ORIGIN);
    let mut new = old.clone();
    new.halt();
    let mut view = ControlView::begin(new.trust(), &new.bundle()).unwrap();
    let proof = new.consistency(old.size());
    assert_refused(Code::ProofInvalid, view.advance(&old.bundle(), &proof));
    assert_refused(Code::ProofInvalid, view.advance(&old.bundle(), &ConsistencyProof::new(Vec::new())));
    assert!(view.state().halted().is_some());
}

#[test]
fn a_view_comes_from_the_bundle_of_genesis_of_a_pinned_ledger_alone() {
    let ledger = Ledger::new(ORIGIN);
    assert_refused(Code::EvidenceInvalid, ControlView::begin(ledger.trust(), &ledger.bundle_about(2)));
    let other = Ledger::new("other.example/ledger");
    assert_refused(Code::UnknownAuthority, ControlView::begin(ledger.trust(), &other.bundle()));
    let mut view = ControlView::begin(ledger.trust(), &ledger.bundle()).unwrap();
    assert_refused(Code::UnknownAuthority, view.advance(&other.bundle(), &ConsistencyProof::new(Vec::new())));
    assert_eq!((view.size().get(), view.root()), (ledger.size(), ledger.root()));
}

/// Of two statements sent at one moment the first that is recorded counts: the other is in a tree that the view does not hold yet.
#[test]
fn a_confirmation_that_shows_no_later_time_takes_nothing_away() {
    let mut play = good(Way::Handed);
    let mut view = play.view();
    let again = play.say((&view).into());
    let at = play.ledger.report(&again);
    view.confirm(&again, &play.ledger.proved(at), SENT).unwrap();
    assert_eq!(view.age_ms(SENT).unwrap(), 0);
}

/// The bundle that gives a view, with something done to it.
fn changed(ledger: &Ledger, change: impl FnOnce(&mut Bundle)) -> Result<ControlView, Refusal> {
    let mut bundle = Bundle::decode(&ledger.bundle()).unwrap();
    change(&mut bundle);
    ControlView::begin(ledger.trust(), &bundle.encode())
}

#[test]
fn a_view_without_an_entry_of_the_control_chain_is_none() {
    let mut ledger = Ledger::new(ORIGIN);
    ledger.halt();
    changed(&ledger, |_| {}).unwrap();
    for at in 1..5 {
        assert_refused(Code::ControlChainBroken, changed(&ledger, |bundle| drop(bundle.entries.remove(at))));
    }
    assert_refused(Code::EvidenceIncomplete, changed(&ledger, |bundle| drop(bundle.entries.pop())));
}

#[test]
fn a_view_with_a_value_that_nothing_commits_to_is_none() {
    let ledger = Ledger::new(ORIGIN);
    let opening = Opening { kind: CommitmentKind::Text, salt: [0; 32], value: b"smuggled".to_vec() };
    assert_refused(Code::CommitmentMismatch, changed(&ledger, |bundle| bundle.openings.push(opening)));
}

/// The rules of order hold for whatever a ledger shows: one that grants more than its genesis allows is not followed.
#[test]
fn a_view_that_shows_a_grant_beyond_the_limits_is_none() {
    for (window_ms, code) in [(LIMIT_MS, Code::EvidenceInvalid), (LIMIT_MS + 1, Code::ScopeWidened)] {
        let mut play = good(Way::Handed);
        play.terms.window = Window::new(NOW_MS, NOW_MS + window_ms).unwrap();
        let at = play.granted();
        let grant = play.ledger.proved_entry(at);
        // Within the limits it is refused later, since it does not belong there.
        assert_refused(code, changed(&play.ledger, |bundle| bundle.entries.insert(4, grant)));
    }
}

#[test]
fn a_view_only_grows_older_until_it_is_confirmed_again() {
    let mut play = good(Way::Handed);
    let mut view = play.view();
    let ages = |view: &ControlView| (0..200).map(|step| view.age_ms(BootTime(SENT.0 + 37 * step)).unwrap()).collect();
    let first: Vec<u64> = ages(&view);
    assert!(first.is_sorted_by(|a, b| a < b), "{first:?}");
    let heartbeat = play.say((&view).into());
    let at = play.ledger.report(&heartbeat);
    play.follow(&mut view).unwrap();
    let following: Vec<u64> = ages(&view);
    assert_eq!(following, first, "a newer tree alone shows no later time");
    // An older confirmation that comes late does not make it older, nor younger than it is.
    view.confirm(&heartbeat, &play.ledger.proved(at), BootTime(SENT.0 + 500)).unwrap();
    view.confirm(&heartbeat, &play.ledger.proved(at), BootTime(SENT.0 - 500)).unwrap();
    assert_eq!(view.age_ms(BootTime(SENT.0 + 700)).unwrap(), 200);
}
