//! Holds: what waits for approvals, who has given them, and how whoever asked goes on (decision 0029).
//!
//! A request that policy would permit once enough have approved it is recorded as a `hold`. Whoever asked asks again, naming the hold, when it
//! was answered: the same action by the same principal in the same place, and then it is decided anew with the approvals as facts.

use crate::answer::{Answer, Held as Told};
use crate::authority::{Authority, random};
use crate::decision::{Case, Ruling, as_of, opening};
use crate::error::AuthorityError;
use crate::policies::ActiveSet;
use crate::waiting::Asked;
use writ_ledger::{Draft, Held, Kept, LedgerError, Proposal, Receipt};
use writ_policy::{Answered, Facts, Hold as Wait};
use writ_protocol::action::{CommitmentKind, Held as Named, Opening};
use writ_protocol::cbor::Encode;
use writ_protocol::entry::{
    Approval, ApprovalFields, Ascending, AssertedPrincipal, Audience, EntryRef, Hold, HoldFields, Need, Verdict,
};
use writ_protocol::order::HoldAnswer;
use writ_protocol::statement::Authorize;
use writ_protocol::{Code, HoldId, Name, OrderId, Refusal};
use writ_tlog::LeafIndex;

/// Holds that one principal may have open; more are refused until some are answered or lapse.
const OPEN_EACH_MAX: u64 = 64;
/// Holds that may be open in all.
pub const OPEN_HOLDS_MAX: u64 = 4096;

/// How far a hold has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// More have to approve it.
    Pending,
    /// Enough have: whoever asked may go on.
    Approved,
    /// Somebody has said no.
    Rejected,
    /// Nobody can approve it any more.
    Lapsed,
    /// It was granted, refused or withdrawn, by this entry.
    Resolved(LeafIndex),
}

fn over(at: LeafIndex) -> String {
    format!("was resolved by entry {at}, granted, refused or withdrawn")
}

impl Waiting {
    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Lapsed => "lapsed",
            Self::Resolved(_) => "resolved",
        }
    }
}

/// What whoever asked goes on with.
pub(crate) struct Resumed {
    pub(crate) hold: EntryRef,
    pub(crate) approvers: Vec<AssertedPrincipal>,
}

/// How a request that names a hold stands.
pub(crate) enum Resumption {
    /// It names none.
    Fresh,
    /// It was approved.
    Approved(Resumed),
    /// It cannot go on, and the hold is at its end.
    Over(EntryRef, Refusal),
    /// It cannot go on, and the hold stays as it is.
    Not(Refusal),
}

/// Whose approvals are waited for, in words.
pub(crate) fn asks(needs: &[Need]) -> String {
    let each: Vec<String> = needs.iter().map(|need| format!("{} of {}", need.count.get(), need.group)).collect();
    format!("it waits for approval: {}", each.join(", "))
}

impl Authority {
    /// How far a hold has come.
    pub fn waiting(&self, held: &Held) -> Waiting {
        if let Some(at) = held.resolved_at {
            return Waiting::Resolved(at);
        }
        if held.waiting.is_rejected() {
            return Waiting::Rejected;
        }
        if held.waiting.hold.until_ms <= self.now_ms() {
            return Waiting::Lapsed;
        }
        match held.waiting.lacks(|answer| self.stands(answer)) {
            Some(_) => Waiting::Pending,
            None => Waiting::Approved,
        }
    }

    /// Whether whoever has answered is still trusted, and still in the groups for which it counts.
    pub fn stands(&self, answer: &HoldAnswer) -> bool {
        let control = self.ledger.published().control;
        let revoked = control.revoked(&writ_protocol::entry::Target::Principal(answer.by.clone())).is_some()
            || control.revoked(&writ_protocol::entry::Target::Key(answer.key)).is_some();
        let groups = self.policies.active().set.groups_of(&answer.by);
        !revoked && answer.groups.iter().all(|group| groups.contains(group))
    }

