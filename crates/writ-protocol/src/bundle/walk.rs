//! The verification of a bundle, step by step as `spec/bundle.md` numbers them.

use super::records::StoryRecords;
use super::{Bundle, ProvedEntry, Story, StoryEntry, StoryExecution};
use crate::action::{Action, CommitmentKind, Opening};
use crate::entry::{Body, Control, Entry, Positive, Verdict};
use crate::order::{
    Accepted, ControlState, Execution, ExecutionState, HoldAnswer, OpenHold, OrderError, judge, revoked,
};
use crate::refusal::{Code, Refusal};
use crate::statement::Claim;
use crate::trust_root::{PinnedLedger, TrustRoot};
use std::collections::BTreeSet;
use std::convert::Infallible;
use writ_tlog::{Checkpoint, Hash, LeafIndex, leaf_hash, verify_inclusion};

struct Proved {
    index: LeafIndex,
    hash: Hash,
    entry: Entry,
}

pub(super) fn verify(bundle: Bundle, trust: &TrustRoot) -> Result<Story, Refusal> {
    let opened = trust.open_checkpoint(&bundle.checkpoint)?;
    let head = opened.checkpoint();
    let ledger = trust
        .ledger(&head.origin)
        .ok_or_else(|| Refusal::new(Code::UnknownAuthority, "the ledger is not in the trust root"))?;
    let proved = bundle.entries.iter().map(|entry| prove(entry, head)).collect::<Result<Vec<_>, _>>()?;
    closing_seal(&proved, head)?;
    let control = genesis(&proved, ledger, trust)?;
    let walked = Walk::over(control, proved)?;
    let subject = subject(&walked.entries, bundle.subject)?;
    let grant = belongs_together(&walked, subject)?;
    let openings = bundle.openings;
    let decision = walked.entries.iter().find(|one| Some(one.hash) == grant).unwrap_or(subject);
    opens_the_decision(&openings, decision)?;
    stays_within_its_mandate(&walked.records, &openings, decision)?;
    let revoked_at = match walked.records.grants.values().find(|(hash, _)| Some(*hash) == grant) {
        Some((hash, grant)) => infallible(revoked(&walked.control, &walked.records, Some(hash), grant)),
        None => None,
    };
    let executions = walked.records.order.iter().filter_map(|id| walked.records.executions.get(id));
    Ok(Story {
        subject: bundle.subject,
        subject_type: subject.entry.body.entry_type(),
        size: head.size,
        executions: executions.map(|one| StoryExecution { id: one.id, state: one.state }).collect(),
        revoked_at,
        halted_at: walked.control.halted(),
        openings,
        entries: walked.entries,
        control: walked.control,
    })
}

/// Step 3: the entry is in the tree, and has the form of an entry.
fn prove(entry: &ProvedEntry, head: &Checkpoint) -> Result<Proved, Refusal> {
    let hash = leaf_hash(&entry.bytes);
    verify_inclusion(&hash, entry.index, head.size, &head.root, &entry.proof)
        .map_err(|error| Refusal::new(Code::ProofInvalid, format!("entry {}: {error}", entry.index)))?;
    let decoded = Entry::decode(&entry.bytes, &head.origin)?;
    Ok(Proved { index: entry.index, hash, entry: decoded })
}

/// Step 4: the last entry closes the tree.
fn closing_seal(proved: &[Proved], head: &Checkpoint) -> Result<(), Refusal> {
    match proved.last() {
        Some(Proved { index, entry: Entry { body: Body::Seal(_), .. }, .. })
            if index.get().checked_add(1) == Some(head.size.get()) =>
        {
            Ok(())
        }
        _ => Err(Refusal::new(Code::EvidenceIncomplete, "expected the seal at the end of the tree as the last entry")),
    }
}

/// Step 5, beginning: the pinned genesis of the pinned domain with the pinned keys.
fn genesis(proved: &[Proved], ledger: &PinnedLedger, trust: &TrustRoot) -> Result<ControlState, Refusal> {
    let first_control = proved.iter().find(|one| one.entry.body.control().is_some());
    let Some(Proved { index, hash, entry: Entry { origin, body: Body::Genesis(genesis) } }) = first_control else {
        return Err(Refusal::new(Code::ControlChainBroken, "expected the control chain to begin with genesis"));
    };
    if index.get() != 0 {
        return Err(Refusal::new(Code::ControlChainBroken, format!("genesis at index {index}, expected 0")));
    }
    if genesis.home != *origin {
        return Err(Refusal::new(
            Code::ControlChainBroken,
            format!("the control chain is in the ledger `{}`", genesis.home),
        ));
    }
    if hash != ledger.genesis() || genesis.domain != trust.domain() || genesis.keys != *ledger.first_keys() {
        return Err(Refusal::new(Code::UnknownAuthority, "genesis is not the one that the trust root pins"));
    }
    Ok(ControlState::begin(origin.clone(), genesis.clone(), *hash))
}

