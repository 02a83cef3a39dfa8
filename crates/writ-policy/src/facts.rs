use crate::mandate::Mandated;
use writ_protocol::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use writ_protocol::entry::{Ascending, AssertedPrincipal, PrincipalRef};
use writ_protocol::{Label, Name, Refusal};
use writ_tlog::Hash;

/// An execution carries at most this many labels: an entry can record no more.
pub const LABELS_MAX: usize = 256;

/// A decision reads at most this many surroundings.
pub const SURROUNDINGS_MAX: usize = 256;

/// What a change of entities touches is recorded up to this length.
const CHANGES_BYTES_MAX: usize = 900 * 1024;

/// An encoded record of facts is at most this long.
const FACTS_BYTES_MAX: usize = 1024 * 1024;

/// Everything a decision reads that can vary, beside policy and action: recorded with it, so that it can be decided again (Invariant 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// How the principal was authenticated.
    pub auth: Label,
    /// Who acts.
    pub principal: AssertedPrincipal,
    /// Steps from the origin of the lineage.
    pub depth: u64,
    /// The labels that it would carry, whatever policy adds to them: ascending, each once.
    pub labels: Vec<Label>,
    /// What caused it; nothing for an origin.
    pub caused: Option<Caused>,
    /// The mandate that it is under; of an order that hands one on, that one.
    pub mandate: Option<Mandated>,
    /// The gateway that the writ is for.
    pub gateway: Option<Name>,
    /// Who has approved it, if it was held: ascending, each once.
    pub approvals: Vec<AssertedPrincipal>,
    /// What an answer to a hold is about, if it is one.
    pub answers: Option<Answered>,
    /// What a change of entities changes, if it is one.
    pub changes: Option<Changes>,
    /// What the values are that an order names, if it names some.
    pub values: Option<Values>,
    /// What was measured where it would run: ascending by label, each label once.
    pub surroundings: Vec<(Label, String)>,
}

/// What caused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caused {
    /// Entry hash of the grant of the execution that asks.
    pub parent: Hash,
    /// Entry hash of the grant at the beginning of the lineage.
    pub origin: Hash,
    /// Who acts there.
    pub by: AssertedPrincipal,
}

impl Facts {
    /// Reads the one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > FACTS_BYTES_MAX {
            return Err(Refusal::malformed(format_args!(
                "facts have at most {FACTS_BYTES_MAX} bytes, these have {}",
                bytes.len()
            )));
        }
        Ok(Self::from_cbor(bytes)?)
    }

    /// The value of a label of the surroundings.
    pub(crate) fn surrounding(&self, label: &str) -> Option<&str> {
        self.surroundings.iter().find(|(found, _)| found.as_str() == label).map(|(_, value)| value.as_str())
    }

    /// Who acts at the beginning of the lineage.
    pub(crate) fn origin(&self) -> &AssertedPrincipal {
        self.caused.as_ref().map_or(&self.principal, |caused| &caused.by)
    }

    /// Whether surroundings and labels have the one form that the encoding allows.
    pub(crate) fn judge_form(&self) -> Result<(), ShapeError> {
        if self.labels.len() > LABELS_MAX || !self.labels.is_sorted_by(|left, right| left < right) {
            return Err(ShapeError::expected(format!("at most {LABELS_MAX} labels, ascending, each once")));
        }
        if self.approvals.len() > SURROUNDINGS_MAX || !self.approvals.is_sorted_by(|left, right| left < right) {
            return Err(ShapeError::expected(format!("at most {SURROUNDINGS_MAX} approvals, ascending, each once")));
        }
        self.judge_surroundings()
    }

    /// Whether the surroundings have the one form that the encoding allows.
    fn judge_surroundings(&self) -> Result<(), ShapeError> {
        if self.surroundings.len() > SURROUNDINGS_MAX {
            return Err(ShapeError::expected(format!("at most {SURROUNDINGS_MAX} surroundings")));
        }
        if !self.surroundings.is_sorted_by(|(left, _), (right, _)| left < right) {
            return Err(ShapeError::expected("surroundings ascending by label, each label once"));
        }
        Ok(())
    }
}

impl Encode for Facts {
    fn encode(&self, writer: &mut Writer) {
        let there = [
            self.caused.is_some(),
            !self.labels.is_empty(),
            self.values.is_some(),
            self.answers.is_some(),
            self.changes.is_some(),
            self.gateway.is_some(),
            self.mandate.is_some(),
            !self.approvals.is_empty(),
        ];
        writer.map(5 + there.into_iter().map(usize::from).sum::<usize>());
        writer.field("auth", &self.auth);
        writer.field("depth", &self.depth);
        if let Some(caused) = &self.caused {
            writer.field("caused", caused);
        }
        if !self.labels.is_empty() {
            writer.field("labels", &self.labels);
        }
        writer.field("now_ms", &self.now_ms);
        if let Some(values) = &self.values {
            writer.field("values", values);
        }
        if let Some(answered) = &self.answers {
            writer.field("answers", answered);
        }
        if let Some(changes) = &self.changes {
            writer.field("changes", changes);
        }
        if let Some(gateway) = &self.gateway {
            writer.field("gateway", gateway);
        }
        if let Some(mandate) = &self.mandate {
            writer.field("mandate", mandate);
        }
        if !self.approvals.is_empty() {
            writer.field("approvals", &self.approvals);
        }
        writer.field("principal", &self.principal);
        writer.text("surroundings");
        writer.array(self.surroundings.len());
        for (label, value) in &self.surroundings {
            writer.array(2);
            label.encode(writer);
            writer.text(value);
        }
    }
}