    /// How a request stands to the hold it names.
    pub(crate) fn resumption(&self, case: &Case<'_>, ask: &Authorize) -> Result<Resumption, AuthorityError> {
        let Some(named) = &ask.hold else { return Ok(Resumption::Fresh) };
        let not = |code: Code, why: &str| Ok(Resumption::Not(Refusal::new(code, why.to_owned())));
        if named.ledger != *self.ledger.origin() {
            return not(Code::ApprovalRejected, "the hold is of another ledger");
        }
        let held = self.reader().held(LeafIndex::new(named.index))?;
        let Some(held) = held.filter(|held| held.entry == named.entry) else {
            return not(Code::ApprovalRejected, "there is no such hold");
        };
        let hold = &held.waiting.hold;
        if hold.principal.asserted() != case.asker.name() || hold.action.digest != case.action_ref().digest {
            return not(
                Code::ApprovalRejected,
                "the hold is of another principal or action; what has changed is approved anew",
            );
        }
        if hold.cause != case.cause() {
            return not(Code::ApprovalRejected, "the hold is of another place in the lineage");
        }
        match self.facts_of(&held)? {
            Some(facts) if self.is_there(&facts, case, ask)? => {}
            Some(_) => {
                return not(
                    Code::SurroundingsMismatch,
                    "it was held for another gateway, other surroundings or other labels",
                );
            }
            None => return not(Code::ApprovalRejected, "what the hold stood on is erased"),
        }
        Ok(match self.waiting(&held) {
            Waiting::Approved => {
                let approves = |answer: &&HoldAnswer| answer.verdict == Verdict::Approve && self.stands(answer);
                let approvers = held.waiting.answers.iter().filter(approves).map(|answer| answer.by.clone());
                let approvers = Ascending::new(approvers).as_slice().to_vec();
                Resumption::Approved(Resumed { hold: named.clone(), approvers })
            }
            Waiting::Pending => Resumption::Not(Refusal::new(Code::ApprovalPending, asks(hold.needs.as_slice()))),
            // It stays, so that the no stands for whoever asks the same afresh, until it would have lapsed.
            Waiting::Rejected if hold.until_ms > self.now_ms() => {
                Resumption::Not(Refusal::new(Code::ApprovalRejected, "somebody who was asked has rejected it"))
            }
            Waiting::Rejected => {
                let why = Refusal::new(Code::ApprovalRejected, "somebody who was asked has rejected it");
                Resumption::Over(named.clone(), why)
            }
            Waiting::Lapsed => {
                let why = Refusal::new(Code::ApprovalRejected, "nobody has approved it in time");
                Resumption::Over(named.clone(), why)
            }
            Waiting::Resolved(at) => {
                let why = format!("the hold {}, and that is for good", over(at));
                Resumption::Not(Refusal::new(Code::ApprovalRejected, why))
            }
        })
    }

    /// Whether a request is for the surroundings and with the labels that were decided on, and for that gateway, or for another slot of the
    /// node's own machine as that was: one that is in the same groups.
    fn is_there(&self, facts: &Facts, case: &Case<'_>, ask: &Authorize) -> Result<bool, AuthorityError> {
        let now = self.facts(case, ask.gateway(), &ask.surroundings)?;
        let control = self.ledger.published().control;
        let groups = |gateway: &Option<Name>| {
            let known = gateway.as_ref().and_then(|name| control.gateway(name));
            known.filter(|known| !known.by_order).map(|known| known.groups.clone())
        };
        let slots = groups(&facts.gateway).filter(|groups| !groups.is_empty());
        let gateway = facts.gateway == now.gateway || slots.is_some() && slots == groups(&now.gateway);
        // Whoever approved has not approved of what the lineage has learnt since.
        Ok(gateway && facts.surroundings == now.surroundings && facts.labels == now.labels)
    }

    /// Nobody approves what no gateway could then run: it must be enrolled, in the epoch that is named.
    pub(crate) fn awaited_by(&self, audience: &Audience) -> Result<(), Refusal> {
        let Audience::Gateway { gateway, epoch } = audience else { return Ok(()) };
        let control = self.ledger.published().control;
        match control.gateway(gateway) {
            Some(known) if known.epoch == *epoch => Ok(()),
            Some(known) => {
                let (found, current) = (epoch.get(), known.epoch.get());
                let why = format!("epoch {found} of gateway `{gateway}`, the current one is {current}");
                Err(Refusal::new(Code::WrongAudience, why))
            }
            None => Err(Refusal::new(Code::UnknownAuthority, format!("gateway `{gateway}` is not enrolled"))),
        }
    }

