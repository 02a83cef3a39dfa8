//! Judging a history by its entries alone, without the rules of order that made it.

use super::effects::Effects;
use super::mandated::Mandates;
use crate::governed::Entered;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use writ_protocol::entry::{
    Approval, AssertedPrincipal, Audience, Body, Enrolment, Grant, Hold, Place, Principal, Target, Verdict,
};
use writ_protocol::statement::{Claim, GatewayStatement, RootCommand, Signed};
use writ_protocol::{ExecutionId, Fingerprint, Label, Name};
use writ_tlog::{Hash, Origin};

/// An invariant that a history breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Its number.
    pub invariant: u8,
    /// How.
    pub how: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invariant {}: {}", self.invariant, self.how)
    }
}

/// Everything that a history breaks: no grant and no spend follows what forbids it and no counter passes its limit (5), what waits is granted once
/// enough have approved it, none of them who asked, and nobody is named by a gateway that may not (13), labels are not lost and nothing escapes its mandate (8), each use has one effect at most (6), and what was acknowledged is there (9).
pub fn breaches(
    origin: &Origin,
    entries: &[Entered],
    effects: &Effects,
    acknowledged: &BTreeMap<u64, Hash>,
) -> Vec<Breach> {
    let mut history = History::new(origin);
    for entered in entries {
        history.read(entered);
    }
    history.judge_effects(effects);
    let there: BTreeMap<u64, Hash> = entries.iter().map(|entered| (entered.index, entered.hash)).collect();
    for (index, hash) in acknowledged {
        if there.get(index) != Some(hash) {
            history.breach(9, format!("entry {index} was acknowledged, and is not what it was"));
        }
    }
    history.breaches
}

struct History<'a> {
    origin: &'a Origin,
    breaches: Vec<Breach>,
    halted: bool,
    revoked: BTreeSet<Target>,
    policy: Option<(Hash, u64)>,
    gateways: BTreeMap<Name, Enrolment>,
    /// Whose a gateway's key is.
    gateway_keys: BTreeMap<Fingerprint, Name>,
    drawn: BTreeMap<Name, u64>,
    grants: BTreeMap<Hash, Grant>,
    /// The use for which each execution was spent.
    spent: BTreeMap<ExecutionId, (Hash, u64)>,
    uses: BTreeSet<(Hash, u64)>,
    started: BTreeSet<ExecutionId>,
    ended: BTreeSet<ExecutionId>,
    /// What waits, until it is granted, with the approvals that count.
    waiting: BTreeMap<Hash, Waited>,
    /// Labels of lineages, by the grants they begin with.
    labels: BTreeMap<Hash, BTreeSet<Label>>,
    mandates: Mandates,
}

struct Waited {
    hold: Hold,
    answers: Vec<Approval>,
}

impl<'a> History<'a> {
    fn new(origin: &'a Origin) -> Self {
        Self {
            origin,
            breaches: Vec::new(),
            halted: false,
            revoked: BTreeSet::new(),
            policy: None,
            gateways: BTreeMap::new(),
            gateway_keys: BTreeMap::new(),
            drawn: BTreeMap::new(),
            grants: BTreeMap::new(),
            spent: BTreeMap::new(),
            uses: BTreeSet::new(),
            started: BTreeSet::new(),
            ended: BTreeSet::new(),
            waiting: BTreeMap::new(),
            labels: BTreeMap::new(),
            mandates: Mandates::default(),
        }
    }

    fn breach(&mut self, invariant: u8, how: String) {
        self.breaches.push(Breach { invariant, how });
    }

