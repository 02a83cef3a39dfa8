use super::asked::turned_away;
use super::{proof_text, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::{Asker, Reply};
use crate::json::Fields;
use hyper::StatusCode;
use serde_json::json;
use writ_authority::Caller;
use writ_protocol::Refusal;

/// Records what a gateway says.
pub(crate) async fn state(node: &AuthorityNode, caller: &Caller<'_>, fields: Result<Fields, Refusal>) -> Reply {
    match recorded(node, caller, fields).await {
        Ok(reply) => reply,
        Err(refusal) => {
            node.authority().count_turned_away(refusal.code());
            refused(&refusal).to(turned_away(refusal.code()))
        }
    }
}

async fn recorded(
    node: &AuthorityNode,
    caller: &Caller<'_>,
    fields: Result<Fields, Refusal>,
) -> Result<Reply, Refusal> {
    let mut fields = fields?;
    let statement = fields.required_bytes("statement")?;
    let watcher = fields.optional_u64("watcher")?;
    fields.end()?;
    let watcher = watcher.map(|watcher| {
        u32::try_from(watcher).map_err(|_| Refusal::malformed("expected `watcher` as a process number"))
    });
    let receipt = node.authority().state(caller, &statement, watcher.transpose()?).await?;
    let json = json!({
        "index": receipt.index.get(),
        "repeated": receipt.repeated,
        "proof": proof_text(receipt.to_writ())?,
    });
    // Anybody can say again what a gateway has signed before.
    let asker = if receipt.repeated { Asker::Anybody } else { Asker::Known };
    Ok(Reply::json(StatusCode::OK, &json).to(asker))
}
