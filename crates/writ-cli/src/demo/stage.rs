//! Where the demonstration plays: a folder with a domain, its node, tools that its policy knows, and marks that nothing refused may leave.

use super::commands::{Finished, awaited, finished};
use super::found::Found;
use super::node::Node;
use super::policy;
use super::stop;
use super::table::Table;
use crate::domain::{Domain, read_trust_root};
use crate::error::CliError;
use crate::keys::{SECRET_FILE, SECRET_FOLDER, principal_seed, random, read_seed, write_new};
use crate::render::hex;
use crate::time::now_ms;
use crate::who::principal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use writ_client::Endpoint;
use writ_client::blocking::Client;
use writ_ledger::Reader;
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{Body, EntryType, TrustRoot};
use writ_tlog::{LeafIndex, Origin};

/// Who the person of the domain is.
pub(super) const PERSON: &str = "ada";
/// What the tools do: leave their first argument as a mark.
const TOOL: &str = "#!/bin/sh\nexec touch \"$1\"\n";
/// A policy is looked at twice a second.
const POLICY_WITHIN: Duration = Duration::from_secs(30);

/// The files of one domain and its node.
pub(super) struct Place {
    pub(super) domain: Domain,
    folder: PathBuf,
    mark: PathBuf,
}

impl Place {
    fn named(dir: &Path, name: &str) -> Self {
        let folder = dir.join(name);
        // The folder of a mark is covered too, so nothing else may lie in it.
        let mark = dir.join("marks-of-ledgers").join(name).join("mark");
        Self { domain: Domain::at(&folder, Some(&mark)), folder, mark }
    }

    /// A file that belongs to its node and lies outside what is covered.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        let mut path = self.folder.clone().into_os_string();
        path.push(format!("-{name}"));
        PathBuf::from(path)
    }
}

/// The stage.
pub(super) struct Stage {
    pub(super) dir: PathBuf,
    pub(super) place: Place,
    pub(super) origin: Origin,
    pub(super) trust: TrustRoot,
    pub(super) node: Node,
    binary: PathBuf,
    keep: bool,
}

impl Stage {
    /// Makes the folder, the domain and its policy; the node does not run yet.
    pub(super) fn set(dir: Option<&Path>, keep: bool) -> Result<Self, CliError> {
        let binary = std::env::current_exe().map_err(|error| CliError::Failed(format!("this program: {error}")))?;
        let dir = folder(dir)?;
        if !keep {
            stop::takes_away(&dir);
        }
        let built = Self::build(&dir, &binary, keep);
        if built.is_err() && !keep {
            // The error is what the person needs to hear.
            fs::remove_dir_all(&dir).ok();
        }
        built
    }

    fn build(dir: &Path, binary: &Path, keep: bool) -> Result<Self, CliError> {
        for name in ["tools", "marks", "writs", "inside", "bundles", "marks-of-ledgers"] {
            let path = dir.join(name);
            fs::create_dir(&path).map_err(CliError::file(&path))?;
        }
        for name in policy::TOOLS {
            write_tool(&dir.join("tools").join(name), TOOL.as_bytes())?;
        }
        let touch = fs::read("/usr/bin/touch").map_err(CliError::file(Path::new("/usr/bin/touch")))?;
        write_tool(&dir.join("tools/touch"), &touch)?;
        init(dir, binary, "acme")?;
        let place = Place::named(dir, "acme");
        policy::write(dir, &place.domain.dir().join("policy"), TOOL.as_bytes())?;
        let (origin, trust) = (place.domain.origin()?, read_trust_root(&place.domain.trust_root())?);
        let (dir, binary) = (dir.to_owned(), binary.to_owned());
        Ok(Self { dir, place, origin, trust, node: Node::default(), binary, keep })
    }

    /// Starts the node, once more if it was ended.
    pub(super) fn start_node(&mut self) -> Result<(), CliError> {
        self.node = Node::start(&self.place, self.writ(["up", "--log", "json"]))?;
        Ok(())
    }

    /// Another domain with a node of its own, which nobody here has pinned; gone when `act` has ended.
    pub(super) fn in_other_domain<T>(&self, act: impl FnOnce(&Self) -> Result<T, CliError>) -> Result<T, CliError> {
        init(&self.dir, &self.binary, "other")?;
        let place = Place::named(&self.dir, "other");
        let (origin, trust) = (place.domain.origin()?, read_trust_root(&place.domain.trust_root())?);
        let (dir, binary) = (self.dir.clone(), self.binary.clone());
        let mut other = Self { dir, place, origin, trust, node: Node::default(), binary, keep: true };
        other.node = Node::start(&other.place, other.writ(["up", "--slots", "1"]))?;
        let done = act(&other)?;
        other.node.stop()?;
        Ok(done)
    }