/// Step 6: the entries in order, under the rules of order.
struct Walk {
    control: ControlState,
    records: StoryRecords,
    entries: Vec<StoryEntry>,
}

impl Walk {
    fn over(control: ControlState, proved: Vec<Proved>) -> Result<Self, Refusal> {
        let mut walk = Self { control, records: StoryRecords::default(), entries: Vec::with_capacity(proved.len()) };
        walk.control_chain(&proved)?;
        for one in proved {
            walk.step(one)?;
        }
        Ok(walk)
    }

    /// Step 5, the rest: no control entry is missing before the closing seal. Judged as a whole before the walk, so that a gap is
    /// named a gap and not by what it makes impossible later.
    fn control_chain(&self, proved: &[Proved]) -> Result<(), Refusal> {
        let broken = |why: String| Err(Refusal::new(Code::ControlChainBroken, why));
        let mut head = self.control.head();
        let links = proved.iter().filter_map(|one| one.entry.body.control().map(|link| (one, link)));
        for (one, link) in links.skip(1) {
            if *link != (Control { seq: head.seq + 1, prev: head.head }) {
                return broken(format!("control entry at index {} does not follow the one before it", one.index));
            }
            head.seq = link.seq;
            head.head = one.hash;
        }
        match proved.last().map(|one| &one.entry.body) {
            Some(Body::Seal(seal)) if seal.control == head => Ok(()),
            _ => broken("the closing seal names another control head".to_owned()),
        }
    }

    fn step(&mut self, one: Proved) -> Result<(), Refusal> {
        let Proved { index, hash, entry } = one;
        if index.get() == 0 {
            self.records.walked.insert(index);
            self.entries.push(StoryEntry { index, hash, entry, accepted: Accepted::AsItStands });
            return Ok(());
        }
        if let Body::Seal(seal) = &entry.body
            && seal.control != self.control.head()
        {
            return Err(Refusal::new(
                Code::ControlChainBroken,
                format!("the seal at index {index} names another control head"),
            ));
        }
        let accepted = judge(&self.control, &self.records, index, &entry).map_err(|error| match error {
            OrderError::Refused(refusal) => refusal,
            OrderError::Records(never) => match never {},
        })?;
        self.control.apply(index, hash, &entry.body, accepted.root());
        self.record(index, hash, &entry.body, &accepted);
        self.records.walked.insert(index);
        self.entries.push(StoryEntry { index, hash, entry, accepted });
        Ok(())
    }

