//! Mandates: what a request is under, and what that makes of it (decision 0034).
//!
//! A mandate permits nothing. Policy decides as it always does, and then whatever it permits, or has wait, must be within the scope. Who may
//! begin under which mandate, and whether it still stands, are rules of order: they are asked when the decision gets its place.

use crate::authority::{Authority, random};
use crate::decision::{Case, Terms};
use crate::error::AuthorityError;
use crate::trees::Governed;
use writ_ledger::Draft;
use writ_policy::{Facts, Mandated};
use writ_protocol::action::{Action, Command, Given, Order};
use writ_protocol::cbor::{ARRAY_MAX, Bytes};
use writ_protocol::entry::{Ascending, Draw, Draws, EntryRef, Mandate, MandateFields, Obligation, Policy, Window};
use writ_protocol::scope::Asked;
use writ_protocol::{Code, OrderId, Refusal};
use writ_tlog::Hash;

/// The mandate of a request, with those above it: itself first.
pub(crate) struct Under(Vec<(EntryRef, Mandate)>);

impl Under {
    /// A chain as the ledger has it; nothing, where it has none.
    pub(crate) fn of(chain: Vec<(EntryRef, Mandate)>) -> Option<Self> {
        (!chain.is_empty()).then_some(Self(chain))
    }

    /// As decisions read it.
    pub(crate) fn fact(&self) -> Option<Mandated> {
        let ((named, _), (_, first)) = (self.0.first()?, self.0.last()?);
        let above = self.0.len().saturating_sub(1);
        let through = Ascending::new(self.0.iter().take(above).map(|(_, mandate)| mandate.by.asserted()));
        Some(Mandated {
            entry: named.entry,
            by: first.by.asserted(),
            through: through.as_slice().to_vec(),
            depth: u64::try_from(above).unwrap_or(u64::MAX),
        })
    }

    /// Whether what was decided on is within it.
    pub(crate) fn contains(&self, action: &Action, facts: &Facts) -> Result<(), Refusal> {
        self.0.iter().try_for_each(|(_, mandate)| mandate.scope.lasts(facts.now_ms))?;
        self.allows(action, facts)
    }

    /// Whether it would be at some time.
    pub(crate) fn allows(&self, action: &Action, facts: &Facts) -> Result<(), Refusal> {
        let (Action::Exec(exec), Some(gateway)) = (action, &facts.gateway) else {
            return Err(Refusal::new(Code::ScopeWidened, "only executions by a gateway are done under a mandate"));
        };
        let Facts { now_ms, depth, surroundings, .. } = facts;
        let asked = Asked { exec, now_ms: *now_ms, depth: *depth, gateway, surroundings };
        self.0.iter().try_for_each(|(_, mandate)| mandate.scope.allows(&asked))
    }

    /// The terms of a permit, under a mandate or under none.
    pub(crate) fn narrow(under: Option<&Self>, terms: Terms) -> Result<Terms, Refusal> {
        match under {
            None => Ok(terms),
            Some(under) => under.narrowed(terms),
        }
    }

    /// The terms of a permit under it: its window is within the mandate's, and every mandate that counts counts it.
    fn narrowed(&self, mut terms: Terms) -> Result<Terms, Refusal> {
        let mut draws = Vec::new();
        for (named, mandate) in &self.0 {
            let within = mandate.scope.window;
            let (from_ms, until_ms) = (terms.window.from_ms(), terms.window.until_ms());
            let window = Window::new(from_ms.max(within.from_ms()), until_ms.min(within.until_ms()));
            terms.window = window.map_err(|_| Refusal::new(Code::Expired, "the mandate has ended"))?;
            draws.extend(mandate.counter(&named.entry)?.map(|(counter, limit)| Draw { limit, counter }));
        }
        if draws.is_empty() {
            return Ok(terms);
        }
        let budget = |obligation: &Obligation| matches!(obligation, Obligation::Budget(_));
        for obligation in terms.obligations.extract_if(.., |obligation| budget(obligation)) {
            if let Obligation::Budget(asked) = obligation {
                draws.extend_from_slice(asked.as_slice());
            }
        }
        draws.sort_by(|a, b| a.counter.cmp(&b.counter));
        if u64::try_from(draws.len()).is_ok_and(|found| found > ARRAY_MAX) {
            let why =
                format!("it would draw from {} counters, and no entry records more than {ARRAY_MAX}", draws.len());
            return Err(Refusal::new(Code::BudgetExceeded, why));
        }
        // Obligations ascend by kind, and `budget` is the first.
        terms.obligations.insert(0, Obligation::Budget(Draws::new(draws)?));
        Ok(terms)
    }
}

impl Authority {
    /// The mandate that a request is under: the one it names, else that of what causes it. One that is not recorded is nobody's.
    pub(crate) fn under(
        &self,
        case: &mut Case<'_>,
        named: Option<&EntryRef>,
    ) -> Result<Result<Option<Under>, Refusal>, AuthorityError> {
        let inherited = case.asker.governed.as_ref().and_then(|governed: &Governed| governed.mandate.clone());
        case.mandate.clone_from(&inherited);
        let Some(named) = named.or(inherited.as_ref()) else { return Ok(Ok(None)) };
        let Some(under) = self.reader().mandate_chain(named)?.and_then(Under::of) else {
            return Ok(Err(unknown(named)));
        };
        case.mandate = Some(named.clone());
        Ok(Ok(Some(under)))
    }

    /// What is known of the mandate that an order hands on.
    pub(crate) fn handed_on(&self, named: &EntryRef) -> Result<Mandated, AuthorityError> {
        let under = self.reader().mandate_chain(named)?.and_then(Under::of);
        under.and_then(|under| under.fact()).ok_or_else(|| unknown(named).into())
    }

    /// The entry of a mandate that policy permits.
    pub(crate) fn mandate(
        case: &Case<'_>,
        given: &Given,
        facts: &Facts,
        (committed, policy): (Hash, Policy),
    ) -> Result<Draft, AuthorityError> {
        let fields = MandateFields {
            by: case.asker.principal.clone(),
            id: OrderId::new(facts.now_ms, random()?),
            to: given.to.clone(),
            facts: committed,
            scope: given.scope.clone(),
            action: case.action_ref(),
            parent: given.parent.clone(),
            policy,
            request: case.request_ref(),
            time_ms: facts.now_ms,
            statement: Bytes(case.request_opening.value.clone()),
        };
        Ok(Draft::Mandate(Mandate::new(fields).map_err(Refusal::from)?))
    }
}

fn unknown(named: &EntryRef) -> Refusal {
    Refusal::new(Code::LineageBroken, format!("entry {} is no such mandate of this ledger", named.index))
}

/// The mandate that an order hands on.
pub(crate) fn hands_on(action: &Action) -> Option<&EntryRef> {
    match action {
        Action::Order(Order { command: Command::Mandate(given), .. }) => given.parent.as_ref(),
        Action::Order(Order {
            command:
                Command::Revoke(_)
                | Command::Halt
                | Command::Answer(..)
                | Command::Publish(_)
                | Command::Entities(_)
                | Command::Erase(_)
                | Command::Enrol(_),
            ..
        })
        | Action::Exec(_)
        | Action::Advice(_) => None,
    }
}
