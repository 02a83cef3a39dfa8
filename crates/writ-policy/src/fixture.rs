//! Fixtures: what a policy set must answer, written beside it as `tests/*.yaml`. Each is decided as a request is.

mod orders;

use crate::calendar::Moment;
use crate::decide::decide;
use crate::decision::{Decision, Deny, Hold, Permit};
use crate::error::{PolicyError, Problem};
use crate::facts::{Answered, Caused, Facts};
use crate::mandate::Mandated;
use crate::policy_set::PolicySet;
use crate::principals::read_principal;
use crate::request::pinned_digest;
use crate::text::from_hex;
use crate::yaml::{self, Fault, Node, Value};
use std::collections::BTreeSet;
use writ_protocol::action::{Action, Exec, ExecFields, Interpreter, Stdin, Variables};
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::{Code, Label, Name};
use writ_tlog::Hash;

/// The time of a fixture that names none: the noon of a Monday.
const MOMENT: &str = "2026-01-05T12:00:00Z";
const FIELDS: &[&str] = &[
    "name",
    "principal",
    "run",
    "order",
    "target",
    "reason",
    "path",
    "digest",
    "interpreter",
    "cwd",
    "variables",
    "stdin",
    "auth",
    "depth",
    "labels",
    "origin",
    "at",
    "gateway",
    "surroundings",
    "approvals",
    "requester",
    "mandate",
    "to",
    "until",
    "uses",
    "programs",
    "added",
    "changed",
    "removed",
    "types",
    "groups",
    "entries",
    "kinds",
    "principals",
    "count",
    "asserts",
    "renews",
    "expect",
    "reasons",
];
const PRINCIPAL_FORM: &str = "of the form User::id, Agent::id or Workload::id";

/// A request and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    /// Its file within the folder.
    pub file: String,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its column.
    column: usize,
    /// Its name, once in the file.
    pub name: String,
    action: Action,
    facts: Facts,
    expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Permit,
    Hold,
    Deny(Code),
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Hold => "hold",
            Self::Deny(code) => code.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    outcome: Outcome,
    reasons: Option<BTreeSet<Name>>,
}

/// What came of a fixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The fixture.
    pub fixture: Fixture,
    /// What was to come, in words.
    pub expected: String,
    /// What came, in words.
    pub found: String,
    /// The policies that decided.
    pub reasons: Vec<Name>,
    /// What went wrong, if it is not what was to come.
    pub failure: Option<PolicyError>,
}

/// Tests every fixture of a set against it; or says which cannot be read.
pub(crate) fn test(set: &PolicySet) -> Result<Vec<Tested>, Vec<PolicyError>> {
    let (mut fixtures, mut findings) = (Vec::new(), Vec::new());
    for (file, bytes) in &*set.fixtures {
        match read(file, bytes, set) {
            Ok(read) => fixtures.extend(read),
            Err(error) => findings.push(error),
        }
    }
    if findings.is_empty() { Ok(fixtures.into_iter().map(|one| one.test(set)).collect()) } else { Err(findings) }
}

impl Fixture {
    fn test(self, set: &PolicySet) -> Tested {
        let decision = decide(set, &self.action, &self.facts);
        let (outcome, reasons, errors) = match decision {
            Decision::Permit(Permit { reasons, .. }) => (Outcome::Permit, reasons, Vec::new()),
            Decision::Hold(Hold { reasons, .. }) => (Outcome::Hold, reasons, Vec::new()),
            Decision::Deny(Deny { code, reasons, errors, tells: _ }) => (Outcome::Deny(code), reasons, errors),
        };
        let same_reasons = self.expected.reasons.as_ref().is_none_or(|expected| expected.iter().eq(&reasons));
        let expected = told(self.expected.outcome, self.expected.reasons.iter().flatten());
        let mut found = told(outcome, &reasons);
        for (policy, error) in &errors {
            let policy = policy.as_ref().map_or(String::new(), |policy| format!("{policy}: "));
            found = format!("{found}, {policy}{error}");
        }
        let failure = (outcome != self.expected.outcome || !same_reasons).then(|| PolicyError {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            problem: Problem::FixtureFailed {
                name: self.name.clone(),
                expected: expected.clone(),
                found: found.clone(),
            },
        });
        Tested { fixture: self, expected, found, reasons, failure }
    }
}

fn told<'a>(outcome: Outcome, reasons: impl IntoIterator<Item = &'a Name>) -> String {
    let what = outcome.as_str();
    let reasons: Vec<&str> = reasons.into_iter().map(Name::as_str).collect();
    if reasons.is_empty() { what.to_owned() } else { format!("{what} by {}", reasons.join(", ")) }
}

