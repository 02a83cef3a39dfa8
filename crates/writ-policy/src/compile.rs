//! From a snapshot to a policy set, or every reason why not. Each rule here closes a way in which the engine would go on in silence.

use crate::annotation::{self, Asked};
use crate::approval::Approvals;
use crate::clause::{Clause, Effect};
use crate::declared::Declared;
use crate::entities::{Uids, is_always_there, is_of_request, uid};
use crate::entity_change::{Required, missing, sound};
use crate::entity_snapshot::EntitySnapshot;
use crate::error::{PolicyError, Problem, place};
use crate::index::Index;
use crate::policy_set::{Compiled, PolicySet};
use crate::reach::Reach;
use crate::scan::{Language, statements};
use crate::semantics::Semantics;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::terms::PermitTerms;
use crate::{entities, principals, schema};
use cedar_policy::ffi::DetailedError;
use cedar_policy::{EntityUid, Policy, PolicyId, Schema, ValidationError, ValidationMode, Validator};
use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use writ_protocol::Name;
use writ_tlog::sha256;

/// Of a message of the engine, only this much is kept: it can quote a whole policy.
const MESSAGE_CHARS_MAX: usize = 400;
/// How many references a policy may follow one after another: `principal in Group::"a"` and `principal.owner` are one, `principal.owner.team` is two.
const LEVEL_MAX: u32 = 3;
/// What the engine says of an entity that a policy names and reads: where it has only a part of the entities, that one may be missing.
const LITERAL: &str = "entity literals cannot be dereferenced";

pub(crate) fn compile(
    snapshot: &Snapshot,
    semantics: Semantics,
    others: Option<&EntitySnapshot>,
) -> Result<PolicySet, Vec<PolicyError>> {
    let (mut findings, mut required) = (Vec::new(), Vec::new());
    let schema = schema::compile(snapshot).map_err(|error| findings.push(error)).ok();
    let own_schema = snapshot.file(crate::snapshot::SCHEMA).unwrap_or_default();
    // Only of a schema that is sound: what is wrong with it is said once.
    let declared = schema.as_ref().and_then(|_| Declared::read(own_schema).map_err(|error| findings.push(error)).ok());
    let written = Written::read(snapshot.policy_files(), &mut findings);
    let guardrails = Written::read(snapshot.guardrail_files(), &mut findings);
    let entities = schema
        .as_ref()
        .and_then(|schema| entities::compile(snapshot, schema).map_err(|errors| findings.extend(errors)).ok());
    let principals =
        principals::compile(snapshot, &mut required).map_err(|errors| findings.extend(errors)).unwrap_or_default();
    let engine = written.engine_set(&mut findings);
    findings.extend(written.policies.values().flat_map(|policy| policy.impossible_literals()));
    required.extend(written.policies.values().flat_map(|policy| policy.literals()));
    let mut warnings = match &schema {
        Some(schema) => written.fit(schema, &engine, &mut findings),
        None => Vec::new(),
    };
    warnings.extend(written.policies.values().filter_map(WrittenPolicy::unknown_profile));
    guardrails.must_guard(schema.as_ref(), &mut findings);
    required.extend(guardrails.policies.values().flat_map(|policy| policy.literals()));
    warnings.sort();
    let reach = Reach::of(written.policies.values().map(|one| &one.policy));
    let store = entities.zip(schema).map(|(entities, schema)| Store::new(entities, schema, reach));
    let store = store.and_then(|store| match others {
        None => Some(store),
        Some(others) => sound(&store, sha256(own_schema), others).map_err(|errors| findings.extend(errors)).ok(),
    });
    if let Some(store) = &store {
        findings.extend(missing(&required, store));
    }
    match (store, Uids::new(), declared) {
        (Some(store), Some(uids), Some(declared)) if findings.is_empty() => {
            let index = Index::new(written.policies.values().map(|one| one.policy.clone()));
            let policies: BTreeMap<Name, Compiled> =
                written.policies.into_iter().map(|(id, policy)| (id, policy.into_compiled())).collect();
            let fixtures = snapshot.fixture_files().map(|(file, bytes)| (file.to_owned(), bytes.to_vec())).collect();
            let digest = snapshot.digest();
            let guardrails = guardrails.policies.into_values().map(|one| (one.policy, one.clause)).collect();
            Ok(PolicySet {
                index: Arc::new(index),
                uids,
                store,
                required: required.into(),
                policies: Arc::new(policies),
                principals: Arc::new(principals),
                guardrails,
                own_schema: own_schema.to_vec(),
                declared: Arc::new(declared),
                fixtures,
                digest,
                semantics,
                warnings: warnings.into(),
            })
        }
        (_, _, _) => {
            findings.sort();
            findings.dedup();
            Err(findings)
        }
    }
}

