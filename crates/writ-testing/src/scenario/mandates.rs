use super::domain::Domain;
use super::secrets::Secret;
use writ_ledger::{Draft, Proposal};
use writ_protocol::Name;
use writ_protocol::action::{ActionKind, Command, Given, Opening};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{
    ActionRef, AssertedPrincipal, EntryRef, Mandate, MandateFields, Positive, Principal, RequestRef, Window,
};
use writ_protocol::scope::{Scope, ScopeFields};

/// Some twenty-eight hours.
const DAY_MS: u64 = 100_000_000;

/// A mandate in the making.
pub struct MandateDraft {
    /// What it says.
    pub fields: MandateFields,
    /// The values behind its commitments.
    pub openings: Vec<Opening>,
}

impl Domain {
    /// A scope over the days of the story, the same whenever it is asked for; for so many uses, if any are said.
    pub fn scope(&self, uses: Option<u64>) -> Scope {
        let day = self.now_ms() / DAY_MS * DAY_MS;
        Scope::new(ScopeFields {
            uses: uses.and_then(Positive::new),
            depth: None,
            window: Window::new(day - DAY_MS, day + 2 * DAY_MS).unwrap(),
            folders: None,
            contents: None,
            gateways: None,
            programs: None,
            surroundings: None,
        })
        .unwrap()
    }

    /// An agent of the domain.
    pub fn agent(&self, id: &str) -> AssertedPrincipal {
        AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new(id).unwrap() }
    }

    /// A mandate that somebody gives, or hands on, with their key.
    pub fn mandate(
        &self,
        (by, key): (Principal, &Secret),
        to: AssertedPrincipal,
        scope: Scope,
        parent: Option<EntryRef>,
    ) -> MandateDraft {
        let given = Given { to: to.clone(), scope: scope.clone(), parent: parent.clone() };
        let asked = self.asked_order(Command::Mandate(Box::new(given)));
        let (_, action) = asked.action().unwrap();
        let signed = asked.sign(self.origin(), key.signing_key());
        let facts = self.facts();
        let fields = MandateFields {
            by,
            id: self.order_id(),
            to,
            facts: facts.commitment(),
            scope,
            action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
            parent,
            policy: self.policy(),
            request: RequestRef { key: asked.key, digest: asked.opening(&signed).commitment() },
            time_ms: self.now_ms(),
            statement: Bytes(signed),
        };
        MandateDraft { fields, openings: vec![action, facts] }
    }
}

impl MandateDraft {
    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Mandate(Mandate::new(self.fields).unwrap())).with_openings(self.openings)
    }
}
