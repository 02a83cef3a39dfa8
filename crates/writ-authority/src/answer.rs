use crate::disclosure::Basis;
use writ_ledger::Receipt;
use writ_policy::Clause;
use writ_protocol::entry::{Need, Would};
use writ_protocol::{Code, Name, Refusal};

/// What a caller is told.
#[derive(Debug)]
pub enum Answer {
    /// A permit: the receipt is the writ.
    Permit(Receipt),
    /// It waits for approvals.
    Hold(Box<Held>),
    /// An order was carried out.
    Done(Receipt),
    /// Refused, and recorded.
    Deny(Box<Denied>),
    /// What policy would have answered was recorded.
    Shadow(Box<Shadowed>),
    /// Turned away before it was known who asks, or while nothing can be recorded. Counted, not recorded one by one.
    TurnedAway(Refusal),
}

/// What policy would have answered, recorded and explained.
#[derive(Debug)]
pub struct Shadowed {
    /// The shadow.
    pub receipt: Receipt,
    /// What it would have been.
    pub would: Would,
    /// Why it would have been refused, for a person.
    pub why: Option<String>,
    /// The policies that would have decided it.
    pub clauses: Vec<(Name, Clause)>,
    /// What policy was asked on, if it would have refused.
    pub basis: Option<Basis>,
}

/// A recorded hold, explained.
#[derive(Debug)]
pub struct Held {
    /// The hold.
    pub receipt: Receipt,
    /// Whose approvals it waits for.
    pub needs: Vec<Need>,
    /// When it lapses.
    pub until_ms: u64,
    /// Why, for a person.
    pub why: String,
    /// The policies that ask for approvals.
    pub clauses: Vec<(Name, Clause)>,
    /// The salt of the action digest that is approved: whoever goes on with the hold asks with it.
    pub salt: [u8; 32],
    /// Whether enough have approved it.
    pub approved: bool,
}

/// A recorded refusal, explained.
#[derive(Debug)]
pub struct Denied {
    /// The denial.
    pub receipt: Receipt,
    /// Why.
    pub code: Code,
    /// Why, for a person.
    pub why: String,
    /// The policies that decided it.
    pub clauses: Vec<(Name, Clause)>,
    /// What policy was asked on, if it was policy that refused.
    pub basis: Option<Basis>,
}
