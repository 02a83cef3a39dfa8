//! A real domain with a real node, made and run by the binary as a person would.

use super::load::{Place, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use writ_protocol::action::{Action, Exec, ExecFields, Stdin, Variables};
use writ_protocol::entry::{Audience, EntryRef, Positive};
use writ_protocol::statement::{Ask, Authorize, Component, Request};
use writ_protocol::{Ed25519Key, Key, Label, Name, RequestKey, TrustRoot};
use writ_tlog::{Algorithm, Hash, Origin, SigningKey, sha256};

pub(crate) const ORIGIN: &str = "bench.example/ledger";
/// Callers at a time, wherever there is a crowd.
pub(crate) const CONNECTIONS: usize = 64;
/// Gateway slots of a node, as many as it has by default.
pub(crate) const SLOTS: usize = 16;

/// Lets the program run that does nothing; it applies to whoever asks for anything.
const NOTHING: &str = "@id(\"nothing\")\npermit (principal in Group::\"operators\", action == Action::\"exec\", resource)\n\
                       when { context.path like \"*/does-nothing\" };\n";

/// What decides on everything there is: labels that are given and read, a counter of its own, and mandates.
const FULL: &str = "@id(\"counted\")\n@budget(\"1000000000\")\n@label(\"released\")\n\
                    permit (principal in Group::\"operators\", action == Action::\"exec\", resource)\n\
                    when { context.path == \"/usr/local/bin/deploy\" && context has mandate };\n\n\
                    @id(\"secrets-stay\")\nforbid (principal, action == Action::\"exec\", resource)\n\
                    when { context.lineage.labels.contains(\"secret-read\") };\n\n\
                    @id(\"mandates\")\npermit (principal in Group::\"operators\", action == Action::\"mandate\", resource)\n\
                    when { context.auth == \"key\" };\n";

/// A domain in a folder, its node running until it is dropped.
pub(crate) struct Node {
    pub(crate) dir: PathBuf,
    /// What its requests are under.
    mandate: Option<EntryRef>,
    pub(crate) origin: Origin,
    child: Child,
    made: AtomicU64,
}

pub(crate) fn writ() -> PathBuf {
    std::env::var_os("WRIT_BIN").map_or_else(|| std::env::current_exe().unwrap().with_file_name("writ"), PathBuf::from)
}

/// Makes a domain with so many policies, of which `matching` must be evaluated for the request (and one more). Its mark lies beside it.
pub(crate) fn init(dir: &Path, count: usize, matching: usize) {
    let mut init = Command::new(writ());
    init.args(["init", "--origin", ORIGIN, "--user", "bench", "--mark"]).arg(mark(dir)).arg(dir);
    assert!(init.stdout(Stdio::null()).status().unwrap().success());
    std::fs::write(dir.join("policy/starter.cedar"), policies(count, matching)).unwrap();
    std::fs::write(dir.join("policy/nothing.cedar"), NOTHING).unwrap();
    declare_agents(&dir.join("policy/entities.json"), count);
}

pub(crate) fn mark(dir: &Path) -> PathBuf {
    dir.with_extension("mark")
}

impl Node {
    /// Makes a domain as [`init`] does, and starts its node.
    pub(crate) fn start(dir: &Path, count: usize, matching: usize) -> Self {
        init(dir, count, matching);
        Self::up(dir, SLOTS)
    }

    /// The same, with labels, a counter, and a mandate that counts and that every request is under.
    pub(crate) fn start_full(dir: &Path, count: usize, matching: usize) -> Self {
        init(dir, count, matching);
        std::fs::write(dir.join("policy/full.cedar"), FULL).unwrap();
        let mut node = Self::up(dir, SLOTS);
        let given = ["--to", "User::bench", "--beneath", "/usr/local/bin", "--folder", "/srv", "--uses", "1000000000"];
        let told = node.told(&[&["mandate", "grant"], &given[..]].concat());
        let index = told["index"].as_u64().unwrap();
        let entry = node.told(&["mandate", "show", &index.to_string()])["entry"].as_str().unwrap().to_owned();
        let entry = Hash::from_slice(&digits(&entry)).unwrap();
        node.mandate = Some(EntryRef { entry, index, ledger: node.origin.clone() });
        node
    }

    /// What a command about this domain prints.
    fn told(&self, arguments: &[&str]) -> Value {
        let output =
            Command::new(writ()).arg("--json").args(arguments).arg("--domain").arg(&self.dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the node of a domain, and waits until it says that it is ready.
    pub(crate) fn up(dir: &Path, slots: usize) -> Self {
        Self::up_with(dir, slots, &[])
    }

    /// The same, with more arguments.
    pub(crate) fn up_with(dir: &Path, slots: usize, more: &[&str]) -> Self {
        let mut up = Command::new(writ());
        up.args(["up", "--rate", "1000000000", "--slots", &slots.to_string(), "--mark"]).arg(mark(dir)).args(more);
        if std::env::var_os("WRIT_SOLVER").is_none() {
            up.env("WRIT_SOLVER", std::path::absolute("scripts/cvc5").unwrap());
        }
        up.arg("--domain").arg(dir).stdout(Stdio::null()).stderr(std::fs::File::create(dir.join("node.log")).unwrap());
        let child = up.spawn().unwrap();
        let node = Self {
            dir: dir.to_owned(),
            mandate: None,
            origin: Origin::new(ORIGIN).unwrap(),
            child,
            made: AtomicU64::new(0),
        };
        let begun = Instant::now();
        while !is_ready(&node.socket()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no node; see {}", dir.join("node.log").display());
            std::thread::sleep(Duration::from_millis(2));
        }
        node
    }

    /// Stops it as a person would, so that it closes its ledger.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("run/node.sock")
    }

    pub(crate) fn place(&self) -> Place {
        Place::Local(self.socket())
    }

    pub(crate) fn trust(&self) -> TrustRoot {
        TrustRoot::parse(&std::fs::read(self.dir.join("trust-root")).unwrap()).unwrap()
    }

    /// The node's resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Seconds of the processor that each of the node's threads has used.
    pub(crate) fn spent(&self) -> BTreeMap<String, f64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let each = tasks.map(|task| {
            let path = task.unwrap().path();
            let name = std::fs::read_to_string(path.join("comm")).unwrap().trim().to_owned();
            let on_processor = std::fs::read_to_string(path.join("schedstat")).unwrap();
            let nanoseconds: f64 = on_processor.split(' ').next().unwrap().parse().unwrap();
            (name, nanoseconds / 1e9)
        });
        each.collect()
    }

    /// The next request for a writ, each of its own.
    pub(crate) fn ask(&self) -> Request {
        self.ask_to_run("/usr/local/bin/deploy")
    }

    /// The same for another program, which no policy permits.
    pub(crate) fn ask_to_run(&self, path: &str) -> Request {
        let salt = *sha256(&self.made.fetch_add(1, Ordering::Relaxed).to_be_bytes()).as_bytes();
        let now_ms = now_ms();
        let argv = ["deploy", "--service", "checkout", "--environment", "staging", "--amount", "250"];
        let exec = Exec::new(ExecFields {
            cwd: b"/srv/release".to_vec(),
            argv: argv.map(|argument| argument.as_bytes().to_vec()).to_vec(),
            path: path.as_bytes().to_vec(),
            variables: Variables::new([(b"LANG".as_slice(), b"C.UTF-8".as_slice())]).unwrap(),
            stdin: Stdin::Null,
            executable: sha256(b"deploy"),
            interpreter: None,
        })
        .unwrap();
        let component = |name, value: &str| Component { name: Label::new(name).unwrap(), value: value.to_owned() };
        let holder = SigningKey::from_seed(Algorithm::Ed25519, &[7; 32]);
        let gateway = Name::new("process/01").unwrap();
        Request {
            key: RequestKey::new(now_ms, salt[..10].try_into().unwrap()),
            salt,
            time_ms: now_ms,
            principal: None,
            action_salt: salt,
            action: Action::Exec(exec).encode().unwrap(),
            ask: Ask::Authorize(Authorize {
                mandate: self.mandate.clone(),
                hold: None,
                admit: None,
                holder: Ed25519Key::new(Key::from(holder.verifying_key())).unwrap(),
                audience: Audience::Gateway { gateway, epoch: Positive::ONE },
                surroundings: vec![component("kernel", "linux 6.12.0"), component("uid", "same")],
            }),
        }
    }

    /// Unsigned, as sent over the local socket: the kernel says who asks.
    pub(crate) fn bare(&self) -> Vec<u8> {
        let request = self.ask().payload(&self.origin);
        post("/v1/authorize", format!("{{\"request\":\"{}\"}}", STANDARD.encode(request)).as_bytes())
    }

    /// The principal's key.
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(Algorithm::Ed25519, &seed(&self.dir.join("keys/principals/User/bench.seed")))
    }

    /// Signed by the principal's key.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let signed = self.ask().sign(&self.origin, &self.key());
        post("/v1/authorize", format!("{{\"signed\":\"{}\"}}", STANDARD.encode(signed)).as_bytes())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn is_ready(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// Of a file with one line of hexadecimal digits.
pub(crate) fn seed(path: &Path) -> [u8; 32] {
    digits(std::fs::read_to_string(path).unwrap().trim()).try_into().unwrap()
}

fn digits(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The policies name them, and a name that is not declared is refused.
fn declare_agents(file: &Path, count: usize) {
    let mut entities: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    entities.extend((0..count).map(
        |number| json!({ "uid": { "type": "Agent", "id": format!("agent-{number}") }, "attrs": {}, "parents": [] }),
    ));
    std::fs::write(file, serde_json::to_string(&entities).unwrap()).unwrap();
}

/// So many policies, of which `matching` must be evaluated for the request, and the last one permits it.
pub(crate) fn policies(count: usize, matching: usize) -> String {
    let mut text = String::new();
    for number in 0..count - 1 {
        let condition = format!(
            "context.path == \"/usr/local/bin/tool-{number}\" && context.argc <= {number} && context.argv.contains(\"staging\")"
        );
        let (principal, effect) = if number + 1 < matching {
            ("principal in Group::\"operators\"".to_owned(), if number % 2 == 0 { "permit" } else { "forbid" })
        } else {
            (format!("principal == Agent::\"agent-{number}\""), "permit")
        };
        text.push_str(&format!(
            "@id(\"rule-{number}\")\n{effect} ({principal}, action == Action::\"exec\", resource)\nwhen {{ {condition} }};\n\n"
        ));
    }
    text.push_str(
        "@id(\"deploy\")\npermit (principal in Group::\"operators\", action == Action::\"exec\", resource)\n\
         when { context.path == \"/usr/local/bin/deploy\" && context.argc <= 10 && context.argv.contains(\"staging\") }\n\
         unless { principal in Group::\"agents\" };\n",
    );
    text
}
