//! Cerbos with its audit log in a file, on the same question.

use super::load::{Place, post};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = "bench/peers/node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64";

/// A server that runs until it is dropped.
pub(crate) struct Cerbos {
    socket: PathBuf,
    child: Child,
}

impl Cerbos {
    /// Starts it with these policies on a socket of its own.
    pub(crate) fn start(dir: &Path, policies: &str) -> Self {
        std::fs::create_dir_all(dir.join("policies")).unwrap();
        std::fs::write(dir.join("policies/executable.yaml"), policies).unwrap();
        let socket = dir.join("http.sock");
        let config = format!(
            "server:\n  httpListenAddr: \"unix:{http}\"\n  grpcListenAddr: \"unix:{dir}/grpc.sock\"\n\
             telemetry:\n  disabled: true\n\
             storage:\n  driver: disk\n  disk:\n    directory: {dir}/policies\n    watchForChanges: false\n\
             audit:\n  enabled: true\n  accessLogsEnabled: true\n  decisionLogsEnabled: true\n  backend: file\n  file:\n    path: {dir}/audit.log\n",
            http = socket.display(),
            dir = dir.display(),
        );
        std::fs::write(dir.join("config.yaml"), config).unwrap();
        let log = std::fs::File::create(dir.join("server.log")).unwrap();
        let child = Command::new(BINARY)
            .args(["server", "--log-level=warn", "--config"])
            .arg(dir.join("config.yaml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("scripts/bench installs it");
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not listen; see {}", dir.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { socket, child }
    }

    pub(crate) fn place(&self) -> Place {
        Place::Local(self.socket.clone())
    }
}

impl Drop for Cerbos {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The same question.
pub(crate) fn ask(number: usize) -> Vec<u8> {
    let body = format!(
        "{{\"requestId\":\"r-{number}\",\"principal\":{{\"id\":\"bench\",\"roles\":[\"operator\"],\"attr\":{{\"quarantined\":false}}}},\
         \"resources\":[{{\"resource\":{{\"kind\":\"executable\",\"id\":\"/usr/local/bin/deploy\",\"attr\":{{\
         \"path\":\"/usr/local/bin/deploy\",\"argc\":7,\"argv\":[\"deploy\",\"--service\",\"checkout\",\"--environment\",\"staging\",\"--amount\",\"250\"]\
         }}}},\"actions\":[\"exec\"]}}]}}"
    );
    post("/api/check/resources", body.as_bytes())
}

pub(crate) fn is_permitted(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("EFFECT_ALLOW")
}

/// So many rules, of which `matching` must be evaluated for the question, and the last one permits it.
pub(crate) fn policies(count: usize, matching: usize) -> String {
    let mut text =
        "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  version: default\n  resource: executable\n  rules:\n"
            .to_owned();
    let mut rule = |effect: &str, role: &str, condition: &str| {
        text.push_str(&format!(
            "    - actions: [\"exec\"]\n      effect: {effect}\n      roles: [\"{role}\"]\n      condition:\n        match:\n          expr: >-\n            {condition}\n"
        ));
    };
    for number in 0..count - 1 {
        let condition = format!(
            "R.attr.path == \"/usr/local/bin/tool-{number}\" && R.attr.argc <= {number} && \"staging\" in R.attr.argv"
        );
        let effect = if number % 2 == 0 || number + 1 >= matching { "EFFECT_ALLOW" } else { "EFFECT_DENY" };
        let role = if number + 1 < matching { "operator".to_owned() } else { format!("agent-{number}") };
        rule(effect, &role, &condition);
    }
    rule(
        "EFFECT_ALLOW",
        "operator",
        "R.attr.path == \"/usr/local/bin/deploy\" && R.attr.argc <= 10 && \"staging\" in R.attr.argv && !P.attr.quarantined",
    );
    text
}
