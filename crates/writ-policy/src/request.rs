//! From an action and facts to what the engine is asked. Whatever cannot be said to it exactly is an obstacle, never left out.

use crate::advice;
use crate::approval;
use crate::calendar::Moment;
use crate::compile::short;
use crate::facts::Facts;
use crate::index::{Reads, Selection};
use crate::mandate::Mandated;
use crate::policy_set::PolicySet;
use crate::text::{command_text, from_hex, hex, text_of_bytes};
use cedar_policy::{Context, Entities, EntityUid, Request, RestrictedExpression as Expression};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use writ_protocol::Code;
use writ_protocol::action::{Action, Advice, Command, Enrolled, Exec, Given, Order, Party};
use writ_protocol::cbor::Value;
use writ_protocol::entry::{AssertedPrincipal, Positive, Target, Verdict};
use writ_protocol::scope::{File, Program};
use writ_tlog::Hash;

/// Why the engine cannot be asked.
#[derive(Debug)]
pub(crate) struct Obstacle {
    pub(crate) code: Code,
    pub(crate) why: String,
    /// Whether that tells what the domain knows.
    pub(crate) tells: bool,
}

impl Obstacle {
    pub(crate) fn error(why: impl AsRef<str>) -> Self {
        Self { code: Code::EvaluationError, why: short(why.as_ref()), tells: false }
    }

    /// One that tells of an entity whether it is there, or what it holds.
    pub(crate) fn of_entities(why: impl AsRef<str>) -> Self {
        Self { tells: true, ..Self::error(why) }
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
        let (principal, now) = Self::who_and_when(set, facts)?;
        let (verb, resource) = match action {
            Action::Exec(exec) => (&set.uids.exec, set.uids.executable(&exec.path)),
            Action::Order(order) => match order.command {
                Command::Revoke(_) => (&set.uids.revoke, set.uids.domain.clone()),
                Command::Halt => (&set.uids.halt, set.uids.domain.clone()),
                Command::Answer(Verdict::Approve, _) => (&set.uids.approve, set.uids.domain.clone()),
                Command::Answer(Verdict::Reject, _) => (&set.uids.reject, set.uids.domain.clone()),
                Command::Answer(Verdict::Withdraw, _) => (&set.uids.withdraw, set.uids.domain.clone()),
                Command::Mandate(ref given) if given.parent.is_none() => (&set.uids.mandate, set.uids.domain.clone()),
                Command::Mandate(_) => (&set.uids.delegate, set.uids.domain.clone()),
                Command::Entities(_) => (&set.uids.entities, set.uids.domain.clone()),
                Command::Erase(_) => (&set.uids.erase, set.uids.domain.clone()),
                Command::Enrol(_) => (&set.uids.enrol, set.uids.domain.clone()),
                // The set in force has no say in what replaces it: its authors have.
                Command::Publish(_) => return Err(Obstacle::error("publishing a policy set is not decided by policy")),
            },
            Action::Advice(question) => {
                let [principal, verb, resource] = advice::uids(question)?;
                return Ok(Self { principal, verb, resource, now, approvals: BTreeSet::new() });
            }
        };
        Ok(Self { principal, verb: verb.clone(), resource, now, approvals: approval::words(set, facts) })
    }

    /// Whoever asks, who must be known, and when.
    pub(crate) fn who_and_when(set: &PolicySet, facts: &Facts) -> Result<(EntityUid, Moment), Obstacle> {
        facts.judge_form().map_err(|error| Obstacle::error(error.to_string()))?;
        let now = Moment::from_ms(facts.now_ms).ok_or_else(|| Obstacle::error("the time is after the year 9999"))?;
        let principal = set.uids.principal(&facts.principal)?;
        if !set.store.contains(&principal) {
            // To the letter, as long as there are these semantics: what a denial says is part of its decision.
            return Err(Obstacle::error(format!("the principal `{principal}` is not in entities.json")));
        }
        Ok((principal, now))
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
        let texts = Texts { action: Some(action), facts };
        let selection = set.index.selection(&set.store, [&asked.principal, &asked.verb, &asked.resource], &texts);
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
        if let Action::Advice(question) = action {
            let put = advice::Put::new(set, question, facts, &asked, &selection)?;
            let Asked { principal, verb, resource, now, .. } = asked;
            let request = Request::new(principal, verb, resource, put.context, Some(set.store.schema()))
                .map_err(|error| Obstacle::error(error.to_string()))?;
            return Ok(Self { request, selection, entities: put.entities, now });
        }
        let Asked { principal, verb, resource, now, approvals } = asked;
        let digest = match action {
            Action::Exec(exec) => judged_digest(set, &selection, &resource, exec)?,
            Action::Order(_) | Action::Advice(_) => None,
        };
        let entities = set.store.reached([&principal, &verb, &resource], digest);
        let entities = entities.map_err(|problem| Obstacle::error(problem.to_string()))?;
        let context = context(&selection.reads, action, facts, now, approvals)?;
        // What no policy reads is left out, so only the whole context can be compared with the schema.
        let schema = matches!(selection.reads, Reads::All).then_some(set.store.schema());
        let context = Context::from_pairs(context.pairs).map_err(|error| Obstacle::error(error.to_string()))?;
        let request = Request::new(principal, verb, resource, context, schema)
            .map_err(|error| Obstacle::error(error.to_string()))?;
        Ok(Self { request, selection, entities, now })
    }
}

