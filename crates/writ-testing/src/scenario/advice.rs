use super::domain::Domain;
use super::recorded::Standing;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::{
    Action, ActionKind, Advice, AdviceFields, Asks, CommitmentKind, Members, Opening, Page, Party, QuestionText, Verb,
};
use writ_protocol::cbor::Value;
use writ_protocol::entry::{ActionRef, Advised, AdvisedFields, AssertedPrincipal, Cause, Opinion, Place, PrincipalRef};

/// An advice to be, with what opens its commitments.
#[derive(Clone, Debug)]
pub struct AdvisedDraft {
    /// Its fields, to be changed at will.
    pub fields: AdvisedFields,
    /// What opens its question and its facts.
    pub openings: Vec<Opening>,
}

impl Domain {
    /// What `Agent::builder` was told of `User::ada` and a letter.
    pub fn advised(&self, standing: &Standing, decision: Opinion) -> AdvisedDraft {
        let question = question(decision == Opinion::Searched);
        let subject = question.principal().map(|AssertedPrincipal { kind, id }| PrincipalRef { id, kind });
        let action = self.question(question);
        let facts = self.facts();
        let fields = AdvisedFields {
            as_of: self.as_of(standing),
            cause: Cause { place: Place::Origin, mandate: None },
            facts: facts.commitment(),
            found: (decision == Opinion::Searched).then_some(2),
            action: ActionRef { kind: ActionKind::Advice, digest: action.commitment() },
            policy: self.policy(),
            subject,
            time_ms: self.now_ms(),
            decision,
            principal: self.builder(),
        };
        AdvisedDraft { fields, openings: vec![action, facts] }
    }

    /// What opens the commitment to a question.
    pub fn question(&self, question: Advice) -> Opening {
        self.opening(CommitmentKind::Action, Action::Advice(question).encode().unwrap())
    }
}

/// Whether ada may send a letter; or who may.
pub fn question(searches: bool) -> Advice {
    let text = |text: &str| QuestionText::new(text).unwrap();
    let weight = Members::new(vec![("weight".to_owned(), Value::Uint(20))]).unwrap();
    let fields = AdviceFields {
        asks: if searches { Asks::Subjects } else { Asks::Evaluation },
        page: searches.then_some(Page { after: None, limit: 100 }),
        action: Some(Verb { name: text("send"), properties: Members::default() }),
        context: Members::default(),
        subject: Party { id: (!searches).then(|| text("ada")), kind: text("User"), properties: Members::default() },
        resource: Party { id: Some(text("l1")), kind: text("letter"), properties: weight },
    };
    Advice::new(fields).unwrap()
}

impl AdvisedDraft {
    /// What to append.
    ///
    /// # Panics
    /// When its fields do not fit one another.
    pub fn proposal(self) -> Proposal {
        Proposal::new(Draft::Advised(Advised::new(self.fields).unwrap())).with_openings(self.openings)
    }
}
