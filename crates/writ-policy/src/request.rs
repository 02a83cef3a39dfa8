//! From an action and facts to what the engine is asked. Whatever cannot be said to it exactly is an obstacle, never left out.

use crate::approval;
use crate::calendar::Moment;
use crate::compile::short;
use crate::entities::DIGEST;
use crate::facts::Facts;
use crate::index::{Reads, Selection};
use crate::policy_set::PolicySet;
use crate::text::{command_text, from_hex, hex, text_of_bytes};
use cedar_policy::{Context, Entities, EntityUid, EvalResult, Request, RestrictedExpression as Expression};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_protocol::Code;
use writ_protocol::action::{Action, Command, Exec, Order};
use writ_protocol::entry::{Target, Verdict};
use writ_tlog::Hash;

/// Why the engine cannot be asked.
#[derive(Debug)]
pub(crate) struct Obstacle {
    pub(crate) code: Code,
    pub(crate) why: String,
}

impl Obstacle {
    pub(crate) fn error(why: impl AsRef<str>) -> Self {
        Self { code: Code::EvaluationError, why: short(why.as_ref()) }
    }
}

/// One question for the engine, complete.
pub(crate) struct Question {
    pub(crate) request: Request,
    /// The policies that can apply to it.
    pub(crate) selection: Arc<Selection>,
    pub(crate) entities: Arc<Entities>,
    pub(crate) now: Moment,
}

/// Who asks to do what to what, and when.
pub(crate) struct Asked {
    pub(crate) principal: EntityUid,
    pub(crate) verb: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) now: Moment,
    /// Which approvals there are, as policies read them.
    pub(crate) approvals: BTreeSet<String>,
}

