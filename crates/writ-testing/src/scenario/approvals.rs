use super::decisions::ApprovalDraft;
use super::domain::Domain;
use super::recorded::Recorded;
use super::secrets::Secret;
use writ_protocol::action::{ActionKind, Command, CommitmentKind, Held};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{ActionRef, ApprovalFields, Ascending, Principal, RequestRef, Verdict};
use writ_protocol::statement::Request;
use writ_protocol::{Label, Name};
use writ_tlog::Algorithm;

impl Domain {
    /// One of the owners, who are asked for approvals, and the key that proves it.
    pub fn owner(&self, number: usize) -> (Principal, Secret) {
        let key = Secret::new(Algorithm::Ed25519, &format!("{} owner-{number}", self.origin()));
        let name = Name::new(format!("owner-{number}")).unwrap();
        (Principal { id: name, key: Some(key.public()), ..self.alice() }, key)
    }

    /// What an owner answers to a hold.
    pub fn answer(&self, hold: &Recorded, owner: usize, verdict: Verdict) -> ApprovalDraft {
        self.answer_with(owner, hold.held(), verdict)
    }

    /// What an owner signs, whatever they say.
    pub fn answer_with(&self, owner: usize, held: Held, verdict: Verdict) -> ApprovalDraft {
        let asked = self.asked_order(Command::Answer(verdict, held.clone()));
        self.answer_asked(owner, held, verdict, &asked)
    }

    /// What whoever asked signs to take it back.
    pub fn withdrawal(&self, hold: &Recorded) -> ApprovalDraft {
        let mut draft = self.answer_with(1, hold.held(), Verdict::Withdraw);
        let key = draft.fields.by.key.clone();
        draft.fields.by = Principal { key, auth: Label::new("key").unwrap(), ..self.builder() };
        draft.fields.groups = Ascending::new([]);
        draft
    }

    /// What an owner signs with this very request, which asks for the answer.
    pub fn answer_asked(&self, owner: usize, held: Held, verdict: Verdict, asked: &Request) -> ApprovalDraft {
        let (by, key) = self.owner(owner);
        let (_, action) = asked.action().unwrap();
        let signed = asked.sign(self.origin(), key.signing_key());
        let facts = self.facts();
        let fields = ApprovalFields {
            by,
            id: self.order_id(),
            hold: held.hold,
            facts: facts.commitment(),
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            groups: Ascending::new([Name::new("owners").unwrap()]),
            policy: self.policy(),
            request: RequestRef { key: asked.key, digest: asked.opening(&signed).commitment() },
            time_ms: self.now_ms(),
            verdict,
            statement: Bytes(signed),
        };
        ApprovalDraft { fields, openings: vec![action, facts] }
    }
}

impl Recorded {
    /// What an answer to a hold names of it.
    pub fn held(&self) -> Held {
        Held { hold: self.entry_ref(), action: self.opening(CommitmentKind::Action).commitment() }
    }
}
