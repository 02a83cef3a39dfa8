use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use std::str::FromStr;

/// What must never be permitted, whatever a policy set says: each guardrail is a policy, written as a permit of just that.
#[derive(Clone, Debug)]
pub struct Guardrails(pub(crate) Vec<Policy>);

impl Guardrails {
    /// Reads guardrails, which must fit the schema of the set that they are for. Says what is wrong with the first that is not sound.
    pub fn parse(text: &str, set: &writ_policy::PolicySet) -> Result<Self, String> {
        let (schema, _) = set.engine();
        Self::fitting(text, schema)
    }

    /// The same of a file.
    pub(crate) fn read(bytes: &[u8], set: &writ_policy::PolicySet) -> Result<Self, String> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8")?, set)
    }

    /// Each with what it says, whatever its annotations.
    pub(crate) fn meanings(&self) -> impl Iterator<Item = (String, Option<String>)> + '_ {
        self.0.iter().map(|policy| (AsRef::<str>::as_ref(policy.id()).to_owned(), writ_policy::meaning(policy)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn fitting(text: &str, schema: &Schema) -> Result<Self, String> {
        let written = PolicySet::from_str(text).map_err(|errors| errors.to_string())?;
        if written.num_of_templates() > 0 {
            return Err("a guardrail has no slots".to_owned());
        }
        let mut named: Vec<Policy> = Vec::new();
        for policy in written.policies() {
            let id = policy.annotation("id").ok_or("each guardrail has an @id")?;
            if policy.effect() != Effect::Permit {
                return Err(format!(
                    "`{id}` forbids: a guardrail is written as a permit of what must never be permitted"
                ));
            }
            if named.iter().any(|other| AsRef::<str>::as_ref(other.id()) == id) {
                return Err(format!("`{id}` is there twice"));
            }
            named.push(policy.new_id(PolicyId::new(id)));
        }
        named.sort_by(|a, b| a.id().cmp(b.id()));
        let all = PolicySet::from_policies(named.iter().cloned()).map_err(|error| error.to_string())?;
        let result = Validator::new(schema.clone()).validate(&all, ValidationMode::Strict);
        match result.validation_errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(Self(named)),
        }
    }
}