impl Asked {
    pub(crate) fn of(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Self, Obstacle> {
        facts.judge_form().map_err(|error| Obstacle::error(error.to_string()))?;
        let now = Moment::from_ms(facts.now_ms).ok_or_else(|| Obstacle::error("the time is after the year 9999"))?;
        let principal = set.uids.principal(&facts.principal)?;
        if set.entities.get(&principal).is_none() {
            return Err(Obstacle::error(format!("the principal `{principal}` is not in entities.json")));
        }
        let (verb, resource) = match action {
            Action::Exec(exec) => (&set.uids.exec, set.uids.executable(&exec.path)),
            Action::Order(order) => match order.command {
                Command::Revoke(_) => (&set.uids.revoke, set.uids.domain.clone()),
                Command::Halt => (&set.uids.halt, set.uids.domain.clone()),
                Command::Answer(Verdict::Approve, _) => (&set.uids.approve, set.uids.domain.clone()),
                Command::Answer(Verdict::Reject, _) => (&set.uids.reject, set.uids.domain.clone()),
                // The set in force has no say in what replaces it: its authors have.
                Command::Publish(_) => return Err(Obstacle::error("publishing a policy set is not decided by policy")),
            },
        };
        Ok(Self { principal, verb: verb.clone(), resource, now, approvals: approval::words(set, facts) })
    }
}

impl Question {
    pub(crate) fn new(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Self, Obstacle> {
        Self::asking(set, action, facts, Asked::of(set, action, facts)?)
    }

    /// As if there were these approvals too.
    pub(crate) fn supposing(
        set: &PolicySet,
        action: &Action,
        facts: &Facts,
        approvals: BTreeSet<String>,
    ) -> Result<Self, Obstacle> {
        let mut asked = Asked::of(set, action, facts)?;
        asked.approvals.extend(approvals);
        Self::asking(set, action, facts, asked)
    }

    fn asking(set: &PolicySet, action: &Action, facts: &Facts, asked: Asked) -> Result<Self, Obstacle> {
        let texts = Texts { action, facts };
        let selection = set.index.selection(&set.entities, [&asked.principal, &asked.verb, &asked.resource], &texts);
        Self::of(set, selection.map_err(Obstacle::error)?, action, facts, asked)
    }

    /// With policies that were selected.
    pub(crate) fn of(
        set: &PolicySet,
        selection: Arc<Selection>,
        action: &Action,
        facts: &Facts,
        asked: Asked,
    ) -> Result<Self, Obstacle> {
        let Asked { principal, verb, resource, now, approvals } = asked;
        let entities = match action {
            Action::Exec(exec) => with_executable(set, &selection, &resource, exec)?,
            Action::Order(_) => set.entities.clone(),
        };
        let context = context(&selection.reads, action, facts, now, approvals)?;
        // What no policy reads is left out, so only the whole context can be compared with the schema.
        let schema = matches!(selection.reads, Reads::All).then_some(&set.schema);
        let context = Context::from_pairs(context.pairs).map_err(|error| Obstacle::error(error.to_string()))?;
        let request = Request::new(principal, verb, resource, context, schema)
            .map_err(|error| Obstacle::error(error.to_string()))?;
        Ok(Self { request, selection, entities, now })
    }
}

/// The entities with the executable among them, its `digest` being what was measured. Where the domain pins another one, nothing is
/// asked at all (Invariant 12).
pub(crate) fn with_executable(
    set: &PolicySet,
    selection: &Selection,
    resource: &EntityUid,
    exec: &Exec,
) -> Result<Arc<Entities>, Obstacle> {
    if let Some(interpreter) = &exec.interpreter {
        judge_pin(set, &set.uids.executable(&interpreter.path), &interpreter.digest)?;
    }
    if judge_pin(set, resource, &exec.executable)? || !selection.reads_digest {
        return Ok(set.entities.clone());
    }
    let with = set.executables.with(&set.entities, &set.schema, resource, &exec.executable);
    with.map_err(Obstacle::error)
}

/// The digest to which the domain pins an executable, if it does.
pub(crate) fn pinned_digest(set: &PolicySet, path: &[u8]) -> Option<Hash> {
    match set.entities.get(&set.uids.executable(path))?.attr(DIGEST)? {
        Ok(EvalResult::String(pinned)) => Hash::from_slice(&from_hex(&pinned)?),
        Ok(_) | Err(_) => None,
    }
}

/// Whether the domain pins this executable, its digest being the one measured.
fn judge_pin(set: &PolicySet, executable: &EntityUid, measured: &Hash) -> Result<bool, Obstacle> {
    match set.entities.get(executable).and_then(|entity| entity.attr(DIGEST)) {
        None => Ok(false),
        Some(Ok(EvalResult::String(pinned))) if pinned == hex(measured.as_bytes()) => Ok(true),
        Some(Ok(pinned)) => {
            let measured = hex(measured.as_bytes());
            let why = format!("`{executable}` is pinned to {pinned}, measured was {measured}");
            Err(Obstacle { code: Code::IntegrityFailure, why: short(&why) })
        }
        Some(Err(error)) => Err(Obstacle::error(error.to_string())),
    }
}

/// What is one text in the context of some action.
pub(crate) const TEXTS: [&str; 13] = [
    "auth",
    "command",
    "arg1",
    "arg2",
    "arg3",
    "cwd",
    "path",
    "executable",
    "stdin",
    "gateway",
    "reason",
    "target",
    "requester",
];

/// The texts in the context of one question.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    action: &'a Action,
    facts: &'a Facts,
}

impl<'a> Texts<'a> {
    /// One of [`TEXTS`], if the context has it.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        if name == "auth" {
            return Some(self.facts.auth.as_str().into());
        }
        match self.action {
            Action::Exec(exec) => self.of_exec(exec, name),
            Action::Order(order) => self.of_order(order, name),
        }
    }

    fn of_exec(&self, exec: &'a Exec, name: &str) -> Option<Cow<'a, str>> {
        let argument = |at: usize| exec.argv.get(at).map(|bytes| text_of_bytes(bytes).into());
        match name {
            "command" => Some(command_text(exec.argv.iter().map(Vec::as_slice)).into()),
            "arg1" => argument(1),
            "arg2" => argument(2),
            "arg3" => argument(3),
            "cwd" => Some(text_of_bytes(&exec.cwd).into()),
            "path" => Some(text_of_bytes(&exec.path).into()),
            "executable" => Some(hex(exec.executable.as_bytes()).into()),
            "stdin" => Some(exec.stdin.as_str().into()),
            "gateway" => Some(self.facts.gateway.as_ref()?.as_str().into()),
            _ => None,
        }
    }

    fn of_order(&self, order: &'a Order, name: &str) -> Option<Cow<'a, str>> {
        match (name, &order.command) {
            ("requester", Command::Answer(..)) => {
                let requester = &self.facts.answers.as_ref()?.requester;
                Some(format!("{}::{}", requester.kind, requester.id).into())
            }
            ("reason", _) => Some(order.reason.as_str().into()),
            ("target", Command::Revoke(target)) => Some(target_kind(target).into()),
            (_, _) => None,
        }
    }
}

/// The context, as far as a policy that can apply reads it.
struct Pairs<'a> {
    reads: &'a Reads,
    pairs: Vec<(String, Expression)>,
}

