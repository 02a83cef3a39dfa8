use crate::compile::short;
use crate::decision::{DECISION_REASONS_MAX, Decision, Deny, Permit};
use crate::facts::Facts;
use crate::policy_set::PolicySet;
use crate::request::Question;
use crate::semantics::Semantics;
use crate::terms;
use cedar_policy::{AuthorizationError, Authorizer, PolicyId, Response};
use std::collections::BTreeSet;
use writ_protocol::action::Action;
use writ_protocol::{Code, Name};

/// Decides one action. Pure: the same policy, action and facts give the same decision, byte for byte (Invariant 4), and whatever could not be
/// evaluated denies (Invariant 2).
pub fn decide(set: &PolicySet, action: &Action, facts: &Facts) -> Decision {
    match judge(set, action, facts) {
        Ok(permit) => Decision::Permit(permit),
        Err(deny) => Decision::Deny(deny),
    }
}

/// The one way to a permit; everything else falls through to a denial.
fn judge(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Permit, Deny> {
    let question = Question::new(set, action, facts).map_err(|obstacle| Deny {
        code: obstacle.code,
        reasons: Vec::new(),
        errors: vec![(None, obstacle.why)],
    })?;
    answer(set, &question, facts)
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
            Err(Deny { code: Code::PolicyDenied, reasons: first(reasons), errors: Vec::new() })
        }
        (decision, false) => {
            let reasons = match decision {
                cedar_policy::Decision::Allow => Vec::new(),
                cedar_policy::Decision::Deny => first(reasons),
            };
            let errors = errors.into_iter().take(DECISION_REASONS_MAX).collect();
            Err(Deny { code: Code::EvaluationError, reasons, errors })
        }
    }
}

fn name(id: &PolicyId) -> Result<Name, String> {
    let text = id.to_string();
    Name::new(text.as_str()).map_err(|_| short(&format!("the engine named `{text}`, which is no policy")))
}

fn failed(why: String) -> Deny {
    Deny { code: Code::EvaluationError, reasons: Vec::new(), errors: vec![(None, short(&why))] }
}
