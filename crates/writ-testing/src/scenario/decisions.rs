use super::domain::{Domain, SEMANTICS};
use super::recorded::{Recorded, Standing};
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::{ActionKind, Command, CommitmentKind, Opening};
use writ_protocol::entry::{
    ActionRef, Admitted, Approval, ApprovalFields, AsOf, Ascending, Audience, Cause, Denial, Draw, Draws, EntitiesRef,
    Grant, GrantFields, Hold, HoldFields, Lease, Level, Need, Obligation, Place, Policy, Positive, Principal,
    RequestRef, Scope, Shadow, ShadowFields, Surroundings, Window, Would,
};
use writ_protocol::order::ActivePolicy;
use writ_protocol::statement::{Request, surroundings_digest};
use writ_protocol::{Code, DenialId, ExecutionId, HoldId, Label, Name, WritId};
use writ_tlog::{Hash, sha256};

/// How long a grant may be used.
const WINDOW_MS: u64 = 600_000;

/// A grant to be, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct GrantDraft {
    /// Its fields, to be changed at will.
    pub fields: GrantFields,
    /// What opens its action and its facts.
    pub openings: Vec<Opening>,
}

/// A denial to be, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct DenialDraft {
    /// The denial, to be changed at will.
    pub denial: Denial,
    /// What opens its action and its facts.
    pub openings: Vec<Opening>,
}

/// A hold to be, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct HoldDraft {
    /// Its fields, to be changed at will.
    pub fields: HoldFields,
    /// What opens its action and its facts.
    pub openings: Vec<Opening>,
}

/// An answer to a hold, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct ApprovalDraft {
    /// Its fields, to be changed at will.
    pub fields: ApprovalFields,
    /// What opens its order and its facts.
    pub openings: Vec<Opening>,
}

/// A shadow to be, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct ShadowDraft {
    /// Its fields, to be changed at will.
    pub fields: ShadowFields,
    /// What opens its action and its facts.
    pub openings: Vec<Opening>,
}

impl Domain {
    /// A grant of one use to `Agent::builder`, for gateway 0 in epoch 1, beginning a lineage.
    pub fn grant(&self, standing: &Standing) -> GrantDraft {
        let (action, facts) = (self.action(&["/usr/bin/make", "test"]), self.facts());
        let id = WritId::new(self.now_ms(), self.fresh("writ"));
        let request = self.request();
        let now_ms = self.now_ms();
        let fields = GrantFields {
            id,
            hold: None,
            uses: Positive::ONE,
            as_of: self.as_of(standing),
            cause: Cause { place: Place::Origin, mandate: None },
            facts: facts.commitment(),
            lease: Lease {
                kill_after_ms: Positive::new(30_000).unwrap(),
                freeze_after_ms: Positive::new(10_000).unwrap(),
            },
            scope: Scope::One,
            action: ActionRef { kind: ActionKind::Exec, digest: action.commitment() },
            holder: self.holder_key(),
            labels: Ascending::new([]),
            policy: self.policy_at(standing),
            window: Window::new(now_ms, now_ms + WINDOW_MS).unwrap(),
            request,
            time_ms: now_ms,
            admitted: None,
            audience: Audience::Gateway { gateway: self.gateway_name(0), epoch: Positive::ONE },
            principal: self.builder(),
            obligations: vec![Obligation::Sandbox(Label::new("strict").unwrap())],
            surroundings: Surroundings {
                level: Level::Claimed,
                digest: surroundings_digest(&self.surroundings()).unwrap(),
                components: Ascending::new(self.surroundings().into_iter().map(|component| component.name)),
            },
        };
        GrantDraft { fields, openings: vec![action, facts] }
    }

    /// A request of `Agent::builder` that policy refused.
    pub fn denial(&self, standing: &Standing) -> DenialDraft {
        self.denial_of(standing, ActionKind::Exec, self.action(&["/usr/bin/rm", "-r", "/"]))
    }