impl<'a> Pairs<'a> {
    fn shared(reads: &'a Reads, action: &Action, facts: &Facts, now: Moment) -> Result<Self, Obstacle> {
        let depth = long(facts.depth, "the depth")?;
        let mut made = Self { reads, pairs: Vec::new() };
        made.put("now", || Expression::new_datetime(now.full()));
        made.put("depth", || depth.clone());
        if made.reads.attribute("lineage") {
            let lineage = lineage(facts, depth)?;
            made.put("lineage", || lineage);
        }
        let texts = Texts { action, facts };
        for name in TEXTS.into_iter().filter(|name| reads.attribute(name)) {
            if let Some(text) = texts.get(name) {
                made.put(name, || Expression::new_string(text.into_owned()));
            }
        }
        Ok(made)
    }

    fn put(&mut self, key: &str, value: impl FnOnce() -> Expression) {
        if self.reads.attribute(key) {
            self.pairs.push((key.to_owned(), value()));
        }
    }
}

fn lineage(facts: &Facts, depth: Expression) -> Result<Expression, Obstacle> {
    let labels = facts.labels.iter().map(|label| Expression::new_string(label.as_str().to_owned()));
    let origin = facts.origin();
    let fields = [
        ("labels", Expression::new_set(labels)),
        ("depth", depth),
        ("origin", Expression::new_string(format!("{}::{}", origin.kind, origin.id))),
    ];
    let record = Expression::new_record(fields.map(|(key, value)| (key.to_owned(), value)));
    record.map_err(|error| Obstacle::error(error.to_string()))
}

fn text(bytes: &[u8]) -> Expression {
    Expression::new_string(text_of_bytes(bytes))
}

fn context<'a>(
    reads: &'a Reads,
    action: &Action,
    facts: &Facts,
    now: Moment,
    approvals: BTreeSet<String>,
) -> Result<Pairs<'a>, Obstacle> {
    let mut context = Pairs::shared(reads, action, facts, now)?;
    match action {
        Action::Exec(exec) => {
            put_exec(&mut context, exec, facts)?;
            context.put("approvals", || Expression::new_set(approvals.into_iter().map(Expression::new_string)));
        }
        Action::Order(Order { command: Command::Answer(..), .. }) => {
            let answered = facts.answers.as_ref().ok_or_else(|| Obstacle::error("an answer needs what it is about"))?;
            let groups = answered.groups.iter().map(|group| Expression::new_string(group.to_string()));
            let groups = Expression::new_set(groups);
            context.put("groups", || groups);
        }
        Action::Order(Order { command: Command::Revoke(_) | Command::Halt | Command::Publish(_), .. }) => {}
    }
    Ok(context)
}

fn put_exec(context: &mut Pairs<'_>, exec: &Exec, facts: &Facts) -> Result<(), Obstacle> {
    let texts = |list: &[Vec<u8>]| Expression::new_set(list.iter().map(|bytes| text(bytes)));
    if facts.gateway.is_none() {
        return Err(Obstacle::error("an exec needs the gateway it is for"));
    }
    let argc = long(exec.argv.len(), "the number of arguments")?;
    context.put("argv", || texts(&exec.argv));
    context.put("argc", || argc);
    if let Some(interpreter) = &exec.interpreter {
        let digest = Expression::new_string(hex(interpreter.digest.as_bytes()));
        let fields = [("path", text(&interpreter.path)), ("digest", digest)];
        let record = Expression::new_record(fields.map(|(key, value)| (key.to_owned(), value)));
        let record = record.map_err(|error| Obstacle::error(error.to_string()))?;
        context.put("interpreter", || record);
    }
    context.put("variables", || texts(exec.variables.names()));
    context.put("surroundings", || {
        let one =
            |(label, value): &(writ_protocol::Label, String)| format!("{label}={}", text_of_bytes(value.as_bytes()));
        Expression::new_set(facts.surroundings.iter().map(|measured| Expression::new_string(one(measured))))
    });
    // Not measured counts as the same uid: the weaker place is assumed.
    let same_uid = facts.surrounding("uid").is_none_or(|uid| uid == "same");
    context.put("same_uid", || Expression::new_bool(same_uid));
    Ok(())
}

fn long(value: impl TryInto<i64>, what: &str) -> Result<Expression, Obstacle> {
    let value =
        value.try_into().map_err(|_| Obstacle::error(format!("{what} is more than an integer of the engine")))?;
    Ok(Expression::new_long(value))
}

fn target_kind(target: &Target) -> &'static str {
    match target {
        Target::Writ(_) => "writ",
        Target::Key(_) => "key",
        Target::Principal(_) => "principal",
        Target::Policy(_) => "policy",
        Target::Lineage { .. } => "lineage",
        Target::Gateway(_) => "gateway",
    }
}