fn read(file: &str, bytes: &[u8], set: &PolicySet) -> Result<Vec<Fixture>, PolicyError> {
    let faulty = |fault: Fault| PolicyError {
        file: file.to_owned(),
        line: fault.line,
        column: fault.column,
        problem: Problem::FixtureForm(fault.what),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::file(file, Problem::NotUtf8))?;
    let document = yaml::read(text).map_err(faulty)?;
    let Value::List(items) = &document.value else { return Err(faulty(document.fault("expected a list of fixtures"))) };
    let mut names = BTreeSet::new();
    let mut fixtures = Vec::with_capacity(items.len());
    for item in items {
        let fixture = Form::of(item).and_then(|form| form.fixture(file, set)).map_err(faulty)?;
        if !names.insert(fixture.name.clone()) {
            return Err(faulty(item.fault(format!("the name `{}` stands twice", fixture.name))));
        }
        fixtures.push(fixture);
    }
    Ok(fixtures)
}

/// The fields of one fixture.
struct Form<'a> {
    node: &'a Node,
    pairs: &'a [(Node, Node)],
}

impl<'a> Form<'a> {
    fn of(node: &'a Node) -> Result<Self, Fault> {
        let Value::Map(pairs) = &node.value else { return Err(node.fault("expected a fixture: a map of fields")) };
        for (key, _) in pairs {
            if !key.text().is_some_and(|name| FIELDS.contains(&name)) {
                return Err(key.fault(format!("no such field; a fixture has {}", FIELDS.join(", "))));
            }
        }
        Ok(Self { node, pairs })
    }