    /// An order of `Agent::builder` to stop everything, which policy refused.
    pub fn denied_order(&self, standing: &Standing) -> DenialDraft {
        self.denial_of(standing, ActionKind::Order, self.order(Command::Halt))
    }

    fn denial_of(&self, standing: &Standing, kind: ActionKind, action: Opening) -> DenialDraft {
        let facts = self.facts();
        let id = DenialId::new(self.now_ms(), self.fresh("denial"));
        let denial = Denial {
            id,
            code: Code::PolicyDenied,
            hold: None,
            text: None,
            as_of: self.as_of(standing),
            cause: Cause { place: Place::Origin, mandate: None },
            facts: Some(facts.commitment()),
            action: ActionRef { kind, digest: action.commitment() },
            policy: Some(self.policy_at(standing)),
            request: self.request(),
            time_ms: self.now_ms(),
            principal: self.builder(),
        };
        DenialDraft { denial, openings: vec![action, facts] }
    }

    /// A request of `Agent::builder` that two of the owners must approve.
    pub fn hold(&self, standing: &Standing) -> HoldDraft {
        let (action, facts) = (self.action(&["/usr/bin/deploy", "production"]), self.facts());
        let id = HoldId::new(self.now_ms(), self.fresh("hold"));
        let request = self.request();
        let fields = HoldFields {
            id,
            as_of: self.as_of(standing),
            cause: Cause { place: Place::Origin, mandate: None },
            facts: facts.commitment(),
            needs: vec![Need { count: Positive::new(2).unwrap(), group: Name::new("owners").unwrap() }],
            action: ActionRef { kind: ActionKind::Exec, digest: action.commitment() },
            policy: self.policy_at(standing),
            request,
            time_ms: self.now_ms(),
            until_ms: self.now_ms() + WINDOW_MS,
            principal: self.builder(),
        };
        HoldDraft { fields, openings: vec![action, facts] }
    }

    /// What policy would have answered to `Agent::builder`, had it been asked for a writ.
    pub fn shadow(&self, standing: &Standing, would: Would) -> ShadowDraft {
        let (action, facts) = (self.action(&["/usr/bin/make", "install"]), self.facts());
        let mut policy = self.policy_at(standing);
        if would != Would::Permit {
            policy.reasons = Ascending::new([]);
        }
        let fields = ShadowFields {
            as_of: self.as_of(standing),
            cause: Cause { place: Place::Origin, mandate: None },
            facts: facts.commitment(),
            would,
            action: ActionRef { kind: ActionKind::Exec, digest: action.commitment() },
            policy,
            request: self.request(),
            time_ms: self.now_ms(),
            principal: self.builder(),
        };
        ShadowDraft { fields, openings: vec![action, facts] }
    }

    pub(super) fn as_of(&self, standing: &Standing) -> AsOf {
        AsOf { size: standing.size, ledger: self.origin().clone(), control: standing.control }
    }

    /// The same, with the entities in force.
    fn policy_at(&self, standing: &Standing) -> Policy {
        Policy { entities: standing.entities.clone(), ..self.policy() }
    }

    /// What decides in the stories, unless they say otherwise.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            set: sha256(&self.policy_set(1)),
            epoch: 1,
            reasons: Ascending::new(["builders-may-build"].map(|reason| Name::new(reason).unwrap())),
            entities: None,
            semantics: Label::new(SEMANTICS).unwrap(),
        }
    }
}

impl GrantDraft {
    /// For a gateway in an instance epoch.
    #[must_use]
    pub fn to_gateway(mut self, gateway: Name, epoch: u64) -> Self {
        self.fields.audience = Audience::Gateway { gateway, epoch: Positive::new(epoch).unwrap() };
        self
    }

    /// For any gateway of a group.
    #[must_use]
    pub fn to_group(mut self, group: Name) -> Self {
        self.fields.audience = Audience::Group(group);
        self
    }

    /// For more than one execution.
    #[must_use]
    pub fn uses(mut self, uses: u64) -> Self {
        self.fields.uses = Positive::new(uses).unwrap();
        self
    }

