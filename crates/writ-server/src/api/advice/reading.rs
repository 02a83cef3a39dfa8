//! From the protocol's JSON to questions: what it does not know is passed over, what it requires must be there, and no value is changed.

use crate::json::{Json, open_json};
use std::collections::BTreeMap;
use writ_authority::Until;
use writ_protocol::Refusal;
use writ_protocol::action::{Advice, AdviceFields, Asks, Members, Page, Party, QuestionText, Verb};
use writ_protocol::cbor::Value;

/// So many questions may come together.
pub(super) const QUESTIONS_MAX: usize = 256;
/// Arrays and objects within each other, below `properties` and `context`: an action has sixteen levels in all.
const LEVELS_MAX: usize = 12;

pub(super) type Object = BTreeMap<String, Json>;
/// One of several questions, or what is wrong with it.
pub(super) type Item = Result<Advice, Refusal>;

/// What was asked together.
pub(super) enum Batch {
    /// One question after all.
    One(Box<Advice>),
    /// Several.
    Many(Vec<Item>, Until),
}

pub(super) fn evaluation(body: &[u8]) -> Result<Advice, Refusal> {
    Parts::read(&object(body)?)?.evaluation()
}

pub(super) fn evaluations(body: &[u8]) -> Result<Batch, Refusal> {
    let top = object(body)?;
    let defaults = Parts::read(&top)?;
    let items = match top.get("evaluations") {
        None => return defaults.evaluation().map(Box::new).map(Batch::One),
        Some(Json::Array(items)) if items.is_empty() => return defaults.evaluation().map(Box::new).map(Batch::One),
        Some(Json::Array(items)) => items,
        Some(other) => return Err(other_kind("evaluations", "an array", other)),
    };
    if items.len() > QUESTIONS_MAX {
        let found = items.len();
        return Err(Refusal::malformed(format!("expected at most {QUESTIONS_MAX} evaluations at once, found {found}")));
    }
    let item = |item: &Json| {
        let Json::Object(fields) = item else { return Err(other_kind("evaluations", "an array of objects", item)) };
        // Each part is taken whole: from the item, or else from the defaults.
        Parts::read(fields)?.or(&defaults).evaluation()
    };
    Ok(Batch::Many(items.iter().map(item).collect(), until(&top)?))
}

fn until(top: &Object) -> Result<Until, Refusal> {
    let options = match top.get("options") {
        None => return Ok(Until::All),
        Some(Json::Object(options)) => options,
        Some(other) => return Err(other_kind("options", "an object", other)),
    };
    match options.get("evaluations_semantic") {
        None => Ok(Until::All),
        Some(Json::Text(text)) => match text.as_str() {
            "execute_all" => Ok(Until::All),
            "deny_on_first_deny" => Ok(Until::FirstDeny),
            "permit_on_first_permit" => Ok(Until::FirstPermit),
            _ => Err(Refusal::malformed(
                "expected `evaluations_semantic` to be execute_all, deny_on_first_deny or permit_on_first_permit",
            )),
        },
        Some(other) => Err(other_kind("evaluations_semantic", "a string", other)),
    }
}

/// The parts of a question, as far as they are there.
#[derive(Clone)]
pub(super) struct Parts {
    subject: Option<Party>,
    action: Option<Verb>,
    resource: Option<Party>,
    context: Option<Members>,
}