/// What an error of the engine says, and at which byte of its source.
pub(crate) fn complaint<'a, E>(error: &'a E) -> (String, usize)
where
    DetailedError: From<&'a E>,
{
    let detailed = DetailedError::from(error);
    let offset = detailed.source_locations.first().map_or(0, |label| label.loc.start);
    let message = match detailed.help {
        Some(help) => format!("{} ({help})", detailed.message),
        None => detailed.message,
    };
    (short(&message), offset)
}

/// The beginning of a message, in one line.
pub(crate) fn short(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX).collect()
}

/// The policies as they were written, by id.
#[derive(Default)]
struct Written {
    policies: BTreeMap<Name, WrittenPolicy>,
    findings: Vec<PolicyError>,
}

struct WrittenPolicy {
    policy: Policy,
    /// Line and column at which it begins.
    place: (usize, usize),
    clause: Clause,
    terms: PermitTerms,
    approvals: Option<Approvals>,
}

impl Written {
    fn read<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>, findings: &mut Vec<PolicyError>) -> Self {
        let mut written = Self::default();
        for (file, bytes) in files {
            match std::str::from_utf8(bytes) {
                Ok(text) => written.read_file(file, text),
                Err(_) => findings.push(PolicyError::file(file, Problem::NotUtf8)),
            }
        }
        findings.append(&mut written.findings);
        written
    }

    /// Guardrails are held to the rules of policies, since one that matches nothing guards nothing; and what is only odd about a policy is
    /// refused here.
    fn must_guard(&self, schema: Option<&Schema>, findings: &mut Vec<PolicyError>) {
        let engine = self.engine_set(findings);
        findings.extend(self.policies.values().filter_map(WrittenPolicy::guards_nothing));
        findings.extend(self.policies.values().flat_map(|guardrail| guardrail.impossible_literals()));
        if let Some(schema) = schema {
            let odd = self.fit(schema, &engine, findings);
            findings.extend(odd);
        }
    }

    fn read_file(&mut self, file: &str, text: &str) {
        let found = match statements(text, Language::Policy) {
            Ok(found) => found,
            Err(fault) => {
                self.findings.push(PolicyError::at(file, text, fault.offset, fault.problem));
                return;
            }
        };
        let count = found.len();
        let before = self.findings.len();
        for span in found {
            self.read_policy(file, text, span);
        }
        if self.findings.len() > before {
            return;
        }
        // Were the text cut otherwise than the engine cuts it, a forbid could be lost between the pieces.
        let agrees = cedar_policy::PolicySet::from_str(text)
            .is_ok_and(|set| set.num_of_policies() == count && set.num_of_templates() == 0);
        if !agrees {
            let problem = Problem::Syntax("the file as a whole does not read as its policies one by one".to_owned());
            self.findings.push(PolicyError::file(file, problem));
        }
    }

    fn read_policy(&mut self, file: &str, text: &str, span: Range<usize>) {
        let start = span.start;
        let source = text.get(span).unwrap_or_default();
        // Positions are not ids: each policy is parsed alone and gets the id that it names.
        let policy = match Policy::parse(None, source) {
            Ok(policy) => policy,
            Err(error) => {
                let (message, offset) = complaint(&error);
                self.findings.push(PolicyError::at(file, text, start + offset, Problem::Syntax(message)));
                return;
            }
        };
        let found = |problem| PolicyError::at(file, text, start, problem);
        let effect = match policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        };
        let id = annotation::id(policy.annotation("id"));
        let asked = annotation::read_all(effect, policy.annotations());
        let (id, Asked { terms, approvals }) = match (id, asked) {
            (Ok(id), Ok(asked)) => (id, asked),
            (id, asked) => {
                let problems = id.err().into_iter().chain(asked.err().into_iter().flatten());
                self.findings.extend(problems.map(found));
                return;
            }
        };
        let policy = match &approvals {
            None => policy,
            Some(approvals) => match Policy::parse(None, approvals.lift(source)) {
                Ok(lifted) => lifted,
                Err(error) => {
                    self.findings.push(found(Problem::Syntax(complaint(&error).0)));
                    return;
                }
            },
        };
        let place = place(text, start);
        if let Some(first) = self.policies.get(&id) {
            let first = format!("{}:{}", first.clause.file, first.clause.line);
            self.findings.push(found(Problem::IdRepeated { id: id.to_string(), first }));
            return;
        }
        let policy = policy.new_id(PolicyId::new(id.as_str()));
        let clause = Clause { file: file.to_owned(), line: place.0, effect, text: source.to_owned() };
        self.policies.insert(id, WrittenPolicy { policy, place, clause, terms, approvals });
    }

    fn engine_set(&self, findings: &mut Vec<PolicyError>) -> cedar_policy::PolicySet {
        let mut set = cedar_policy::PolicySet::new();
        for written in self.policies.values() {
            // Adding refuses an id that is taken; nothing is ever merged with renaming.
            if let Err(error) = set.add(written.policy.clone()) {
                findings.push(written.finding(Problem::Syntax(short(&error.to_string()))));
            }
        }
        set
    }

    /// Adds what does not fit the schema to the findings, and returns what only looks odd.
    fn fit(
        &self,
        schema: &Schema,
        engine: &cedar_policy::PolicySet,
        findings: &mut Vec<PolicyError>,
    ) -> Vec<PolicyError> {
        let validator = Validator::new(schema.clone());
        let result = validator.validate_with_level(engine, ValidationMode::Strict, LEVEL_MAX);
        let finding = |id: &PolicyId, (message, offset): (String, usize), problem: fn(String) -> Problem| {
            let owner = Name::new(id.to_string()).ok().and_then(|id| self.policies.get(&id));
            match owner {
                Some(written) => written.finding_at(offset, problem(message)),
                None => PolicyError::file(".", problem(message)),
            }
        };
        for error in result.validation_errors() {
            let told = complaint(error);
            let too_far = matches!(error, ValidationError::EntityDerefLevelViolation(_));
            // Every entity is at hand when a set decides, so those that a policy names may be read.
            if too_far && told.0.contains(LITERAL) {
                continue;
            }
            let problem: fn(String) -> Problem =
                if too_far { |what| Problem::TooFar { limit: LEVEL_MAX, what } } else { Problem::Invalid };
            findings.push(finding(error.policy_id(), told, problem));
        }
        result
            .validation_warnings()
            .map(|warning| finding(warning.policy_id(), complaint(warning), Problem::Suspicious))
            .collect()
    }
}

