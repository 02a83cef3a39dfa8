//! The policy set in force and the limits of counters are held where grants get their order (Invariant 5), and an auditor counts again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use writ_ledger::audit::{Finding, audit};
use writ_ledger::{Disclosure, Draft, Ledger, LedgerError, Options, Place, Proposal, Reader, Receipt, Recheck};
use writ_protocol::action::{ActionKind, CommitmentKind};
use writ_protocol::entry::{Activation, Draw, Draws, Obligation, Positive, Target};
use writ_protocol::order::{ControlState, Lookup, Records};
use writ_protocol::{Bundle, Code, Name, Refusal};
use writ_testing::scenario::{Domain, GrantDraft, Standing};
use writ_tlog::sha256;

const BASE_MS: u64 = 1_700_000_000_000;

struct Rig {
    home: PathBuf,
    domain: Domain,
    ledger: Option<Ledger>,
}

impl Rig {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("writ-budgets-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let domain = Domain::new(BASE_MS);
        let mut rig = Self { home, domain, ledger: None };
        Ledger::create(&rig.place(), &rig.domain.genesis(), &rig.domain.ledger_signer()).unwrap();
        rig.restart();
        rig.ledger().append(rig.domain.enrol(0, 1)).unwrap();
        rig
    }

    fn place(&self) -> Place {
        Place::new(self.home.join("ledger.db"), self.home.join("mark"))
    }

    fn restart(&mut self) {
        self.stop();
        let options = Options::new(|| BASE_MS + 60_000);
        self.ledger = Some(Ledger::open(&self.place(), self.domain.ledger_signer(), options).unwrap());
    }

    fn stop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            ledger.close().unwrap();
        }
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn draft(&self) -> GrantDraft {
        self.domain.grant(&Standing::of(&self.ledger().published()))
    }

    fn draw(&self, counter: &str, limit: u64) -> Result<Receipt, LedgerError> {
        self.ledger().append(self.draft().drawing(counter, limit).proposal())
    }

    fn findings(&mut self) -> Vec<Finding> {
        self.stop();
        let place = self.place();
        let report = audit(&place.store, Some(&place.mark), &self.domain.trust_root(), &mut |_, _| {}).unwrap();
        report.findings
    }

    /// What the sequencer answers to proposals that are all in one batch.
    fn in_one_batch(&self, proposals: Vec<Proposal>) -> Vec<Result<Receipt, LedgerError>> {
        let (release, wait) = channel();
        let (started, begun) = channel();
        let gate = Gate { started: Mutex::new(started), wait: Mutex::new(wait) };
        self.ledger().submit(self.draft().proposal().with_reads(gate), |_| {}).unwrap();
        // Once the batch before it is under way, whatever is queued meanwhile is the next one.
        begun.recv().unwrap();
        let answers: Vec<_> = proposals
            .into_iter()
            .map(|proposal| {
                let (answer, answered) = channel();
                self.ledger().submit(proposal, move |result| answer.send(result).unwrap()).unwrap();
                answered
            })
            .collect();
        release.send(()).unwrap();
        let answers: Vec<_> = answers.into_iter().map(|answered| answered.recv().unwrap()).collect();
        let sizes: Vec<_> = answers.iter().flatten().map(Receipt::size).collect();
        assert!(sizes.windows(2).all(|pair| pair.first() == pair.last()), "they were not in one batch: {sizes:?}");
        answers
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.ledger = None;
        std::fs::remove_dir_all(&self.home).ok();
    }
}

/// A read set that holds the sequencer until it is told to go on.
struct Gate {
    started: Mutex<std::sync::mpsc::Sender<()>>,
    wait: Mutex<Receiver<()>>,
}

impl Recheck for Gate {
    fn recheck(
        &self,
        _state: &ControlState,
        _records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        self.started.lock().unwrap().send(()).unwrap();
        self.wait.lock().unwrap().recv().unwrap();
        Ok(Ok(()))
    }
}

/// A decision that has read how much was drawn.
struct ReadDrawn(u64);

impl Recheck for ReadDrawn {
    fn recheck(
        &self,
        _state: &ControlState,
        records: &dyn Records<Error = LedgerError>,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        let drawn = match records.drawn(&Name::new("calls").unwrap())? {
            Lookup::Found(drawn) => drawn,
            Lookup::Absent => 0,
            Lookup::Unknown => panic!("a ledger knows what was drawn"),
        };
        let changed = || Refusal::new(Code::FactsChanged, format!("{drawn} are drawn, decided on {}", self.0));
        Ok(if drawn == self.0 { Ok(()) } else { Err(changed()) })
    }
}

#[track_caller]
fn refused(result: Result<Receipt, LedgerError>, code: Code) {
    match result {
        Err(LedgerError::Refused(refusal)) => assert_eq!(refusal.code(), code, "{refusal}"),
        other => panic!("expected {code}, found {other:?}"),
    }
}

