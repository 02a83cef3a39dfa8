//! A place for one test: a folder that everybody may write to, the example that runs governed trees, and a domain's folder to hide.
#![allow(dead_code, reason = "each test file needs some of it")]
#![allow(unsafe_code, reason = "signals are set to their defaults; no wrapper that is safe does that")]

use nix::sys::signal::{SigHandler, Signal};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a busy machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const NOBODY: u32 = 65534;
pub(crate) const SECRET: &str = "the ledger's secret";

/// Whose trees are tested: those of whoever runs the tests, and those of an ordinary user if that is root.
pub(crate) fn users() -> Vec<Option<u32>> {
    if nix::unistd::geteuid().is_root() { vec![None, Some(NOBODY)] } else { vec![None] }
}

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) user: Option<u32>,
}

impl Site {
    pub(crate) fn new(user: Option<u32>) -> Self {
        ignore_nothing();
        let folder = tempfile::Builder::new().prefix("governed").tempdir_in("/tmp").unwrap();
        let site = Self { folder, user };
        everybody(site.path());
        // A process of its own writes the copy: a descriptor of this one could be inherited by what another test starts, and keep it busy.
        site.copy(&example(), "confined");
        for name in ["hidden", "hidden/run"] {
            std::fs::create_dir(site.at(name)).unwrap();
            site.own(name);
        }
        site.file("hidden/secret", SECRET, 0o600);
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    fn own(&self, name: &str) {
        chown(self.at(name), self.user, self.user).unwrap();
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        std::fs::write(self.at(name), content).unwrap();
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
        self.own(name);
        self.at(name)
    }

    pub(crate) fn copy(&self, from: &Path, name: &str) -> PathBuf {
        assert!(Command::new("cp").arg(from).arg(self.at(name)).status().unwrap().success());
        std::fs::set_permissions(self.at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        self.own(name);
        self.at(name)
    }

    /// A command as this user has it, in this place and with few variables.
    pub(crate) fn bare<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("SITE", self.path());
        command.current_dir(self.path()).stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// What comes before a command to have it governed.
    pub(crate) fn prefix(&self) -> Vec<PathBuf> {
        vec![self.at("confined"), self.at("hidden"), self.at("hidden/run"), PathBuf::from("--")]
    }

    pub(crate) fn confined<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        self.bare(self.prefix().into_iter().map(PathBuf::into_os_string).chain(words))
    }

    /// Runs a shell script as a governed tree.
    pub(crate) fn shell(&self, script: &str) -> Output {
        self.confined(["sh", "-c", script]).output().unwrap()
    }

    /// Everything that still has this place in its variables: gateway, watcher, and what they started.
    pub(crate) fn left(&self) -> Vec<i32> {
        let wanted = [b"SITE=", self.path().as_os_str().as_encoded_bytes(), b"\0"].concat();
        processes()
            .into_iter()
            .filter(|pid| {
                let variables = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                variables.windows(wanted.len()).any(|found| found == wanted)
            })
            .collect()
    }

    /// Those of the processes that wrote their number to `pids` that are there still, a zombie among them.
    pub(crate) fn noted(&self) -> Vec<i32> {
        let noted = self.text("pids");
        noted.lines().map(|line| line.parse().unwrap()).filter(|pid| status(*pid).is_some()).collect()
    }
}

/// Whoever runs the tests may ignore some signals, and what they start would as well.
fn ignore_nothing() {
    // Those of memory are handled by the standard library.
    let kept = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGPIPE, Signal::SIGSEGV, Signal::SIGBUS];
    for signal in Signal::iterator().filter(|signal| !kept.contains(signal)) {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }.unwrap();
    }
}

fn everybody(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// Built beside the tests: `target/…/deps/this` and `target/…/examples/confined`.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/confined")
}

/// State and parent; none for what is gone, or only waits to be reaped by somebody else.
pub(crate) fn status(pid: i32) -> Option<(String, i32)> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut fields = text.rsplit_once(')').unwrap().1.split_ascii_whitespace();
    Some((fields.next().unwrap().to_owned(), fields.next().unwrap().parse().unwrap()))
}

pub(crate) fn processes() -> Vec<i32> {
    let found = std::fs::read_dir("/proc").unwrap();
    found.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).collect()
}

pub(crate) fn children(pid: i32) -> Vec<i32> {
    processes().into_iter().filter(|child| status(*child).is_some_and(|(_, parent)| parent == pid)).collect()
}

/// Looks until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Refused, for this reason, before anything ran.
pub(crate) fn assert_refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(126), "{output:?}");
    assert!(err(output).contains("refused: ") && err(output).contains(reason), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}