/// The digest that was measured of the executable, where a policy may read it and the domain does not pin it. Where the domain pins another
/// one, nothing is asked at all (Invariant 12).
fn judged_digest<'e>(
    set: &PolicySet,
    selection: &Selection,
    resource: &EntityUid,
    exec: &'e Exec,
) -> Result<Option<&'e Hash>, Obstacle> {
    if let Some(interpreter) = &exec.interpreter {
        judge_pin(set, &set.uids.executable(&interpreter.path), &interpreter.digest)?;
    }
    let is_pinned = judge_pin(set, resource, &exec.executable)?;
    Ok((!is_pinned && selection.reads_digest).then_some(&exec.executable))
}

/// The digest to which the domain pins an executable, if it does.
pub(crate) fn pinned_digest(set: &PolicySet, path: &[u8]) -> Option<Hash> {
    let pinned = set.store.pin(&set.uids.executable(path)).ok()??;
    Hash::from_slice(&from_hex(&pinned)?)
}

/// Whether the domain pins this executable, its digest being the one measured.
fn judge_pin(set: &PolicySet, executable: &EntityUid, measured: &Hash) -> Result<bool, Obstacle> {
    let measured = hex(measured.as_bytes());
    match set.store.pin(executable).map_err(|problem| Obstacle::error(problem.to_string()))? {
        None => Ok(false),
        Some(pinned) if pinned == measured => Ok(true),
        Some(pinned) => {
            let why = format!("`{executable}` is pinned to {pinned:?}, measured was {measured}");
            Err(Obstacle { code: Code::IntegrityFailure, why: short(&why), tells: false })
        }
    }
}

/// What is one text in the context of some action.
pub(crate) const TEXTS: [&str; 14] = [
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
    "to",
];

/// The texts in the context of one question.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    /// Nothing where it is asked whether somebody may ask.
    action: Option<&'a Action>,
    facts: &'a Facts,
}

impl<'a> Texts<'a> {
    /// Where it is asked whether a question may be asked at all.
    pub(crate) fn of_asker(facts: &'a Facts) -> Self {
        Self { action: None, facts }
    }

