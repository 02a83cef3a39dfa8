use crate::calendar::Moment;
use crate::facts::{Caused, Facts};
use crate::text::hex;
use std::collections::BTreeSet;
use writ_protocol::cbor::{Encode, ShapeError, Writer};
use writ_protocol::entry::{AssertedPrincipal, Positive};
use writ_protocol::{Label, Name};
use writ_tlog::{Hash, sha256};

/// The window of a writ, where no permit says otherwise.
pub const WINDOW_MS: u64 = 60_000;
/// Age of the control view at which a tree is frozen, where no permit says otherwise.
pub const FREEZE_AFTER_MS: u64 = 10_000;
/// Age of the control view at which a tree is killed, where no permit says otherwise.
pub const KILL_AFTER_MS: u64 = 30_000;

/// A grant draws from at most this many counters: an entry can record no more, and one that is not recorded would not hold.
pub const BUDGETS_MAX: usize = 256;

/// On which terms something is permitted. Limits of the domain are applied by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long the writ may be admitted.
    pub window_ms: u64,
    /// Age of the control view at which the tree is frozen.
    pub freeze_after_ms: u64,
    /// Age of the control view at which the tree is killed.
    pub kill_after_ms: u64,
    /// The sandbox profile it must run in.
    pub sandbox: Option<Label>,
    /// What it counts against, ascending by counter.
    pub budgets: Vec<Budget>,
    /// What the execution carries because of these permits: ascending, each once.
    pub labels: Vec<Label>,
}

/// A counter, and how far it may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget {
    /// Its name.
    pub counter: Name,
    /// The most it may reach.
    pub limit: Positive,
}

/// What one permit's annotations ask for, its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PermitTerms {
    pub(crate) window_ms: u64,
    pub(crate) freeze_after_ms: u64,
    pub(crate) kill_after_ms: u64,
    pub(crate) sandbox: Option<Label>,
    pub(crate) budget: Option<BudgetTerm>,
    pub(crate) labels: Vec<Label>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetTerm {
    pub(crate) limit: Positive,
    pub(crate) period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Ever,
    Minute,
    Hour,
    Day,
    /// In one lineage, of what its origin has caused.
    Origin,
    /// Of what one execution has caused itself.
    Parent,
}

/// Permits whose terms cannot be combined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TermsError {
    #[error("the permits ask for different sandbox profiles, `{0}` and `{1}`, and neither is known to be the stricter")]
    Sandboxes(Label, Label),
    #[error("expected at most {most} budgets that count one execution, found {found}")]
    Budgets { most: usize, found: usize },
    #[error("a budget counts what one execution has caused, and nothing says what caused this one")]
    Uncaused,
    #[error("the name of a counter: {0}")]
    Counter(#[from] ShapeError),
}

/// The stricter of all terms: who adds a permit cannot loosen another one (Invariant 8).
pub(crate) fn combine<'a>(
    permits: impl IntoIterator<Item = (&'a Name, &'a PermitTerms)>,
    facts: &Facts,
    now: Moment,
) -> Result<Terms, TermsError> {
    let mut strictest: Option<Terms> = None;
    let mut budgets = BTreeSet::new();
    let mut labels = BTreeSet::new();
    for (id, permit) in permits {
        if let Some(budget) = permit.budget
            && let Some(counter) = counter(id, facts, budget.period, now)?
        {
            budgets.insert(Budget { counter, limit: budget.limit });
        }
        labels.extend(permit.labels.iter().cloned());
        strictest = Some(match strictest {
            None => Terms {
                window_ms: permit.window_ms,
                freeze_after_ms: permit.freeze_after_ms,
                kill_after_ms: permit.kill_after_ms,
                sandbox: permit.sandbox.clone(),
                budgets: Vec::new(),
                labels: Vec::new(),
            },
            Some(terms) => stricter(terms, permit)?,
        });
    }
    let mut terms = strictest.unwrap_or(Terms {
        window_ms: WINDOW_MS,
        freeze_after_ms: FREEZE_AFTER_MS,
        kill_after_ms: KILL_AFTER_MS,
        sandbox: None,
        budgets: Vec::new(),
        labels: Vec::new(),
    });
    if budgets.len() > BUDGETS_MAX {
        return Err(TermsError::Budgets { most: BUDGETS_MAX, found: budgets.len() });
    }
    terms.budgets = budgets.into_iter().collect();
    terms.labels = labels.into_iter().collect();
    Ok(terms)
}

