//! What is recorded of what policy would answer, derived again: shadows and advice.

use super::{Derived, Run, Subject, Verdict, agree_on_reasons};
use crate::advice::opinion;
use crate::shadow::{under_mandate, would};
use writ_ledger::Kept;
use writ_policy::advise;
use writ_protocol::entry::{Advised, Opinion, Shadow};
use writ_tlog::Hash;

impl Run {
    pub(super) fn shadow(&self, shadow: &Shadow, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let derived = self.derive(&Subject {
            values,
            policy: &shadow.policy,
            facts: shadow.facts,
            action: shadow.action.digest,
            principal: &shadow.principal,
            cause: Some(&shadow.cause),
            time_ms: shadow.time_ms,
        })?;
        let Derived { decision, action, facts } = derived;
        let under = self.under(shadow.cause.mandate.as_ref());
        let decision = under_mandate(under.as_ref(), decision, &action, &facts);
        let derived = Derived { decision, action, facts };
        if would(&derived.decision) != Some(shadow.would) {
            let derived = derived.decision.outcome();
            let recorded = shadow.would.as_str();
            return Err(Verdict::Differs(format!("recorded is what would be {recorded}, derived is {derived}")));
        }
        agree_on_reasons(shadow.policy.reasons.as_slice(), derived.decision.reasons())?;
        Ok(derived)
    }

    /// An advice says what policy answers of its subject, or that the order of the ledger stood against what it permits.
    pub(super) fn advised(&self, advised: &Advised, values: &[(Hash, Kept)]) -> Result<Derived, Verdict> {
        let derived = self.derive(&Subject {
            values,
            policy: &advised.policy,
            facts: advised.facts,
            action: advised.action.digest,
            principal: &advised.principal,
            cause: Some(&advised.cause),
            time_ms: advised.time_ms,
        })?;
        let set = self.set(&advised.policy).ok_or_else(|| Verdict::differs("its policy set is not there"))?;
        let answer = advise(&set, &derived.action, &derived.facts)
            .map_err(|_| Verdict::differs("recorded is an advice, derived is that it may not be asked"))?;
        let (derived_opinion, reasons, found) = opinion(&answer);
        let stood_against = matches!(advised.decision, Opinion::Halted | Opinion::Revoked);
        let same = advised.decision == derived_opinion && advised.found == found;
        if !(same || stood_against && derived_opinion.lets_through()) {
            let (recorded, derived) = (advised.decision.as_str(), derived_opinion.as_str());
            return Err(Verdict::Differs(format!("recorded is {recorded}, derived is {derived}")));
        }
        agree_on_reasons(advised.policy.reasons.as_slice(), &reasons)?;
        Ok(derived)
    }
}
