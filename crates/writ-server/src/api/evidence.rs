//! What anybody may read, since everybody verifies it.

use super::{proof_text, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use writ_ledger::{Disclosure, LedgerError, Reader, View};
use writ_protocol::{Code, Name, Refusal};
use writ_tlog::{LeafIndex, TreeSize};

fn refusal(error: &LedgerError) -> Refusal {
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
    match control_json(node, from).await {
        Ok((_, json)) => ok(&json),
        Err(refusal) => refused(&refusal),
    }
}

/// The same, with the size of its tree.
pub(crate) async fn control_json(node: &AuthorityNode, from: Option<u64>) -> Result<(u64, Value), Refusal> {
    let view = control_view(node, from).await?;
    let json = json!({
        "size": view.size,
        "bundle": STANDARD.encode(&view.bundle),
        "consistency": view.consistency.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    Ok((view.size, json))
}

fn ok(json: &Value) -> Reply {
    Reply::json(StatusCode::OK, json)
}

struct ControlView {
    size: u64,
    bundle: Vec<u8>,
    consistency: Vec<writ_tlog::Hash>,
}

async fn control_view(node: &AuthorityNode, from: Option<u64>) -> Result<ControlView, Refusal> {
    let read = move |reader: &Reader, view: &View| {
        let size = view.size().get();
        // Every bundle holds the whole control chain up to the closing seal; the one about genesis holds nothing else.
        let bundle = reader.bundle(LeafIndex::new(0), view, Disclosure::Nothing)?.encode();
        let consistency = match from {
            Some(from) if from <= size => reader.consistency(TreeSize::new(from), view)?.hashes().to_vec(),
            Some(_) | None => Vec::new(),
        };
        Ok(ControlView { size, bundle, consistency })
    };
    let view = node.read(read).await.map_err(|error| refusal(&error))?;
    match from {
        Some(from) if from > view.size => Err(Refusal::new(
            Code::ProofInvalid,
            format!("the caller knows a tree of {from} entries, this ledger has {}; it is an older copy", view.size),
        )),
        Some(_) | None => Ok(view),
    }
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
        Ok(Some(json!({ "epoch": known.epoch.get(), "last_seq": last_seq, "groups": groups, "open": open })))
    };
    match node.read(read).await {
        Ok(Some(json)) => ok(&json),
        Ok(None) => refused(&Refusal::new(Code::MissingWrit, "no gateway of this name is enrolled")),
        Err(error) => refused(&refusal(&error)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
