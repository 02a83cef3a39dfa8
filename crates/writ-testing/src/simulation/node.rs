use super::chance::Chance;
use super::disk::{Disk, WORKING};
use super::report::Report;
use crate::governed::TestClock;
use crate::scenario::Domain;
use std::collections::BTreeMap;
use writ_authority::{Authority, AuthorityError, Rate, Semantics, Setting, Snapshot, SolverCommand};
use writ_ledger::{Ledger, LedgerError, Options, Place, Reader, Receipt};
use writ_protocol::{Code, WritVerifier};
use writ_tlog::{Hash, LeafIndex};

/// The node, what it stands on, and what it has acknowledged in all its lives.
pub(super) struct Node {
    disk: Disk,
    clock: TestClock,
    authority: Option<Authority>,
    verifier: WritVerifier,
    /// Entry hashes by index.
    pub(super) acknowledged: BTreeMap<u64, Hash>,
}

/// Little enough for a busy agent to come to its end.
const RATE: Rate = Rate { per_second: 1, burst: 4 };

impl Node {
    /// Over a new ledger.
    pub(super) fn new(domain: &Domain, clock: &TestClock, loses_power: bool) -> Self {
        let disk = Disk::new(loses_power);
        Ledger::create(disk.place(), &domain.genesis(), &domain.ledger_signer()).unwrap();
        let verifier = WritVerifier::new(domain.trust_root());
        Self { disk, clock: clock.clone(), authority: None, verifier, acknowledged: BTreeMap::new() }
    }

    pub(super) fn place(&self) -> &Place {
        self.disk.place()
    }

    pub(super) fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("the node runs")
    }

    /// Opens what is there, and holds it against everything that was acknowledged (Invariant 9). Says which set it found.
    pub(super) fn start(&mut self, domain: &Domain, policies: &[Snapshot], mut folder: usize) -> usize {
        let mut authority = self.open(domain, &policies[folder]);
        if let Err(AuthorityError::Ledger(LedgerError::Refused(refusal))) = &authority
            && refusal.code() == Code::Revoked
        {
            // A set that was revoked before it came into force never does; somebody puts back the one in force.
            let active = Reader::open(&self.place().store).unwrap().view().unwrap().control.policy().unwrap().set;
            folder = policies.iter().position(|set| set.digest() == active).unwrap();
            authority = self.open(domain, &policies[folder]);
        }
        if let Err(AuthorityError::Ledger(LedgerError::Refused(refusal))) = &authority
            && refusal.code() == Code::ClockUntrusted
        {
            // A node whose clock was set back does not begin a policy epoch; somebody sets it right.
            self.clock.set(self.clock.now_ms() + 120_000);
            authority = self.open(domain, &policies[folder]);
        }
        self.authority = Some(authority.unwrap_or_else(|error| panic!("the node does not start: {error}")));
        let reader = Reader::open(&self.place().store).unwrap();
        for (index, hash) in &self.acknowledged {
            let found = reader.entry(LeafIndex::new(*index)).unwrap().map(|stored| stored.hash);
            assert_eq!(found, Some(*hash), "Invariant 9: entry {index} was acknowledged");
        }
        folder
    }

    fn open(&self, domain: &Domain, policy: &Snapshot) -> Result<Authority, AuthorityError> {
        let ledger = self.ledger(domain)?;
        let clock = self.clock.clone();
        let solver = SolverCommand::new("cvc5");
        let setting = Setting {
            clock: Box::new(move || clock.now_ms()),
            rate: RATE,
            rate_together: None,
            solver,
            semantics: Semantics::CURRENT,
        };
        Authority::open(ledger, &self.place().store, policy, setting)
    }

    /// Its ledger alone, for what an operator does while the node is stopped.
    pub(super) fn ledger(&self, domain: &Domain) -> Result<Ledger, LedgerError> {
        let clock = self.clock.clone();
        let options = Options::new(move || clock.now_ms()).observed(self.disk.observer());
        Ledger::open(self.place(), domain.ledger_signer(), options)
    }

    /// Stops it in order.
    pub(super) fn stop(&mut self) {
        if let Some(authority) = self.authority.take() {
            authority.close().unwrap();
        }
    }

    /// Somewhere in its next work it will be struck.
    pub(super) fn arm(&mut self, chance: &mut Chance) {
        let phase = WORKING[chance.place(WORKING.len())];
        self.disk.arm(phase, chance);
    }

    pub(super) fn strike_idle(&mut self, chance: &mut Chance) {
        self.disk.strike_idle(chance);
    }

    /// If it was struck: buries it, and leaves what is on the disk.
    pub(super) fn fall(&mut self, report: &mut Report) -> bool {
        let Some(phase) = self.disk.struck() else { return false };
        let of = if self.disk.loses_power() { &mut report.power_cuts } else { &mut report.kills };
        *of.entry(phase).or_default() += 1;
        // Nobody hears how it ends.
        drop(self.authority.take());
        self.disk.recover();
        true
    }

    /// Somebody has heard this answer: from now on it stands.
    pub(super) fn acknowledge(&mut self, receipt: &Receipt, report: &mut Report) {
        let logged = self.verifier.verify_logged(&receipt.to_writ()).unwrap();
        assert_eq!((logged.index, logged.hash), (receipt.index, receipt.hash()));
        let known = *self.acknowledged.entry(receipt.index.get()).or_insert(receipt.hash());
        assert_eq!(known, receipt.hash(), "Invariant 9: entry {} was another one before", receipt.index);
        report.acknowledged += 1;
        report.repeated += u64::from(receipt.repeated);
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::open(&self.place().store).unwrap()
    }
}
