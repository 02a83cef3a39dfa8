use crate::advice::{can_be_kept, may_ask};
use crate::approval::Approvals;
use crate::compile::short;
use crate::decision::{DECISION_REASONS_MAX, Decision, Deny, Hold, NEEDS_MAX, Permit};
use crate::facts::Facts;
use crate::policy_set::PolicySet;
use crate::request::Question;
use crate::semantics::Semantics;
use crate::terms;
use cedar_policy::{AuthorizationError, Authorizer, PolicyId, Response};
use std::collections::{BTreeMap, BTreeSet};
use writ_protocol::action::Action;
use writ_protocol::entry::{Need, Positive};
use writ_protocol::{Code, Name};

/// Decides one action. Pure: the same policy, action and facts give the same decision, byte for byte (Invariant 4), and whatever could not be
/// evaluated denies (Invariant 2).
///
/// Of a question about somebody it says what the subject may, once the asker may ask; a search has no such answer ([`crate::advise`]).
pub fn decide(set: &PolicySet, action: &Action, facts: &Facts) -> Decision {
    match action {
        Action::Exec(_) | Action::Order(_) => decided(set, action, facts),
        Action::Advice(question) => match may_ask(set, question, facts) {
            Ok(()) => decided(set, action, facts),
            Err(deny) => Decision::Deny(deny),
        },
    }
}

/// As [`decide`], where it was decided before that this may be asked.
pub(crate) fn decided(set: &PolicySet, action: &Action, facts: &Facts) -> Decision {
    match judge(set, action, facts) {
        Ok(permit) => Decision::Permit(permit),
        Err(deny) => match held(set, action, facts, &deny) {
            Some(hold) => Decision::Hold(hold),
            None => Decision::Deny(deny),
        },
    }
}

/// What is denied waits where every forbid that denies it can be lifted by approvals, and with all of these it would be permitted. An
/// evaluation that fails denies, and so does an order: nobody waits to halt.
fn held(set: &PolicySet, action: &Action, facts: &Facts, deny: &Deny) -> Option<Hold> {
    if deny.code != Code::PolicyDenied || deny.reasons.is_empty() || !can_wait(action) {
        return None;
    }
    let approvals = deny.reasons.iter().map(|id| set.policies.get(id)?.approvals.as_ref());
    let approvals = approvals.collect::<Option<Vec<&Approvals>>>()?;
    let mut needs: BTreeMap<Name, Positive> = BTreeMap::new();
    for need in approvals.iter().flat_map(|one| &one.needs) {
        let most = needs.entry(need.group.clone()).or_insert(need.count);
        *most = need.count.max(*most);
    }
    let words = approvals.iter().flat_map(|one| one.words()).collect();
    let question = Question::supposing(set, action, facts, words).ok()?;
    permitted(set, action, &question, facts).ok()?;
    let needs: Vec<Need> = needs.into_iter().map(|(group, count)| Need { count, group }).collect();
    let within_ms = approvals.iter().map(|one| one.within_ms).min()?;
    (needs.len() <= NEEDS_MAX).then(|| Hold { reasons: deny.reasons.clone(), needs, within_ms })
}

/// The one way to a permit; everything else falls through to a denial.
fn judge(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Permit, Deny> {
    let question = Question::new(set, action, facts).map_err(|obstacle| Deny {
        code: obstacle.code,
        reasons: Vec::new(),
        tells: obstacle.tells,
        errors: vec![(None, obstacle.why)],
    })?;
    permitted(set, action, &question, facts)
}

fn can_wait(action: &Action) -> bool {
    match action {
        Action::Exec(_) | Action::Advice(_) => true,
        Action::Order(_) => false,
    }
}

fn permitted(set: &PolicySet, action: &Action, question: &Question, facts: &Facts) -> Result<Permit, Deny> {
    let permit = answer(set, question, facts)?;
    match action {
        Action::Exec(_) | Action::Order(_) => {}
        Action::Advice(_) => can_be_kept(&permit.terms)?,
    }
    Ok(permit)
}

pub(crate) fn answer(set: &PolicySet, question: &Question, facts: &Facts) -> Result<Permit, Deny> {
    let response = Authorizer::new().is_authorized(&question.request, &question.selection.engine, &question.entities);
    let mut reasons = judge_response(&response, set.semantics)?;
    let mut permits = Vec::with_capacity(reasons.len());
    for id in &reasons {
        let policy =
            set.policies.get(id).ok_or_else(|| failed(format!("the engine named `{id}`, which is no policy")))?;
        permits.push((id, &policy.terms));
    }
    let terms = terms::combine(permits, facts, question.now).map_err(|error| failed(error.to_string()))?;
    // The terms are those of all of them.
    reasons.truncate(DECISION_REASONS_MAX);
    Ok(Permit { reasons, terms })
}

/// All determining permits, ascending. The engine skips a policy that fails and may answer Allow without it, so an error denies whatever the answer is.
fn judge_response(response: &Response, semantics: Semantics) -> Result<Vec<Name>, Deny> {
    let mut errors = BTreeSet::new();
    for error in response.diagnostics().errors() {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        errors.insert((Name::new(error.policy_id().to_string()).ok(), short(&error.inner().to_string())));
    }
    // The engine's order varies from run to run.
    let mut reasons = BTreeSet::new();
    for id in response.diagnostics().reason() {
        match name(id) {
            Ok(name) => reasons.insert(name),
            Err(why) => errors.insert((None, why)),
        };
    }
    let first = |reasons: BTreeSet<Name>| reasons.into_iter().take(DECISION_REASONS_MAX).collect();
    match (response.decision(), errors.is_empty()) {
        (cedar_policy::Decision::Allow, true) => {
            // The messages are part of what was decided, so they stay as they are.
            match (semantics.permits_max(), reasons.len()) {
                (Some(most), found) if found == 0 || found > most => {
                    Err(failed(format!("expected 1 to {most} determining permits, found {found}")))
                }
                (None, 0) => Err(failed("expected a determining permit, found none".to_owned())),
                (Some(_) | None, _) => Ok(reasons.into_iter().collect()),
            }
        }
        (cedar_policy::Decision::Deny, true) => {
            Err(Deny { code: Code::PolicyDenied, reasons: first(reasons), errors: Vec::new(), tells: false })
        }
        (decision, false) => {
            let reasons = match decision {
                cedar_policy::Decision::Allow => Vec::new(),
                cedar_policy::Decision::Deny => first(reasons),
            };
            let errors = errors.into_iter().take(DECISION_REASONS_MAX).collect();
            Err(Deny { code: Code::EvaluationError, reasons, errors, tells: false })
        }
    }
}

fn name(id: &PolicyId) -> Result<Name, String> {
    let text = id.to_string();
    Name::new(text.as_str()).map_err(|_| short(&format!("the engine named `{text}`, which is no policy")))
}

fn failed(why: String) -> Deny {
    Deny { code: Code::EvaluationError, reasons: Vec::new(), errors: vec![(None, short(&why))], tells: false }
}