    /// What every command here finds in its environment, and nothing else.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("HOME".to_owned(), path(&self.dir)),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("WRIT_DOMAIN".to_owned(), path(self.place.domain.dir())),
            ("WRIT_MARK".to_owned(), path(&self.place.mark)),
        ]
    }

    /// This program with arguments, as JSON, in the stage's folder.
    pub(super) fn writ<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--json").args(arguments);
        command.current_dir(&self.dir).env_clear().envs(self.variables()).stdin(Stdio::null());
        command
    }

    pub(super) fn binary(&self) -> String {
        self.binary.to_string_lossy().into_owned()
    }

    /// A path in the stage's folder, as text; the folder's own name is plain.
    pub(super) fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    /// The mark that an attempt would leave.
    pub(super) fn mark(&self, name: &str) -> String {
        self.path(&format!("marks/{name}"))
    }

    /// A command that leaves the mark: `touch`.
    pub(super) fn touch(&self, name: &str) -> Vec<String> {
        vec!["touch".to_owned(), self.mark(name)]
    }

    /// The same with a tool of the stage.
    pub(super) fn tool(&self, tool: &str, name: &str) -> Vec<String> {
        vec![self.path(&format!("tools/{tool}")), self.mark(name)]
    }

    /// A mark must be there, from what was permitted; then it is taken away, for the attempt that follows.
    fn take_mark(&self, name: &str) -> Result<(), CliError> {
        let path = PathBuf::from(self.mark(name));
        fs::remove_file(&path).map_err(CliError::file(&path))
    }

    /// `writ run` with options before the command.
    pub(super) fn run(&self, options: &[&str], argv: &[String]) -> Result<Found, CliError> {
        let arguments = ["run"].into_iter().chain(options.iter().copied()).chain(["--"]);
        Ok(Found::of_run(&finished(self.writ(arguments.chain(argv.iter().map(String::as_str))))?))
    }

    /// Any other command of this program.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Found, CliError> {
        Ok(Found::of_command(&finished(self.writ(arguments.iter().copied()))?))
    }

    /// Something permitted has run: it has left its mark, and its end stands in the ledger.
    pub(super) fn ran(&self, table: &mut Table, name: &str, tried: &str, found: &Found) -> Result<(), CliError> {
        let wrong = match found {
            Found::Done => self.take_mark(name).err().map(|error| error.to_string()),
            Found::Refused { .. } | Found::Barred | Found::Unclear(_) => Some(format!("{found:?}")),
        };
        let index = self.newest_outcome()?;
        let missing = index.is_none().then(|| "its end is not recorded".to_owned());
        table.done(name, tried, index, wrong.or(missing))
    }

    /// An order of the domain's person that must be carried out.
    pub(super) fn order(&self, arguments: &[&str]) -> Result<(), CliError> {
        match self.ask(arguments)? {
            Found::Done => Ok(()),
            found @ (Found::Refused { .. } | Found::Barred | Found::Unclear(_)) => {
                Err(CliError::Failed(format!("{}: {found:?}", arguments.join(" "))))
            }
        }
    }

    /// Where the key of a principal lies.
    pub(super) fn principal_key(&self, text: &str) -> Result<String, CliError> {
        let path = principal_seed(self.place.domain.dir(), &principal(text)?);
        Ok(path.to_string_lossy().into_owned())
    }

    /// A copy of a principal's key where nothing covers it.
    pub(super) fn smuggle(&self, text: &str, name: &str) -> Result<String, CliError> {
        self.keep_seed(name, &read_seed(Path::new(&self.principal_key(text)?))?)
    }

    /// A writ to hand over; returns its file and when it ends.
    pub(super) fn authorize(&self, name: &str, argv: &[String]) -> Result<(String, u64), CliError> {
        let file = self.path(&format!("writs/{name}"));
        let arguments = ["authorize", "-o", &file, "--"].into_iter().chain(argv.iter().map(String::as_str));
        let Finished { stdout, stderr, .. } = finished(self.writ(arguments))?;
        let until_ms = serde_json::from_str::<Value>(&stdout).ok().and_then(|told| told.get("until_ms")?.as_u64());
        let until_ms = until_ms.ok_or_else(|| CliError::Failed(format!("no writ for {name}: {}", stderr.trim())))?;
        Ok((file, until_ms))
    }

    /// A writ and the key of its holder as files.
    pub(super) fn keep_writ(&self, name: &str, writ: &[u8], seed: &[u8; 32]) -> Result<String, CliError> {
        let file = self.path(&format!("writs/{name}"));
        write_new(Path::new(&file), writ, SECRET_FILE)?;
        self.keep_seed(&format!("writs/{name}.key"), seed)?;
        Ok(file)
    }

    /// A seed as a file.
    pub(super) fn keep_seed(&self, name: &str, seed: &[u8; 32]) -> Result<String, CliError> {
        let file = self.path(name);
        write_new(Path::new(&file), format!("{}\n", hex(seed)).as_bytes(), SECRET_FILE)?;
        Ok(file)
    }

    /// The node's socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.place.domain.socket(None)
    }

    /// A connection to the node.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        Client::connect(&Endpoint::unix(&self.socket())).map_err(|error| CliError::Failed(error.to_string()))
    }

    /// Puts a file into the policy folder, and waits until the node has taken it.
    pub(super) fn change_policy(&self, name: &str, text: &str) -> Result<(), CliError> {
        let client = self.client()?;
        let epoch = || {
            let status = client.status().map_err(|error| CliError::Failed(error.to_string()))?;
            Ok::<_, CliError>(status.pointer("/policy/epoch").and_then(Value::as_u64))
        };
        let before = epoch()?;
        write_new(&self.place.domain.dir().join("policy").join(name), text.as_bytes(), SECRET_FILE)?;
        awaited("the policy to be in force", POLICY_WITHIN, || Ok((epoch()? > before).then_some(())))
    }

    /// Waits until the clock has passed a time.
    pub(super) fn until(&self, time_ms: u64) -> Result<(), CliError> {
        let within = Duration::from_millis(time_ms.saturating_sub(now_ms())).saturating_add(Duration::from_secs(10));
        awaited("a time to pass", within, || Ok((now_ms() > time_ms).then_some(())))
    }

    /// The index of the newest report of an end.
    fn newest_outcome(&self) -> Result<Option<u64>, CliError> {
        let reader = Reader::open(&self.place.domain.store())?;
        let (size, _) = reader.checkpoint()?;
        for index in (0..size.get()).rev().map(LeafIndex::new) {
            let Some(stored) = reader.entry(index)? else { return Ok(None) };
            let found = stored.decode(&self.origin)?.body.entry_type();
            if found != EntryType::Seal {
                return Ok((found == EntryType::Outcome).then_some(index.get()));
            }
        }
        Ok(None)
    }

    /// The code of the refusal that an entry records, and whether it is one at all.
    pub(super) fn recorded_code(&self, index: u64) -> Result<Option<&'static str>, CliError> {
        let reader = Reader::open(&self.place.domain.store())?;
        let Some(stored) = reader.entry(LeafIndex::new(index))? else { return Ok(None) };
        let body = stored.decode(&self.origin)?.body;
        if let Body::Denial(denial) = &body {
            return Ok(Some(denial.code.as_str()));
        }
        let Some(statement) = body.statement() else { return Ok(None) };
        let said = Signed::decode(statement).and_then(|signed| signed.gateway_claims(&self.origin));
        Ok(match said.map_err(CliError::Refused)?.claim {
            Claim::Refused { code, .. } => Some(code.as_str()),
            Claim::Spent { .. }
            | Claim::Started { .. }
            | Claim::Ended { .. }
            | Claim::Labelled { .. }
            | Claim::Heartbeat { .. } => None,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.node.kill();
        if !self.keep {
            // What cannot be removed is in the system's temporary folder and nobody else's to read.
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// A new folder for its owner alone. Its path stands in policies, so it is plain.
fn folder(dir: Option<&Path>) -> Result<PathBuf, CliError> {
    let random: [u8; 8] = random()?;
    let dir = dir.map_or_else(|| std::env::temp_dir().join(format!("writ-demo-{}", hex(&random))), Path::to_owned);
    fs::DirBuilder::new().mode(SECRET_FOLDER).create(&dir).map_err(CliError::file(&dir))?;
    let dir = fs::canonicalize(&dir).map_err(CliError::file(&dir))?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    if !dir.as_os_str().as_encoded_bytes().iter().all(plain) {
        fs::remove_dir(&dir).map_err(CliError::file(&dir))?;
        return Err(CliError::Usage(format!("--dir: expected a path of A-Z a-z 0-9 . _ - /, found {}", dir.display())));
    }
    Ok(dir)
}

/// By `writ init`, like every domain.
fn init(dir: &Path, binary: &Path, name: &str) -> Result<(), CliError> {
    let mark = dir.join("marks-of-ledgers").join(name).join("mark");
    let mut command = Command::new(binary);
    command.arg("--json").arg("init").arg(dir.join(name)).args(["--user", PERSON]);
    command.args(["--origin", &format!("{name}.example/ledger")]).arg("--mark").arg(mark).stdin(Stdio::null());
    let Finished { status, stderr, .. } = finished(command)?;
    match status {
        Some(0) => Ok(()),
        _ => Err(CliError::Failed(format!("the domain could not be made: {}", stderr.trim()))),
    }
}

fn write_tool(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write_new(path, bytes, SECRET_FOLDER)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(CliError::file(path))
}
