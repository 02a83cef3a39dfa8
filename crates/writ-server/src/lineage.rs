//! A lineage as JSON: what `GET /v1/executions/{id}/lineage` answers, and what `writ lineage --json` prints. One shape for both.

use serde_json::{Value, json};
use writ_ledger::{Kin, Lineage};
use writ_protocol::entry::Place;
use writ_protocol::order::{Execution, ExecutionState};
use writ_protocol::{Label, Name};

/// A lineage as JSON, its members from the origin on. Names are only ever added to it.
pub fn lineage_json(lineage: &Lineage) -> Value {
    json!({
        "members": lineage.members().map(|(_, is_subject, kin)| member(kin, is_subject)).collect::<Vec<_>>(),
        "left_out": lineage.left_out,
        "carries": texts(&lineage.carries, Label::as_str),
    })
}

fn member(kin: &Kin, is_subject: bool) -> Value {
    let grant = &kin.grant;
    let gained = kin.gained.iter();
    let gained = gained.map(|(at, labels)| json!({ "index": at.get(), "labels": texts(labels, Label::as_str) }));
    let parent = match &grant.cause.place {
        Place::Origin => None,
        Place::Caused { parent, .. } => Some(parent.index),
    };
    json!({
        "index": kin.index.get(),
        "writ": kin.hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "id": grant.id.to_string(),
        "subject": is_subject,
        "depth": grant.cause.depth(),
        "parent": parent,
        "principal": format!("{}::{}", grant.principal.kind, grant.principal.id),
        "auth": grant.principal.auth.as_str(),
        "policies": texts(grant.policy.reasons.as_slice(), Name::as_str),
        "epoch": grant.policy.epoch,
        "mandate": grant.cause.mandate.as_ref().map(|named| named.index),
        "labels": texts(grant.labels.as_slice(), Label::as_str),
        "gained": gained.collect::<Vec<_>>(),
        "executions": kin.executions.iter().map(execution).collect::<Vec<_>>(),
        "caused": kin.caused,
    })
}

fn execution(execution: &Execution) -> Value {
    let result = match execution.state {
        ExecutionState::Ended(result) => Some(result.to_string()),
        ExecutionState::Spent | ExecutionState::Started => None,
    };
    json!({ "id": execution.id.to_string(), "state": execution.state.as_str(), "result": result })
}

fn texts<T>(all: &[T], text: impl Fn(&T) -> &str) -> Vec<&str> {
    all.iter().map(text).collect()
}