fn stricter(terms: Terms, permit: &PermitTerms) -> Result<Terms, TermsError> {
    let sandbox = match (terms.sandbox, &permit.sandbox) {
        (Some(one), Some(other)) if one != *other => return Err(TermsError::Sandboxes(one, other.clone())),
        (one, other) => one.or_else(|| other.clone()),
    };
    Ok(Terms {
        window_ms: terms.window_ms.min(permit.window_ms),
        freeze_after_ms: terms.freeze_after_ms.min(permit.freeze_after_ms),
        kill_after_ms: terms.kill_after_ms.min(permit.kill_after_ms),
        sandbox,
        budgets: terms.budgets,
        labels: terms.labels,
    })
}

/// The counter that a budget draws from; none where it counts what is caused, and nothing has caused this.
fn counter(policy: &Name, facts: &Facts, period: Period, now: Moment) -> Result<Option<Name>, TermsError> {
    let principal = &facts.principal;
    let bucket = match period {
        Period::Ever => None,
        Period::Minute => Some(now.minute()),
        Period::Hour => Some(now.hour()),
        Period::Day => Some(now.day()),
        Period::Origin => return Ok(of_cause(policy, "origin", cause(facts)?.map(|caused| caused.origin))?),
        Period::Parent => return Ok(of_cause(policy, "parent", cause(facts)?.map(|caused| caused.parent))?),
    };
    Ok(Some(of_principal(policy, principal, bucket.as_deref())?))
}

fn cause(facts: &Facts) -> Result<Option<&Caused>, TermsError> {
    match (facts.depth, &facts.caused) {
        (0, _) => Ok(None),
        (_, Some(caused)) => Ok(Some(caused)),
        (_, None) => Err(TermsError::Uncaused),
    }
}

/// The counter's name: `<policy>:<Type>/<principal>`, then `:` and the bucket. Where an id has a `:` or the name would be too long, a digest of
/// the same parts, so that no two counters ever share a name.
fn of_principal(policy: &Name, principal: &AssertedPrincipal, bucket: Option<&str>) -> Result<Name, ShapeError> {
    let plain = [policy, &principal.kind, &principal.id].iter().all(|name| !name.as_str().contains(':'));
    let readable = match bucket {
        None => format!("{policy}:{}/{}", principal.kind, principal.id),
        Some(bucket) => format!("{policy}:{}/{}:{bucket}", principal.kind, principal.id),
    };
    named(readable, plain, || {
        let mut writer = Writer::default();
        writer.array(3);
        policy.encode(&mut writer);
        principal.encode(&mut writer);
        match bucket {
            Some(bucket) => writer.text(bucket),
            None => writer.null(),
        }
        writer.into_bytes()
    })
}

/// `<policy>:origin/<entry hash of that grant>`, or `parent`: whoever acts, and whenever.
fn of_cause(policy: &Name, which: &str, grant: Option<Hash>) -> Result<Option<Name>, ShapeError> {
    let Some(grant) = grant else { return Ok(None) };
    let readable = format!("{policy}:{which}/{}", hex(grant.as_bytes()));
    let named = named(readable, !policy.as_str().contains(':'), || {
        let mut writer = Writer::default();
        writer.array(3);
        policy.encode(&mut writer);
        writer.text(which);
        grant.encode(&mut writer);
        writer.into_bytes()
    });
    named.map(Some)
}

fn named(readable: String, plain: bool, parts: impl FnOnce() -> Vec<u8>) -> Result<Name, ShapeError> {
    match Name::new(readable) {
        Ok(name) if plain => Ok(name),
        Ok(_) | Err(_) => Name::new(hex(sha256(&parts()).as_bytes())),
    }
}

impl Encode for Terms {
    fn encode(&self, writer: &mut Writer) {
        writer.map(4 + usize::from(!self.labels.is_empty()) + usize::from(self.sandbox.is_some()));
        if !self.labels.is_empty() {
            writer.field("labels", &self.labels);
        }
        writer.field("budgets", &self.budgets);
        if let Some(sandbox) = &self.sandbox {
            writer.field("sandbox", sandbox);
        }
        writer.field("window_ms", &self.window_ms);
        writer.field("kill_after_ms", &self.kill_after_ms);
        writer.field("freeze_after_ms", &self.freeze_after_ms);
    }
}

impl Encode for Budget {
    fn encode(&self, writer: &mut Writer) {
        writer.map(2);
        writer.field("limit", &self.limit);
        writer.field("counter", &self.counter);
    }
}
