//! What an attacker, or a caller with a bug, tries on the sequencer: refused alone, and the node goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use writ_ledger::{Draft, Ledger, LedgerError, Options, Place, Proposal};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{Ascending, Window};
use writ_protocol::{Code, Name};
use writ_testing::scenario::{Domain, Standing};

const BASE_MS: u64 = 1_700_000_000_000;

struct Rig {
    home: PathBuf,
    domain: Domain,
    ledger: Option<Ledger>,
}

impl Rig {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("writ-attacks-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let domain = Domain::new(BASE_MS);
        let place = Place::new(home.join("ledger.db"), home.join("mark"));
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        let mut rig = Self { home, domain, ledger: None };
        rig.ledger = Some(rig.open().unwrap());
        rig.ledger().append(rig.domain.enrol(0, 1)).unwrap();
        rig
    }

    fn place(&self) -> Place {
        Place::new(self.home.join("ledger.db"), self.home.join("mark"))
    }

    fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.place(), self.domain.ledger_signer(), Options::new(|| BASE_MS + 60_000))
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn grant(&self) -> Proposal {
        self.domain.grant(&Standing::of(&self.ledger().published())).to_group(self.domain.group()).proposal()
    }

    /// Refused with this code, nothing recorded, and the next honest proposal goes through.
    fn refused(&self, proposal: Proposal, code: Code) {
        let before = self.ledger().published().checkpoint;
        match self.ledger().append(proposal) {
            Err(LedgerError::Refused(refusal)) => assert_eq!(refusal.code(), code, "{refusal}"),
            other => panic!("expected {code}, found {other:?}"),
        }
        assert_eq!(self.ledger().published().checkpoint, before);
        self.ledger().append(self.grant()).unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.ledger = None;
        std::fs::remove_dir_all(&self.home).ok();
    }
}

#[test]
fn an_entry_that_nobody_could_read_is_never_recorded() {
    let rig = Rig::new("unreadable");
    let mut enrolment = rig.domain.enrol(1, 1);
    let Draft::Gateway(body) = &mut enrolment.draft else { panic!("an enrolment") };
    body.groups = Ascending::new((0..257).map(|number| Name::new(format!("g{number}")).unwrap()));
    rig.refused(enrolment, Code::Malformed);
}

#[test]
fn an_opening_that_is_there_twice_does_not_stop_the_node() {
    let rig = Rig::new("twice");
    let mut grant = rig.grant();
    grant.openings.push(grant.openings[0].clone());
    rig.refused(grant, Code::CommitmentMismatch);
}

#[test]
fn a_value_is_opened_as_what_it_is() {
    let rig = Rig::new("kinds");
    let mut draft = rig.domain.grant(&Standing::of(&rig.ledger().published())).to_group(rig.domain.group());
    draft.fields.request.digest = draft.fields.action.digest;
    rig.refused(draft.proposal(), Code::CommitmentMismatch);
    let mut grant = rig.grant();
    grant.openings.push(rig.domain.opening(CommitmentKind::Text, b"nobody asked".to_vec()).into());
    rig.refused(grant, Code::CommitmentMismatch);
}

#[test]
fn a_halt_is_not_swallowed_by_the_answer_to_another_request() {
    let rig = Rig::new("swallowed");
    let granted = rig.ledger().append(rig.grant()).unwrap();
    let request = granted.decode(rig.domain.origin()).unwrap().body.request().unwrap().clone();
    let mut halt = rig.domain.halt();
    let Draft::Halt(body) = &mut halt.draft else { panic!("a halt") };
    body.request = request;
    rig.refused(halt, Code::Replayed);
    assert_eq!(rig.ledger().published().control.halted(), None);
}

#[test]
fn an_admitted_grant_is_spent_within_its_window_or_not_at_all() {
    let rig = Rig::new("window");
    for (from_ms, until_ms, code) in
        [(1, 2, Code::Expired), (BASE_MS + 1_000_000, BASE_MS + 1_000_001, Code::NotYetValid)]
    {
        let standing = Standing::of(&rig.ledger().published());
        let gateway = rig.domain.gateway_name(0);
        let mut draft = rig.domain.grant(&standing).to_gateway(gateway, 1).admitted(rig.domain.execution_id());
        draft.fields.window = Window::new(from_ms, until_ms).unwrap();
        rig.refused(draft.proposal(), code);
    }
}

#[test]
fn a_store_with_a_planted_trigger_is_not_opened() {
    let mut rig = Rig::new("trigger");
    rig.ledger = None;
    let connection = rusqlite::Connection::open(rig.place().store).unwrap();
    connection.execute_batch("CREATE TRIGGER spy BEFORE INSERT ON spent BEGIN SELECT RAISE(IGNORE); END").unwrap();
    drop(connection);
    let refused = rig.open().err().expect("a foreign trigger").to_string();
    assert!(refused.contains("trigger `spy`"), "{refused}");
}