    fn record(&mut self, index: LeafIndex, hash: Hash, body: &Body, accepted: &Accepted) {
        if let Some(id) = body.own_id() {
            self.records.ids.insert(id);
        }
        if let Some(resolved) = body.resolves() {
            self.records.holds.remove(&LeafIndex::new(resolved.index));
        }
        match (body, accepted) {
            (Body::Hold(hold), _) => {
                let open = OpenHold { hold: hold.clone(), answers: Vec::new() };
                self.records.holds.insert(index, (hash, open));
            }
            (Body::Mandate(mandate), _) => {
                self.records.mandates.insert(index, (hash, mandate.clone()));
            }
            (Body::Approval(approval), _) if approval.verdict == Verdict::Withdraw => {
                self.records.holds.remove(&LeafIndex::new(approval.hold.index));
            }
            (Body::Approval(approval), _) => {
                if let Some((_, open)) = self.records.holds.get_mut(&LeafIndex::new(approval.hold.index)) {
                    open.answers.push(HoldAnswer::of(approval));
                }
            }
            (Body::Grant(grant), _) => {
                if let Some((execution, gateway)) = grant.admitted_execution() {
                    let state = ExecutionState::Spent;
                    self.records
                        .begin(Execution { id: execution, writ: hash, grant: index, gateway, state }, Positive::ONE);
                }
                self.records.grants.insert(index, (hash, grant.clone()));
            }
            (_, Accepted::Evidence(statement)) => match &statement.claim {
                Claim::Spent { writ, index, execution, usage } => {
                    let (gateway, grant) = (statement.gateway.clone(), LeafIndex::new(*index));
                    let state = ExecutionState::Spent;
                    self.records.begin(Execution { id: *execution, writ: *writ, grant, gateway, state }, *usage);
                }
                Claim::Started { execution, .. } => self.reach(execution, ExecutionState::Started),
                Claim::Ended { execution, result, .. } => self.reach(execution, ExecutionState::Ended(*result)),
                Claim::Labelled { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => {}
            },
            (_, Accepted::Root(statement)) => {
                self.records.ids.insert(*statement.id.as_bytes());
            }
            (_, Accepted::AsItStands) => {}
        }
    }

    fn reach(&mut self, execution: &crate::id::ExecutionId, state: ExecutionState) {
        if let Some(known) = self.records.executions.get_mut(execution) {
            known.state = state;
        }
    }
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Step 7, beginning: the subject is there.
fn subject(entries: &[StoryEntry], index: LeafIndex) -> Result<&StoryEntry, Refusal> {
    let found = entries.iter().find(|one| one.index == index);
    match found.map(|one| (one, &one.entry.body)) {
        Some((one, body)) if !matches!(body, Body::Seal(_)) => Ok(one),
        _ => Err(Refusal::new(Code::EvidenceIncomplete, format!("the subject, entry {index}, is not in the bundle"))),
    }
}

/// Step 7, the rest: every grant and step of an execution in the bundle belongs to the subject's writ. Returns that writ.
fn belongs_together(walked: &Walk, subject: &StoryEntry) -> Result<Option<Hash>, Refusal> {
    let of_subject = writ_of(subject);
    let others: BTreeSet<Hash> = walked.entries.iter().filter_map(writ_of).collect();
    match (of_subject, others.len()) {
        (Some(writ), 1) => Ok(Some(writ)),
        (None, 0) => Ok(None),
        (Some(_) | None, _) => {
            Err(Refusal::new(Code::EvidenceInvalid, "the bundle holds grants or executions that are not its subject's"))
        }
    }
}

/// The writ that an entry grants, or whose execution it is a step of.
fn writ_of(one: &StoryEntry) -> Option<Hash> {
    match (&one.entry.body, &one.accepted) {
        (Body::Grant(_), _) => Some(one.hash),
        (_, Accepted::Evidence(statement)) => match &statement.claim {
            Claim::Spent { writ, .. }
            | Claim::Started { writ, .. }
            | Claim::Ended { writ, .. }
            | Claim::Labelled { writ, .. } => Some(*writ),
            Claim::Refused { .. } | Claim::Heartbeat { .. } => None,
        },
        (_, Accepted::AsItStands | Accepted::Root(_)) => None,
    }
}

/// Step 9: what was granted, or held, is within its mandate, if it is shown. The chain is here: the rules of order ask for all of it, and for each
/// of it to be narrower.
fn stays_within_its_mandate(
    records: &StoryRecords,
    openings: &[Opening],
    decision: &StoryEntry,
) -> Result<(), Refusal> {
    let body = &decision.entry.body;
    if !matches!(body, Body::Grant(_) | Body::Hold(_)) {
        return Ok(());
    }
    let Some(named) = body.cause().and_then(|cause| cause.mandate.as_ref()) else { return Ok(()) };
    let Some((_, mandate)) = records.mandates.get(&LeafIndex::new(named.index)) else { return Ok(()) };
    for opening in openings.iter().filter(|opening| opening.kind == CommitmentKind::Action) {
        if let Action::Exec(exec) = Action::decode(&opening.value)? {
            mandate.scope.runs(&exec)?;
        }
    }
    Ok(())
}

/// Step 8: each opening opens, once, a commitment of the decision that the bundle is about, and of no other: what another
/// decision was about must not be shown as this one's.
fn opens_the_decision(openings: &[Opening], decision: &StoryEntry) -> Result<(), Refusal> {
    let mut held: BTreeSet<_> = decision.entry.body.commitments().into_iter().collect();
    for opening in openings {
        if !held.remove(&(opening.kind, opening.commitment())) {
            return Err(Refusal::new(
                Code::CommitmentMismatch,
                format!(
                    "an opening of kind `{}` opens no commitment of entry {}",
                    opening.kind.as_str(),
                    decision.index
                ),
            ));
        }
        decision.entry.body.judge_opened(opening)?;
        decision.entry.body.judge_asked(opening, &decision.entry.origin)?;
    }
    Ok(())
}
