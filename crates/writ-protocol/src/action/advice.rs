use crate::cbor::{Decode, Encode, Reader, ShapeError, Value, Writer, record};
use crate::entry::AssertedPrincipal;
use crate::name::Name;

/// The longest type, id or name in a question, in bytes.
pub const QUESTION_TEXT_BYTES_MAX: usize = 1024;

/// The types of principals that a domain can revoke, and that entries name.
const PRINCIPAL_TYPES: [&str; 3] = ["User", "Agent", "Workload"];

record! {
    /// What somebody is asked about by whoever enforces it elsewhere. Nothing is executed: the answer is an advice, and never a writ.
    pub AdviceFields {
        /// What is wanted of the answer.
        asks: ! Asks,
        /// Which part of what is found.
        page: ? Page,
        /// What is to be done; nothing where that is searched.
        action: ? Verb,
        /// What else is said of it.
        context: ! Members,
        /// Who is to do it.
        subject: ! Party,
        /// What it is to be done to.
        resource: ! Party,
    }
}

record! {
    /// A subject or a resource.
    pub Party {
        /// Its id; nothing where it is searched.
        id: ? QuestionText,
        /// Its type.
        kind as "type": ! QuestionText,
        /// What is said of it.
        properties: ! Members,
    }
}

record! {
    /// An action by its name.
    pub Verb {
        /// Its name.
        name: ! QuestionText,
        /// What is said of it.
        properties: ! Members,
    }
}

record! {
    /// Which part of what is found.
    pub Page {
        /// What comes after this id or name; everything, without one.
        after: ? QuestionText,
        /// At most so many.
        limit: ! u64,
    }
}

/// A question, complete: with each part that its kind has, and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice(AdviceFields);

impl Advice {
    /// What is searched has no id or name, everything else has one, and only a search has a page.
    pub fn new(fields: AdviceFields) -> Result<Self, ShapeError> {
        let (subject, action, resource) =
            (fields.subject.id.is_some(), fields.action.is_some(), fields.resource.id.is_some());
        let open = match fields.asks {
            Asks::Evaluation => [true, true, true],
            Asks::Subjects => [false, true, true],
            Asks::Actions => [true, false, true],
            Asks::Resources => [true, true, false],
        };
        if [subject, action, resource] != open {
            return Err(ShapeError::expected("ids and a name, but for what is searched"));
        }
        if fields.page.is_some() != (fields.asks != Asks::Evaluation) {
            return Err(ShapeError::expected("a `page` with a search, and only there"));
        }
        Ok(Self(fields))
    }

    /// Whom it is about, where that is a principal that a domain can revoke.
    pub fn principal(&self) -> Option<AssertedPrincipal> {
        let Party { id, kind, .. } = &self.subject;
        let kind = PRINCIPAL_TYPES.contains(&kind.as_str()).then(|| Name::new(kind.as_str()).ok())??;
        Some(AssertedPrincipal { kind, id: Name::new(id.as_ref()?.as_str()).ok()? })
    }
}

impl std::ops::Deref for Advice {
    type Target = AdviceFields;

    fn deref(&self) -> &AdviceFields {
        &self.0
    }
}

impl Encode for Advice {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Advice {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(AdviceFields::decode(reader)?)
    }
}

/// What is wanted of an advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Whether this subject may do this to this resource.
    Evaluation,
    /// Which subjects may.
    Subjects,
    /// To which resources.
    Resources,
    /// Which actions.
    Actions,
}

impl Asks {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Evaluation, Self::Subjects, Self::Resources, Self::Actions];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Subjects => "subjects",
            Self::Resources => "resources",
            Self::Actions => "actions",
        }
    }
}

impl Encode for Asks {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for Asks {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let text = reader.text()?;
        let found = Self::ALL.into_iter().find(|asks| asks.as_str() == text);
        found.ok_or_else(|| ShapeError::expected("`evaluation`, `subjects`, `resources` or `actions`"))
    }
}

/// A type, id or name as it was given: any text, of a bounded length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionText(String);

impl QuestionText {
    /// The text, if it is not too long.
    pub fn new(text: impl Into<String>) -> Result<Self, ShapeError> {
        let text = text.into();
        if text.len() > QUESTION_TEXT_BYTES_MAX {
            return Err(ShapeError::expected(format!(
                "a type, id or name of at most {QUESTION_TEXT_BYTES_MAX} bytes, found {}",
                text.len()
            )));
        }
        Ok(Self(text))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Encode for QuestionText {
    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }
}

impl Decode for QuestionText {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(reader.text()?)
    }
}

/// Members of an object, as whoever asks has given them: text, numbers, `true`, `false`, `null`, arrays and objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(Vec<(String, Value)>);

/// A float that equals itself is all that CBOR lets in.
impl Eq for Members {}

impl Members {
    /// In the one order, each name once.
    pub fn new(mut members: Vec<(String, Value)>) -> Result<Self, ShapeError> {
        members.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
        if !members.is_sorted_by(|(left, _), (right, _)| left != right) {
            return Err(ShapeError::expected("each member once"));
        }
        match members.iter().all(|(_, value)| is_json(value)) {
            true => Ok(Self(members)),
            false => {
                Err(ShapeError::expected("values that JSON has, whole numbers as integers; it has no byte strings"))
            }
        }
    }

    /// Each member, in the one order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// Its depth is bounded by that of the encoding.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Bytes(_) => false,
        Value::Array(items) => items.iter().all(is_json),
        Value::Map(pairs) => pairs.iter().all(|(_, value)| is_json(value)),
        // A float that an integer equals would be read again as that integer.
        Value::Float(number) => Value::number(*number).as_ref() == Some(value),
        Value::Uint(_) | Value::Nint(_) | Value::Text(_) | Value::Bool(_) | Value::Null => true,
    }
}

impl Encode for Members {
    fn encode(&self, writer: &mut Writer) {
        writer.map(self.0.len());
        for (name, value) in &self.0 {
            writer.field(name, value);
        }
    }
}

impl Decode for Members {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        match Value::decode(reader)? {
            Value::Map(members) => Self::new(members),
            Value::Uint(_)
            | Value::Nint(_)
            | Value::Bytes(_)
            | Value::Text(_)
            | Value::Array(_)
            | Value::Bool(_)
            | Value::Null
            | Value::Float(_) => Err(ShapeError::expected("a map of members")),
        }
    }
}