impl Decode for Facts {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let auth = map.required("auth")?;
        let depth = map.required("depth")?;
        let caused = map.optional("caused")?;
        let labels: Option<Vec<Label>> = map.optional("labels")?;
        if labels.as_ref().is_some_and(Vec::is_empty) {
            return Err(ShapeError::expected("no `labels` where there are none"));
        }
        let labels = labels.unwrap_or_default();
        let now_ms = map.required("now_ms")?;
        let values = map.optional("values")?;
        let answers = map.optional("answers")?;
        let changes = map.optional("changes")?;
        let gateway = map.optional("gateway")?;
        let mandate = map.optional("mandate")?;
        let approvals = map.optional("approvals")?;
        let PrincipalRef { id, kind } = map.required("principal")?;
        let pairs: Vec<Surrounding> = map.required("surroundings")?;
        map.end()?;
        let surroundings = pairs.into_iter().map(|Surrounding(label, value)| (label, value)).collect();
        if approvals.as_ref().is_some_and(Vec::is_empty) {
            return Err(ShapeError::expected("`approvals` only where there are any"));
        }
        let (principal, approvals) = (AssertedPrincipal { kind, id }, approvals.unwrap_or_default());
        let facts = Self {
            now_ms,
            auth,
            principal,
            depth,
            labels,
            caused,
            mandate,
            approvals,
            answers,
            changes,
            gateway,
            values,
            surroundings,
        };
        facts.judge_form()?;
        Ok(facts)
    }
}

/// What an answer to a hold is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The groups that are asked and that whoever answers is in: ascending, each once.
    pub groups: Vec<Name>,
    /// Who waits.
    pub requester: AssertedPrincipal,
}

impl Encode for Answered {
    fn encode(&self, writer: &mut Writer) {
        writer.map(2);
        writer.field("groups", &self.groups);
        writer.field("requester", &self.requester);
    }
}

impl Decode for Answered {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let groups: Ascending<Name> = map.required("groups")?;
        let requester = map.required("requester")?;
        map.end()?;
        Ok(Self { groups: groups.as_slice().to_vec(), requester })
    }
}

/// What a change of entities changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many entities it adds.
    pub added: u64,
    /// How many it takes away.
    pub removed: u64,
    /// How many are there before and after, and are not the same.
    pub changed: u64,
    /// The types of all these: ascending, each once.
    pub types: Vec<String>,
    /// What gains or loses members, at any remove, as `Group::owners`: ascending, each once.
    pub groups: Vec<String>,
}

impl Changes {
    /// Whether its lists are short enough to be recorded.
    pub fn can_be_recorded(&self) -> bool {
        let bytes: usize = self.types.iter().chain(&self.groups).map(|one| one.len() + 5).sum();
        bytes <= CHANGES_BYTES_MAX
    }
}

impl Encode for Changes {
    fn encode(&self, writer: &mut Writer) {
        writer.map(5);
        writer.field("added", &self.added);
        writer.text("types");
        texts(writer, &self.types);
        writer.text("groups");
        texts(writer, &self.groups);
        writer.field("changed", &self.changed);
        writer.field("removed", &self.removed);
    }
}

impl Decode for Changes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let added = map.required("added")?;
        let Texts(types) = map.required("types")?;
        let Texts(groups) = map.required("groups")?;
        let (changed, removed) = (map.required("changed")?, map.required("removed")?);
        map.end()?;
        Ok(Self { added, removed, changed, types, groups })
    }
}

/// What the values are that an order names: each of an entry, behind one of its commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Of which kinds: ascending, each once.
    pub kinds: Vec<String>,
    /// How many.
    pub count: u64,
    /// The types of the entries: ascending, each once.
    pub entries: Vec<String>,
    /// Who has asked for what the entries record, as `User::ada`: ascending, each once.
    pub principals: Vec<String>,
}

impl Encode for Values {
    fn encode(&self, writer: &mut Writer) {
        writer.map(4);
        writer.field("count", &self.count);
        for (name, list) in [("kinds", &self.kinds), ("entries", &self.entries), ("principals", &self.principals)] {
            writer.text(name);
            texts(writer, list);
        }
    }
}

impl Decode for Values {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let count = map.required("count")?;
        let (Texts(kinds), Texts(entries)) = (map.required("kinds")?, map.required("entries")?);
        let Texts(principals) = map.required("principals")?;
        map.end()?;
        Ok(Self { kinds, count, entries, principals })
    }
}

fn texts(writer: &mut Writer, list: &[String]) {
    writer.array(list.len());
    list.iter().for_each(|one| writer.text(one));
}

/// Texts ascending, each once.
struct Texts(Vec<String>);

impl Decode for Texts {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let count = reader.array()?;
        let texts: Vec<String> = (0..count).map(|_| reader.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        if !texts.is_sorted_by(|one, next| one < next) {
            return Err(ShapeError::expected("texts ascending, each once"));
        }
        Ok(Self(texts))
    }
}

impl Encode for Caused {
    fn encode(&self, writer: &mut Writer) {
        writer.map(3);
        writer.field("by", &self.by);
        writer.field("origin", &self.origin);
        writer.field("parent", &self.parent);
    }
}

impl Decode for Caused {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let PrincipalRef { id, kind } = map.required("by")?;
        let (origin, parent) = (map.required("origin")?, map.required("parent")?);
        map.end()?;
        Ok(Self { parent, origin, by: AssertedPrincipal { kind, id } })
    }
}

struct Surrounding(Label, String);

impl Decode for Surrounding {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(2)?;
        Ok(Self(Label::decode(reader)?, reader.text()?.to_owned()))
    }
}