    /// Has a request wait; where the same waits already, it waits with that.
    pub(crate) async fn hold(
        &self,
        case: &Case<'_>,
        ask: &Authorize,
        (active, facts): (&ActiveSet, &Facts),
        wait: Wait,
    ) -> Result<Result<Answer, LedgerError>, AuthorityError> {
        let who = case.asker.name();
        let asked = Asked::of(&who, &case.cause(), &case.request.action, facts);
        let Some(being_held) = self.known_holds.begin(asked, &who) else {
            let why = Refusal::new(Code::FactsChanged, "the same is just being recorded as a hold; ask again");
            return Ok(Ok(self.deny(case, None, Ruling::of(&why)).await?));
        };
        let same = {
            let open = self.reader().open_holds(facts.now_ms, Some(&case.asker.name()), OPEN_EACH_MAX)?;
            let same = open.iter().map(|index| self.same(*index, case, ask, asked));
            let same = same.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next();
            let full = open.len() + being_held.of_the_same >= usize::try_from(OPEN_EACH_MAX).unwrap_or(usize::MAX);
            same.map(Ok).or(full.then_some(Err(())))
        };
        match same {
            Some(Ok((held, opened))) => return Ok(Ok(self.told_again(case, &held, opened).await?)),
            Some(Err(())) => {
                let why =
                    format!("{OPEN_EACH_MAX} of its requests wait for approval already; have some answered first");
                return Ok(Ok(self.deny(case, None, Ruling::of(&Refusal::new(Code::RateLimited, why))).await?));
            }
            None => {}
        }
        if self.reader().open_holds(facts.now_ms, None, OPEN_HOLDS_MAX)?.len()
            >= usize::try_from(OPEN_HOLDS_MAX).unwrap_or(usize::MAX)
        {
            let why = format!("{OPEN_HOLDS_MAX} requests wait for approval already");
            return Ok(Ok(self.deny(case, None, Ruling::of(&Refusal::new(Code::RateLimited, why))).await?));
        }
        let committed = opening(CommitmentKind::Facts, facts.to_cbor())?;
        let Wait { reasons, needs, within_ms } = wait;
        let clauses = active.explained(&reasons);
        let fields = HoldFields {
            id: HoldId::new(facts.now_ms, random()?),
            as_of: as_of(&self.ledger.published())?,
            cause: case.cause(),
            facts: committed.commitment(),
            needs: needs.clone(),
            action: case.action_ref(),
            policy: active.decided_by(reasons)?,
            request: case.request_ref(),
            time_ms: facts.now_ms,
            until_ms: facts.now_ms.saturating_add(within_ms),
            principal: case.asker.principal.clone(),
        };
        let until_ms = fields.until_ms;
        let hold = Hold::new(fields).map_err(Refusal::from)?;
        let openings = vec![case.action_opening.clone(), committed, case.request_opening.clone()];
        let proposal = Proposal::new(Draft::Hold(hold)).with_openings(openings);
        match self.record(proposal).await {
            Ok(receipt) if receipt.repeated => self.told(case, receipt).map(Ok),
            Ok(receipt) => {
                self.known_holds.learn(receipt.index, asked);
                let (why, salt) = (asks(&needs), case.request.action_salt);
                Ok(Ok(Answer::Hold(Box::new(Told { receipt, needs, until_ms, why, clauses, salt, approved: false }))))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// What was recorded as a hold, told to whoever asked it before, or asks the same again.
    pub(crate) fn told_hold(&self, receipt: Receipt, hold: &Hold, salt: [u8; 32]) -> Result<Answer, AuthorityError> {
        let held = self.reader().held(receipt.index)?;
        let stands = held.map_or(Waiting::Pending, |held| self.waiting(&held));
        let approved = stands == Waiting::Approved;
        let why = match stands {
            Waiting::Approved => "it is approved: ask again, naming the hold".to_owned(),
            Waiting::Pending => asks(&hold.needs),
            Waiting::Rejected => "somebody who was asked has rejected it".to_owned(),
            Waiting::Lapsed => "nobody has approved it in time; make a new request".to_owned(),
            Waiting::Resolved(at) => format!("it {}; make a new request", over(at)),
        };
        let clauses = self.clauses(hold.policy.reasons.as_slice());
        let (needs, until_ms) = (hold.needs.clone(), hold.until_ms);
        Ok(Answer::Hold(Box::new(Told { receipt, needs, until_ms, why, clauses, salt, approved })))
    }

    async fn told_again(&self, case: &Case<'_>, held: &Held, opened: Opening) -> Result<Answer, AuthorityError> {
        if held.waiting.is_rejected() {
            let why = Refusal::new(
                Code::ApprovalRejected,
                "somebody who was asked has rejected just this; it can be asked again later",
            );
            return self.deny(case, None, Ruling::of(&why)).await;
        }
        let published = self.ledger.published();
        let receipt = self.reader().receipt(held.index, &published.into())?;
        self.told_hold(receipt, &held.waiting.hold, opened.salt)
    }

    /// The open hold at an index, with what opens its action, if it is of the same action in the same place.
    fn same(
        &self,
        index: LeafIndex,
        case: &Case<'_>,
        ask: &Authorize,
        asked: Asked,
    ) -> Result<Option<(Held, Opening)>, AuthorityError> {
        if self.known_holds.asked(index).is_some_and(|known| known != asked) {
            return Ok(None);
        }
        let Some(held) = self.reader().held(index)? else { return Ok(None) };
        let hold = &held.waiting.hold;
        let Kept::Value(action) = self.reader().kept(index, CommitmentKind::Action, &hold.action.digest)? else {
            return Ok(None);
        };
        let Some(facts) = self.facts_of(&held)? else { return Ok(None) };
        let found = Asked::of(&hold.principal.asserted(), &hold.cause, &action.value, &facts);
        self.known_holds.learn(index, found);
        Ok((found == asked && self.is_there(&facts, case, ask)?).then_some((held, action)))
    }

    fn facts_of(&self, held: &Held) -> Result<Option<Facts>, AuthorityError> {
        match self.reader().kept(held.index, CommitmentKind::Facts, &held.waiting.hold.facts)? {
            Kept::Value(opening) => Ok(Some(Facts::decode(&opening.value)?)),
            Kept::Erased | Kept::Nothing => Ok(None),
        }
    }

    /// What an answer is about, if whoever gives it is asked.
    pub(crate) fn answered(
        &self,
        case: &Case<'_>,
        active: &ActiveSet,
        (verdict, named): (Verdict, &Named),
    ) -> Result<Answered, AuthorityError> {
        let refused = |why: String| Err(AuthorityError::from(Refusal::new(Code::ApprovalRejected, why)));
        if named.hold.ledger != *self.ledger.origin() {
            return refused("the hold is of another ledger".to_owned());
        }
        let held = self.reader().held(LeafIndex::new(named.hold.index))?;
        let Some(held) = held.filter(|held| held.entry == named.hold.entry) else {
            return refused("there is no such hold".to_owned());
        };
        let hold = &held.waiting.hold;
        if verdict == Verdict::Withdraw {
            if hold.principal.asserted() != case.asker.name() {
                return refused("only whoever asked withdraws it".to_owned());
            }
            return Ok(Answered { groups: Vec::new(), requester: hold.principal.asserted() });
        }
        let member_of = active.set.groups_of(&case.asker.name());
        let asked = hold.needs.iter().map(|need| &need.group);
        let groups: Vec<_> = asked.clone().filter(|group| member_of.contains(*group)).cloned().collect();
        if groups.is_empty() {
            let asked: Vec<&str> = asked.map(|group| group.as_str()).collect();
            return refused(format!("only members of {} are asked", asked.join(", ")));
        }
        Ok(Answered { groups, requester: hold.principal.asserted() })
    }

    /// The entry of an answer that policy permits.
    pub(crate) fn approval(
        case: &Case<'_>,
        (named, verdict): (&Named, Verdict),
        facts: &Facts,
        (committed, policy): (writ_tlog::Hash, writ_protocol::entry::Policy),
    ) -> Result<Draft, AuthorityError> {
        let groups = facts.answers.iter().flat_map(|answered| answered.groups.iter().cloned());
        let fields = ApprovalFields {
            by: case.asker.principal.clone(),
            id: OrderId::new(facts.now_ms, random()?),
            hold: named.hold.clone(),
            facts: committed,
            action: case.action_ref(),
            groups: Ascending::new(groups),
            policy,
            request: case.request_ref(),
            time_ms: facts.now_ms,
            verdict,
            statement: writ_protocol::cbor::Bytes(case.request_opening.value.clone()),
        };
        Ok(Draft::Approval(Approval::new(fields).map_err(Refusal::from)?))
    }
}
