use crate::entity_problem::EntityProblem;
use crate::gate::Gate;
use std::fmt;

/// What is wrong with a policy folder, and where. Lines and columns begin at 1; a finding about a whole file stands at 1:1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyError {
    /// The file within the folder.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// Its column, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl PolicyError {
    /// About a file as a whole.
    pub(crate) fn file(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), line: 1, column: 1, problem }
    }

    /// At a byte offset of a file's text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, problem: Problem) -> Self {
        let (line, column) = place(text, offset);
        Self { file: file.to_owned(), line, column, problem }
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        self.problem.advice()
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the ledger or a solver shows may stand in no file, and a folder as a whole is no place in it.
        if !self.file.is_empty() && self.file != "." {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        write!(f, "{}; {}", self.problem, self.advice())
    }
}

/// Line and column of a byte offset, both from 1.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// What can be wrong with a policy folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("expected at most {limit} files, found {found}")]
    TooManyFiles { limit: usize, found: usize },
    #[error("expected at most {limit} bytes of files, found {found}")]
    TooManyBytes { limit: usize, found: usize },
    #[error("this path is not one of a policy folder")]
    PathForm,
    #[error("this is none of the files that a policy folder has")]
    UnknownFile,
    #[error("the policy folder has no `{0}`")]
    FileMissing(&'static str),
    #[error("the file is not UTF-8")]
    NotUtf8,
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("a chain of more than {0} operators")]
    TooLong(usize),
    #[error("a bracket or string is not closed, or a policy has no `;`")]
    Unclosed,
    #[error("a template: `{0}` is a slot")]
    Template(String),
    #[error("{0}")]
    Syntax(String),
    #[error("the policy has no `@id`")]
    IdMissing,
    #[error("`@id(\"{0}\")` is not a name")]
    IdForm(String),
    #[error("the id `{id}` belongs to the policy at {first} already")]
    IdRepeated { id: String, first: String },
    #[error("the id `{id}` has more than {limit} characters")]
    IdLong { id: String, limit: usize },
    #[error("the annotation `@{0}` is not known")]
    AnnotationUnknown(String),
    #[error("the annotation `@{0}` stands on a forbid")]
    AnnotationOnForbid(String),
    /// Approvals belong to forbids.
    #[error("the annotation `@{0}` stands on a permit")]
    AnnotationOnPermit(String),
    /// There is nothing to be approved.
    #[error("`@approve_within` without `@approval`")]
    WithinWithoutApproval,
    #[error("`@{name}(\"{found}\")` is not {expected}")]
    AnnotationForm { name: String, found: String, expected: &'static str },
    #[error("the tree would be killed after {kill_after_ms} ms, before it is frozen after {freeze_after_ms} ms")]
    KillBeforeFreeze { freeze_after_ms: u64, kill_after_ms: u64 },
    #[error("no gateway has the sandbox profile `{0}`, so what this permits runs nowhere (`surroundings_mismatch`)")]
    SandboxUnknown(String),
    #[error("{0}")]
    Schema(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Suspicious(String),
    #[error("the policy names `{0}`, which is not in entities.json: it would match nothing, in silence")]
    LiteralMissing(String),
    #[error("the policy names `{0}`, which no request has as its resource: it would match nothing, in silence")]
    LiteralImpossible(String),
    #[error("{0}")]
    Json(String),
    #[error("the key `{0}` stands twice in one object")]
    KeyRepeated(String),
    #[error("{0}")]
    Entities(String),
    #[error("`{entity}` names the parent `{parent}`, which is not in entities.json")]
    ParentMissing { entity: String, parent: String },
    #[error("an attribute of `{entity}` names `{found}`, which is not in entities.json")]
    ReferenceMissing { entity: String, found: String },
    #[error(transparent)]
    Entity(EntityProblem),
    #[error("the digest of `{0}` is not 64 hexadecimal digits in lower case")]
    DigestForm(String),
    #[error("`{0}` is not an absolute path")]
    ExecutablePath(String),
    #[error("expected {expected} in item {item}, counted from 1")]
    PrincipalForm { item: usize, expected: &'static str },
    #[error("`{0}` stands twice")]
    PrincipalRepeated(String),
    #[error("`{0}` is not in entities.json")]
    PrincipalMissing(String),
    #[error("`{principal}` has a key that is not an Ed25519 key: {why}")]
    KeyForm { principal: String, why: String },
    #[error("`{second}` has the key {key}, which belongs to `{first}`")]
    KeyShared { key: String, first: String, second: String },
    #[error("`{second}` has the uid {uid}, which belongs to `{first}`")]
    UidShared { uid: u32, first: String, second: String },
    #[error("expected {expected} in item {item}, counted from 1")]
    IssuerForm { item: usize, expected: String },
    #[error("`{principal}` is known by {what}, which is not one: expected {expected}")]
    IdentityForm { principal: String, what: String, expected: &'static str },
    #[error("`{principal}` is known by tokens of `{issuer}`, which is not in issuers.json")]
    IssuerMissing { principal: String, issuer: String },
    #[error("`{second}` is known by {what}, which belongs to `{first}`")]
    IdentityShared { what: String, first: String, second: String },
    #[error("the policy follows references further than {limit} levels: {what}")]
    TooFar { limit: u32, what: String },
    #[error("{0}")]
    FixtureForm(String),
    #[error("`{name}`: expected {expected}, found {found}")]
    FixtureFailed { name: String, expected: String, found: String },
    #[error("`{policy}` can fail: {why}, when {when}")]
    CanFail { policy: String, why: String, when: String },
    #[error("{0}")]
    GuardrailForm(String),
    #[error("past the guardrail `{guardrail}`, {permits}")]
    GuardrailPassed { guardrail: String, permits: String },
    #[error("the guardrail `{0}` of the set in force is gone, or another")]
    GuardrailGone(String),
    #[error("`{policy}` makes the set wider: {permits}; {before}")]
    Wider { policy: String, permits: String, before: String },
    #[error("`{policy}` permits on looser terms than `{than}`, which is gone or another: {what}")]
    Looser { policy: String, than: String, what: &'static str },
    #[error(
        "entities or principals are others than before: who is in which group, and whose key is whose, may permit more"
    )]
    EntitiesChanged,
    #[error("the schema is another than before: a policy that has not changed may permit more by it")]
    SchemaChanged,
    #[error(
        "the set in force decides by `{0}`, which denies what more than {max} policies permit: the new set may permit that",
        max = crate::DECISION_REASONS_MAX
    )]
    SemanticsChanged(&'static str),
    #[error(
        "`{policy}` of the set in force can fail: {why}, when {when}; whatever was denied for that, the new set may permit"
    )]
    FailsInForce { policy: String, why: String, when: String },
    #[error("not proved: {why}")]
    Unproved { why: String, advice: &'static str },
    #[error("{told}")]
    History { told: String, advice: &'static str },
}

const ANNOTATION_ADVICE: &str = "use @id, @description, @window, @freeze_after, @kill_after, @sandbox, @budget, @label, @approval or @approve_within, or remove it";
const PRINCIPAL_ADVICE: &str = "an item is {\"principal\": \"Agent::name\", \"keys\": [\"hex\"], \"uids\": [1000], \"oidc\": [{\"issuer\": \"https://…\", \"subject\": \"…\"}], \"spiffe\": [\"spiffe://…\"]}; all but the principal may be left out";
const ISSUER_ADVICE: &str = "an item is {\"issuer\": \"https://…\", \"audience\": \"…\", \"algorithms\": [\"ES256\"], \"jwks\": \"https://…\"}, or with `keys` in place of `jwks`";

impl Problem {
    /// The gate that it fails.
    pub(crate) fn gate(&self) -> Gate {
        match self {
            Self::TooManyFiles { .. }
            | Self::TooManyBytes { .. }
            | Self::PathForm
            | Self::UnknownFile
            | Self::FileMissing(_)
            | Self::NotUtf8 => Gate::Files,
            Self::TooDeep(_) | Self::TooLong(_) | Self::Unclosed | Self::Template(_) | Self::Syntax(_) => Gate::Syntax,
            Self::IdMissing
            | Self::IdForm(_)
            | Self::IdRepeated { .. }
            | Self::IdLong { .. }
            | Self::AnnotationUnknown(_)
            | Self::AnnotationOnForbid(_)
            | Self::AnnotationOnPermit(_)
            | Self::WithinWithoutApproval
            | Self::AnnotationForm { .. }
            | Self::GuardrailForm(_)
            | Self::KillBeforeFreeze { .. } => Gate::Ids,
            Self::Schema(_)
            | Self::LiteralMissing(_)
            | Self::LiteralImpossible(_)
            | Self::Json(_)
            | Self::KeyRepeated(_)
            | Self::Entities(_)
            | Self::ParentMissing { .. }
            | Self::ReferenceMissing { .. }
            | Self::Entity(_)
            | Self::DigestForm(_)
            | Self::ExecutablePath(_)
            | Self::PrincipalForm { .. }
            | Self::PrincipalRepeated(_)
            | Self::PrincipalMissing(_)
            | Self::KeyForm { .. }
            | Self::KeyShared { .. }
            | Self::UidShared { .. }
            | Self::IssuerForm { .. }
            | Self::IdentityForm { .. }
            | Self::IssuerMissing { .. }
            | Self::IdentityShared { .. } => Gate::Entities,
            Self::Invalid(_) | Self::Suspicious(_) | Self::SandboxUnknown(_) => Gate::Validation,
            Self::TooFar { .. } => Gate::Level,
            Self::FixtureForm(_) | Self::FixtureFailed { .. } => Gate::Fixtures,
            Self::CanFail { .. } | Self::Unproved { .. } => Gate::NeverErrors,
            Self::GuardrailPassed { .. } => Gate::Guardrails,
            Self::Wider { .. }
            | Self::FailsInForce { .. }
            | Self::Looser { .. }
            | Self::EntitiesChanged
            | Self::SchemaChanged
            | Self::SemanticsChanged(_)
            | Self::GuardrailGone(_) => Gate::NoWider,
            Self::History { .. } => Gate::Backtest,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::TooManyFiles { .. } => "put several policies into one file",
            Self::TooManyBytes { .. } => "move long lists into groups, attributes or sets",
            Self::PathForm => "use parts of A-Z a-z 0-9 . _ - with no leading dot, joined by `/`, 255 bytes at most",
            Self::UnknownFile => {
                "a folder has *.cedar, guardrails/*.cedar, schema.cedarschema, entities.json, principals.json, issuers.json, tests/*.yaml and README.md; remove the rest"
            }
            Self::FileMissing(_) => "add it; an empty one is `[]`",
            Self::NotUtf8 => "save the file as UTF-8",
            Self::TooDeep(_) => "write several policies, or fewer levels of brackets and `if`",
            Self::TooLong(_) => "write several policies, or a set with `contains`",
            Self::Unclosed => "close it",
            Self::Template(_) => "write the principal or resource in place of the slot",
            Self::Syntax(_) => "write it as Cedar's grammar wants it",
            Self::IdMissing => "put `@id(\"a-name\")` before it, so that decisions can name it",
            Self::IdForm(_) => "use 1 to 120 characters from A-Z a-z 0-9 . _ - / : @",
            Self::IdRepeated { .. } => "give each policy its own id",
            Self::IdLong { .. } => "choose a shorter one: as `policy:<id>` its authors could not accept it by name",
            Self::AnnotationUnknown(_) => ANNOTATION_ADVICE,
            Self::AnnotationOnForbid(_) => "terms belong to permits; a forbid has @id, @description and @approval only",
            Self::AnnotationOnPermit(_) => "what needs an approval is forbidden until it has one: write it at a forbid",
            Self::WithinWithoutApproval => "say whose approval is waited for, with @approval",
            Self::AnnotationForm { .. } => "write it in that form",
            Self::KillBeforeFreeze { .. } => "set @freeze_after and @kill_after, the first not longer than the second",
            Self::SandboxUnknown(_) => "remove @sandbox: no profile exists yet",
            Self::Schema(_) => "a domain's schema adds types and actions and cannot redefine those of the base schema",
            Self::Invalid(_) => "mend it: a policy that does not fit the schema can fail when it is needed",
            Self::Suspicious(_) => "see that it says what you mean",
            Self::LiteralMissing(_) => "declare it in entities.json, or mend the name",
            Self::LiteralImpossible(_) => {
                "the domain is `Domain::\"this\"`; an executable is named by its absolute path"
            }
            Self::Json(_) => "mend the JSON",
            Self::KeyRepeated(_) => "keep one of the two: readers differ in which one they see",
            Self::Entities(_) => "mend the entity so that it fits the schema",
            Self::ParentMissing { .. } | Self::ReferenceMissing { .. } => "declare it too, or mend the name",
            Self::Entity(problem) => problem.advice(),
            Self::DigestForm(_) => "write the SHA-256 of the file as `sha256sum` prints it",
            Self::ExecutablePath(_) => "name an executable by its absolute path, links resolved",
            Self::PrincipalForm { .. } => PRINCIPAL_ADVICE,
            Self::IssuerForm { .. } => ISSUER_ADVICE,
            Self::PrincipalRepeated(_) => "put all its keys, uids and other identities into one item",
            Self::PrincipalMissing(_) => "declare the entity too, with its groups",
            Self::KeyForm { .. } => "write the tagged key in hexadecimal: 01, then the 32 bytes of the public key",
            Self::IdentityForm { .. } => "write it as the issuer or the certificate does, to the letter",
            Self::IssuerMissing { .. } => "declare the issuer, with audience, algorithms and keys",
            Self::KeyShared { .. } | Self::UidShared { .. } | Self::IdentityShared { .. } => {
                "whoever holds it must be one principal: remove it from one of them"
            }
            Self::TooFar { .. } => "put what it looks for nearer: an attribute or a group of the principal itself",
            Self::FixtureForm(_) => "write the fixture as docs/reference/policy.md shows it",
            Self::FixtureFailed { .. } => "mend the policies, or the fixture if it asks for the wrong thing",
            Self::CanFail { .. } => {
                "bound the number or the time first (`context.now < datetime(\"2200-01-01\") && …`), or ask with `has` first, so that it cannot"
            }
            Self::GuardrailForm(_) => "write it as a permit of what must never be permitted, with an @id",
            Self::GuardrailPassed { .. } => "narrow the permit, or forbid it",
            Self::Wider { .. } | Self::Looser { .. } => {
                "narrow it, or have its authors accept it: `writ policy sign --accept policy:<id>`"
            }
            Self::GuardrailGone(_) => "keep it, or have it accepted: `writ policy sign --accept guardrail:<id>`",
            Self::FailsInForce { .. } => "have its authors accept that: `writ policy sign --accept policy:<id>`",
            Self::History { advice, .. } | Self::Unproved { advice, .. } => advice,
            Self::SchemaChanged => "have its authors accept it: `writ policy sign --accept schema`",
            Self::SemanticsChanged(_) => "have its authors accept it: `writ policy sign --accept semantics`",
            Self::EntitiesChanged => "have its authors accept it: `writ policy sign --accept entities`",
        }
    }
}
