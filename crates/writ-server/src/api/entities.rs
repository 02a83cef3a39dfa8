//! The entities in force, whole: who is in which group is nobody's but the node's own user's to read.

use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use hyper::StatusCode;
use serde_json::{Value, json};
use writ_authority::{Caller, entity_to_json};
use writ_protocol::Refusal;

/// All of them, in the form of `entities.json`, with what names this snapshot.
pub(crate) fn entities(node: &AuthorityNode, caller: &Caller<'_>) -> Result<Reply, Refusal> {
    node.authority().may_see_values(caller)?;
    let active = node.authority().policy();
    let others = active.set.others().cloned().unwrap_or_default();
    let all: Vec<Value> = others.records().into_iter().map(entity_to_json).collect();
    let (snapshot, epoch) = match &active.entities {
        Some(entities) => (entities.snapshot, entities.epoch.get()),
        // What a change names as its base where there are none yet.
        None => (others.root(), 0),
    };
    let snapshot: String = snapshot.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Reply::json(StatusCode::OK, &json!({ "epoch": epoch, "snapshot": snapshot, "entities": all })))
}
