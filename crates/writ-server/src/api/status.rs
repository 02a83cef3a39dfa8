use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use hyper::StatusCode;
use serde_json::json;
use writ_protocol::Name;
use writ_protocol::entry::Target;

/// How the domain stands, for people and their monitors.
pub(crate) fn status(node: &AuthorityNode) -> Reply {
    let authority = node.authority();
    let published = authority.published();
    let control = &published.control;
    let policy = authority.policy();
    let gateways = control.gateways().map(|(name, known)| {
        let groups: Vec<&str> = known.groups.iter().map(Name::as_str).collect();
        let asserts: Vec<String> = known.asserts.iter().map(|who| format!("{}::{}", who.kind, who.id)).collect();
        json!({
            "name": name.as_str(),
            "epoch": known.epoch.get(),
            "groups": groups,
            "asserts": asserts,
            "key": known.key().map(|key| key.key().fingerprint().to_string()),
            "revoked": control.revoked(&Target::Gateway(name.clone())).is_some(),
        })
    });
    let head = published.checkpoint.checkpoint();
    let json = json!({
        "origin": head.origin.as_str(),
        "domain": control.domain().to_string(),
        "size": head.size.get(),
        "root": head.root.to_string(),
        "control": control.head().seq,
        "halted_at": control.halted().map(|at| at.get()),
        "revocations": control.revocations().count(),
        "policy": {
            "epoch": policy.epoch.get(),
            "set": hex(policy.set.digest().as_bytes()),
            "policies": policy.set.len(),
            "semantics": policy.set.semantics().as_str(),
            "authors": control.authors().map(|authors| {
                json!({ "keys": authors.keys().len(), "threshold": authors.threshold() })
            }),
        },
        "gateways": gateways.collect::<Vec<_>>(),
        "running": authority.running().ok(),
        "policy_refused": node.policy_refused(),
        "cannot_publish": node.cannot_publish(),
        "recording": authority.ready().is_ok(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    Reply::json(StatusCode::OK, &json)
}

/// As orders that revoke a policy set name it.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
