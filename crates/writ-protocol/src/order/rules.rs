mod advised;
mod gateways;
mod holds;
mod mandates;

use gateways::gives_no_order;

use super::revoked::{earlier, revoked};
use super::{Accepted, Carrier, ControlState, Execution, ExecutionState, Lookup, OrderError, Records};
use crate::action::ActionKind;
use crate::entry::{
    ActionRef, Activation, AsOf, AssertedPrincipal, Audience, Body, Cause, Denial, Entities, EntitiesRef, Entry,
    EntryRef, EntryType, Erasure, Grant, Place, Policy, Principal, Revocation, Shadow, Target,
};
use crate::id::OrderId;
use crate::key::{Fingerprint, Key};
use crate::name::{Label, Name};
use crate::refusal::{Code, Refusal};
use crate::statement::{Claim, Ending, GatewayStatement, Manifest, RootCommand, RootStatement, Signed};
use writ_tlog::{Hash, LeafIndex};

/// Decides whether `entry` may stand at index `at`, after everything in `control` and `records`.
///
/// Genesis, seals and the uniqueness of request keys are the sequencer's: they are about batches, not about meaning.
pub fn judge<R: Records>(
    control: &ControlState,
    records: &R,
    at: LeafIndex,
    entry: &Entry,
) -> Result<Accepted, OrderError<R::Error>> {
    if let Some(link) = entry.body.control() {
        control.continues(link)?;
    }
    let rules = Rules { control, records, at };
    match &entry.body {
        Body::Genesis(_) => Err(refuse(Code::ControlChainBroken, "a second genesis"))?,
        Body::Gateway(enrolment) => rules.enrolment(enrolment).map(|()| Accepted::AsItStands),
        Body::Revocation(revocation) => {
            let Revocation { by, id, action, policy, .. } = revocation;
            rules.order(by, id, action, policy).map(|()| Accepted::AsItStands)
        }
        Body::Halt(halt) => rules.order(&halt.by, &halt.id, &halt.action, &halt.policy).map(|()| Accepted::AsItStands),
        Body::Entities(entities) => rules.entities(entities).map(|()| Accepted::AsItStands),
        Body::RootOrder(order) => rules.root_order(&order.statement.0).map(Accepted::Root),
        Body::Grant(grant) => rules.grant(grant).map(|()| Accepted::AsItStands),
        Body::Policy(activation) => rules.activation(activation).map(|()| Accepted::AsItStands),
        Body::Denial(denial) => rules.denial(denial).map(|()| Accepted::AsItStands),
        Body::Hold(hold) => rules.held(hold).map(|()| Accepted::AsItStands),
        Body::Approval(approval) => rules.approval(approval).map(|()| Accepted::AsItStands),
        Body::Mandate(mandate) => rules.mandate(mandate).map(|()| Accepted::AsItStands),
        Body::Shadow(shadow) => rules.shadow(shadow).map(|()| Accepted::AsItStands),
        Body::Advised(advised) => rules.advised(advised).map(|()| Accepted::AsItStands),
        Body::Spend(evidence) | Body::Start(evidence) | Body::Outcome(evidence) | Body::Report(evidence) => {
            rules.evidence(entry.body.entry_type(), &evidence.statement.0).map(Accepted::Evidence)
        }
        Body::Erasure(erasure) => rules.erasure(erasure).map(|()| Accepted::AsItStands),
        Body::Tally(_) | Body::Seal(_) => Ok(Accepted::AsItStands),
    }
}

/// Judges a signed manifest at this point of the control chain: its authors, their keys, its place in the history, its window.
pub fn judge_manifest(control: &ControlState, manifest: &[u8], time_ms: u64) -> Result<Manifest, Refusal> {
    let authors = control.authors().ok_or_else(|| {
        refuse(Code::UnknownAuthority, "no policy authors are pinned in this domain; root members do it")
    })?;
    let signed = Signed::decode(manifest)?;
    let manifest = signed.verify_manifest(authors, control.domain(), control.origin())?;
    for by in signed.signers() {
        if let Some(at) = control.revoked(&Target::Key(by)) {
            return Err(refuse(Code::Revoked, format!("the policy author's key {by} is revoked by entry {at}")));
        }
    }
    manifest.follows(control.policy().map(|active| (active.epoch, active.set)), time_ms)?;
    Ok(manifest)
}