#[test]
fn a_counter_never_passes_its_limit_not_even_after_a_restart() {
    let mut rig = Rig::new("limit");
    rig.draw("calls", 2).unwrap();
    rig.draw("calls", 2).unwrap();
    refused(rig.draw("calls", 2), Code::BudgetExceeded);
    rig.restart();
    refused(rig.draw("calls", 2), Code::BudgetExceeded);
    // Another counter, and a draw with another limit, are judged by themselves.
    rig.draw("other", 1).unwrap();
    rig.draw("calls", 3).unwrap();
    refused(rig.draw("calls", 1), Code::BudgetExceeded);
    assert_eq!(rig.findings(), []);
}

#[test]
fn a_refused_grant_draws_nothing() {
    let mut rig = Rig::new("nothing");
    rig.draw("b", 1).unwrap();
    let draw = |counter: &str| Draw { limit: Positive::ONE, counter: Name::new(counter).unwrap() };
    let mut both = rig.draft();
    both.fields.obligations = vec![Obligation::Budget(Draws::new(vec![draw("a"), draw("b")]).unwrap())];
    refused(rig.ledger().append(both.proposal()), Code::BudgetExceeded);
    rig.draw("a", 1).unwrap();
    assert_eq!(rig.findings(), []);
}

#[test]
fn a_grant_that_is_asked_for_again_draws_once() {
    let mut rig = Rig::new("again");
    let draft = rig.draft().drawing("calls", 2);
    rig.ledger().append(draft.clone().proposal()).unwrap();
    assert!(rig.ledger().append(draft.proposal()).unwrap().repeated);
    rig.draw("calls", 2).unwrap();
    refused(rig.draw("calls", 2), Code::BudgetExceeded);
    assert_eq!(rig.findings(), []);
}

#[test]
fn of_two_grants_racing_in_one_batch_for_the_last_draw_one_is_refused() {
    let mut rig = Rig::new("race");
    let racing = || rig.draft().drawing("calls", 1).proposal();
    let [first, second, beside] =
        <[_; 3]>::try_from(rig.in_one_batch(vec![racing(), racing(), rig.draft().proposal()])).unwrap();
    first.unwrap();
    refused(second, Code::BudgetExceeded);
    beside.unwrap();
    assert_eq!(rig.findings(), []);
}

#[test]
fn a_decision_that_read_a_counter_is_refused_when_it_was_drawn_from_since() {
    let rig = Rig::new("read");
    let decided = |drawn| rig.draft().drawing("calls", 9).proposal().with_reads(ReadDrawn(drawn));
    rig.ledger().append(decided(0)).unwrap();
    refused(rig.ledger().append(decided(0)), Code::FactsChanged);
    rig.ledger().append(decided(1)).unwrap();
}

#[test]
fn a_grant_over_its_limit_that_a_changed_projection_let_through_is_found() {
    let mut rig = Rig::new("tampered");
    rig.draw("calls", 1).unwrap();
    rig.stop();
    let store = rusqlite::Connection::open(rig.place().store).unwrap();
    assert_eq!(store.execute("UPDATE budget SET drawn = 0 WHERE counter = 'calls'", []).unwrap(), 1);
    drop(store);
    rig.restart();
    let over = rig.draw("calls", 1).expect("between audits a node believes its projections").index;
    let findings = rig.findings();
    let against = findings.iter().any(|finding| {
        matches!(finding, Finding::AgainstRules { at, refusal } if *at == over && refusal.code() == Code::BudgetExceeded)
    });
    // The projection says the right number again; the entries tell.
    assert!(against, "{findings:?}");
}

/// The authority verifies what is asked, and the sequencer takes its word; the audit takes nobody's.
#[test]
fn a_grant_of_what_nobody_has_signed_is_found() {
    let mut rig = Rig::new("asked");
    let (request, alice) = (rig.domain.asked(), rig.domain.alice());
    let by_alice = request.sign(rig.domain.origin(), rig.domain.alice_key().signing_key());
    let by_other = request.sign(rig.domain.origin(), rig.domain.holder().signing_key());
    rig.ledger().append(rig.draft().answering(&request, &by_alice, alice.clone()).proposal()).unwrap();
    assert_eq!(rig.findings(), []);
    rig.restart();
    let request = rig.domain.asked();
    let draft = rig.draft().answering(&request, &by_other, alice);
    let at = rig.ledger().append(draft.proposal()).unwrap().index;
    let findings = rig.findings();
    let [Finding::RequestDiffers { at: found, refusal }] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((*found, refusal.code()), (at, Code::UnknownAuthority));
}

