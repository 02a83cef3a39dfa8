use super::{holds, next_step, proof_text, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::{Asker, Exchange, Reply};
use crate::explained::explanation_json;
use crate::json::Fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use writ_authority::{Answer, BearerToken, Caller, Clause, Denied, Effect, Held, Received, Shadowed};
use writ_protocol::statement::{REQUEST_CONTENT_TYPE, SignedRequest};
use writ_protocol::{Code, Name, Refusal};

/// Asks for a writ.
pub(crate) async fn authorize(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    match explained(exchange) {
        Ok((asked, explain)) => told(node, node.authority().authorize(caller, asked.view()).await, explain),
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

/// Asks what policy would answer.
pub(crate) async fn shadow(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    match explained(exchange) {
        Ok((asked, explain)) => told(node, node.authority().shadow(caller, asked.view()).await, explain),
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

/// Gives an order.
pub(crate) async fn order(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    match explained(exchange) {
        Ok((asked, explain)) => {
            let answer = node.authority().order(caller, asked.view()).await;
            let asker = asker(&answer);
            answered(node, answer, explain, ordering_next).unwrap_or_else(|refusal| refused(&refusal)).to(asker)
        }
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

/// Publishes a policy set.
pub(crate) async fn publish(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    let bundle = |fields: &mut Fields| {
        let bundle = fields.optional_bytes("bundle")?;
        bundle.ok_or_else(|| Refusal::malformed("expected a `bundle`, in base64"))
    };
    let read = match exchange.fields().and_then(|mut fields| Ok((bundle(&mut fields)?, fields))) {
        Ok((bundle, fields)) => received(exchange, fields).map(|asked| (asked, bundle)),
        Err(refusal) => Err(refusal),
    };
    match read {
        Ok((asked, bundle)) => {
            let answer = node.authority().publish(caller, asked.view(), &bundle).await;
            let asker = asker(&answer);
            answered(node, answer, Explain::No, publishing_next).unwrap_or_else(|refusal| refused(&refusal)).to(asker)
        }
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

/// Changes the entities.
pub(crate) async fn change_entities(node: &AuthorityNode, caller: &Caller<'_>, exchange: &Exchange) -> Reply {
    let change = |fields: &mut Fields| {
        let change = fields.optional_bytes("change")?;
        change.ok_or_else(|| Refusal::malformed("expected a `change`, in base64"))
    };
    let read = exchange.fields().and_then(|mut fields| Ok((change(&mut fields)?, received(exchange, fields)?)));
    match read {
        Ok((change, asked)) => {
            let answer = node.authority().change_entities(caller, asked.view(), &change).await;
            let asker = asker(&answer);
            answered(node, answer, Explain::Yes, changing_next).unwrap_or_else(|refusal| refused(&refusal)).to(asker)
        }
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

enum Asked {
    Bare(Vec<u8>),
    Signed(Vec<u8>),
    WithToken(Vec<u8>, String),
}

impl Asked {
    fn view(&self) -> Received<'_> {
        match self {
            Self::Bare(bytes) => Received::Bare(bytes),
            Self::Signed(bytes) => Received::Signed(bytes),
            Self::WithToken(bytes, token) => Received::WithToken(bytes, BearerToken(token)),
        }
    }
}

/// Whether a refusal is to be explained, which costs more than to refuse.
#[derive(Clone, Copy)]
enum Explain {
    Yes,
    No,
}

fn explained(exchange: &Exchange) -> Result<(Asked, Explain), Refusal> {
    if let Some(asked) = message(exchange)? {
        return Ok((asked, Explain::No));
    }
    let mut fields = exchange.fields()?;
    let explain = if fields.optional_bool("explain")?.unwrap_or_default() { Explain::Yes } else { Explain::No };
    Ok((received(exchange, fields)?, explain))
}

/// What is asked, with the one proof of who asks that came with it. Of two, readers could differ in which one counts.
fn received(exchange: &Exchange, mut fields: Fields) -> Result<Asked, Refusal> {
    let (bare, signed) = (fields.optional_bytes("request")?, fields.optional_bytes("signed")?);
    fields.end()?;
    match (bare, signed, exchange.bearer()?) {
        (Some(bytes), None, None) => Ok(Asked::Bare(bytes)),
        (Some(bytes), None, Some(token)) => Ok(Asked::WithToken(bytes, token)),
        // What was signed as a message comes as that message: in JSON its path would be whatever somebody says.
        (None, Some(bytes), None) if matches!(SignedRequest::decode(&bytes), Ok(SignedRequest::Message(_))) => {
            Err(Refusal::malformed("expected the envelope of a statement in `signed`, found a signed message"))
        }
        (None, Some(bytes), None) => Ok(Asked::Signed(bytes)),
        (None, Some(_), Some(_)) => {
            Err(Refusal::malformed("expected one proof of who asks, found a signed request with a token"))
        }
        (Some(_), Some(_), _) | (None, None, _) => {
            Err(Refusal::malformed("expected either `request` or `signed`, in base64"))
        }
    }
}

/// What is asked, if the body is the request itself.
fn message(exchange: &Exchange) -> Result<Option<Asked>, Refusal> {
    let (is_request, signed) = (exchange.is_request(), exchange.signed_message()?);
    match (is_request, signed, exchange.bearer()?) {
        (true, None, None) => Ok(Some(Asked::Bare(exchange.body.to_vec()))),
        (true, None, Some(token)) => Ok(Some(Asked::WithToken(exchange.body.to_vec(), token))),
        (true, Some(kept), None) => Ok(Some(Asked::Signed(kept))),
        (true, Some(_), Some(_)) => {
            Err(Refusal::malformed("expected one proof of who asks, found a signed message with a token"))
        }
        (false, Some(_), _) => Err(Refusal::malformed(format_args!(
            "expected the request itself, as {REQUEST_CONTENT_TYPE}, in a signed message"
        ))),
        (false, None, _) => Ok(None),
    }
}

fn told(node: &AuthorityNode, answer: Answer, explain: Explain) -> Reply {
    let asker = asker(&answer);
    answered(node, answer, explain, next_step).unwrap_or_else(|refusal| refused(&refusal)).to(asker)
}

/// Whether it came out who asks. Whoever repeats what was recorded before may have overheard it.
fn asker(answer: &Answer) -> Asker {
    let receipt = match answer {
        Answer::Permit(receipt) | Answer::Done(receipt) => receipt,
        Answer::Hold(held) => &held.receipt,
        Answer::Deny(denied) => &denied.receipt,
        Answer::Shadow(shadowed) => &shadowed.receipt,
        Answer::TurnedAway(refusal) => return turned_away(refusal.code()),
    };
    if receipt.repeated { Asker::Anybody } else { Asker::Known }
}

/// Neither what is wrong with us is held against whoever asks, nor that somebody known asks too often.
pub(super) fn turned_away(code: Code) -> Asker {
    let is_nobodys = matches!(
        code,
        Code::RateLimited
            | Code::LedgerUnavailable
            | Code::ClockUntrusted
            | Code::AuthorityUnreachable
            | Code::FactsChanged
            | Code::Internal
    );
    if is_nobodys { Asker::Anybody } else { Asker::Stranger }
}

/// What whoever publishes can do about a refusal, where it is something else than for other requests.
const PUBLISHING_NEXT: &[(&[Code], &str)] = &[
    (&[Code::SignatureInvalid], "have enough of the pinned authors sign it, with `writ policy sign`"),
    (
        &[Code::UnknownAuthority],
        "see which authors the root members have pinned, and for which domain, and have those sign",
    ),
    (
        &[Code::PolicyStale, Code::PolicyMismatch],
        "another set is in force than this one was made for; look at `writ policy history`, and have it signed anew",
    ),
    (&[Code::NotYetValid, Code::Expired], "have it signed anew, and see that the clocks agree"),
    (&[Code::IntegrityFailure], "the bundle was changed after it was signed; get it from its author again"),
    (&[Code::Malformed, Code::UnsupportedVersion], "make the bundle with `writ policy sign` of the node's release"),
    (&[Code::Revoked], "the set or an author's key is revoked; have it signed by others, or publish another set"),
    (&[Code::Unauthenticated], "a person's key hands it in, from outside every governed execution; say --as"),
];

fn publishing_next(code: Code) -> &'static str {
    let own = PUBLISHING_NEXT.iter().find(|(codes, _)| codes.contains(&code));
    own.map_or_else(|| next_step(code), |(_, next)| next)
}

/// The same for whoever changes entities.
const CHANGING_NEXT: &[(&[Code], &str)] = &[
    (&[Code::GateFailed], "mend the entities that it names, and make the change again"),
    (&[Code::FactsChanged], "somebody else has changed them; look at them again, and make the change anew"),
    (&[Code::IntegrityFailure], "the change was altered on its way; make it again"),
];

/// The same for whoever gives another order.
const ORDERING_NEXT: &[(&[Code], &str)] = &[
    (
        &[Code::CommitmentMismatch],
        "name what the entry commits to and was not erased before; `writ log show` shows the entry",
    ),
    (&[Code::WrongAudience], "somebody else has renewed it; `writ gateway list` has its epoch: give the order anew"),
    (
        &[Code::IdentityMismatch],
        "see what the reason says; the order is given by whoever it is for, or with another key",
    ),
];

fn ordering_next(code: Code) -> &'static str {
    let own = ORDERING_NEXT.iter().find(|(codes, _)| codes.contains(&code));
    own.map_or_else(|| next_step(code), |(_, next)| next)
}

fn changing_next(code: Code) -> &'static str {
    let own = CHANGING_NEXT.iter().find(|(codes, _)| codes.contains(&code));
    own.map_or_else(|| next_step(code), |(_, next)| next)
}

fn answered(
    node: &AuthorityNode,
    answer: Answer,
    explain: Explain,
    next: fn(Code) -> &'static str,
) -> Result<Reply, Refusal> {
    let ok = |json| Ok(Reply::json(StatusCode::OK, &json));
    match answer {
        Answer::Permit(receipt) => ok(json!({
            "outcome": "permit",
            "index": receipt.index.get(),
            "repeated": receipt.repeated,
            "writ": proof_text(receipt.to_writ())?,
        })),
        Answer::Hold(held) => waits(*held, next),
        Answer::Done(receipt) => ok(json!({
            "outcome": "recorded",
            "index": receipt.index.get(),
            "repeated": receipt.repeated,
            "proof": proof_text(receipt.to_writ())?,
        })),
        Answer::Deny(denied) => {
            let explanation = match explain {
                Explain::Yes => node.authority().explain(&denied).as_ref().map(explanation_json),
                Explain::No => None,
            };
            let Denied { receipt, code, why, clauses, .. } = *denied;
            let json = json!({
                "outcome": "deny",
                "code": code.as_str(),
                "index": receipt.index.get(),
                "repeated": receipt.repeated,
                "why": why,
                "policies": clauses.iter().map(|(id, found)| clause(id, found)).collect::<Vec<_>>(),
                "explanation": explanation,
                "next": next(code),
                "proof": proof_text(receipt.to_writ())?,
            });
            Ok(Reply::json(StatusCode::FORBIDDEN, &json).counted_as(Refusal::new(code, why)))
        }
        Answer::Shadow(shadowed) => {
            let explanation = match explain {
                Explain::Yes => node.authority().explain_shadow(&shadowed).as_ref().map(explanation_json),
                Explain::No => None,
            };
            let Shadowed { receipt, would, why, clauses, .. } = *shadowed;
            let json = json!({
                "outcome": "shadow",
                "would": would.as_str(),
                "index": receipt.index.get(),
                "repeated": receipt.repeated,
                "why": why,
                "policies": clauses.iter().map(|(id, found)| clause(id, found)).collect::<Vec<_>>(),
                "explanation": explanation,
                "next": would.refusal().map(next),
                "proof": proof_text(receipt.to_writ())?,
            });
            Ok(Reply::json(StatusCode::OK, &json).counted_as_shadow(would))
        }
        Answer::TurnedAway(refusal) => Err(refusal),
    }
}

fn waits(held: Held, next: fn(Code) -> &'static str) -> Result<Reply, Refusal> {
    let Held { receipt, needs, until_ms, why, clauses, salt, approved } = held;
    let json = json!({
        "outcome": "hold",
        "index": receipt.index.get(),
        "repeated": receipt.repeated,
        "approved": approved,
        "needs": holds::needs(&needs),
        "until_ms": until_ms,
        "why": why,
        "policies": clauses.iter().map(|(id, found)| clause(id, found)).collect::<Vec<_>>(),
        "action_salt": STANDARD.encode(salt),
        "next": next(Code::ApprovalPending),
        "proof": proof_text(receipt.to_writ())?,
    });
    Ok(Reply::json(StatusCode::ACCEPTED, &json).counted_as(Refusal::new(Code::ApprovalPending, why)))
}

fn clause(id: &Name, clause: &Clause) -> Value {
    let effect = match clause.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    json!({ "id": id.as_str(), "file": clause.file, "line": clause.line, "effect": effect, "text": clause.text })
}