    fn read(&mut self, entered: &Entered) {
        match &entered.body {
            Body::Gateway(enrolment) => self.enrolled(entered.index, enrolment),
            Body::Revocation(revocation) => {
                self.revoked.insert(revocation.target.clone());
            }
            Body::Halt(_) => self.halted = true,
            Body::RootOrder(order) => match Signed::decode(&order.statement.0).unwrap().root_claims(self.origin) {
                Ok(statement) => match statement.order {
                    RootCommand::Halt(_) => self.halted = true,
                    RootCommand::Resume(_) => self.halted = false,
                    RootCommand::LedgerKeys(_) | RootCommand::RootKeys(_) | RootCommand::PolicyAuthors(_) => {}
                },
                Err(refusal) => self.breach(5, format!("entry {}: {refusal}", entered.index)),
            },
            Body::Policy(activation) => self.policy = Some((activation.set, activation.epoch.get())),
            Body::Grant(grant) => self.grant(entered, grant),
            Body::Hold(hold) => {
                self.waiting.insert(entered.hash, Waited { hold: hold.clone(), answers: Vec::new() });
            }
            Body::Approval(approval) => self.approval(entered.index, approval),
            Body::Spend(evidence) | Body::Start(evidence) | Body::Outcome(evidence) | Body::Report(evidence) => {
                self.evidence(entered.index, &evidence.statement.0);
            }
            Body::Mandate(mandate) => {
                let at = entered.index;
                if let Some(how) = self.mandates.wider(mandate) {
                    self.breach(8, format!("mandate {at}: {how}"));
                }
                let targets = self.mandates.targets(mandate.parent.as_ref());
                if let Some(target) = targets.into_iter().find(|target| self.revoked.contains(target)) {
                    self.breach(5, format!("mandate {at} rests on what is revoked: {target:?}"));
                }
                self.mandates.given(entered.hash, mandate);
            }
            Body::Genesis(_)
            | Body::Entities(_)
            | Body::Denial(_)
            | Body::Shadow(_)
            | Body::Advised(_)
            | Body::Tally(_)
            | Body::Erasure(_)
            | Body::Seal(_) => {}
        }
    }

    fn grant(&mut self, entered: &Entered, grant: &Grant) {
        let at = entered.index;
        if self.halted {
            self.breach(5, format!("grant {at} in a halted domain"));
        }
        if let Some(target) = self.forbidden(&entered.hash, grant) {
            self.breach(5, format!("grant {at} rests on what is revoked: {target:?}"));
        }
        if Some((grant.policy.set, grant.policy.epoch)) != self.policy {
            self.breach(5, format!("grant {at} under epoch {} is not under the set in force", grant.policy.epoch));
        }
        if let Audience::Gateway { gateway, epoch } = &grant.audience
            && self.gateways.get(gateway).is_none_or(|known| known.epoch != *epoch)
        {
            self.breach(5, format!("grant {at} is for gateway {gateway} in epoch {}", epoch.get()));
        }
        for draw in grant.draws() {
            let drawn = self.drawn.entry(draw.counter.clone()).or_default();
            *drawn += 1;
            let (drawn, limit) = (*drawn, draw.limit.get());
            if drawn > limit {
                self.breach(5, format!("grant {at} is number {drawn} of {limit} from {}", draw.counter));
            }
        }
        if let Some(hold) = &grant.hold {
            self.resolved(at, grant, &hold.entry);
        }
        if let Some(how) = self.mandates.escaped(grant) {
            self.breach(8, format!("grant {at}: {how}"));
        }
        self.spoken_for(at, grant);
        self.carried(at, &entered.hash, grant);
        if let Some((execution, _)) = grant.admitted_execution() {
            self.spend(at, entered.hash, 1, execution);
        }
        self.grants.insert(entered.hash, grant.clone());
    }

    /// A gateway has one key and no other's, and each epoch follows the one before it.
    fn enrolled(&mut self, at: u64, enrolment: &Enrolment) {
        let before = self.gateways.get(&enrolment.gateway).map_or(0, |known| known.epoch.get());
        let named = self.gateway_keys.insert(enrolment.key.key().fingerprint(), enrolment.gateway.clone());
        if enrolment.epoch.get() != before + 1 || named.is_some_and(|named| named != enrolment.gateway) {
            self.breach(13, format!("enrolment {at} is of another epoch, or with the key of another gateway"));
        }
        let targets = [Target::Gateway(enrolment.gateway.clone()), Target::Key(enrolment.key.key().fingerprint())];
        if targets.iter().any(|target| self.revoked.contains(target)) {
            self.breach(5, format!("enrolment {at} of what is revoked"));
        }
        self.gateways.insert(enrolment.gateway.clone(), enrolment.clone());
    }

