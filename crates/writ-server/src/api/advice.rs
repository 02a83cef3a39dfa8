//! The AuthZEN Authorization API 1.0, as a facade: its questions in, the authority's advice out (decision 0035). Nothing that is answered here is
//! a writ.

mod pages;
mod reading;

use super::asked::turned_away;
use crate::authority_node::AuthorityNode;
use crate::exchange::{Asker, Exchange, Reply};
use hyper::StatusCode;
use hyper::header::{HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::uri::Authority as Host;
use pages::Paged;
use reading::{Batch, Item};
use serde_json::{Map, Value, json};
use writ_authority::{BearerToken, Caller, Counsel, Denied, Questions, ToldAdvice, Until};
use writ_protocol::action::{Advice, Asks};
use writ_protocol::entry::Opinion;
use writ_protocol::{Code, Refusal};

/// Below which everything is the protocol's, errors included.
const PREFIX: &str = "/access/v1/";
/// Where the protocol's metadata is.
pub(crate) const METADATA: &str = "/.well-known/authzen-configuration";
/// The operations, as the metadata names them.
const ENDPOINTS: [(&str, &str); 5] = [
    ("access_evaluation_endpoint", "/access/v1/evaluation"),
    ("access_evaluations_endpoint", "/access/v1/evaluations"),
    ("search_subject_endpoint", "/access/v1/search/subject"),
    ("search_resource_endpoint", "/access/v1/search/resource"),
    ("search_action_endpoint", "/access/v1/search/action"),
];

/// Whether a path is one of the protocol's, whose errors are its own.
pub(crate) fn is_of_protocol(path: &str) -> bool {
    path.starts_with(PREFIX) || path == METADATA
}

/// The status that the protocol has for what the transport refuses.
pub(crate) fn status_of_protocol(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::PAYLOAD_TOO_LARGE => StatusCode::BAD_REQUEST,
        StatusCode::GATEWAY_TIMEOUT => StatusCode::INTERNAL_SERVER_ERROR,
        other => other,
    }
}

/// Where the operations are, at the name to which the connection was made: whoever is told a base looks for decisions there.
pub(crate) fn metadata(exchange: &Exchange) -> Reply {
    let mut named = exchange.headers.get_all(HOST).iter();
    let (first, another) = (named.next().and_then(|host| host.to_str().ok()), named.next());
    let host = first.filter(|_| another.is_none()).and_then(|named| named.parse::<Host>().ok());
    let Some(host) = host.filter(|host| !host.as_str().contains('@') && exchange.peer.was_made_to(host)) else {
        let why = "expected one `Host`, the name to which the connection was made: it is whose configuration this is";
        return refused(&Refusal::malformed(why), false);
    };
    let scheme = if exchange.peer.is_encrypted() { "https" } else { "http" };
    let base = format!("{scheme}://{host}");
    let mut found = Map::from_iter([("policy_decision_point".to_owned(), base.as_str().into())]);
    found.extend(ENDPOINTS.map(|(name, path)| (name.to_owned(), format!("{base}{path}").into())));
    Reply::json(StatusCode::OK, &Value::Object(found))
}

/// One question.
pub(crate) async fn evaluation(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    match reading::evaluation(&exchange.body) {
        Ok(question) => one(node, caller, exchange, question).await,
        Err(refusal) => unread(node, &refusal),
    }
}

/// Several questions, or one.
pub(crate) async fn evaluations(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    match reading::evaluations(&exchange.body) {
        Ok(Batch::One(question)) => one(node, caller, exchange, *question).await,
        Ok(Batch::Many(items, until)) => many(node, caller, exchange, items, until).await,
        Err(refusal) => unread(node, &refusal),
    }
}

/// Which subjects, resources or actions.
pub(crate) async fn search(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange, asks: Asks) -> Reply {
    let paged = match Paged::read(&exchange.body, asks) {
        Ok(paged) => paged,
        Err(refusal) => return unread(node, &refusal),
    };
    let kind = paged.kind();
    match ask(node, caller, exchange, vec![paged.question.clone()], Until::All).await {
        Ok(told) => match told.into_iter().next() {
            Some(ToldAdvice::Advised(counsel)) => {
                let json = paged.found(&kind, counsel.found.as_ref(), context(&counsel));
                Reply::json(StatusCode::OK, &json).counted_as_advice([counsel.opinion]).to(Asker::Known)
            }
            Some(ToldAdvice::Denied(denied)) => forbidden(&denied),
            None => refused(&Refusal::new(Code::Internal, "the search was not answered"), false),
        },
        Err(reply) => *reply,
    }
}

/// Every question that a body can be read as: for whoever tries to break the reading.
pub fn questions_in(body: &[u8]) -> Vec<Advice> {
    let mut found: Vec<Advice> = reading::evaluation(body).into_iter().collect();
    match reading::evaluations(body) {
        Ok(Batch::One(question)) => found.push(*question),
        Ok(Batch::Many(items, _)) => found.extend(items.into_iter().flatten()),
        Err(_) => {}
    }
    let searches = [Asks::Subjects, Asks::Resources, Asks::Actions].map(|asks| Paged::read(body, asks));
    found.extend(searches.into_iter().flatten().map(|paged| paged.question));
    found
}