    /// Drawing one from a counter.
    #[must_use]
    pub fn drawing(self, counter: &str, limit: u64) -> Self {
        self.drawing_all(&[(counter, limit)])
    }

    /// Drawing one from each of these counters, which ascend.
    #[must_use]
    pub fn drawing_all(mut self, counters: &[(&str, u64)]) -> Self {
        let draw = |(counter, limit): &(&str, u64)| Draw {
            limit: Positive::new(*limit).unwrap(),
            counter: Name::new(*counter).unwrap(),
        };
        let draws = Draws::new(counters.iter().map(draw).collect()).unwrap();
        self.fields.obligations.insert(0, Obligation::Budget(draws));
        self
    }

    /// Carrying labels.
    #[must_use]
    pub fn labelled(mut self, labels: &[&str]) -> Self {
        self.fields.labels = Ascending::new(labels.iter().map(|label| Label::new(*label).unwrap()));
        self
    }

    /// Under another policy set: that of an epoch.
    #[must_use]
    pub fn under(mut self, set: Hash, epoch: u64) -> Self {
        self.fields.policy.set = set;
        self.fields.policy.epoch = epoch;
        self
    }

    /// Under the set in force in a ledger that is no story: whichever it is, by whatever semantics.
    #[must_use]
    pub fn under_active(mut self, active: &ActivePolicy) -> Self {
        self.fields.policy.semantics = active.semantics.clone();
        self.under(active.set, active.epoch.get())
    }

    /// Decided with these entities beside those of the set.
    #[must_use]
    pub fn with_entities(mut self, entities: Option<EntitiesRef>) -> Self {
        self.fields.policy.entities = entities;
        self
    }

    /// Spent by the entry itself, for the asker that knows the word `nonce`.
    #[must_use]
    pub fn admitted(mut self, execution: ExecutionId) -> Self {
        self.fields.admitted = Some(Admitted { nonce: sha256(b"nonce"), execution });
        self
    }

    /// Caused by the execution of another grant.
    #[must_use]
    pub fn caused_by(mut self, parent: &Recorded) -> Self {
        let origin = match &parent.grant().cause.place {
            Place::Origin => parent.entry_ref(),
            Place::Caused { origin, .. } => origin.clone(),
        };
        let depth = parent.grant().cause.depth() + 1;
        self.fields.cause.place = Place::Caused { depth, parent: parent.entry_ref(), origin };
        self
    }

    /// What a hold was waiting for: the same action.
    #[must_use]
    pub fn resolving(mut self, hold: &Recorded) -> Self {
        let action = hold.opening(CommitmentKind::Action).clone();
        self.fields.hold = Some(hold.entry_ref());
        self.fields.action.digest = action.commitment();
        self.openings.retain(|opening| opening.kind != CommitmentKind::Action);
        self.openings.push(action);
        self
    }

    /// The answer to this request, as it was received from whom.
    #[must_use]
    pub fn answering(mut self, request: &Request, received: &[u8], asker: Principal) -> Self {
        let ((_, action), asked) = (request.action().unwrap(), request.opening(received));
        self.fields.principal = asker;
        self.fields.action.digest = action.commitment();
        self.fields.request = RequestRef { key: request.key, digest: asked.commitment() };
        self.openings.retain(|opening| opening.kind == CommitmentKind::Facts);
        self.openings.extend([action, asked]);
        self
    }

    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Grant(Grant::new(self.fields).unwrap())).with_openings(self.openings)
    }
}

impl DenialDraft {
    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Denial(self.denial)).with_openings(self.openings)
    }
}

impl ShadowDraft {
    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Shadow(Shadow::new(self.fields).unwrap())).with_openings(self.openings)
    }
}

impl ApprovalDraft {
    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Approval(Approval::new(self.fields).unwrap())).with_openings(self.openings)
    }
}

impl HoldDraft {
    /// As a ledger takes it.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Hold(Hold::new(self.fields).unwrap())).with_openings(self.openings)
    }
}
