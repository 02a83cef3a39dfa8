//! What anybody may read, since everybody verifies it.

use super::{proof_text, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use crate::lineage::lineage_json;
use hyper::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use writ_ledger::{Disclosure, LedgerError, Reader, View};
use writ_protocol::entry::Target;
use writ_protocol::{Code, ExecutionId, Name, Refusal};
use writ_tlog::{LeafIndex, TreeSize};

/// One answer shows so many descendants at most; how many more there are is told.
const DESCENDANTS_MAX: usize = 1_000;

pub(super) fn refusal(error: &LedgerError) -> Refusal {
    if let LedgerError::NoEntry(index) = error {
        return Refusal::new(Code::MissingWrit, format!("there is no entry {index}"));
    }
    error.refusal()
}

/// Entry `index` with its proof.
pub(crate) async fn entry(node: &AuthorityNode, index: u64) -> Reply {
    let read = move |reader: &Reader, view: &View| {
        let receipt = reader.receipt(LeafIndex::new(index), view)?;
        Ok((receipt.index.get(), receipt.to_writ()))
    };
    match node.read(read).await {
        Ok((index, proof)) => match proof_text(proof) {
            Ok(proof) => ok(&json!({ "index": index, "proof": proof })),
            Err(refusal) => refused(&refusal),
        },
        Err(error) => refused(&refusal(&error)),
    }
}

/// The evidence bundle of entry `index`.
pub(crate) async fn bundle(node: &AuthorityNode, index: u64, disclose: bool) -> Reply {
    let disclosure = if disclose { Disclosure::Values } else { Disclosure::Nothing };
    let read = move |reader: &Reader, view: &View| Ok(reader.bundle(LeafIndex::new(index), view, disclosure)?.encode());
    match node.read(read).await {
        Ok(bytes) => Reply::bytes(StatusCode::OK, "application/octet-stream", bytes),
        Err(error) => refused(&refusal(&error)),
    }
}

/// A view of the control chain: the bundle of genesis, and how the tree grew from `from` entries.
pub(crate) async fn control(node: &AuthorityNode, from: Option<u64>) -> Reply {
    match control_json(node, from, Duration::ZERO).await {
        Ok((_, json)) => ok(&json),
        Err(refusal) => refused(&refusal),
    }
}

/// The same, with the size of its tree; the tree may have been so `age` ago.
pub(crate) async fn control_json(
    node: &AuthorityNode,
    from: Option<u64>,
    age: Duration,
) -> Result<(u64, Value), Refusal> {
    let bundle = node.control_bundle(from.unwrap_or(0), age).await.map_err(|error| refusal(&error))?;
    let size = bundle.view.size().get();
    let consistency = match from {
        Some(from) if from > size => {
            let why = format!("the caller knows a tree of {from} entries, this ledger has {size}; it is an older copy");
            return Err(Refusal::new(Code::ProofInvalid, why));
        }
        Some(from) => {
            let read = move |reader: &Reader, view: &View| reader.consistency(TreeSize::new(from), view);
            let proof = node.read_at(bundle.view.clone(), read).await.map_err(|error| refusal(&error))?;
            proof.hashes().iter().map(ToString::to_string).collect()
        }
        None => Vec::new(),
    };
    Ok((size, json!({ "size": size, "bundle": bundle.encoded, "consistency": consistency })))
}

fn ok(json: &Value) -> Reply {
    Reply::json(StatusCode::OK, json)
}

/// What is recorded of a gateway: where its next statement goes, and which of its executions have not ended.
pub(crate) async fn gateway(node: &AuthorityNode, name: Name) -> Reply {
    let read = move |reader: &Reader, view: &View| {
        let Some(known) = view.control.gateway(&name) else { return Ok(None) };
        let last_seq = reader.last_seq(&name, known.epoch)?;
        let open = reader.open_executions(&name)?;
        let open = open.iter().map(|one| {
            let state = one.state.as_str();
            json!({ "execution": one.id.to_string(), "writ": hex(one.writ.as_bytes()), "state": state })
        });
        let groups: Vec<&str> = known.groups.iter().map(Name::as_str).collect();
        let open = open.collect::<Vec<_>>();
        let key = known.key().map(|key| key.key().fingerprint());
        let targets = [Some(Target::Gateway(name.clone())), key.map(Target::Key)];
        let is_revoked = targets.iter().flatten().any(|target| view.control.revoked(target).is_some());
        Ok(Some(json!({
            "epoch": known.epoch.get(),
            "last_seq": last_seq,
            "groups": groups,
            "key": key.map(|key| key.to_string()),
            "revoked": is_revoked,
            "by_order": known.by_order,
            "open": open,
        })))
    };
    match node.read(read).await {
        Ok(Some(json)) => ok(&json),
        Ok(None) => refused(&Refusal::new(Code::MissingWrit, "no gateway of this name is enrolled")),
        Err(error) => refused(&refusal(&error)),
    }
}

/// Where an execution comes from and what it has caused, as many as are asked for and no more than the most.
pub(crate) async fn lineage(node: &AuthorityNode, id: ExecutionId, descendants_max: Option<u64>) -> Reply {
    let most = descendants_max.and_then(|most| usize::try_from(most).ok()).unwrap_or(DESCENDANTS_MAX);
    let read = move |reader: &Reader, _: &View| {
        let Some(found) = reader.execution(&id)? else { return Ok(None) };
        Ok(reader.lineage(found.grant, most.min(DESCENDANTS_MAX))?.as_ref().map(lineage_json))
    };
    match node.read(read).await {
        Ok(Some(json)) => ok(&json),
        Ok(None) => refused(&Refusal::new(Code::MissingWrit, format!("{id} is not recorded"))),
        Err(error) => refused(&refusal(&error)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
