//! A ledger without rules: it proves and signs whatever it is given, as a dishonest one could.

use crate::scenario::{Domain, Recorded, Secret, SecretPair, Standing, Told, script};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::Opening;
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{
    Activation, Control, ControlHead, Enrolment, Entities, Evidence, Halt, Positive, Revocation, RootOrder, Seal,
};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Body, Entry};
use writ_tlog::{
    Checkpoint, Hash, InclusionProof, LeafIndex, NoteVerifier, Origin, TlogProof, Tree, leaf_hash, prove_inclusion,
};

/// Entries, their tree, and the chain as it should go on.
pub(super) struct Assembly<'d> {
    pub(super) domain: &'d Domain,
    pub(super) entries: Vec<Vec<u8>>,
    tree: Tree,
    chain: (u64, Hash),
    first: u64,
    batch: u64,
}

impl<'d> Assembly<'d> {
    /// Genesis and its seal.
    pub(super) fn new(domain: &'d Domain) -> Self {
        let chain = (0, domain.genesis_hash());
        let mut made = Self { domain, entries: Vec::new(), tree: Tree::new(), chain, first: 0, batch: 0 };
        made.body(Body::Genesis(domain.genesis()));
        made.seal();
        made
    }

    /// The whole script.
    pub(super) fn of_script(domain: &'d Domain) -> (Self, Vec<Recorded>) {
        let mut made = Self::new(domain);
        let mut told = Told::new(made.standing());
        let mut all = Vec::new();
        for step in script(domain) {
            let recorded = made.append(step.proposal(domain, &told));
            told.tell(step.name, recorded.clone(), made.standing());
            all.push(recorded);
        }
        (made, all)
    }

    /// A batch of one.
    pub(super) fn append(&mut self, proposal: Proposal) -> Recorded {
        let recorded = self.push(proposal);
        self.seal();
        recorded
    }

    /// An entry, not sealed yet.
    pub(super) fn push(&mut self, proposal: Proposal) -> Recorded {
        let body = self.body_of(proposal.draft);
        self.push_body(body, proposal.openings.into_iter().map(Into::into).collect())
    }

    /// Any body, not sealed yet.
    pub(super) fn push_body(&mut self, body: Body, openings: Vec<Opening>) -> Recorded {
        let index = self.body(body.clone());
        let hash = leaf_hash(&self.entries[usize::try_from(index).unwrap()]);
        if body.control().is_some() {
            self.chain = (self.chain.0 + 1, hash);
        }
        Recorded { origin: self.domain.origin().clone(), index: LeafIndex::new(index), hash, body, openings }
    }

    /// Any bytes, not sealed yet. Returns their index.
    pub(super) fn raw(&mut self, bytes: Vec<u8>) -> u64 {
        self.tree.push(leaf_hash(&bytes));
        self.entries.push(bytes);
        self.tree.size().get() - 1
    }

    /// The end of a batch. Returns its index.
    pub(super) fn seal(&mut self) -> u64 {
        let seal = self.next_seal();
        let index = self.body(Body::Seal(seal));
        self.first = index + 1;
        self.batch += 1;
        index
    }

    /// The seal that comes next.
    pub(super) fn next_seal(&self) -> Seal {
        let count = Positive::new(self.tree.size().get() - self.first).unwrap();
        let control = ControlHead { seq: self.chain.0, head: self.chain.1, ledger: self.domain.origin().clone() };
        let time_ms = self.domain.now_ms();
        Seal { batch: self.batch, count, first: self.first, control, time_ms }
    }

    /// The place of the next control entry.
    pub(super) fn next_control(&self) -> Control {
        Control { seq: self.chain.0 + 1, prev: self.chain.1 }
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Standing {
        // A story that decides with entities says with which.
        Standing { size: self.tree.size().get(), root: self.tree.root(), control: self.chain.1, entities: None }
    }

    /// What it says of its tree.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.domain.origin().clone(), size: self.tree.size(), root: self.tree.root() }
    }

    /// The checkpoint, signed with both keys.
    pub(super) fn note(&self) -> Vec<u8> {
        signed_by(&self.checkpoint(), self.domain.ledger_keys())
    }

    /// The way from an entry to the root.
    pub(super) fn proof(&self, index: u64) -> InclusionProof {
        prove_inclusion(LeafIndex::new(index), self.tree.size(), &self.tree).unwrap()
    }

    /// An entry with its proof.
    pub(super) fn proved(&self, index: u64) -> TlogProof {
        TlogProof {
            extra: Some(self.entry(index).to_vec()),
            index: LeafIndex::new(index),
            proof: self.proof(index),
            checkpoint: self.note(),
        }
    }