    fn field(&self, name: &str) -> Option<&'a Node> {
        self.pairs.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    fn required(&self, name: &str) -> Result<&'a Node, Fault> {
        self.field(name).ok_or_else(|| self.node.fault(format!("the fixture has no `{name}`")))
    }

    /// The text of a field, if it is there, made into something.
    fn parsed<T>(&self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(node) = self.field(name) else { return Ok(None) };
        node.text().and_then(parse).map(Some).ok_or_else(|| node.fault(format!("`{name}` is {expected}")))
    }

    fn fixture(&self, file: &str, set: &PolicySet) -> Result<Fixture, Fault> {
        let name = self.required("name")?;
        let name = name.text().filter(|text| !text.is_empty()).ok_or_else(|| name.fault("`name` is a text"))?;
        let action = match (self.field("run"), self.field("order")) {
            (Some(run), None) => Action::Exec(self.exec(run, set)?),
            (None, Some(order)) => Action::Order(self.order(order)?),
            (Some(_), Some(_)) | (None, None) => {
                return Err(self.node.fault("a fixture has either `run` or `order`"));
            }
        };
        let node = self.node;
        Ok(Fixture {
            file: file.to_owned(),
            line: node.line,
            column: node.column,
            name: name.to_owned(),
            facts: self.facts(set, matches!(action, Action::Exec(_)))?,
            action,
            expected: self.expected()?,
        })
    }

    fn facts(&self, set: &PolicySet, runs: bool) -> Result<Facts, Fault> {
        let principal = self.parsed("principal", PRINCIPAL_FORM, read_principal)?;
        let principal: AssertedPrincipal =
            principal.ok_or_else(|| self.node.fault("the fixture has no `principal`"))?;
        let label = |text: &str| Label::new(text).ok();
        let auth = self.parsed("auth", "how the principal is known, such as key or peer", label)?;
        let auth = match auth {
            Some(auth) => auth,
            None => {
                Label::new(if runs { "peer" } else { "key" }).map_err(|error| self.node.fault(error.to_string()))?
            }
        };
        let moment = self.parsed("at", "a moment in UTC, such as 2026-01-05T12:00:00Z", Moment::ms_of)?;
        let now_ms = moment.or_else(|| Moment::ms_of(MOMENT)).unwrap_or_default();
        let depth = self.parsed("depth", "a number from 0", |text| text.parse().ok())?.unwrap_or(0);
        let (labels, caused) = (self.labels()?, self.caused(&principal, depth)?);
        let gateway = match runs {
            true => self.named_gateway()?.or_else(|| Name::new("process/01").ok()),
            false => None,
        };
        let (approvals, answers) = (self.approvals()?, self.answers(set, &principal)?);
        let (surroundings, mandate) = (self.surroundings()?, self.mandate()?);
        let (changes, values) = (self.changes()?, self.values()?);
        Ok(Facts {
            now_ms,
            auth,
            approvals,
            answers,
            changes,
            principal,
            depth,
            labels,
            caused,
            mandate,
            gateway,
            values,
            surroundings,
        })
    }

    fn named_gateway(&self) -> Result<Option<Name>, Fault> {
        self.parsed("gateway", "the name of a gateway", |text| Name::new(text).ok())
    }

    fn approvals(&self) -> Result<Vec<AssertedPrincipal>, Fault> {
        let Some(node) = self.field("approvals") else { return Ok(Vec::new()) };
        let approvers = texts(node).and_then(|texts| texts.iter().map(|text| read_principal(text)).collect());
        let approvers: BTreeSet<AssertedPrincipal> =
            approvers.ok_or_else(|| node.fault("`approvals` is a list of principals, such as [User::ada]"))?;
        Ok(approvers.into_iter().collect())
    }

    /// Texts, ascending, each once.
    fn list(&self, name: &str) -> Result<Vec<String>, Fault> {
        let Some(node) = self.field(name) else { return Ok(Vec::new()) };
        let listed = texts(node).ok_or_else(|| node.fault(format!("`{name}` is a list of texts")))?;
        Ok(listed.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// What an order to approve or reject is about: whoever gives it answers for all of its groups.
    fn answers(&self, set: &PolicySet, principal: &AssertedPrincipal) -> Result<Option<Answered>, Fault> {
        let Some(requester) = self.parsed("requester", PRINCIPAL_FORM, read_principal)? else { return Ok(None) };
        Ok(Some(Answered { groups: set.groups_of(principal).into_iter().collect(), requester }))
    }

    /// The mandate that it is under: no ledger has it, so its entry hash is made up.
    fn mandate(&self) -> Result<Option<Mandated>, Fault> {
        let Some(node) = self.field("mandate") else { return Ok(None) };
        let entry = Hash::from_bytes([3; 32]);
        let given = |by| Mandated { entry, by, through: Vec::new(), depth: 0 };
        let form = || node.fault("`mandate` is who gave it, such as User::ada, or a map with `by`, `through`, `depth`");
        let Value::Map(pairs) = &node.value else {
            return node.text().and_then(read_principal).map(|by| Some(given(by))).ok_or_else(form);
        };
        if let Some((key, _)) = pairs.iter().find(|(key, _)| !matches!(key.text(), Some("by" | "through" | "depth"))) {
            return Err(key.fault("a mandate has `by`, `through` and `depth`"));
        }
        let field = |name: &str| pairs.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value);
        let by = field("by").and_then(|by| by.text()).and_then(read_principal).ok_or_else(form)?;
        let through =
            match field("through") {
                None => BTreeSet::new(),
                Some(through) => texts(through)
                    .and_then(|texts| texts.iter().map(|text| read_principal(text)).collect())
                    .ok_or_else(|| through.fault("`through` is a list of principals, such as [Agent::builder]"))?,
            };
        let depth = match field("depth") {
            None => u64::try_from(through.len()).unwrap_or(u64::MAX),
            Some(depth) => depth
                .text()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| depth.fault("`depth` is a number from 0"))?,
        };
        Ok(Some(Mandated { through: through.into_iter().collect(), depth, ..given(by) }))
    }

    fn labels(&self) -> Result<Vec<Label>, Fault> {
        let Some(node) = self.field("labels") else { return Ok(Vec::new()) };
        let labels = texts(node).ok_or_else(|| node.fault("`labels` is a list of labels"))?;
        let labels = labels.into_iter().map(Label::new).collect::<Result<BTreeSet<_>, _>>();
        Ok(labels.map_err(|error| node.fault(error.to_string()))?.into_iter().collect())
    }

    /// What caused it: no ledger has it, so its entry hashes are made up.
    fn caused(&self, principal: &AssertedPrincipal, depth: u64) -> Result<Option<Caused>, Fault> {
        let by = self.parsed("origin", "of the form User::id, Agent::id or Workload::id", read_principal)?;
        if let (Some(_), 0, Some(node)) = (&by, depth, self.field("origin")) {
            return Err(node.fault("`origin` goes with a `depth` above 0"));
        }
        let (parent, origin) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let by = by.unwrap_or_else(|| principal.clone());
        Ok((depth > 0).then_some(Caused { parent, origin, by }))
    }

    fn surroundings(&self) -> Result<Vec<(Label, String)>, Fault> {
        let Some(node) = self.field("surroundings") else { return Ok(Vec::new()) };
        let Value::Map(pairs) = &node.value else { return Err(node.fault("`surroundings` is a map of labels")) };
        let mut found = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let label = key.text().and_then(|text| Label::new(text).ok());
            let label = label.ok_or_else(|| key.fault("expected a label: a-z 0-9 . _ -"))?;
            let value = value.text().ok_or_else(|| value.fault("expected a text"))?;
            found.push((label, value.to_owned()));
        }
        found.sort();
        Ok(found)
    }

    fn exec(&self, run: &Node, set: &PolicySet) -> Result<Exec, Fault> {
        for other in ["target", "reason", "groups", "asserts", "renews"] {
            if let Some(node) = self.field(other) {
                return Err(node.fault(format!("`{other}` belongs to an order")));
            }
        }
        let argv = texts(run).filter(|argv| !argv.is_empty());
        let argv = argv.ok_or_else(|| run.fault("`run` is the list of a command's arguments, the program first"))?;
        let path = self.parsed("path", "a text", |text| Some(text.to_owned()))?;
        let path = path.or_else(|| argv.first().cloned()).unwrap_or_default();
        let digest = self.parsed("digest", "64 hexadecimal digits", digest)?;
        let executable = match digest {
            Some(digest) => digest,
            None => pinned_digest(set, path.as_bytes()).unwrap_or(Hash::from_bytes([0; 32])),
        };
        let names = match self.field("variables") {
            None => Vec::new(),
            Some(node) => texts(node).ok_or_else(|| node.fault("`variables` is a list of their names"))?,
        };
        let variables = Variables::new(names.iter().map(|name| (name.as_bytes(), b"".as_slice())));
        let variables = variables.map_err(|error| self.node.fault(error.to_string()))?;
        let stdin = self.parsed("stdin", "null, pipe, file, tty or socket", stdin)?.unwrap_or(Stdin::Null);
        let cwd = self.parsed("cwd", "a text", |text| Some(text.to_owned()))?.unwrap_or_else(|| "/".to_owned());
        let fields = ExecFields {
            cwd: cwd.into_bytes(),
            argv: argv.into_iter().map(String::into_bytes).collect(),
            path: path.into_bytes(),
            variables,
            stdin,
            executable,
            interpreter: self.interpreter(set)?,
        };
        Exec::new(fields).map_err(|error| run.fault(error.to_string()))
    }

    fn interpreter(&self, set: &PolicySet) -> Result<Option<Interpreter>, Fault> {
        let expected = "the absolute path of what runs the script";
        let path = self.parsed("interpreter", expected, |text| Some(text.to_owned()))?;
        Ok(path.map(|path| {
            let digest = pinned_digest(set, path.as_bytes()).unwrap_or(Hash::from_bytes([0; 32]));
            Interpreter { path: path.into_bytes(), digest }
        }))
    }

    fn expected(&self) -> Result<Expected, Fault> {
        let expect = self.required("expect")?;
        let outcome = match expect.text() {
            Some("permit") => Outcome::Permit,
            Some("hold") => Outcome::Hold,
            Some("deny") => Outcome::Deny(Code::PolicyDenied),
            Some("evaluation_error") => Outcome::Deny(Code::EvaluationError),
            Some("integrity_failure") => Outcome::Deny(Code::IntegrityFailure),
            Some(_) | None => {
                return Err(expect.fault("`expect` is permit, hold, deny, evaluation_error or integrity_failure"));
            }
        };
        let reasons = match self.field("reasons") {
            None => None,
            Some(node) => {
                let names = texts(node).ok_or_else(|| node.fault("`reasons` is a list of policy ids"))?;
                let names = names.into_iter().map(Name::new).collect::<Result<BTreeSet<_>, _>>();
                Some(names.map_err(|error| node.fault(error.to_string()))?)
            }
        };
        Ok(Expected { outcome, reasons })
    }
}

fn texts(node: &Node) -> Option<Vec<String>> {
    let Value::List(items) = &node.value else { return None };
    items.iter().map(|item| item.text().map(str::to_owned)).collect()
}

fn digest(text: &str) -> Option<Hash> {
    Hash::from_slice(&from_hex(text)?)
}

fn stdin(text: &str) -> Option<Stdin> {
    Some(match text {
        "null" => Stdin::Null,
        "pipe" => Stdin::Pipe,
        "file" => Stdin::File,
        "tty" => Stdin::Tty,
        "socket" => Stdin::Socket,
        _ => return None,
    })
}
