//! What the domain's own schema declares, as far as a question about somebody must know it: what it does not declare no policy can read, so it
//! may be left out without changing any decision, and what it does declare must fit.

use crate::error::{PolicyError, Problem};
use crate::snapshot::SCHEMA;
use cedar_policy::SchemaFragment;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The annotation of an entity type whose entities come with the questions about them, and need not be in entities.json.
const FROM: &str = "from";
/// Where they come from: there is nowhere else.
const REQUEST: &str = "request";
/// Follows of one name for a type to another, before it is given up. The engine refuses circles.
const ALIASES_MAX: usize = 64;

/// The names of a record's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// These.
    Only(BTreeSet<String>),
    /// Nobody could tell: everything counts as declared, and so must fit.
    All,
}

/// Of what declares nothing.
static NONE: Attributes = Attributes::Only(BTreeSet::new());

impl Attributes {
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::All => true,
        }
    }
}

/// An entity type of the domain.
#[derive(Clone, Debug)]
struct Type {
    attributes: Attributes,
    from_request: bool,
}

/// An action of the domain.
#[derive(Clone, Debug)]
struct Action {
    context: Attributes,
    /// Those of the context's own attribute `action`, which holds what is said of the action itself.
    of_action: Attributes,
}

/// The types and actions that a domain adds to the base schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    types: BTreeMap<String, Type>,
    actions: BTreeMap<String, Action>,
}

impl Declared {
    /// Of the schema that a domain has written; the engine has read it before.
    pub(crate) fn read(own_schema: &[u8]) -> Result<Self, PolicyError> {
        let failed = |why: String| PolicyError::file(SCHEMA, Problem::Schema(why));
        let text = std::str::from_utf8(own_schema).map_err(|_| PolicyError::file(SCHEMA, Problem::NotUtf8))?;
        let fragment = SchemaFragment::from_cedarschema_str(text).map_err(|error| failed(error.to_string()))?.0;
        let json = fragment.to_json_value().map_err(|error| failed(error.to_string()))?;
        let mut declared = Self::default();
        for (namespace, content) in json.as_object().into_iter().flatten() {
            let scope = Scope { whole: &json, namespace };
            for (name, one) in members(content, "entityTypes") {
                let from = one.get("annotations").and_then(|annotations| annotations.get(FROM));
                if from.is_some_and(|from| from != REQUEST) {
                    return Err(failed(format!("`@{FROM}` of `{name}` is not \"{REQUEST}\"; leave it out")));
                }
                let attributes = one.get("shape").map_or_else(|| NONE.clone(), |shape| scope.attributes(shape));
                declared.types.insert(scope.full(name), Type { attributes, from_request: from.is_some() });
            }
            // The actions of a namespace are its own; a question names those that are in none.
            for (name, one) in members(content, "actions").filter(|_| namespace.is_empty()) {
                let context = one.get("appliesTo").and_then(|applies| applies.get("context"));
                let of_action = context.and_then(|context| scope.member(context, "action"));
                let action = Action {
                    context: context.map_or_else(|| NONE.clone(), |context| scope.attributes(context)),
                    of_action: of_action.map_or_else(|| NONE.clone(), |of| scope.attributes(&of)),
                };
                declared.actions.insert(name.to_owned(), action);
            }
        }
        Ok(declared)
    }

    /// The attributes of a type; the base schema's types have none that anybody could be asked about.
    pub(crate) fn of_type(&self, name: &str) -> &Attributes {
        self.types.get(name).map_or(&NONE, |one| &one.attributes)
    }

    /// Whether entities of this type come with the questions about them.
    pub(crate) fn comes_with_requests(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(|one| one.from_request)
    }

    /// What the context of an action has, and what its attribute `action` has; nothing for one that is not the domain's own.
    pub(crate) fn of_action(&self, name: &str) -> Option<(&Attributes, &Attributes)> {
        self.actions.get(name).map(|one| (&one.context, &one.of_action))
    }

    /// The domain's own actions, ascending.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.keys().map(String::as_str)
    }
}

fn members<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = (&'v str, &'v Value)> {
    let fields = value.get(name).and_then(Value::as_object);
    fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Where names of types are looked up.
struct Scope<'v> {
    whole: &'v Value,
    namespace: &'v str,
}

impl Scope<'_> {
    fn full(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}::{name}", self.namespace) }
    }

    /// The attributes of a record type, whatever it is called.
    fn record(&self, shape: &Value) -> Option<Map<String, Value>> {
        let mut shape = shape.clone();
        for _ in 0..ALIASES_MAX {
            let kind = shape.get("type")?.as_str()?;
            if kind == "Record" {
                return Some(shape.get("attributes")?.as_object()?.clone());
            }
            let name = if kind == "EntityOrCommon" { shape.get("name")?.as_str()? } else { kind };
            shape = self.common(name)?.clone();
        }
        None
    }

    /// A type that the domain has named.
    fn common(&self, name: &str) -> Option<&Value> {
        let named = |namespace: &str, name: &str| self.whole.get(namespace)?.get("commonTypes")?.get(name);
        match name.rsplit_once("::") {
            Some((namespace, name)) => named(namespace, name),
            None => named(self.namespace, name).or_else(|| named("", name)),
        }
    }

    fn attributes(&self, shape: &Value) -> Attributes {
        match self.record(shape) {
            Some(fields) => Attributes::Only(fields.into_iter().map(|(name, _)| name).collect()),
            None => Attributes::All,
        }
    }

    fn member(&self, shape: &Value, name: &str) -> Option<Value> {
        self.record(shape)?.remove(name)
    }
}
