//! cedar-agent, a server with the engine that decides in ours too, on the same policies and the same question.

use super::domain::policies;
use super::load::{Place, post};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = "bench/peers/cedar-agent/bin/cedar-agent";

/// A server that runs until it is dropped.
pub(crate) struct CedarAgent {
    port: u16,
    child: Child,
}

impl CedarAgent {
    /// Starts it with so many policies, of which `matching` must be evaluated. It listens on TCP alone.
    pub(crate) fn start(dir: &Path, count: usize, matching: usize) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let each = policies(count, matching);
        let each = each.split_inclusive(";\n").map(str::trim).filter(|text| !text.is_empty()).zip(0..);
        let rules: Vec<Value> =
            each.map(|(text, number)| json!({ "id": format!("rule-{number}"), "content": text })).collect();
        assert_eq!(rules.len(), count);
        let operators = json!({ "type": "Group", "id": "operators" });
        let entities = json!([
            { "uid": operators, "attrs": {}, "parents": [] },
            { "uid": { "type": "User", "id": "bench" }, "attrs": {}, "parents": [operators] },
        ]);
        std::fs::write(dir.join("policies.json"), json!(rules).to_string()).unwrap();
        std::fs::write(dir.join("data.json"), entities.to_string()).unwrap();
        // Free a moment ago, and nobody else is asking for ports.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(BINARY);
        command.args(["--log-level", "off", "--addr", "127.0.0.1", "--port", &port.to_string(), "--policies"]);
        command.arg(dir.join("policies.json")).arg("--data").arg(dir.join("data.json"));
        let log = std::fs::File::create(dir.join("server.log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("scripts/bench installs it");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not listen; see {}", dir.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { port, child }
    }

    pub(crate) fn place(&self) -> Place {
        Place::Loopback(self.port)
    }
}

impl Drop for CedarAgent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The same question, with what the policies read of it.
pub(crate) fn ask() -> Vec<u8> {
    let question = json!({
        "principal": "User::\"bench\"",
        "action": "Action::\"exec\"",
        "resource": "Executable::\"/usr/local/bin/deploy\"",
        "context": {
            "path": "/usr/local/bin/deploy",
            "argc": 7,
            "argv": ["deploy", "--service", "checkout", "--environment", "staging", "--amount", "250"],
        },
    });
    post("/v1/is_authorized", question.to_string().as_bytes())
}

pub(crate) fn is_permitted(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("\"decision\":\"Allow\"")
}
