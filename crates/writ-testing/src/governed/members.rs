use crate::scenario::Secret;
use serde_json::json;
use writ_protocol::entry::AssertedPrincipal;
use writ_protocol::statement::Request;
use writ_protocol::{Ed25519Key, Name};
use writ_tlog::{Algorithm, Origin};

/// A principal with a key.
pub struct Member {
    name: AssertedPrincipal,
    key: Secret,
    groups: Vec<&'static str>,
    uids: Vec<u32>,
}

impl Member {
    /// With a key that follows from its name.
    pub fn new(kind: &str, id: &str, groups: &[&'static str]) -> Self {
        Self {
            name: AssertedPrincipal { kind: Name::new(kind).unwrap(), id: Name::new(id).unwrap() },
            key: Secret::new(Algorithm::Ed25519, &format!("key of {kind}::{id}")),
            groups: groups.to_vec(),
            uids: Vec::new(),
        }
    }

    /// Also known by the user that its processes run as.
    #[must_use]
    pub fn with_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// Its name.
    pub fn name(&self) -> &AssertedPrincipal {
        &self.name
    }

    /// Its key.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// Its public key, as a holder's.
    pub fn public(&self) -> Ed25519Key {
        Ed25519Key::new(self.key.public()).unwrap()
    }

    /// Signs a request.
    pub fn sign(&self, request: &Request, origin: &Origin) -> Vec<u8> {
        request.sign(origin, self.key.signing_key())
    }

    fn shown(&self) -> String {
        format!("{}::{}", self.name.kind, self.name.id)
    }
}

/// The principals of a domain.
pub struct Members(pub Vec<Member>);

impl Members {
    /// A person who gives orders, one who does not, two agents, and a job that is known by its user only.
    pub fn standard(uid: u32) -> Self {
        Self(vec![
            Member::new("User", "alice", &["administrators", "operators"]),
            Member::new("User", "bob", &["operators"]),
            Member::new("Agent", "builder", &["agents"]),
            Member::new("Agent", "tester", &["agents"]),
            Member::new("Workload", "job", &["agents"]).with_uid(uid),
        ])
    }

    /// The one with this id.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(&self, id: &str) -> &Member {
        let found = self.0.iter().find(|member| member.name.id.as_str() == id);
        found.unwrap_or_else(|| panic!("no member is called {id}"))
    }

    /// As `principals.json`.
    pub fn principals(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let principals = self.0.iter().map(|member| {
            let keys = [hex(member.key.public().as_bytes())];
            json!({ "principal": member.shown(), "keys": keys, "uids": member.uids })
        });
        json!(principals.collect::<Vec<_>>()).to_string()
    }

    /// As `entities.json`, with more entities behind them.
    pub fn entities(&self, more: &[serde_json::Value]) -> String {
        let group = |id: &str| json!({ "type": "Group", "id": id });
        let groups = ["administrators", "operators", "agents"];
        let groups = groups.iter().map(|id| json!({ "uid": group(id), "attrs": {}, "parents": [] }));
        let members = self.0.iter().map(|member| {
            let uid = json!({ "type": member.name.kind.as_str(), "id": member.name.id.as_str() });
            let parents: Vec<_> = member.groups.iter().map(|id| group(id)).collect();
            json!({ "uid": uid, "attrs": {}, "parents": parents })
        });
        json!(groups.chain(members).chain(more.iter().cloned()).collect::<Vec<_>>()).to_string()
    }
}
