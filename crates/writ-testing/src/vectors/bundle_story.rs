//! Stories for bundles: a ledger without rules, and the entries that belong to one request.

use super::assembly::Assembly;
use super::case::hex;
use crate::scenario::{Domain, Recorded, Standing};
use serde_json::{Value, json};
use writ_ledger::Proposal;
use writ_protocol::action::Opening;
use writ_protocol::bundle::{Bundle, ProvedEntry};
use writ_protocol::statement::Ending;
use writ_protocol::{Body, Entry, ExecutionId, TrustRoot};
use writ_tlog::LeafIndex;

/// What has happened, and which of it is to be told.
pub(super) struct Story<'d> {
    pub(super) domain: &'d Domain,
    pub(super) ledger: Assembly<'d>,
    /// Indices of the story besides control entries and the closing seal.
    pub(super) mine: Vec<u64>,
    pub(super) openings: Vec<Opening>,
}

impl<'d> Story<'d> {
    /// A domain with both gateways.
    pub(super) fn new(domain: &'d Domain) -> Self {
        let mut story = Self { domain, ledger: Assembly::new(domain), mine: Vec::new(), openings: Vec::new() };
        story.tell(domain.enrol(0, 1));
        story.tell(domain.enrol(1, 1));
        story
    }

    /// A domain with one grant of a draft.
    pub(super) fn granted(domain: &'d Domain, draft: impl FnOnce(&Standing) -> Proposal) -> (Self, Recorded) {
        let mut story = Self::new(domain);
        let grant = story.tell(draft(&story.ledger.standing()));
        (story, grant)
    }

    /// Something happens, in a batch of its own.
    pub(super) fn tell(&mut self, proposal: Proposal) -> Recorded {
        let recorded = self.ledger.append(proposal);
        self.openings.extend(recorded.openings.iter().cloned());
        self.mine.push(recorded.index.get());
        recorded
    }

    /// Something happens that the bundle does not tell.
    pub(super) fn leave_out(&mut self, proposal: Proposal) -> Recorded {
        self.ledger.append(proposal)
    }

    /// Spent and started by gateway 0 in epoch 1.
    pub(super) fn start(&mut self, grant: &Recorded, execution: ExecutionId) {
        let speaker = self.domain.speaker(0, 1);
        self.tell(speaker.spent(grant, execution));
        self.tell(speaker.started(grant, execution));
    }

    /// Spent, started and ended by gateway 0 in epoch 1.
    pub(super) fn execute(&mut self, grant: &Recorded, execution: ExecutionId, ending: Ending) {
        self.start(grant, execution);
        self.tell(self.domain.speaker(0, 1).ended(grant, execution, ending));
    }

    /// The bundle about an entry: what the specification says it holds.
    pub(super) fn bundle(&self, subject: u64) -> Bundle {
        let control = (0..self.ledger.size()).filter(|index| self.is_control(*index));
        let mut told: Vec<u64> = control.chain(self.mine.iter().copied()).chain([self.ledger.size() - 1]).collect();
        told.sort_unstable();
        told.dedup();
        Bundle {
            checkpoint: self.ledger.note(),
            entries: told.into_iter().map(|index| self.proved(index)).collect(),
            openings: Vec::new(),
            subject: LeafIndex::new(subject),
        }
    }

    /// The bundle, with everything opened.
    pub(super) fn opened(&self, subject: u64) -> Bundle {
        Bundle { openings: self.openings.clone(), ..self.bundle(subject) }
    }

    pub(super) fn proved(&self, index: u64) -> ProvedEntry {
        let (bytes, proof) = (self.ledger.entry(index).to_vec(), self.ledger.proof(index));
        ProvedEntry { index: LeafIndex::new(index), bytes, proof }
    }

    fn is_control(&self, index: u64) -> bool {
        let entry = Entry::decode(self.ledger.entry(index), self.domain.origin());
        entry.is_ok_and(|entry| entry.body.control().is_some())
    }

    /// The domain's own trust root, and a bundle.
    pub(super) fn input(&self, bundle: &Bundle) -> Value {
        input(&bundle.encode(), &self.domain.trust_root())
    }

    /// A body that is not made by any draft, in a batch of its own.
    pub(super) fn tell_body(&mut self, body: Body) -> Recorded {
        let recorded = self.ledger.push_body(body, Vec::new());
        self.ledger.seal();
        self.mine.push(recorded.index.get());
        recorded
    }
}

/// The input of a case.
pub(super) fn input(bundle: &[u8], trust: &TrustRoot) -> Value {
    json!({ "hex": hex(bundle), "trust_root": trust.to_string() })
}

/// What a bundle shows.
pub(super) struct Shown<'s> {
    pub(super) subject: u64,
    pub(super) entry_type: &'s str,
    /// Execution, state and result.
    pub(super) executions: &'s [(ExecutionId, &'s str, Option<&'s str>)],
    pub(super) revoked_at: Option<u64>,
    pub(super) halted_at: Option<u64>,
    pub(super) openings: usize,
}

impl Shown<'_> {
    pub(super) fn to_value(&self) -> Value {
        let execution = |(id, state, result): &(ExecutionId, &str, Option<&str>)| json!({ "execution": hex(id.as_bytes()), "state": state, "result": result });
        json!({
            "subject": self.subject,
            "type": self.entry_type,
            "executions": self.executions.iter().map(execution).collect::<Vec<_>>(),
            "revoked_at": self.revoked_at,
            "halted_at": self.halted_at,
            "openings": self.openings,
        })
    }
}