    /// One of [`TEXTS`], if the context has it.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        if name == "auth" {
            return Some(self.facts.auth.as_str().into());
        }
        match self.action {
            None => None,
            Some(Action::Exec(exec)) => self.of_exec(exec, name),
            Some(Action::Order(order)) => self.of_order(order, name),
            Some(Action::Advice(question)) => match question.context.get(name) {
                Some(Value::Text(text)) => Some(text.as_str().into()),
                Some(_) | None => None,
            },
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
            ("gateway", Command::Enrol(enrolled)) => Some(enrolled.gateway.as_str().into()),
            ("to", Command::Mandate(given)) => Some(format!("{}::{}", given.to.kind, given.to.id).into()),
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
        if let Some(mandate) = facts.mandate.as_ref().filter(|_| made.reads.attribute("mandate")) {
            let mandate = mandated(mandate)?;
            made.put("mandate", || mandate);
        }
        let texts = Texts { action: Some(action), facts };
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

fn mandated(mandate: &Mandated) -> Result<Expression, Obstacle> {
    let named = |who: &AssertedPrincipal| Expression::new_string(format!("{}::{}", who.kind, who.id));
    let fields = [
        ("by", named(&mandate.by)),
        ("through", Expression::new_set(mandate.through.iter().map(named))),
        ("depth", long(mandate.depth, "the number of mandates above")?),
    ];
    let record = Expression::new_record(fields.map(|(key, value)| (key.to_owned(), value)));
    record.map_err(|error| Obstacle::error(error.to_string()))
}

/// What a mandate would be for, as far as policies see it: a folder of programs ends in `/`.
fn put_given(context: &mut Pairs<'_>, given: &Given) -> Result<(), Obstacle> {
    let until = Moment::from_ms(given.scope.window.until_ms());
    let until = until.ok_or_else(|| Obstacle::error("the end of the mandate is after the year 9999"))?;
    context.put("until", || Expression::new_datetime(until.full()));
    if let Some(uses) = given.scope.uses {
        let uses = long(uses.get(), "the number of uses")?;
        context.put("uses", || uses);
    }
    if let Some(programs) = &given.scope.programs {
        let file = |program: &Program| match &program.file {
            File::Exact(path) => text_of_bytes(path.as_bytes()),
            File::Beneath(path) => format!("{}/", text_of_bytes(path.as_bytes()).trim_end_matches('/')),
        };
        let files = Expression::new_set(programs.as_slice().iter().map(|one| Expression::new_string(file(one))));
        context.put("programs", || files);
    }
    Ok(())
}

/// What a gateway would be enrolled for.
fn put_enrolled(context: &mut Pairs<'_>, enrolled: &Enrolled) {
    let groups = enrolled.groups.as_slice().iter().map(|group| group.to_string());
    let asserts = enrolled.asserts.as_slice().iter().map(|who| format!("{}::{}", who.kind, who.id));
    context.put("groups", || Expression::new_set(groups.map(Expression::new_string)));
    context.put("asserts", || Expression::new_set(asserts.map(Expression::new_string)));
    context.put("renews", || Expression::new_bool(enrolled.epoch != Positive::ONE));
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
        Action::Order(Order { command: Command::Entities(_), .. }) => put_changes(&mut context, facts)?,
        Action::Order(Order { command: Command::Erase(_), .. }) => put_values(&mut context, facts)?,
        Action::Order(Order { command: Command::Enrol(enrolled), .. }) => put_enrolled(&mut context, enrolled),
        Action::Order(Order { command: Command::Mandate(given), .. }) => {
            if given.parent.is_some() && facts.mandate.is_none() {
                return Err(Obstacle::error("to hand on a mandate needs what is known of it"));
            }
            put_given(&mut context, given)?;
        }
        Action::Order(Order { command: Command::Revoke(_) | Command::Halt | Command::Publish(_), .. })
        | Action::Advice(_) => {}
    }
    Ok(context)
}

/// What policies read where it is asked whether a question may be asked.
pub(crate) fn asker_context(question: &Advice, facts: &Facts, now: Moment) -> Result<Context, Obstacle> {
    let depth = long(facts.depth, "the depth")?;
    let mut pairs = vec![
        ("now", Expression::new_datetime(now.full())),
        ("auth", Expression::new_string(facts.auth.as_str().to_owned())),
        ("lineage", lineage(facts, depth.clone())?),
        ("depth", depth),
        ("asks", Expression::new_string(question.asks.as_str().to_owned())),
        ("own", Expression::new_bool(question.principal().as_ref() == Some(&facts.principal))),
    ];
    let Party { id, kind, .. } = &question.subject;
    if let Some(id) = id {
        pairs.push(("subject", Expression::new_string(format!("{}::{}", kind.as_str(), id.as_str()))));
    }
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
    Context::from_pairs(pairs).map_err(|error| Obstacle::error(error.to_string()))
}

fn put_changes(context: &mut Pairs<'_>, facts: &Facts) -> Result<(), Obstacle> {
    let changes = facts.changes.as_ref();
    let changes = changes.ok_or_else(|| Obstacle::error("a change of entities needs what it changes"))?;
    for (name, count) in [("added", changes.added), ("changed", changes.changed), ("removed", changes.removed)] {
        let count = long(count, "the number of entities")?;
        context.put(name, || count);
    }
    for (name, list) in [("types", &changes.types), ("groups", &changes.groups)] {
        context.put(name, || Expression::new_set(list.iter().cloned().map(Expression::new_string)));
    }
    Ok(())
}

fn put_values(context: &mut Pairs<'_>, facts: &Facts) -> Result<(), Obstacle> {
    let values = facts.values.as_ref();
    let values = values.ok_or_else(|| Obstacle::error("an order about values needs what they are"))?;
    let count = long(values.count, "the number of values")?;
    context.put("count", || count);
    for (name, list) in [("entries", &values.entries), ("kinds", &values.kinds), ("principals", &values.principals)] {
        context.put(name, || Expression::new_set(list.iter().cloned().map(Expression::new_string)));
    }
    Ok(())
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
        Target::Mandate(_) => "mandate",
    }
}
