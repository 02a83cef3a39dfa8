//! Searches: every subject or resource of a type that is an entity of the domain, or every action of the domain's own, is decided as if it were
//! asked about alone. What is none is not found: whatever comes with requests has no list.

use crate::advice::Found;
use crate::decide::decided;
use crate::decision::Decision;
use crate::facts::Facts;
use crate::policy_set::PolicySet;
use writ_protocol::action::{Action, Advice, AdviceFields, Asks, Members, Party, QuestionText, Verb};

/// A page looks at no more than so many, found or not: whoever wants the rest asks again.
pub const SEARCHED_MAX: usize = 1_000;

/// Decides each in turn, in the order of ids or names, until the page is full.
pub(crate) fn search(set: &PolicySet, question: &Advice, facts: &Facts) -> Found {
    let (after, limit) = match &question.page {
        Some(page) => (page.after.clone(), usize::try_from(page.limit).unwrap_or(usize::MAX)),
        None => (None, SEARCHED_MAX),
    };
    let mut candidates = candidates(set, question);
    candidates.retain(|candidate| after.as_ref().is_none_or(|after| candidate > after));
    candidates.sort();
    let mut found = Found { results: Vec::new(), next: None };
    let mut last = after.or_else(|| QuestionText::new("").ok());
    for (looked_at, candidate) in candidates.into_iter().enumerate() {
        if looked_at == SEARCHED_MAX || found.results.len() >= limit {
            found.next = last;
            break;
        }
        if is_permitted(set, question, &candidate, facts) {
            found.results.push(candidate.clone());
        }
        last = Some(candidate);
    }
    found
}

/// All that could be found; an id that is longer than any question could name is none.
fn candidates(set: &PolicySet, question: &Advice) -> Vec<QuestionText> {
    let of_type = |party: &Party| {
        let named = set.store.of_type(party.kind.as_str());
        named.filter_map(|id| QuestionText::new(id).ok()).collect()
    };
    match question.asks {
        Asks::Subjects => of_type(&question.subject),
        Asks::Resources => of_type(&question.resource),
        Asks::Actions => set.declared.actions().filter_map(|name| QuestionText::new(name).ok()).collect(),
        Asks::Evaluation => Vec::new(),
    }
}

fn is_permitted(set: &PolicySet, question: &Advice, candidate: &QuestionText, facts: &Facts) -> bool {
    let mut fields = AdviceFields { asks: Asks::Evaluation, page: None, ..AdviceFields::clone(question) };
    match question.asks {
        Asks::Subjects => fields.subject.id = Some(candidate.clone()),
        Asks::Resources => fields.resource.id = Some(candidate.clone()),
        Asks::Actions => {
            fields.action = Some(Verb { name: candidate.clone(), properties: Members::default() });
        }
        Asks::Evaluation => {}
    }
    let Ok(one) = Advice::new(fields) else { return false };
    match decided(set, &Action::Advice(one), facts) {
        Decision::Permit(_) => true,
        Decision::Hold(_) | Decision::Deny(_) => false,
    }
}