    /// Who is named by a gateway is one for whom it is enrolled, and it executes that itself.
    fn spoken_for(&mut self, at: u64, grant: &Grant) {
        if grant.principal.auth.as_str() != Principal::BY_GATEWAY {
            return;
        }
        let by = grant.principal.key.as_ref().and_then(|key| self.gateway_keys.get(&key.fingerprint()));
        let speaks = by.and_then(|by| self.gateways.get(by)).is_some_and(|known| {
            Some(known.key.key()) == grant.principal.key.as_ref()
                && known.asserts.as_slice().contains(&grant.principal.asserted())
                && matches!(&grant.audience, Audience::Gateway { gateway, .. } if *gateway == known.gateway)
        });
        if !speaks {
            self.breach(13, format!("grant {at} to whom no gateway may name, or for another gateway"));
        }
    }

    /// What was held is granted once, in time, to whoever asked for it, when as many as it needs have approved it and nobody has said no.
    fn resolved(&mut self, at: u64, grant: &Grant, hold: &Hash) {
        let Some(Waited { hold, answers }) = self.waiting.remove(hold) else {
            self.breach(5, format!("grant {at} resolves what does not wait"));
            return;
        };
        let same = hold.principal == grant.principal && hold.action == grant.action && hold.cause == grant.cause;
        if !same || grant.time_ms >= hold.until_ms {
            self.breach(5, format!("grant {at} is not what was held, or it had lapsed"));
        }
        if answers.iter().any(|answer| answer.verdict == Verdict::Reject) {
            self.breach(5, format!("grant {at} was rejected"));
        }
        let stands = |by: &Principal| {
            let key = by.key.as_ref().map(|key| Target::Key(key.fingerprint()));
            !self.revoked.contains(&Target::Principal(by.asserted()))
                && !key.is_some_and(|key| self.revoked.contains(&key))
        };
        let lacks = hold.needs.iter().any(|need| {
            let counts = |answer: &&Approval| answer.groups.as_slice().contains(&need.group) && stands(&answer.by);
            let by: BTreeSet<_> = answers.iter().filter(counts).map(|answer| answer.by.asserted()).collect();
            (by.len() as u64) < need.count.get()
        });
        if lacks {
            self.breach(5, format!("grant {at} lacks approvals"));
        }
    }

    fn approval(&mut self, at: u64, approval: &Approval) {
        let Some(waited) = self.waiting.get_mut(&approval.hold.entry) else {
            self.breach(5, format!("approval {at} of what does not wait"));
            return;
        };
        let own = waited.hold.principal.asserted() == approval.by.asserted();
        if approval.verdict == Verdict::Withdraw {
            self.waiting.remove(&approval.hold.entry);
            if !own {
                self.breach(13, format!("approval {at} takes back what another has asked"));
            }
            return;
        }
        waited.answers.push(approval.clone());
        if own {
            self.breach(13, format!("approval {at} by who has asked"));
        }
    }

    /// Who asks from elsewhere may be anything that is under way in its name: the grant has the labels of all of that.
    fn carried(&mut self, at: u64, hash: &Hash, grant: &Grant) {
        let own = grant.principal.asserted();
        let open = self.spent.iter().filter(|(execution, _)| !self.ended.contains(*execution));
        let in_its_name =
            open.filter(|(_, (writ, _))| self.grants.get(writ).is_some_and(|by| by.principal.asserted() == own));
        let carried = in_its_name.filter_map(|(_, (writ, _))| self.labels.get(writ)).flatten();
        if let Some(lost) = carried.into_iter().find(|label| !grant.labels.as_slice().contains(label)) {
            let lost = lost.clone();
            self.breach(8, format!("grant {at} lacks the label {lost}"));
        }
        self.labels.insert(*hash, grant.labels.as_slice().iter().cloned().collect());
    }