/// Once authors are pinned, a set comes into force with their signatures, and so does the one in force under other semantics: a release
/// that decides otherwise has no say by itself.
fn signed_by_its_authors(control: &ControlState, activation: &Activation) -> Result<(), Refusal> {
    let Some(manifest) = &activation.manifest else {
        return match control.authors() {
            None => Ok(()),
            Some(_) => Err(refuse(Code::SignatureInvalid, "a policy set without the signatures of its authors")),
        };
    };
    let manifest = judge_manifest(control, &manifest.0, activation.time_ms)?;
    if manifest.set == activation.set && manifest.epoch == activation.epoch {
        return Ok(());
    }
    Err(refuse(Code::PolicyMismatch, "the manifest is of another policy set than the entry"))
}

fn refuse(code: Code, why: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(code, why)
}

struct Rules<'a, R> {
    control: &'a ControlState,
    records: &'a R,
    at: LeafIndex,
}

impl<R: Records> Rules<'_, R> {
    fn read<T>(result: Result<T, R::Error>) -> Result<T, OrderError<R::Error>> {
        result.map_err(OrderError::Records)
    }

    fn new_id(&self, id: &[u8; 16]) -> Result<(), OrderError<R::Error>> {
        match Self::read(self.records.id(id))? {
            Lookup::Absent | Lookup::Unknown => Ok(()),
            Lookup::Found(()) => Err(refuse(Code::Replayed, "this id was recorded before"))?,
        }
    }

    /// What was ordered was decided as what was granted is, and whoever ordered it was trusted.
    fn order(
        &self,
        by: &Principal,
        id: &OrderId,
        action: &ActionRef,
        policy: &Policy,
    ) -> Result<(), OrderError<R::Error>> {
        self.new_id(id.as_bytes())?;
        if action.kind != ActionKind::Order {
            Err(Refusal::malformed("expected an order as the action, found an execution"))?;
        }
        if let Some(at) = self.no_longer_trusted(&by.asserted(), by.key.as_ref().map(Key::fingerprint)) {
            Err(refuse(Code::Revoked, format!("who orders it is revoked by entry {at}")))?;
        }
        gives_no_order(by)?;
        Ok(self.policy(policy)?)
    }

    /// The entry that revokes a principal or its key.
    fn no_longer_trusted(&self, who: &AssertedPrincipal, key: Option<Fingerprint>) -> Option<LeafIndex> {
        let by_key = key.and_then(|key| self.control.revoked(&Target::Key(key)));
        earlier(self.control.revoked(&Target::Principal(who.clone())), by_key)
    }

    fn activation(&self, activation: &Activation) -> Result<(), OrderError<R::Error>> {
        gives_no_order(&activation.by)?;
        if let Some(at) = self.control.revoked(&Target::Policy(activation.set)) {
            Err(refuse(Code::Revoked, format!("this policy set is revoked by entry {at}")))?;
        }
        let expected = self.control.policy().map_or(1, |active| active.epoch.get().saturating_add(1));
        let found = activation.epoch.get();
        if found != expected {
            Err(refuse(Code::PolicyStale, format!("policy epoch {found}, expected {expected}")))?;
        }
        let in_force = self.control.entities().map(|active| &active.entities);
        if activation.entities.as_ref() != in_force {
            Err(refuse(Code::FactsChanged, "compiled with other entities than are in force"))?;
        }
        Ok(signed_by_its_authors(self.control, activation)?)
    }

    /// Each snapshot follows the one in force, under the set in force: whoever decided on another must look again.
    fn entities(&self, entities: &Entities) -> Result<(), OrderError<R::Error>> {
        let Entities { by, id, action, policy, .. } = entities;
        self.order(by, id, action, policy)?;
        let expected = self.control.entities().map_or(1, |active| active.entities.epoch.get().saturating_add(1));
        let found = entities.epoch.get();
        if found != expected {
            Err(refuse(Code::FactsChanged, format!("epoch {found} of the entities, expected {expected}")))?;
        }
        Ok(())
    }

    fn root_order(&self, statement: &[u8]) -> Result<RootStatement, OrderError<R::Error>> {
        let control = self.control;
        let statement = Signed::decode(statement)?.verify_root(control.root(), control.domain(), control.origin())?;
        if control.has_root_order(&statement.id) {
            Err(refuse(Code::Replayed, format!("the root statement {} was accepted before", statement.id)))?;
        }
        self.new_id(statement.id.as_bytes())?;
        match statement.order {
            RootCommand::Resume(_) if control.halted().is_none() => {
                Err(refuse(Code::EvidenceInvalid, "`resume` while the domain is not halted"))?
            }
            RootCommand::Halt(_)
            | RootCommand::Resume(_)
            | RootCommand::LedgerKeys(_)
            | RootCommand::RootKeys(_)
            | RootCommand::PolicyAuthors(_) => Ok(statement),
        }
    }

    fn grant(&self, grant: &Grant) -> Result<(), OrderError<R::Error>> {
        if let Some(at) = self.control.halted() {
            Err(refuse(Code::Halted, format!("the domain is halted by entry {at}")))?;
        }
        if let Some(at) = Self::read(revoked(self.control, self.records, None, grant))? {
            Err(refuse(Code::Revoked, format!("revoked by entry {at}")))?;
        }
        self.new_id(grant.id.as_bytes())?;
        self.audience(&grant.audience)?;
        self.spoken_for(&grant.principal)?;
        self.for_the_speaker(&grant.principal, &grant.audience)?;
        self.limits(grant)?;
        self.policy(&grant.policy)?;
        self.cause(&grant.cause)?;
        self.labels(grant)?;
        self.mandated(grant)?;
        self.budgets(grant)?;
        if let Some(hold) = &grant.hold {
            self.approved(grant, &self.hold(hold, &grant.principal, &grant.action.digest)?)?;
        }
        if let Some(admitted) = &grant.admitted {
            self.within(grant, grant.time_ms)?;
            self.new_execution(&admitted.execution)?;
        }
        Ok(())
    }

    fn limits(&self, grant: &Grant) -> Result<(), Refusal> {
        let limits = self.control.limits();
        let window_ms = grant.window.until_ms() - grant.window.from_ms();
        let within = [
            ("window", window_ms, limits.window_ms_max.get()),
            ("freeze_after_ms", grant.lease.freeze_after_ms.get(), limits.freeze_ms_max.get()),
            ("kill_after_ms", grant.lease.kill_after_ms.get(), limits.kill_ms_max.get()),
            ("depth", grant.cause.depth(), limits.depth_max),
        ];
        for (what, found, limit) in within {
            if found > limit {
                return Err(refuse(Code::ScopeWidened, format!("{what} {found} exceeds the domain's limit {limit}")));
            }
        }
        self.as_of(&grant.as_of)
    }

    /// From the first policy entry on, grants, shadows, advice and orders stand under the set in force, and with the entities in force
    /// (Invariant 5).
    fn policy(&self, policy: &Policy) -> Result<(), Refusal> {
        let entities = self.control.entities().map(|active| &active.entities);
        if policy.entities.as_ref() != entities {
            let epoch = |entities: Option<&EntitiesRef>| entities.map_or(0, |one| one.epoch.get());
            let (found, expected) = (epoch(policy.entities.as_ref()), epoch(entities));
            return Err(refuse(
                Code::PolicyMismatch,
                format!("decided with entities of epoch {found}, in force are those of epoch {expected}"),
            ));
        }
        let Some(active) = self.control.policy() else { return Ok(()) };
        if policy.set == active.set && policy.epoch == active.epoch.get() && policy.semantics == active.semantics {
            return Ok(());
        }
        let told = |epoch: u64, semantics: &Label| format!("policy epoch {epoch}, {semantics}");
        let (found, expected) = (told(policy.epoch, &policy.semantics), told(active.epoch.get(), &active.semantics));
        let why = format!("decided under {found}; in force is {expected}, by entry {}", active.at);
        Err(refuse(Code::PolicyMismatch, why))
    }

    /// Who is caused has all labels of whoever caused it, and of everything else in its lineage: with fewer it could do more (Invariant 8).
    fn labels(&self, grant: &Grant) -> Result<(), OrderError<R::Error>> {
        let Place::Caused { parent, origin, .. } = &grant.cause.place else { return Ok(()) };
        let mut carried = match Self::read(self.records.labels(&Carrier::Lineage(origin.entry)))? {
            Lookup::Unknown | Lookup::Absent => Vec::new(),
            Lookup::Found(carried) => carried,
        };
        if parent.ledger == *self.control.origin()
            && let Lookup::Found(ancestor) =
                Self::read(self.records.grant(LeafIndex::new(parent.index), &parent.entry))?
        {
            carried.extend_from_slice(ancestor.labels.as_slice());
        }
        let has = grant.labels.as_slice();
        match carried.iter().find(|label| has.binary_search(label).is_err()) {
            None => Ok(()),
            Some(label) => Err(refuse(
                Code::LabelsMissing,
                format!("the lineage carries `{label}`, which the grant does not record"),
            ))?,
        }
    }

    /// No counter passes its limit (Invariant 5): grants are judged one after another, however many were decided at once.
    fn budgets(&self, grant: &Grant) -> Result<(), OrderError<R::Error>> {
        for draw in grant.draws() {
            let drawn = match Self::read(self.records.drawn(&draw.counter))? {
                Lookup::Unknown => continue,
                Lookup::Absent => 0,
                Lookup::Found(drawn) => drawn,
            };
            if drawn >= draw.limit.get() {
                let (counter, limit) = (&draw.counter, draw.limit.get());
                Err(refuse(Code::BudgetExceeded, format!("{drawn} of {limit} are drawn from `{counter}`")))?;
            }
        }
        Ok(())
    }

    /// `as_of` must name a state this ledger had; for a state of another ledger only its reader can tell.
    fn as_of(&self, as_of: &AsOf) -> Result<(), Refusal> {
        let home = &self.control.genesis().home;
        if as_of.ledger != *home {
            return Err(refuse(
                Code::Malformed,
                format!("as_of is of `{}`, the control chain is in `{home}`", as_of.ledger),
            ));
        }
        if home != self.control.origin() {
            return Ok(());
        }
        if as_of.size > self.at.get() || self.control.head_at(as_of.size) != Some(as_of.control) {
            return Err(refuse(
                Code::Malformed,
                format!("as_of names no state of this ledger before entry {}", self.at),
            ));
        }
        Ok(())
    }

    fn cause(&self, cause: &Cause) -> Result<(), OrderError<R::Error>> {
        let Place::Caused { depth, parent, origin } = &cause.place else { return Ok(()) };
        if (*depth == 1) != (parent == origin) {
            Err(refuse(Code::LineageBroken, "parent and origin are the same at depth 1, and only there"))?;
        }
        for reference in [parent, origin] {
            if reference.ledger == *self.control.origin() && reference.index >= self.at.get() {
                Err(refuse(Code::LineageBroken, format!("caused by entry {}, which comes later", reference.index)))?;
            }
        }
        if parent.ledger != *self.control.origin() {
            return self.distant_cause(origin);
        }
        let (expected_depth, expected_origin) =
            match Self::read(self.records.grant(LeafIndex::new(parent.index), &parent.entry))? {
                Lookup::Unknown => return Ok(()),
                Lookup::Absent => Err(refuse(Code::LineageBroken, "the parent is no grant of this ledger"))?,
                Lookup::Found(ancestor) => match &ancestor.cause.place {
                    Place::Origin => (1, parent.clone()),
                    Place::Caused { depth, origin, .. } => (depth.saturating_add(1), origin.clone()),
                },
            };
        if *depth != expected_depth || *origin != expected_origin {
            Err(refuse(
                Code::LineageBroken,
                format!("depth {depth}, expected {expected_depth} with the parent's origin"),
            ))?;
        }
        Ok(())
    }

    /// The parent is in another ledger; if the lineage began in this one, its origin can be looked at.
    fn distant_cause(&self, origin: &EntryRef) -> Result<(), OrderError<R::Error>> {
        if origin.ledger != *self.control.origin() {
            return Ok(());
        }
        match Self::read(self.records.grant(LeafIndex::new(origin.index), &origin.entry))? {
            Lookup::Unknown => Ok(()),
            Lookup::Found(first) if first.cause.place == Place::Origin => Ok(()),
            Lookup::Found(_) | Lookup::Absent => {
                Err(refuse(Code::LineageBroken, "the origin is no grant of depth 0 in this ledger"))?
            }
        }
    }

    fn denial(&self, denial: &Denial) -> Result<(), OrderError<R::Error>> {
        self.new_id(denial.id.as_bytes())?;
        self.denied_to_a_gateway(denial)?;
        if let Some(mandate) = &denial.cause.mandate {
            self.recorded(mandate)?;
        }
        match &denial.hold {
            Some(hold) => self.hold(hold, &denial.principal, &denial.action.digest).map(drop),
            None => Ok(()),
        }
    }

    /// What would have been decided names the state, the set and the lineage that it truly stood on. Nothing else is asked of it, since
    /// nothing comes of it: no halt, no revocation and no counter has a say.
    fn shadow(&self, shadow: &Shadow) -> Result<(), OrderError<R::Error>> {
        self.spoken_for(&shadow.principal)?;
        self.as_of(&shadow.as_of)?;
        self.policy(&shadow.policy)?;
        self.cause(&shadow.cause)?;
        self.under(&shadow.cause, &shadow.principal).map(drop)
    }

    fn new_execution(&self, id: &crate::id::ExecutionId) -> Result<(), OrderError<R::Error>> {
        match Self::read(self.records.execution(id))? {
            Lookup::Absent | Lookup::Unknown => Ok(()),
            Lookup::Found(_) => Err(refuse(Code::Replayed, format!("{id} was recorded before")))?,
        }
    }

    fn evidence(&self, entry_type: EntryType, statement: &[u8]) -> Result<GatewayStatement, OrderError<R::Error>> {
        let signed = Signed::decode(statement)?;
        let origin = self.control.origin();
        let claims = signed.gateway_claims(origin)?;
        let name = &claims.gateway;
        let key = self.control.gateway(name).and_then(|known| known.keys.get(&claims.epoch)).ok_or_else(|| {
            refuse(Code::UnknownAuthority, format!("gateway `{name}` is not enrolled in epoch {}", claims.epoch.get()))
        })?;
        let statement = signed.verify_gateway(key, origin)?;
        if let Some(at) = self.control.revoked(&Target::Key(key.key().fingerprint())) {
            Err(refuse(Code::Revoked, format!("the key of gateway `{name}` in this epoch is revoked by entry {at}")))?;
        }
        self.sequence(&statement)?;
        match (entry_type, &statement.claim) {
            (EntryType::Spend, Claim::Spent { .. }) => self.spend(&statement)?,
            (EntryType::Start, Claim::Started { .. }) => self.start(&statement)?,
            (EntryType::Outcome, Claim::Ended { .. }) => self.outcome(&statement)?,
            (EntryType::Report, Claim::Labelled { .. }) => self.labelled(&statement)?,
            (EntryType::Report, Claim::Refused { .. } | Claim::Heartbeat { .. }) => {}
            (entry_type, _) => {
                Err(refuse(
                    Code::Malformed,
                    format!("the statement is not one that `{}` carries", entry_type.as_str()),
                ))?;
            }
        }
        Ok(statement)
    }

    fn sequence(&self, statement: &GatewayStatement) -> Result<(), OrderError<R::Error>> {
        let last = match Self::read(self.records.last_seq(&statement.gateway, statement.epoch))? {
            Lookup::Unknown => return Ok(()),
            Lookup::Absent => 0,
            Lookup::Found(last) => last,
        };
        let found = statement.seq.get();
        if found <= last {
            Err(refuse(
                Code::Replayed,
                format!("statement {found} of gateway `{}`: {last} are recorded", statement.gateway),
            ))?;
        }
        if Some(found) != last.checked_add(1) {
            let gateway = &statement.gateway;
            Err(refuse(
                Code::EvidenceIncomplete,
                format!("statement {found} of gateway `{gateway}`, expected the one after {last}"),
            ))?;
        }
        Ok(())
    }

    fn spend(&self, statement: &GatewayStatement) -> Result<(), OrderError<R::Error>> {
        let Claim::Spent { writ, index, execution, usage } = &statement.claim else { return Ok(()) };
        let at = LeafIndex::new(*index);
        let grant = self.grant_of(at, writ)?;
        self.in_force(&statement.gateway, writ, &grant)?;
        self.addressed(&grant, statement)?;
        if *usage > grant.uses {
            Err(refuse(Code::UsesExhausted, format!("use {} of {}", usage.get(), grant.uses.get())))?;
        }
        match Self::read(self.records.spent(at, *usage))? {
            Lookup::Absent | Lookup::Unknown => {}
            Lookup::Found(by) => Err(refuse(Code::Replayed, format!("use {} is spent for {by}", usage.get())))?,
        }
        self.new_execution(execution)?;
        // What was granted before its lineage gained a label must not begin without it.
        self.labels(&grant)?;
        Ok(self.within(&grant, statement.time_ms)?)
    }

    /// What is spent or started rests on nothing that was revoked, and no halt is in force: a start is the last moment to prevent.
    fn in_force(&self, gateway: &Name, writ: &Hash, grant: &Grant) -> Result<(), OrderError<R::Error>> {
        if self.control.revoked(&Target::Gateway(gateway.clone())).is_some() {
            Err(refuse(Code::Revoked, format!("gateway `{gateway}` is revoked")))?;
        }
        if let Some(at) = self.control.halted() {
            Err(refuse(Code::Halted, format!("the domain is halted by entry {at}")))?;
        }
        if let Some(at) = Self::read(revoked(self.control, self.records, Some(writ), grant))? {
            Err(refuse(Code::Revoked, format!("revoked by entry {at}")))?;
        }
        Ok(())
    }

    /// A use is spent within the window, whoever spends it.
    fn within(&self, grant: &Grant, spent_ms: u64) -> Result<(), Refusal> {
        if spent_ms < grant.window.from_ms() {
            return Err(refuse(Code::NotYetValid, "spent before the window"));
        }
        if spent_ms >= grant.window.until_ms() {
            return Err(refuse(Code::Expired, "spent after the window"));
        }
        Ok(())
    }

    fn grant_of(&self, at: LeafIndex, writ: &Hash) -> Result<Grant, OrderError<R::Error>> {
        match Self::read(self.records.grant(at, writ))? {
            Lookup::Found(found) => Ok(found),
            Lookup::Absent => Err(refuse(Code::MissingWrit, format!("entry {at} is not that grant")))?,
            Lookup::Unknown => Err(refuse(Code::EvidenceIncomplete, "the grant is not among the entries at hand"))?,
        }
    }

    fn addressed(&self, grant: &Grant, statement: &GatewayStatement) -> Result<(), Refusal> {
        let name = &statement.gateway;
        let known = self.control.gateway(name);
        let current = known.is_some_and(|known| known.epoch == statement.epoch);
        let addressed = current
            && match &grant.audience {
                Audience::Gateway { gateway, epoch } => gateway == name && *epoch == statement.epoch,
                Audience::Group(group) => known.is_some_and(|known| known.groups.contains(group)),
            };
        if addressed {
            return Ok(());
        }
        let epoch = statement.epoch.get();
        Err(refuse(Code::WrongAudience, format!("gateway `{name}` in epoch {epoch} is not who may execute this writ")))
    }

    fn start(&self, statement: &GatewayStatement) -> Result<(), OrderError<R::Error>> {
        let Claim::Started { writ, execution, action, surroundings } = &statement.claim else { return Ok(()) };
        let found = self.execution(execution, writ, &statement.gateway)?;
        match found.state {
            ExecutionState::Spent => {}
            ExecutionState::Started | ExecutionState::Ended(_) => {
                Err(refuse(Code::Replayed, format!("{execution} was started or has ended before")))?;
            }
        }
        let grant = self.grant_of(found.grant, writ)?;
        self.in_force(&statement.gateway, writ, &grant)?;
        if grant.action.digest != *action {
            Err(refuse(Code::ActionMismatch, "what was started is not what was granted"))?;
        }
        if grant.surroundings.digest != *surroundings {
            Err(refuse(Code::SurroundingsMismatch, "the surroundings measured are not those granted for"))?;
        }
        Ok(())
    }

    fn outcome(&self, statement: &GatewayStatement) -> Result<(), OrderError<R::Error>> {
        let Claim::Ended { writ, execution, result } = &statement.claim else { return Ok(()) };
        let found = self.execution(execution, writ, &statement.gateway)?;
        match (found.state, result) {
            (ExecutionState::Started, _) | (ExecutionState::Spent, Ending::Unknown) => Ok(()),
            (ExecutionState::Spent, Ending::Exited(_) | Ending::Signaled(_) | Ending::Terminated(_)) => {
                Err(refuse(Code::LineageBroken, format!("{execution} was never started")))?
            }
            (ExecutionState::Ended(_), _) => Err(refuse(Code::Replayed, format!("{execution} has ended before")))?,
        }
    }

    /// Labels are gained by what is under way, and said by who executes it.
    fn labelled(&self, statement: &GatewayStatement) -> Result<(), OrderError<R::Error>> {
        let Claim::Labelled { writ, execution, .. } = &statement.claim else { return Ok(()) };
        match self.execution(execution, writ, &statement.gateway)?.state {
            ExecutionState::Spent | ExecutionState::Started => Ok(()),
            ExecutionState::Ended(_) => {
                Err(refuse(Code::LineageBroken, format!("{execution} has ended, and gains no labels any more")))?
            }
        }
    }

    fn execution(
        &self,
        id: &crate::id::ExecutionId,
        writ: &Hash,
        gateway: &Name,
    ) -> Result<Execution, OrderError<R::Error>> {
        let found = match Self::read(self.records.execution(id))? {
            Lookup::Found(found) => found,
            Lookup::Absent => Err(refuse(Code::LineageBroken, format!("{id} was never spent")))?,
            Lookup::Unknown => {
                Err(refuse(Code::EvidenceIncomplete, format!("the spend of {id} is not among the entries at hand")))?
            }
        };
        if found.writ != *writ || found.gateway != *gateway {
            Err(refuse(Code::LineageBroken, format!("{id} is of another writ or gateway")))?;
        }
        Ok(found)
    }

    fn erasure(&self, erasure: &Erasure) -> Result<(), OrderError<R::Error>> {
        self.order(&erasure.by, &erasure.id, &erasure.action, &erasure.policy)?;
        for erased in erasure.erased.as_slice() {
            match Self::read(self.records.commitment(LeafIndex::new(erased.index), &erased.commitment))? {
                Lookup::Found(()) | Lookup::Unknown => {}
                Lookup::Absent => Err(refuse(
                    Code::CommitmentMismatch,
                    format!("entry {} does not hold this commitment, or its value was erased before", erased.index),
                ))?,
            }
        }
        Ok(())
    }
}
