//! How soon a revocation is seen: from its answer until a request on every connection of whoever is revoked has been refused.

use super::domain::{Node, SLOTS, init, now_ms};
use super::row::{Goal, ROUNDS, Row, percentile_ms, rehearsed};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Endpoint, OrderAnswer};
use writ_protocol::action::{Action, Command, Order};
use writ_protocol::entry::{AssertedPrincipal, Target};
use writ_protocol::statement::{Ask, Request};
use writ_protocol::{Code, Ed25519Key, Key, Label, Name};
use writ_tlog::{Algorithm, SigningKey, sha256};

/// Principals that are revoked in a round, one after another.
const EACH: usize = rehearsed(100, 5);
/// Connections of each at each listener.
const CONNECTIONS: usize = 2;

/// Who may revoke.
const ORDERS: &str =
    "@id(\"orders\")\npermit (principal in Group::\"administrators\", action == Action::\"revoke\", resource);\n";

/// One who is to be revoked.
struct Agent {
    name: String,
    seed: [u8; 32],
    key: SigningKey,
}

impl Agent {
    fn number(number: usize) -> Self {
        let seed = *sha256(format!("agent {number}").as_bytes()).as_bytes();
        let key = SigningKey::from_seed(Algorithm::Ed25519, &seed);
        Self { name: format!("revoked-{number}"), seed, key }
    }

    /// A certificate of its key, which nobody else has signed.
    fn certificate(&self, dir: &Path) -> (PathBuf, PathBuf) {
        // RFC 8410: what stands before the seed in PKCS #8.
        let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let der = [&head[..], &self.seed].concat();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ED25519).unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        written(dir, &self.name, &certificate.pem(), &key.serialize_pem())
    }
}

fn written(dir: &Path, name: &str, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
    let files = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
    std::fs::write(&files.0, certificate).unwrap();
    std::fs::write(&files.1, key).unwrap();
    files
}

pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let what = "from the answer to a revocation until all 6 connections of the revoked (local, TLS, TLS by certificate) are refused: p99";
    let mut row = Row::new("revoke_visible_ms", what, "ms", Goal::AtMost(20.0));
    let dir = home.join("revoke");
    init(&dir, 10, 10);
    let agents: Vec<Agent> = (0..(ROUNDS + 1) * EACH).map(Agent::number).collect();
    declare(&dir, &agents);
    std::fs::write(dir.join("policy/orders.cedar"), ORDERS).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = written(home, "revoke-node", &made.cert.pem(), &made.signing_key.serialize_pem());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let texts = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let node = Node::up_with(&dir, SLOTS, &["--listen", &address, "--tls-cert", texts[0], "--tls-key", texts[1]]);
    let network = Endpoint::parse(&format!("https://localhost:{port}")).unwrap().with_ca(&certificate);
    let administrator = Client::connect(&Endpoint::unix(&node.socket())).unwrap();
    for (turn, agents) in agents.chunks(EACH).enumerate() {
        let mut took: Vec<Duration> =
            agents.iter().map(|agent| revoked(home, &node, &network, &administrator, agent)).collect();
        took.sort_unstable();
        if turn > 0 {
            row.ours.push(percentile_ms(&took, 99));
        }
    }
    vec![row]
}

/// Connects it everywhere, sees it permitted, revokes it, and sees it refused everywhere.
fn revoked(home: &Path, node: &Node, network: &Endpoint, administrator: &Client, agent: &Agent) -> Duration {
    let (certificate, key) = agent.certificate(home);
    let mut clients: Vec<(Client, bool)> = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push((Client::connect(&Endpoint::unix(&node.socket())).unwrap(), true));
        clients.push((Client::connect(network).unwrap(), true));
        clients.push((Client::connect(&network.clone().with_certificate(&certificate, &key)).unwrap(), false));
    }
    let asked = || -> Vec<Asked> {
        let each = clients.iter().map(|(_, signs)| match signs {
            true => Asked::Signed(node.ask().sign(&node.origin, &agent.key)),
            false => Asked::Bare(node.ask().payload(&node.origin)),
        });
        each.collect()
    };
    for ((client, _), asked) in clients.iter().zip(asked()) {
        let answer = client.authorize(&asked).unwrap();
        assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
    }
    let (order, asked) = (revocation(node, agent), asked());
    let answer = administrator.order(&order).unwrap();
    assert!(matches!(answer, OrderAnswer::Recorded(_)), "{answer:?}");
    let answered = Instant::now();
    let refusals = std::thread::scope(|scope| {
        let each = clients.iter().zip(&asked);
        let asking: Vec<_> =
            each.map(|((client, _), asked)| scope.spawn(|| client.authorize(asked).unwrap())).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let took = answered.elapsed();
    for answer in refusals {
        let Answer::Deny(denied) = answer else { panic!("permitted after its revocation: {answer:?}") };
        assert_eq!(denied.code, Code::Revoked);
    }
    took
}

fn revocation(node: &Node, agent: &Agent) -> Vec<u8> {
    let principal = AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new(&agent.name).unwrap() };
    let command = Command::Revoke(Target::Principal(principal));
    let order = Order { command, reason: Label::new("bench").unwrap() };
    let asked = node.ask();
    let request =
        Request { action: Action::Order(order).encode().unwrap(), ask: Ask::Order, time_ms: now_ms(), ..asked };
    request.sign(&node.origin, &node.key())
}

/// Adds them to the files of the policy folder, as operators.
fn declare(dir: &Path, agents: &[Agent]) {
    let changed = |file: &str, more: Vec<Value>| {
        let path = dir.join("policy").join(file);
        let mut items: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        items.extend(more);
        std::fs::write(&path, serde_json::to_string(&items).unwrap()).unwrap();
    };
    let operators = json!([{ "type": "Group", "id": "operators" }]);
    let entity =
        |agent: &Agent| json!({ "uid": { "type": "Agent", "id": agent.name }, "attrs": {}, "parents": operators });
    changed("entities.json", agents.iter().map(entity).collect());
    let principal = |agent: &Agent| {
        let key = Ed25519Key::new(Key::from(agent.key.verifying_key())).unwrap();
        let hex: String = key.key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "principal": format!("Agent::{}", agent.name), "keys": [hex] })
    };
    changed("principals.json", agents.iter().map(principal).collect());
}
