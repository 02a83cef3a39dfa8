/// Whether a policy permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Effect {
    Permit,
    Forbid,
}

/// A policy as it was written, for explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its file within the folder.
    pub file: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// Its text, annotations included.
    pub text: String,
}

impl Clause {
    /// The value of an annotation, if it has it.
    pub fn annotation(&self, name: &str) -> Option<String> {
        let policy = cedar_policy::Policy::parse(None, &self.text).ok()?;
        policy.annotation(name).map(str::to_owned)
    }
}