    pub(super) fn entry(&self, index: u64) -> &[u8] {
        &self.entries[usize::try_from(index).unwrap()]
    }

    pub(super) fn size(&self) -> u64 {
        self.tree.size().get()
    }

    fn body(&mut self, body: Body) -> u64 {
        let entry = Entry { origin: self.domain.origin().clone(), body };
        self.raw(entry.encode().unwrap())
    }

    /// What a draft becomes at this point.
    pub(super) fn body_of(&self, draft: Draft) -> Body {
        let control = self.next_control();
        match draft {
            Draft::Gateway(body) => Body::Gateway(Enrolment { control, ..body }),
            Draft::Revocation(body) => Body::Revocation(Revocation { control, ..body }),
            Draft::Halt(body) => Body::Halt(Halt { control, ..body }),
            Draft::RootOrder(statement) => Body::RootOrder(RootOrder { control, statement: Bytes(statement) }),
            Draft::Policy(body) => Body::Policy(Activation { control, ..body }),
            Draft::Entities(body) => Body::Entities(Entities { control, ..body }),
            Draft::Grant(body) => Body::Grant(body),
            Draft::Denial(body) => Body::Denial(body),
            Draft::Hold(body) => Body::Hold(body),
            Draft::Approval(body) => Body::Approval(body),
            Draft::Mandate(body) => Body::Mandate(body),
            Draft::Shadow(body) => Body::Shadow(body),
            Draft::Advised(body) => Body::Advised(body),
            Draft::Tally(body) => Body::Tally(body),
            Draft::Erasure(body) => Body::Erasure(body),
            Draft::Statement(statement) => evidence(statement, self.domain.origin()),
        }
    }
}

/// The entry that carries a gateway's statement of its kind.
fn evidence(statement: Vec<u8>, origin: &Origin) -> Body {
    let claim = Signed::decode(&statement).unwrap().gateway_claims(origin).unwrap().claim;
    let evidence = Evidence { statement: Bytes(statement) };
    match claim {
        Claim::Spent { .. } => Body::Spend(evidence),
        Claim::Started { .. } => Body::Start(evidence),
        Claim::Ended { .. } => Body::Outcome(evidence),
        Claim::Labelled { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => Body::Report(evidence),
    }
}

/// A verifier key of a ledger.
pub(super) fn verifier(origin: &Origin, secret: &Secret) -> NoteVerifier {
    NoteVerifier::new(origin.key_name().clone(), secret.public().verifying_key().clone())
}

/// The checkpoint with both lines of a ledger.
pub(super) fn signed_by(checkpoint: &Checkpoint, keys: &SecretPair) -> Vec<u8> {
    note(&checkpoint.body(), &[ed25519_line(checkpoint, &keys.ed25519), ml_dsa_line(checkpoint, &keys.ml_dsa_44)])
}

/// A note of a text and its signature lines.
pub(super) fn note(text: &str, lines: &[String]) -> Vec<u8> {
    format!("{text}\n{}", lines.concat()).into_bytes()
}

/// A signature line.
pub(super) fn line(name: &str, key_id: u32, signature: &[u8]) -> String {
    let bytes = [&key_id.to_be_bytes(), signature].concat();
    format!("\u{2014} {name} {}\n", STANDARD.encode(bytes))
}

pub(super) fn ed25519_line(checkpoint: &Checkpoint, secret: &Secret) -> String {
    let key_id = verifier(&checkpoint.origin, secret).key_id();
    line(checkpoint.origin.as_str(), key_id, &secret.sign(checkpoint.body().as_bytes()))
}

pub(super) fn ml_dsa_line(checkpoint: &Checkpoint, secret: &Secret) -> String {
    let key_id = verifier(&checkpoint.origin, secret).key_id();
    let signature = secret.sign(&cosigned(checkpoint, 0));
    line(checkpoint.origin.as_str(), key_id, &[&[0; 8], signature.as_slice()].concat())
}

/// What a log signs with ML-DSA-44: the whole tree at a time, which for ours is always 0.
pub(super) fn cosigned(checkpoint: &Checkpoint, time: u64) -> Vec<u8> {
    let name = checkpoint.origin.as_str().as_bytes();
    let counted = [&[u8::try_from(name.len()).unwrap()], name].concat();
    [
        b"subtree/v1\n\0".as_slice(),
        &counted,
        &time.to_be_bytes(),
        &counted,
        &0u64.to_be_bytes(),
        &checkpoint.size.get().to_be_bytes(),
        checkpoint.root.as_bytes(),
    ]
    .concat()
}
