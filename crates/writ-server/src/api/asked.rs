use super::{next_step, proof_text, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use crate::explained::explanation_json;
use crate::json::Fields;
use hyper::StatusCode;
use serde_json::{Value, json};
use writ_authority::{Answer, Caller, Clause, Denied, Effect, Received};
use writ_protocol::{Name, Refusal};

/// Asks for a writ.
pub(crate) async fn authorize(node: &AuthorityNode, caller: &Caller<'_>, fields: Result<Fields, Refusal>) -> Reply {
    match fields.and_then(received) {
        Ok((asked, explain)) => told(node, node.authority().authorize(caller, asked.view()).await, explain),
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

/// Gives an order.
pub(crate) async fn order(node: &AuthorityNode, caller: &Caller<'_>, fields: Result<Fields, Refusal>) -> Reply {
    match fields.and_then(received) {
        Ok((asked, explain)) => told(node, node.authority().order(caller, asked.view()).await, explain),
        Err(refusal) => told(node, node.authority().turn_away(refusal), Explain::No),
    }
}

enum Asked {
    Bare(Vec<u8>),
    Signed(Vec<u8>),
}

impl Asked {
    fn view(&self) -> Received<'_> {
        match self {
            Self::Bare(bytes) => Received::Bare(bytes),
            Self::Signed(bytes) => Received::Signed(bytes),
        }
    }
}

/// Whether a refusal is to be explained, which costs more than to refuse.
#[derive(Clone, Copy)]
enum Explain {
    Yes,
    No,
}

fn received(mut fields: Fields) -> Result<(Asked, Explain), Refusal> {
    let explain = if fields.optional_bool("explain")?.unwrap_or_default() { Explain::Yes } else { Explain::No };
    let (bare, signed) = (fields.optional_bytes("request")?, fields.optional_bytes("signed")?);
    fields.end()?;
    match (bare, signed) {
        (Some(bytes), None) => Ok((Asked::Bare(bytes), explain)),
        (None, Some(bytes)) => Ok((Asked::Signed(bytes), explain)),
        (Some(_), Some(_)) | (None, None) => {
            Err(Refusal::malformed("expected either `request` or `signed`, in base64"))
        }
    }
}

fn told(node: &AuthorityNode, answer: Answer, explain: Explain) -> Reply {
    answered(node, answer, explain).unwrap_or_else(|refusal| refused(&refusal))
}

fn answered(node: &AuthorityNode, answer: Answer, explain: Explain) -> Result<Reply, Refusal> {
    let ok = |json| Ok(Reply::json(StatusCode::OK, &json));
    match answer {
        Answer::Permit(receipt) => ok(json!({
            "outcome": "permit",
            "index": receipt.index.get(),
            "repeated": receipt.repeated,
            "writ": proof_text(receipt.to_writ())?,
        })),
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
                "next": next_step(code),
                "proof": proof_text(receipt.to_writ())?,
            });
            Ok(Reply::json(StatusCode::FORBIDDEN, &json).counted_as(Refusal::new(code, why)))
        }
        Answer::TurnedAway(refusal) => Err(refusal),
    }
}

fn clause(id: &Name, clause: &Clause) -> Value {
    let effect = match clause.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    json!({ "id": id.as_str(), "file": clause.file, "line": clause.line, "effect": effect, "text": clause.text })
}
