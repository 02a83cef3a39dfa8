//! A domain on a disk that can fail, with a node, and what those who used it were told.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use writ_testing::fault_disk::FaultDisk;

const PATIENCE: Duration = Duration::from_secs(120);
/// What the command of each run ends with.
const ENDS_WITH: i32 = 7;
const REFUSED: i32 = 126;

/// Fields in the order in which they must go.
pub(crate) struct Site {
    node: Option<Child>,
    pub(crate) disk: FaultDisk,
    home: TempDir,
    binary: PathBuf,
    /// How often a node had to be started again.
    pub(crate) restarted: u64,
    /// Entries that somebody was told of, with their types.
    pub(crate) told: BTreeMap<u64, &'static str>,
    /// A writ that was handed over and may not have been used.
    left: Option<String>,
    /// Executions of commands.
    executions: usize,
}

/// How a run gets its writ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writ {
    /// It asks for one.
    Own,
    /// It is handed one that was asked for before.
    HandedOver,
}

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It ran, and all of it is recorded.
    Whole,
    /// It ran, and its end could not be recorded.
    Unended,
    /// Nothing ran.
    Refused,
}

impl Site {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let disk = FaultDisk::mount(&home.path().join("backing"), &home.path().join("disk"));
        let binary = binary();
        let mut site =
            Self { node: None, disk, home, binary, restarted: 0, told: BTreeMap::new(), left: None, executions: 0 };
        std::fs::create_dir(site.disk.mountpoint().join("marks")).unwrap();
        let made = site.writ(&["init", "disk/acme", "--origin", "acme.example/ledger", "--user", "ada"]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        site.start();
        site
    }

    pub(crate) fn failures(&self) -> u64 {
        self.disk.counters().failed
    }

    /// A command that leaves a line behind. It runs once and ends as it does, or not at all and somebody is told why.
    pub(crate) fn attempt(&mut self, writ: Writ) -> Ran {
        if writ == Writ::HandedOver {
            let Some(file) = self.authorize() else { return Ran::Refused };
            self.left = Some(file);
        }
        let file = self.left.clone();
        let ran = self.run(file.as_deref());
        match ran {
            Ok(ran) => {
                self.left = None;
                ran
            }
            Err(refused) => {
                self.hear(&refused, "ledger_unavailable");
                Ran::Refused
            }
        }
    }

    /// The disk is sound: the node works, after it was started again if it had stopped recording. A writ that was not used is good once.
    pub(crate) fn goes_on(&mut self) {
        let status = self.writ(&["--json", "status"]);
        let status: Json = serde_json::from_slice(&status.stdout).unwrap();
        if status["recording"] != true {
            self.stop();
            self.start();
            self.restarted += 1;
        }
        if let Some(file) = self.left.take() {
            // Its use was recorded, or it is used now.
            match self.run(Some(&file)) {
                Ok(ran) => assert_eq!(ran, Ran::Whole),
                Err(refused) => self.hear(&refused, "replayed"),
            }
            let again = self.run(Some(&file)).unwrap_err();
            self.hear(&again, "replayed");
        }
        let missing = self.writ(&["--json", "run", "--", "./missing"]);
        self.hear(&serde_json::from_slice(&missing.stderr).unwrap(), "integrity_failure");
        assert_eq!(self.run(None), Ok(Ran::Whole));
    }

    /// What was refused is returned.
    fn run(&mut self, writ: Option<&str>) -> Result<Ran, Json> {
        let mark = self.mark();
        let handed = writ.map_or_else(Vec::new, |file| vec!["--writ", file]);
        let ran = self.writ(&[&["--json", "run"], &handed[..], &command(&mark)].concat());
        let before = self.executions;
        self.executions = std::fs::read_to_string(&mark).unwrap_or_default().lines().count();
        let said = text(&ran.stderr);
        if ran.status.code() == Some(ENDS_WITH) {
            assert_eq!(self.executions, before + 1, "{said}");
            let told: Json = serde_json::from_str(said.lines().last().unwrap()).unwrap();
            assert_eq!(told["outcome"], "ran", "{said}");
            if told["index"].is_u64() {
                return Ok(Ran::Whole);
            }
            assert!(
                said.starts_with("writ: it ran, and its end could not be recorded: ledger_unavailable: "),
                "{said}"
            );
            return Ok(Ran::Unended);
        }
        assert_eq!((ran.status.code(), self.executions), (Some(REFUSED), before), "{said}");
        assert_eq!(text(&ran.stdout), "");
        Err(serde_json::from_str(&said).unwrap())
    }

