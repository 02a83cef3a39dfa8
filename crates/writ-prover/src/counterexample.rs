use cedar_policy::{Entities, Request};
use cedar_policy_symcc::Env;
use std::collections::BTreeSet;
use std::fmt;

/// A request for which something happens that should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Who asks, as the engine writes it: `Agent::"builder"`.
    pub principal: String,
    /// Groups it would have to be in.
    pub groups: Vec<String>,
    /// What it asks for: `exec`.
    pub action: String,
    /// On what.
    pub resource: String,
    /// What the policies concerned read of the context; the rest does not matter.
    pub context: Vec<Value>,
    /// The policies that decide it, ascending.
    pub policies: Vec<String>,
}

/// One attribute of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its value, as the engine writes it; `None` where it would have to be absent.
    pub value: Option<String>,
}

impl Counterexample {
    /// What of a model matters to these policies, which read these attributes; `None` is all.
    pub(crate) fn of(env: &Env, policies: &BTreeSet<String>, reads: Option<&BTreeSet<&str>>) -> Self {
        let request = &env.request;
        let mut context: Vec<Value> = match request.context() {
            None => Vec::new(),
            Some(context) => {
                let names = context.clone().into_iter().map(|(name, _)| name);
                let matters = names.filter(|name| reads.is_none_or(|reads| reads.contains(name.as_str())));
                let value = |name: &String| context.get(name).map(|value| value.to_string());
                matters.map(|name| Value { value: value(&name), name }).collect()
            }
        };
        for name in reads.into_iter().flatten() {
            if context.iter().all(|value| value.name != *name) {
                context.push(Value { name: (*name).to_owned(), value: None });
            }
        }
        context.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            principal: request.principal().map_or_else(String::new, ToString::to_string),
            groups: groups(request, &env.entities),
            action: request.action().map_or_else(String::new, |action| AsRef::<str>::as_ref(action.id()).to_owned()),
            resource: request.resource().map_or_else(String::new, ToString::to_string),
            context,
            policies: policies.iter().cloned().collect(),
        }
    }
}

fn groups(request: &Request, entities: &Entities) -> Vec<String> {
    let ancestors = request.principal().and_then(|principal| entities.ancestors(principal));
    let mut groups: Vec<String> = ancestors.into_iter().flatten().map(ToString::to_string).collect();
    groups.sort();
    groups
}

impl Counterexample {
    /// The same as a question: who asks for what.
    pub fn asking(&self) -> String {
        self.told("asks for")
    }

    fn told(&self, verb: &str) -> String {
        let mut text = some(&self.principal);
        if !self.groups.is_empty() {
            text.push_str(&format!(", in {},", self.groups.join(" and ")));
        }
        text.push_str(&format!(" {verb} {} {}", self.action, some(&self.resource)));
        for (at, Value { name, value }) in self.context.iter().enumerate() {
            let before = if at == 0 { " with" } else { "," };
            let each = value
                .as_ref()
                .map_or_else(|| format!("{before} no {name}"), |value| format!("{before} {name} {value}"));
            text.push_str(&each);
        }
        text
    }
}

/// A solver calls `""` whoever may be anybody.
fn some(entity: &str) -> String {
    entity.strip_suffix("::\"\"").map_or_else(|| entity.to_owned(), |kind| format!("some {kind}"))
}

/// One line: who, in what, may do what on what, with what.
impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told("may"))
    }
}