async fn one(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange, question: Advice) -> Reply {
    match ask(node, caller, exchange, vec![question], Until::All).await {
        Ok(told) => match told.into_iter().next() {
            Some(ToldAdvice::Advised(counsel)) => {
                Reply::json(StatusCode::OK, &decision(&counsel)).counted_as_advice([counsel.opinion]).to(Asker::Known)
            }
            Some(ToldAdvice::Denied(denied)) => forbidden(&denied),
            None => refused(&Refusal::new(Code::Internal, "the question was not answered"), false),
        },
        Err(reply) => *reply,
    }
}

async fn many(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange, items: Vec<Item>, until: Until) -> Reply {
    // What fails ends it too, where the first that does not permit does.
    let reached = items.iter().take_while(|item| until != Until::FirstDeny || item.is_ok());
    let questions: Vec<Advice> = reached.filter_map(|item| item.as_ref().ok().cloned()).collect();
    let told = match ask(node, caller, exchange, questions, until).await {
        Ok(told) => told,
        Err(reply) => return *reply,
    };
    let (mut told, mut answers, mut opinions) = (told.into_iter(), Vec::new(), Vec::new());
    for item in items {
        let answer = match item {
            Err(refusal) => {
                node.authority().count_turned_away(refusal.code());
                failed(StatusCode::BAD_REQUEST, refusal.why(), None)
            }
            Ok(_) => match told.next() {
                Some(ToldAdvice::Advised(counsel)) => {
                    opinions.push(counsel.opinion);
                    decision(&counsel)
                }
                Some(ToldAdvice::Denied(denied)) => {
                    failed(StatusCode::FORBIDDEN, &denied.why, Some(denied.receipt.index.get()))
                }
                None => break,
            },
        };
        let permits = answer.get("decision") == Some(&Value::Bool(true));
        answers.push(answer);
        if until.ends_with(permits) {
            break;
        }
    }
    Reply::json(StatusCode::OK, &json!({ "evaluations": answers })).counted_as_advice(opinions).to(Asker::Known)
}

/// Has the authority answer; the error is an answer of the protocol.
async fn ask(
    node: &AuthorityNode,
    caller: &Caller<'_>,
    exchange: &Exchange,
    all: Vec<Advice>,
    until: Until,
) -> Result<Vec<ToldAdvice>, Box<Reply>> {
    let token = exchange.bearer().map_err(|refusal| {
        node.authority().count_turned_away(refusal.code());
        Box::new(refused(&refusal, true))
    })?;
    let questions = Questions { all, until, bytes: exchange.body.len() };
    let told = node.authority().advise(caller, token.as_deref().map(BearerToken), questions).await;
    told.map_err(|refusal| Box::new(refused(&refusal, token.is_some())))
}

fn decision(counsel: &Counsel) -> Value {
    json!({ "decision": counsel.opinion == Opinion::Permit, "context": context(counsel) })
}

/// What else is said: where it is recorded, what decided it, and why it is refused.
fn context(counsel: &Counsel) -> Value {
    let mut context = Map::from_iter([("entry".to_owned(), counsel.receipt.index.get().into())]);
    if counsel.opinion != Opinion::Searched {
        let policies: Vec<&str> = counsel.policies.iter().map(writ_protocol::Name::as_str).collect();
        context.insert("policies".to_owned(), policies.into());
    }
    if let Some(why) = &counsel.why {
        let code =
            if counsel.opinion == Opinion::Hold { Code::ApprovalPending.as_str() } else { counsel.opinion.as_str() };
        context.insert("code".to_owned(), code.into());
        context.insert("reason".to_owned(), why.as_str().into());
    }
    if !counsel.needs.is_empty() {
        context.insert("needs".to_owned(), super::holds::needs(&counsel.needs));
    }
    Value::Object(context)
}

/// One of several that was not decided.
fn failed(status: StatusCode, why: &str, entry: Option<u64>) -> Value {
    let mut context = json!({ "error": { "status": status.as_u16(), "message": why } });
    if let (Some(fields), Some(entry)) = (context.as_object_mut(), entry) {
        fields.insert("entry".to_owned(), entry.into());
    }
    json!({ "decision": false, "context": context })
}

/// The asker may not ask this; recorded as a denial.
fn forbidden(denied: &Denied) -> Reply {
    let why = Refusal::new(denied.code, format!("{} (entry {})", denied.why, denied.receipt.index));
    Reply::refusal(StatusCode::FORBIDDEN, &why, None).to(Asker::Known)
}

/// Nobody has asked what cannot be read, so it is counted like everything that nobody known has asked.
fn unread(node: &AuthorityNode, refusal: &Refusal) -> Reply {
    node.authority().count_turned_away(refusal.code());
    refused(refusal, false)
}

/// A refusal in the protocol's own statuses: the message is a line of text.
fn refused(refusal: &Refusal, has_token: bool) -> Reply {
    let status = match super::status_of(refusal.code()) {
        // The question was read before, so this is about the token.
        StatusCode::BAD_REQUEST if has_token => StatusCode::UNAUTHORIZED,
        status @ (StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::TOO_MANY_REQUESTS) => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let reply = Reply::refusal(status, refusal, None).to(turned_away(refusal.code()));
    match status {
        StatusCode::UNAUTHORIZED => reply.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        _ => reply,
    }
}