#[test]
fn a_grant_stands_under_the_policy_set_in_force() {
    let mut rig = Rig::new("policy");
    let mut early = rig.draft();
    early.fields.policy.epoch = 7;
    rig.ledger().append(early.proposal()).expect("no set is in force yet");
    rig.ledger().append(rig.domain.activate(1)).unwrap();
    rig.ledger().append(rig.draft().proposal()).unwrap();
    refused(rig.ledger().append(rig.domain.activate(1)), Code::PolicyStale);
    refused(rig.ledger().append(rig.domain.activate(3)), Code::PolicyStale);
    rig.ledger().append(rig.domain.activate(2)).unwrap();
    rig.restart();
    let active = rig.ledger().published().control.policy().unwrap().clone();
    assert_eq!((active.epoch.get(), active.set), (2, sha256(&rig.domain.policy_set(2))));
    refused(rig.ledger().append(rig.draft().proposal()), Code::PolicyMismatch);
    rig.ledger().append(rig.draft().under(active.set, 2).proposal()).unwrap();
    assert_eq!(rig.findings(), []);
}

#[test]
fn a_grant_that_races_with_a_new_policy_set_is_refused() {
    let mut rig = Rig::new("activation-race");
    rig.ledger().append(rig.domain.activate(1)).unwrap();
    let [before, activation, after] = <[_; 3]>::try_from(rig.in_one_batch(vec![
        rig.draft().proposal(),
        rig.domain.activate(2),
        rig.draft().proposal(),
    ]))
    .unwrap();
    before.unwrap();
    activation.unwrap();
    refused(after, Code::PolicyMismatch);
    assert_eq!(rig.findings(), []);
}

#[test]
fn a_revoked_policy_set_neither_grants_nor_comes_back() {
    let mut rig = Rig::new("revoked");
    let set = sha256(&rig.domain.policy_set(1));
    rig.ledger().append(rig.domain.activate(1)).unwrap();
    rig.ledger().append(rig.domain.revoke(Target::Policy(set))).unwrap();
    refused(rig.ledger().append(rig.draft().proposal()), Code::Revoked);
    let (activation, mut content) = rig.domain.activation(2);
    content.value = rig.domain.policy_set(1);
    let again = Activation { set, content: content.commitment(), ..activation };
    refused(rig.ledger().append(Proposal::new(Draft::Policy(again)).with_openings(vec![content])), Code::Revoked);
    assert_eq!(rig.findings(), []);
}

#[test]
fn an_activation_is_answered_once_and_its_request_stands_for_no_other() {
    let rig = Rig::new("idempotent");
    let (activation, content) = rig.domain.activation(1);
    let propose =
        |activation: &Activation| Proposal::new(Draft::Policy(activation.clone())).with_openings(vec![content.clone()]);
    let first = rig.ledger().append(propose(&activation)).unwrap();
    let again = rig.ledger().append(propose(&activation)).unwrap();
    assert!(again.repeated && again.hash() == first.hash());
    let (mut other, content) = rig.domain.activation(2);
    other.request = activation.request;
    let other = Proposal::new(Draft::Policy(other)).with_openings(vec![content]);
    refused(rig.ledger().append(other), Code::Replayed);
}

#[test]
fn what_a_policy_entry_names_is_what_it_commits_to() {
    let rig = Rig::new("content");
    let (activation, content) = rig.domain.activation(1);
    refused(rig.ledger().append(Proposal::new(Draft::Policy(activation.clone()))), Code::CommitmentMismatch);
    let other = Activation { set: sha256(b"another set"), ..activation };
    let other = Proposal::new(Draft::Policy(other)).with_openings(vec![content]);
    refused(rig.ledger().append(other), Code::CommitmentMismatch);
    rig.ledger().append(rig.domain.activate(1)).unwrap();
}

#[test]
fn the_evidence_of_a_policy_set_opens_it() {
    let mut rig = Rig::new("evidence");
    let at = rig.ledger().append(rig.domain.activate(1)).unwrap().index;
    rig.stop();
    let reader = Reader::open(&rig.place().store).unwrap();
    let bundle = reader.bundle(at, &reader.view().unwrap(), Disclosure::Values).unwrap();
    let story = Bundle::verify(&bundle.encode(), &rig.domain.trust_root()).unwrap();
    let values: Vec<_> = story.openings.iter().map(|opening| (opening.kind, opening.value.clone())).collect();
    assert_eq!(values, [(CommitmentKind::Policy, rig.domain.policy_set(1))]);
}

#[test]
fn an_order_is_never_recorded_as_an_execution() {
    let rig = Rig::new("kinds");
    let standing = Standing::of(&rig.ledger().published());
    let mut denied = rig.domain.denied_order(&standing);
    denied.denial.action.kind = ActionKind::Exec;
    refused(rig.ledger().append(denied.proposal()), Code::CommitmentMismatch);
    let denied = rig.domain.denied_order(&standing).proposal();
    assert!(denied.openings.iter().any(|opening| opening.kind == CommitmentKind::Action));
    rig.ledger().append(denied).unwrap();
}

#[test]
fn a_tally_is_recorded_and_says_nothing_of_anyone() {
    let mut rig = Rig::new("tally");
    let receipt = rig.ledger().append(rig.domain.tally()).unwrap();
    let body = receipt.decode(rig.domain.origin()).unwrap().body;
    assert!(body.request().is_none() && body.asked_by().is_none() && body.commitments().is_empty());
    assert_eq!(rig.findings(), []);
}
