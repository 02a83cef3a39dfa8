use crate::approval::{Approvals, WITHIN_MS, needs};
use crate::clause::Effect;
use crate::error::Problem;
use crate::facts::LABELS_MAX;
use crate::terms::{BudgetTerm, FREEZE_AFTER_MS, KILL_AFTER_MS, Period, PermitTerms, WINDOW_MS};
use writ_protocol::entry::{Need, Positive};
use writ_protocol::{Label, Name};

/// The sandbox profiles that gateways know. None exists yet, so what asks for one is permitted and then runs nowhere.
pub(crate) const SANDBOX_PROFILES: &[&str] = &[];

const DURATION: &str = "a duration such as `500ms`, `30s`, `10m` or `1h`, above 0";
const APPROVAL: &str =
    "one to 16 groups, each once, such as `approvers` or `2 of approvers, 1 of security`, at most 16 of each";
const BUDGET: &str = "a budget such as `10`, or `10 per minute`, `hour`, `day`, `origin` or `parent`, above 0";
const LABELS: &str = "one or several labels such as `secret-read` or `secret-read, untrusted`, each of 1 to 64 characters from a-z 0-9 . _ - and there once";

/// The id that a policy gives itself.
pub(crate) fn id(found: Option<&str>) -> Result<Name, Problem> {
    let found = found.ok_or(Problem::IdMissing)?;
    Name::new(found).map_err(|_| Problem::IdForm(found.to_owned()))
}

/// What a policy's annotations ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The terms of a permit, defaults filled in.
    pub(crate) terms: PermitTerms,
    /// Whose approval lifts a forbid.
    pub(crate) approvals: Option<Approvals>,
}

/// What a policy's annotations ask for, or everything that is wrong with them. The list is closed: a misspelt `@budgt` would otherwise be
/// a limit that nobody keeps.
pub(crate) fn read_all<'a>(
    effect: Effect,
    annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Asked, Vec<Problem>> {
    let terms = PermitTerms {
        window_ms: WINDOW_MS,
        freeze_after_ms: FREEZE_AFTER_MS,
        kill_after_ms: KILL_AFTER_MS,
        sandbox: None,
        budget: None,
        labels: Vec::new(),
    };
    let mut asked = Reading { terms, needs: None, within_ms: None };
    let mut problems: Vec<Problem> =
        annotations.into_iter().filter_map(|(name, value)| read(&mut asked, effect, name, value).err()).collect();
    let Reading { terms, needs, within_ms } = asked;
    if terms.kill_after_ms < terms.freeze_after_ms {
        let PermitTerms { freeze_after_ms, kill_after_ms, .. } = terms;
        problems.push(Problem::KillBeforeFreeze { freeze_after_ms, kill_after_ms });
    }
    if within_ms.is_some() && needs.is_none() && problems.is_empty() {
        problems.push(Problem::WithinWithoutApproval);
    }
    problems.sort();
    if !problems.is_empty() {
        return Err(problems);
    }
    let approvals = needs.map(|needs| Approvals { needs, within_ms: within_ms.unwrap_or(WITHIN_MS) });
    Ok(Asked { terms, approvals })
}

struct Reading {
    terms: PermitTerms,
    needs: Option<Vec<Need>>,
    within_ms: Option<u64>,
}

fn read(reading: &mut Reading, effect: Effect, name: &str, value: &str) -> Result<(), Problem> {
    let terms = &mut reading.terms;
    let form = |expected| Problem::AnnotationForm { name: name.to_owned(), found: value.to_owned(), expected };
    match (name, effect) {
        ("id" | "description", _) => {}
        ("window" | "freeze_after" | "kill_after" | "sandbox" | "budget" | "label", Effect::Forbid) => {
            return Err(Problem::AnnotationOnForbid(name.to_owned()));
        }
        ("approval" | "approve_within", Effect::Permit) => {
            return Err(Problem::AnnotationOnPermit(name.to_owned()));
        }
        ("approval", Effect::Forbid) => reading.needs = Some(needs(value).ok_or_else(|| form(APPROVAL))?),
        ("approve_within", Effect::Forbid) => {
            reading.within_ms = Some(duration_ms(value).ok_or_else(|| form(DURATION))?);
        }
        ("window", Effect::Permit) => terms.window_ms = duration_ms(value).ok_or_else(|| form(DURATION))?,
        ("freeze_after", Effect::Permit) => terms.freeze_after_ms = duration_ms(value).ok_or_else(|| form(DURATION))?,
        ("kill_after", Effect::Permit) => terms.kill_after_ms = duration_ms(value).ok_or_else(|| form(DURATION))?,
        ("sandbox", Effect::Permit) => {
            let label = Label::new(value).map_err(|_| form("a profile of 1 to 64 characters from a-z 0-9 . _ -"))?;
            terms.sandbox = Some(label);
        }
        ("label", Effect::Permit) => terms.labels = labels(value).ok_or_else(|| form(LABELS))?,
        ("budget", Effect::Permit) => terms.budget = Some(budget(value).ok_or_else(|| form(BUDGET))?),
        _ => return Err(Problem::AnnotationUnknown(name.to_owned())),
    }
    Ok(())
}

/// Separated by commas, since an annotation stands once.
fn labels(text: &str) -> Option<Vec<Label>> {
    let mut labels = Vec::new();
    for label in text.split(',') {
        let label = Label::new(label.trim_matches(' ')).ok()?;
        if labels.contains(&label) || labels.len() == LABELS_MAX {
            return None;
        }
        labels.push(label);
    }
    labels.sort();
    Some(labels)
}

fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    // Times are compared as signed numbers elsewhere: what does not fit is refused here.
    decimal(number)?.checked_mul(unit_ms).filter(|ms| (1..=i64::MAX.cast_unsigned()).contains(ms))
}

fn budget(text: &str) -> Option<BudgetTerm> {
    let (number, period) = match text.split_once(" per ") {
        None => (text, Period::Ever),
        Some((number, "minute")) => (number, Period::Minute),
        Some((number, "hour")) => (number, Period::Hour),
        Some((number, "day")) => (number, Period::Day),
        Some((number, "origin")) => (number, Period::Origin),
        Some((number, "parent")) => (number, Period::Parent),
        Some(_) => return None,
    };
    Some(BudgetTerm { limit: Positive::new(decimal(number)?)?, period })
}

/// Digits only, without a leading zero: one number, one form.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}
