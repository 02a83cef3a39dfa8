//! A place for one test: a domain with a person, an agent, the starter's policy, and a node that runs until this goes.
#![allow(dead_code, reason = "each test file needs some of it")]

pub(crate) mod relay;

use serde_json::Value as Json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const REFUSED: i32 = 126;
pub(crate) const NOT_FOUND: i32 = 127;
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The user and group that own nothing.
pub(crate) const NOBODY: u32 = 65_534;

/// The process of a node. Copies are the same one, so that a relay can end it at its own moment.
#[derive(Clone, Default)]
pub(crate) struct Node(Arc<Mutex<Option<Child>>>);

impl Node {
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.0.lock().unwrap().as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// When this returns, it does nothing more.
    pub(crate) fn kill(&self) {
        let mut node = self.0.lock().unwrap().take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    fn is_there(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

pub(crate) struct Site {
    pub(crate) home: TempDir,
    pub(crate) node: Node,
    binary: PathBuf,
    /// Whose domain it is, if not that of whoever runs the tests.
    user: Option<u32>,
}

impl Site {
    /// Neither domain nor node.
    pub(crate) fn empty() -> Self {
        let binary = env!("CARGO_BIN_EXE_writ").into();
        Self { home: TempDir::new().unwrap(), node: Node::default(), binary, user: None }
    }

    /// A domain without a node.
    pub(crate) fn new() -> Self {
        let site = Self::empty();
        site.init();
        site
    }

    pub(crate) fn up() -> Self {
        let mut site = Self::new();
        site.start();
        site
    }

    /// As an ordinary user has it, without a node: root becomes one, anybody else is one.
    pub(crate) fn of_ordinary_user() -> Self {
        let mut site = Self::empty();
        if is_root() {
            chown(site.home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            // The folder of the build may be closed to others. A process of its own writes the copy: a descriptor of this one could
            // be inherited by what another test starts, and keep it busy.
            let copy = site.path("writ");
            assert!(Command::new("cp").arg(&site.binary).arg(&copy).status().unwrap().success());
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
            (site.user, site.binary) = (Some(NOBODY), copy);
        }
        site.init();
        site
    }

    /// A person may run whatever there is. For a node that is started after this.
    pub(crate) fn permit_everything(&self) {
        let policy = "@id(\"everything\")\npermit (principal is User, action == Action::\"exec\", resource);\n";
        fs::write(self.path("acme/policy/everything.cedar"), policy).unwrap();
    }

    fn init(&self) {
        let made = self.writ(&["init", "acme", "--origin", "acme.example/ledger", "--user", "ada"]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// What the node says of itself.
    pub(crate) fn start_with(&mut self, options: &[&str]) -> Json {
        let told = self.path("up.out");
        // Whatever signals the tests were told to ignore, a node takes as it would from a shell.
        let mut up = self.program("env");
        up.arg("--default-signal=HUP,INT,TERM").arg(&self.binary).args(["--json", "up"]).args(options);
        up.stdout(fs::File::create(&told).unwrap()).stderr(fs::File::create(self.path("up.err")).unwrap());
        *self.node.0.lock().unwrap() = Some(up.spawn().unwrap());
        wait("the node to listen", || fs::read_to_string(&told).unwrap().contains('\n'));
        let first: Json = serde_json::from_str(fs::read_to_string(&told).unwrap().trim()).unwrap();
        assert_eq!(first["up"], true);
        first
    }

    pub(crate) fn signal_node(&self, signal: &str) {
        self.node.signal(signal);
    }

    /// Ends the node well, by a signal that it takes for that.
    pub(crate) fn end_node(&mut self, signal: &str) {
        self.node.signal(signal);
        let mut node = self.node.0.lock().unwrap().take().unwrap();
        wait("the node to end", || node.try_wait().unwrap().is_some());
        let ended = node.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}: {}", fs::read_to_string(self.path("up.err")).unwrap());
    }

    pub(crate) fn kill_node(&mut self) {
        self.node.kill();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.program(&self.binary);
        command.args(arguments);
        command
    }

    /// Any program, in this place and as this user.
    fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("WRIT_DOMAIN", self.path("acme"));
        command.env("WRIT_SOLVER", concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cvc5"));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    pub(crate) fn writ<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn run(&self, argv: &[&str]) -> Output {
        self.writ(&[&["run", "--"], argv].concat())
    }

    /// A governed shell that has begun and goes on.
    pub(crate) fn begun(&self, mark: &str) -> Goes {
        self.begun_as(&[], mark)
    }

    /// The same, with these options of `writ run`.
    pub(crate) fn begun_as(&self, options: &[&str], mark: &str) -> Goes {
        let shell = ["--", "sh", "-c", "touch \"$0\"; read -r end || exit 0", &self.text(mark)];
        let mut running = self.command(&[&["run"], options, &shell].concat());
        let running = running.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait("the command to run", || self.path(mark).exists());
        Goes(running)
    }

    /// A refused run, as JSON.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> Json {
        refusal(&self.writ(&[&["--json", "run"], arguments].concat()))
    }

    pub(crate) fn status(&self) -> Json {
        json(&self.writ(&["--json", "status"]))
    }

    /// What is in the ledger, seals left out.
    pub(crate) fn entries(&self) -> Vec<Json> {
        let tail = self.writ(&["--json", "log", "tail", "-n", "1000"]);
        assert_eq!(tail.status.code(), Some(0), "{}", stderr(&tail));
        stdout(&tail).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The newest entry of a type, as it is shown.
    pub(crate) fn newest(&self, wanted: &str) -> String {
        let entries = self.entries();
        let newest = entries.iter().rfind(|entry| entry["type"] == wanted).unwrap();
        stdout(&self.writ(&["--json", "log", "show", &newest["index"].to_string()]))
    }

    pub(crate) fn types(&self) -> Vec<String> {
        self.entries().iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    }

    /// How the executions ended that were begun: each of them once.
    #[track_caller]
    pub(crate) fn endings(&self) -> Vec<Json> {
        let (mut begun, mut ended, mut endings) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.entries() {
            let statement = &entry["body"]["statement"]["body"];
            let execution = |found: &Json| found["execution"].as_str().unwrap().to_owned();
            match entry["type"].as_str().unwrap() {
                "grant" if entry["body"]["admitted"].is_object() => begun.push(execution(&entry["body"]["admitted"])),
                "spend" => begun.push(execution(statement)),
                "outcome" => {
                    ended.push(execution(statement));
                    endings.push(statement["result"].clone());
                }
                _ => {}
            }
        }
        begun.sort();
        ended.sort();
        assert_eq!(begun, ended);
        endings
    }

    /// The ledger is as it was signed, and its decisions are those that policy makes. Ends the node.
    pub(crate) fn audit(&mut self) {
        if self.node.is_there() {
            self.kill_node();
        }
        let audited = self.writ(&["audit", "--replay"]);
        assert_eq!(audited.status.code(), Some(0), "{}{}", stdout(&audited), stderr(&audited));
    }

    /// Processes that have this place as their home, except the node: gateways, watchers, and what they started.
    pub(crate) fn left(&self) -> Vec<u32> {
        let wanted = [b"HOME=", self.home.path().as_os_str().as_encoded_bytes(), b"\0"].concat();
        let node = self.node.0.lock().unwrap().as_ref().map(Child::id);
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid| Some(*pid) != node)
            .filter(|pid| {
                let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                variables.windows(wanted.len()).any(|found| found == wanted)
            })
            .collect()
    }
}

/// A command that has begun and goes on until `end` is called.
pub(crate) struct Goes(Child);

impl Goes {
    pub(crate) fn end(mut self) -> Output {
        drop(self.0.stdin.take());
        self.0.wait_with_output().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.node.is_there() {
            self.node.kill();
        }
    }
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// For what can be shown only by becoming somebody else.
#[track_caller]
pub(crate) fn needs_root() {
    assert!(is_root(), "this test becomes another user, which only root can: run it as root");
}

pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How often a command that adds a line to this file each time has run.
pub(crate) fn executions(mark: &Path) -> usize {
    fs::read_to_string(mark).unwrap_or_default().lines().count()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn refusal(output: &Output) -> Json {
    assert!(matches!(output.status.code(), Some(REFUSED | NOT_FOUND)), "{output:?}");
    assert_eq!(stdout(output), "");
    serde_json::from_str(stderr(output).lines().last().unwrap()).unwrap()
}