    /// A writ for the command, if it is granted.
    fn authorize(&mut self) -> Option<String> {
        let mark = self.mark();
        let file = format!("{}/writ-{}", self.home.path().display(), self.told.len());
        let asked = self.writ(&[&["--json", "authorize", "-o", &file], &command(&mark)[..]].concat());
        if asked.status.code() == Some(0) {
            let granted: Json = serde_json::from_slice(&asked.stdout).unwrap();
            assert_eq!(self.told.insert(granted["index"].as_u64().unwrap(), "grant"), None);
            return Some(file);
        }
        assert_eq!(asked.status.code(), Some(1), "{asked:?}");
        let error: Json = serde_json::from_slice(&asked.stderr).unwrap();
        let advised = error["error"].as_str().unwrap().contains("look at the node's log and its disk");
        assert!(error["code"] == "ledger_unavailable" && advised, "{error}");
        None
    }

    fn mark(&self) -> String {
        format!("{}/mark", self.home.path().display())
    }

    /// Nothing is found in the ledger; every entry that somebody was told of is there, and every execution has its start and its end.
    pub(crate) fn audit(&mut self) {
        self.stop();
        let audited = self.writ(&["audit", "--replay"]);
        assert_eq!(audited.status.code(), Some(0), "{}{}", text(&audited.stdout), text(&audited.stderr));
        let tail = self.writ(&["--json", "log", "tail", "-n", "1000000"]);
        let entries: Vec<Json> = text(&tail.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for (index, kind) in &self.told {
            let entry = entries.iter().find(|entry| entry["index"] == *index);
            assert_eq!(entry.map(|entry| entry["type"].as_str()), Some(Some(*kind)), "{index}");
        }
        let executions = |types: &[&str]| {
            let found = entries.iter().filter(|entry| types.iter().any(|wanted| entry["type"] == *wanted));
            let stated = |entry: &Json| {
                let body = &entry["body"];
                let by = if entry["type"] == "grant" { &body["admitted"] } else { &body["statement"]["body"] };
                by["execution"].as_str().map(str::to_owned)
            };
            found.filter_map(stated).collect::<Vec<String>>()
        };
        let [mut begun, mut started, mut ended] =
            [executions(&["grant", "spend"]), executions(&["start"]), executions(&["outcome"])];
        [&mut begun, &mut started, &mut ended].into_iter().for_each(|ids| ids.sort());
        assert_eq!(begun, ended);
        assert!(started.is_sorted_by(|one, next| one < next) && started.iter().all(|one| begun.contains(one)));
        assert!(started.len() >= self.executions, "{} executions, {} starts", self.executions, started.len());
    }

    /// What a person can act on: a code, the reason, and what to look at.
    fn hear(&mut self, refused: &Json, code: &str) {
        let why = refused["why"].as_str().unwrap();
        assert_eq!(refused["code"], code, "{refused}");
        if code == "ledger_unavailable" {
            let causes = ["full", "disk I/O error", "readonly", "os error", "stopped"];
            let is_named = causes.iter().any(|cause| why.contains(cause));
            assert!(is_named && refused["next"].as_str().unwrap().contains("look at the node's log"), "{refused}");
        }
        if let Some(index) = refused["index"].as_u64() {
            assert_eq!(self.told.insert(index, "report"), None, "{refused}");
        }
    }

    fn start(&mut self) {
        let (told, log) = (self.home.path().join("up.out"), self.home.path().join("up.err"));
        let mut up = self.command(&["--json", "up", "--socket"]);
        up.arg(self.socket()).stdout(std::fs::File::create(&told).unwrap());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        self.node = Some(up.stderr(log).spawn().unwrap());
        wait("the node to listen", || std::fs::read_to_string(&told).unwrap().contains('\n'));
    }

    /// As an operator stops it; it may say that it could not record.
    fn stop(&mut self) {
        let mut node = self.node.take().unwrap();
        assert!(Command::new("kill").arg(node.id().to_string()).status().unwrap().success());
        wait("the node to stop", || node.try_wait().unwrap().is_some());
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("node.sock")
    }

    fn writ(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("WRIT_NODE", format!("unix:{}", self.socket().display()));
        command.env("WRIT_DOMAIN", self.disk.mountpoint().join("acme"));
        command.env("WRIT_MARK", self.disk.mountpoint().join("marks/acme"));
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(node) = &mut self.node {
            node.kill().unwrap();
            node.wait().unwrap();
        }
    }
}

fn command(mark: &str) -> [&str; 5] {
    ["--", "sh", "-c", "echo ran >> \"$0\"; exit 7", mark]
}

/// The program, as it was built before these tests.
fn binary() -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().unwrap();
        own.parent().and_then(Path::parent).unwrap().join("writ")
    };
    let binary = std::env::var_os("WRIT_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        binary.is_file(),
        "{} is missing: build it with `cargo build -p writ-cli`, or name it in WRIT_BIN",
        binary.display()
    );
    binary
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
