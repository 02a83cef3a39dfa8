//! From an action and facts to what the engine is asked. Whatever cannot be said to it exactly is an obstacle, never left out.

use crate::calendar::Moment;
use crate::compile::short;
use crate::entities::{self, DIGEST, DOMAIN, EXECUTABLE, THIS_DOMAIN};
use crate::facts::Facts;
use crate::index::Selection;
use crate::policy_set::PolicySet;
use crate::text::{command_text, hex, text_of_bytes};
use cedar_policy::{Context, Entities, EntityUid, EvalResult, Request, RestrictedExpression as Expression};
use std::sync::Arc;
use writ_protocol::Code;
use writ_protocol::action::{Action, Command, Exec, Order};
use writ_protocol::entry::Target;
use writ_tlog::Hash;

/// Why the engine cannot be asked.
#[derive(Debug)]
pub(crate) struct Obstacle {
    pub(crate) code: Code,
    pub(crate) why: String,
}

impl Obstacle {
    fn error(why: impl AsRef<str>) -> Self {
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

impl Question {
    pub(crate) fn new(set: &PolicySet, action: &Action, facts: &Facts) -> Result<Self, Obstacle> {
        facts.judge_surroundings().map_err(|error| Obstacle::error(error.to_string()))?;
        let now = Moment::from_ms(facts.now_ms).ok_or_else(|| Obstacle::error("the time is after the year 9999"))?;
        let principal = uid(facts.principal.kind.as_str(), facts.principal.id.as_str())?;
        if set.entities.get(&principal).is_none() {
            return Err(Obstacle::error(format!("the principal `{principal}` is not in entities.json")));
        }
        let (verb, resource, context) = match action {
            Action::Exec(exec) => {
                let resource = uid(EXECUTABLE, &text_of_bytes(&exec.path))?;
                ("exec", resource, exec_context(exec, facts, now)?)
            }
            Action::Order(order) => {
                let verb = match order.command {
                    Command::Revoke(_) => "revoke",
                    Command::Halt => "halt",
                };
                let resource = uid(DOMAIN, THIS_DOMAIN)?;
                (verb, resource, order_context(order, facts, now)?)
            }
        };
        let verb = uid("Action", verb)?;
        let selection = set.index.selection(&set.entities, &principal, &verb, &resource).map_err(Obstacle::error)?;
        let entities = match action {
            Action::Exec(exec) => with_executable(set, &selection, &resource, exec)?,
            Action::Order(_) => set.entities.clone(),
        };
        let context = Context::from_pairs(context).map_err(|error| Obstacle::error(error.to_string()))?;
        let request = Request::new(principal, verb, resource, context, Some(&set.schema))
            .map_err(|error| Obstacle::error(error.to_string()))?;
        Ok(Self { request, selection, entities, now })
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Obstacle> {
    entities::uid(kind, id).ok_or_else(|| Obstacle::error(format!("`{kind}` is not a type of the schema")))
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
        judge_pin(set, &uid(EXECUTABLE, &text_of_bytes(&interpreter.path))?, &interpreter.digest)?;
    }
    if judge_pin(set, resource, &exec.executable)? || !selection.reads_digest {
        return Ok(set.entities.clone());
    }
    let with = set.executables.with(&set.entities, &set.schema, resource, &exec.executable);
    with.map_err(Obstacle::error)
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

type Pairs = Vec<(String, Expression)>;

fn exec_context(exec: &Exec, facts: &Facts, now: Moment) -> Result<Pairs, Obstacle> {
    let text = |bytes: &[u8]| Expression::new_string(text_of_bytes(bytes));
    let texts = |list: &[Vec<u8>]| Expression::new_set(list.iter().map(|bytes| text(bytes)));
    let hash = |hash: &Hash| Expression::new_string(hex(hash.as_bytes()));
    let gateway = facts.gateway.as_ref().ok_or_else(|| Obstacle::error("an exec needs the gateway it is for"))?;
    let argv = &exec.argv;
    let mut context = shared_context(facts, now)?;
    let mut put = |key: &str, value| context.push((key.to_owned(), value));
    put("argv", texts(argv));
    put("argc", long(argv.len(), "the number of arguments")?);
    put("command", Expression::new_string(command_text(argv.iter().map(Vec::as_slice))));
    for (key, argument) in ["arg1", "arg2", "arg3"].iter().zip(argv.iter().skip(1)) {
        put(key, text(argument));
    }
    put("cwd", text(&exec.cwd));
    put("path", text(&exec.path));
    put("executable", hash(&exec.executable));
    if let Some(interpreter) = &exec.interpreter {
        let fields = [("path", text(&interpreter.path)), ("digest", hash(&interpreter.digest))];
        let record = Expression::new_record(fields.map(|(key, value)| (key.to_owned(), value)));
        put("interpreter", record.map_err(|error| Obstacle::error(error.to_string()))?);
    }
    put("variables", texts(exec.variables.names()));
    put("stdin", Expression::new_string(exec.stdin.as_str().to_owned()));
    let surroundings = facts
        .surroundings
        .iter()
        .map(|(label, value)| Expression::new_string(format!("{label}={}", text_of_bytes(value.as_bytes()))));
    put("surroundings", Expression::new_set(surroundings));
    // Not measured counts as the same uid: the weaker place is assumed.
    put("same_uid", Expression::new_bool(facts.surrounding("uid").is_none_or(|uid| uid == "same")));
    put("gateway", Expression::new_string(gateway.to_string()));
    Ok(context)
}

fn order_context(order: &Order, facts: &Facts, now: Moment) -> Result<Pairs, Obstacle> {
    let mut context = shared_context(facts, now)?;
    let mut put = |key: &str, value: &str| context.push((key.to_owned(), Expression::new_string(value.to_owned())));
    put("reason", order.reason.as_str());
    match &order.command {
        Command::Revoke(target) => put("target", target_kind(target)),
        Command::Halt => {}
    }
    Ok(context)
}

fn shared_context(facts: &Facts, now: Moment) -> Result<Pairs, Obstacle> {
    Ok(vec![
        ("now".to_owned(), Expression::new_datetime(now.full())),
        ("auth".to_owned(), Expression::new_string(facts.auth.to_string())),
        ("depth".to_owned(), long(facts.depth, "the depth")?),
    ])
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