    /// What is revoked of all that a grant rests on.
    fn forbidden(&self, hash: &Hash, grant: &Grant) -> Option<Target> {
        let lineage = |entry: &Hash| Target::Lineage { ledger: self.origin.clone(), entry: *entry };
        let principal = &grant.principal;
        let mut targets = vec![
            Target::Writ(*hash),
            lineage(hash),
            Target::Key(grant.holder.key().fingerprint()),
            Target::Principal(AssertedPrincipal { kind: principal.kind.clone(), id: principal.id.clone() }),
            Target::Policy(grant.policy.set),
        ];
        targets.extend(principal.key.as_ref().map(|key| Target::Key(key.fingerprint())));
        if let Audience::Gateway { gateway, .. } = &grant.audience {
            targets.push(Target::Gateway(gateway.clone()));
        }
        if let Place::Caused { parent, origin, .. } = &grant.cause.place {
            targets.extend([parent, origin].map(|cause| Target::Writ(cause.entry)));
            targets.extend([parent, origin].map(|cause| lineage(&cause.entry)));
        }
        targets.extend(self.mandates.targets(grant.cause.mandate.as_ref()));
        targets.into_iter().find(|target| self.revoked.contains(target))
    }

    fn evidence(&mut self, at: u64, statement: &[u8]) {
        let statement = Signed::decode(statement).and_then(|signed| signed.gateway_claims(self.origin)).unwrap();
        match &statement.claim {
            Claim::Spent { writ, execution, usage, .. } => {
                self.spendable(at, writ, &statement);
                self.spend(at, *writ, usage.get(), *execution);
            }
            Claim::Started { execution, .. } => {
                if !self.spent.contains_key(execution) {
                    self.breach(6, format!("entry {at}: {execution} is started, and no use is spent for it"));
                }
                if self.ended.contains(execution) || !self.started.insert(*execution) {
                    self.breach(6, format!("entry {at}: {execution} is started again"));
                }
            }
            Claim::Ended { execution, .. } => {
                self.ended.insert(*execution);
            }
            Claim::Labelled { writ, labels, .. } => {
                self.labels.entry(*writ).or_default().extend(labels.as_slice().iter().cloned());
            }
            Claim::Refused { .. } | Claim::Heartbeat { .. } => {}
        }
    }

    fn spendable(&mut self, at: u64, writ: &Hash, statement: &GatewayStatement) {
        let Some(grant) = self.grants.get(writ).cloned() else {
            self.breach(6, format!("entry {at} spends what was never granted"));
            return;
        };
        if self.halted {
            self.breach(5, format!("spend {at} in a halted domain"));
        }
        let gateway = Target::Gateway(statement.gateway.clone());
        let by = self.forbidden(writ, &grant).or_else(|| self.revoked.get(&gateway).cloned());
        if let Some(target) = by {
            self.breach(5, format!("spend {at} rests on what is revoked: {target:?}"));
        }
        let known = self.gateways.get(&statement.gateway);
        let addressed = known.is_some_and(|Enrolment { epoch, groups, .. }| {
            *epoch == statement.epoch
                && match &grant.audience {
                    Audience::Gateway { gateway, epoch: at } => *gateway == statement.gateway && at == epoch,
                    Audience::Group(group) => groups.as_slice().contains(group),
                }
        });
        if !addressed {
            self.breach(5, format!("spend {at} by {}, for whom the writ is not", statement.gateway));
        }
        if statement.time_ms < grant.window.from_ms() || statement.time_ms >= grant.window.until_ms() {
            self.breach(5, format!("spend {at} is not within the window"));
        }
    }

    fn spend(&mut self, at: u64, writ: Hash, usage: u64, execution: ExecutionId) {
        if !self.uses.insert((writ, usage)) {
            self.breach(6, format!("entry {at} spends a use that is spent"));
        }
        if self.spent.insert(execution, (writ, usage)).is_some() {
            self.breach(6, format!("entry {at} spends for {execution}, which has a use"));
        }
    }

    fn judge_effects(&mut self, effects: &Effects) {
        for ((writ, usage), executions) in effects.of_uses() {
            if executions.len() > 1 {
                self.breach(6, format!("use {usage} of {writ} had {} effects", executions.len()));
            }
            for execution in executions {
                let by_right = self.spent.get(execution) == Some(&(*writ, *usage)) && self.started.contains(execution);
                if !by_right {
                    self.breach(6, format!("{execution} had an effect, and its start is not recorded"));
                }
            }
        }
    }
}