impl WrittenPolicy {
    /// What the policy names and no request can have as its resource.
    fn impossible_literals(&self) -> Vec<PolicyError> {
        let named = self.policy.entity_literals().into_iter().filter(is_of_request);
        let impossible = named.filter(|uid| !is_always_there(uid));
        impossible.map(|uid| self.finding(Problem::LiteralImpossible(uid.to_string()))).collect()
    }

    /// Entities that the policy names, and must find: a misspelt `Group` in a forbid would let everything pass. A group that nobody can be
    /// in never approves.
    fn literals(&self) -> Vec<Required> {
        let groups = self.approvals.iter().flat_map(|approvals| &approvals.needs);
        let groups = groups.filter_map(|need| uid("Group", need.group.as_str()));
        let named = self.policy.entity_literals().into_iter().filter(|uid| !is_of_request(uid));
        let required = |uid: EntityUid| {
            let missing = self.finding(Problem::LiteralMissing(uid.to_string()));
            Required { uid, missing }
        };
        named.chain(groups).map(required).collect()
    }

    /// What is no guardrail, or none that could ever be named.
    fn guards_nothing(&self) -> Option<PolicyError> {
        let id: &str = self.policy.id().as_ref();
        if self.clause.effect == Effect::Forbid {
            let why = format!("`{id}` forbids: a guardrail is written as a permit of what must never be permitted");
            return Some(self.finding(Problem::GuardrailForm(why)));
        }
        Name::new(format!("guardrail:{id}")).is_err().then(|| self.finding(Problem::IdForm(id.to_owned())))
    }

    /// A profile that no gateway has.
    fn unknown_profile(&self) -> Option<PolicyError> {
        let profile =
            self.terms.sandbox.as_ref().filter(|one| !annotation::SANDBOX_PROFILES.contains(&one.as_str()))?;
        Some(self.finding(Problem::SandboxUnknown(profile.to_string())))
    }

    fn finding(&self, problem: Problem) -> PolicyError {
        self.finding_at(0, problem)
    }

    /// At a byte of the policy's own text.
    fn finding_at(&self, offset: usize, problem: Problem) -> PolicyError {
        let (line, column) = place(&self.clause.text, offset);
        let (first_line, first_column) = self.place;
        let column = if line == 1 { first_column + column - 1 } else { column };
        PolicyError { file: self.clause.file.clone(), line: first_line + line - 1, column, problem }
    }

    fn into_compiled(self) -> Compiled {
        Compiled { clause: self.clause, terms: self.terms, approvals: self.approvals }
    }
}