impl Parts {
    pub(super) fn read(fields: &Object) -> Result<Self, Refusal> {
        let part = |name: &'static str| match fields.get(name) {
            None => Ok(None),
            Some(Json::Object(fields)) => Ok(Some(fields)),
            Some(other) => Err(other_kind(name, "an object", other)),
        };
        Ok(Self {
            subject: part("subject")?.map(party).transpose()?,
            action: part("action")?.map(verb).transpose()?,
            resource: part("resource")?.map(party).transpose()?,
            context: part("context")?.map(members).transpose()?,
        })
    }

    fn or(self, defaults: &Self) -> Self {
        Self {
            subject: self.subject.or_else(|| defaults.subject.clone()),
            action: self.action.or_else(|| defaults.action.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }

    fn evaluation(self) -> Result<Advice, Refusal> {
        self.question(Asks::Evaluation, None)
    }

    /// The question, without the id or name that is searched.
    pub(super) fn question(self, asks: Asks, page: Option<Page>) -> Result<Advice, Refusal> {
        let mut subject = self.subject.ok_or_else(|| missing("subject"))?;
        let mut resource = self.resource.ok_or_else(|| missing("resource"))?;
        let action = match asks {
            Asks::Actions => None,
            Asks::Evaluation | Asks::Subjects | Asks::Resources => Some(self.action.ok_or_else(|| missing("action"))?),
        };
        let identified =
            |party: &Party, name: &str| party.id.as_ref().map(drop).ok_or_else(|| missing(&format!("{name}.id")));
        match asks {
            Asks::Subjects => subject.id = None,
            Asks::Evaluation | Asks::Resources | Asks::Actions => identified(&subject, "subject")?,
        }
        match asks {
            Asks::Resources => resource.id = None,
            Asks::Evaluation | Asks::Subjects | Asks::Actions => identified(&resource, "resource")?,
        }
        let context = self.context.unwrap_or_default();
        Ok(Advice::new(AdviceFields { asks, page, action, context, subject, resource })?)
    }
}

/// The one object that a body is.
pub(super) fn object(body: &[u8]) -> Result<Object, Refusal> {
    let read = open_json(body)?;
    let Json::Object(fields) = read else {
        return Err(Refusal::malformed(format!("expected a JSON object, found {}", read.kind())));
    };
    Ok(fields)
}

fn party(fields: &Object) -> Result<Party, Refusal> {
    let kind = text(fields, "type")?.ok_or_else(|| missing("type"))?;
    Ok(Party { id: text(fields, "id")?, kind, properties: properties(fields)? })
}

fn verb(fields: &Object) -> Result<Verb, Refusal> {
    let name = text(fields, "name")?.ok_or_else(|| missing("name"))?;
    Ok(Verb { name, properties: properties(fields)? })
}

fn text(fields: &Object, name: &'static str) -> Result<Option<QuestionText>, Refusal> {
    match fields.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(QuestionText::new(text.as_str())?)),
        Some(other) => Err(other_kind(name, "a string", other)),
    }
}

fn properties(fields: &Object) -> Result<Members, Refusal> {
    match fields.get("properties") {
        None => Ok(Members::default()),
        Some(Json::Object(fields)) => members(fields),
        Some(other) => Err(other_kind("properties", "an object", other)),
    }
}

fn members(fields: &Object) -> Result<Members, Refusal> {
    let members = fields.iter().map(|(name, value)| Ok((name.clone(), exact(value, LEVELS_MAX)?)));
    Ok(Members::new(members.collect::<Result<_, Refusal>>()?)?)
}

fn exact(value: &Json, levels: usize) -> Result<Value, Refusal> {
    let below = || {
        levels.checked_sub(1).ok_or_else(|| {
            Refusal::malformed(format!("expected at most {LEVELS_MAX} arrays and objects within each other"))
        })
    };
    Ok(match value {
        Json::Null => Value::Null,
        Json::Boolean(truth) => Value::Bool(*truth),
        Json::Text(text) => Value::Text(text.clone()),
        Json::Whole(number) => match (u64::try_from(*number), i64::try_from(*number)) {
            (Ok(number), _) => Value::Uint(number),
            (Err(_), Ok(number)) => Value::Nint(number),
            (Err(_), Err(_)) => return Err(Refusal::malformed("expected a number of at most 64 bits")),
        },
        Json::Fraction(written) => {
            let number = written.parse::<f64>().ok().and_then(Value::number);
            number.ok_or_else(|| Refusal::malformed("expected a number that a double can hold"))?
        }
        Json::Array(items) => {
            let below = below()?;
            Value::Array(items.iter().map(|item| exact(item, below)).collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let below = below()?;
            let pair = |(name, value): (&String, &Json)| Ok((name.clone(), exact(value, below)?));
            let mut pairs = fields.iter().map(pair).collect::<Result<Vec<_>, Refusal>>()?;
            pairs.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
            Value::Map(pairs)
        }
    })
}

fn missing(name: &str) -> Refusal {
    Refusal::malformed(format!("expected {name:?}, found no such member"))
}

pub(super) fn other_kind(name: &str, expected: &str, found: &Json) -> Refusal {
    Refusal::malformed(format!("expected {name:?} to be {expected}, found {}", found.kind()))
}
