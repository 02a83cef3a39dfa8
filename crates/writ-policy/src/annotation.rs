use crate::clause::Effect;
use crate::error::Problem;
use crate::facts::LABELS_MAX;
use crate::terms::{BudgetTerm, FREEZE_AFTER_MS, KILL_AFTER_MS, Period, PermitTerms, WINDOW_MS};
use writ_protocol::entry::Positive;
use writ_protocol::{Label, Name};

/// The sandbox profiles that gateways know. None exists yet, so what asks for one is permitted and then runs nowhere.
pub(crate) const SANDBOX_PROFILES: &[&str] = &[];

const DURATION: &str = "a duration such as `500ms`, `30s`, `10m` or `1h`, above 0";
const BUDGET: &str = "a budget such as `10`, or `10 per minute`, `hour`, `day`, `origin` or `parent`, above 0";
const LABELS: &str = "one or several labels such as `secret-read` or `secret-read, untrusted`, each of 1 to 64 characters from a-z 0-9 . _ - and there once";

/// The id that a policy gives itself.
pub(crate) fn id(found: Option<&str>) -> Result<Name, Problem> {
    let found = found.ok_or(Problem::IdMissing)?;
    Name::new(found).map_err(|_| Problem::IdForm(found.to_owned()))
}

/// The terms that a policy's annotations ask for, defaults filled in, or everything that is wrong with them. The list is closed: a misspelt
/// `@budgt` would otherwise be a limit that nobody keeps.
pub(crate) fn terms<'a>(
    effect: Effect,
    annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<PermitTerms, Vec<Problem>> {
    let mut terms = PermitTerms {
        window_ms: WINDOW_MS,
        freeze_after_ms: FREEZE_AFTER_MS,
        kill_after_ms: KILL_AFTER_MS,
        sandbox: None,
        budget: None,
        labels: Vec::new(),
    };
    let mut problems: Vec<Problem> =
        annotations.into_iter().filter_map(|(name, value)| read(&mut terms, effect, name, value).err()).collect();
    if terms.kill_after_ms < terms.freeze_after_ms {
        let PermitTerms { freeze_after_ms, kill_after_ms, .. } = terms;
        problems.push(Problem::KillBeforeFreeze { freeze_after_ms, kill_after_ms });
    }
    problems.sort();
    if problems.is_empty() { Ok(terms) } else { Err(problems) }
}

fn read(terms: &mut PermitTerms, effect: Effect, name: &str, value: &str) -> Result<(), Problem> {
    let form = |expected| Problem::AnnotationForm { name: name.to_owned(), found: value.to_owned(), expected };
    match (name, effect) {
        ("id" | "description", _) => {}
        ("window" | "freeze_after" | "kill_after" | "sandbox" | "budget" | "label", Effect::Forbid) => {
            return Err(Problem::AnnotationOnForbid(name.to_owned()));
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
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}
