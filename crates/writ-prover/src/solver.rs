//! One solver process: a script in, an answer out, within a time.

use crate::error::Unproved;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, Solver, SolverError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::AsyncWrite;

/// Bytes that a solver may say in its life.
const SAID_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Lines that wait to be read.
const LINES_WAITING: usize = 64;
/// Beyond the limits of the solver itself, before it is ended from outside.
const GRACE: Duration = Duration::from_secs(2);

/// The first version that knows everything that questions are made of.
const VERSION_MIN: [u32; 3] = [1, 3, 1];

/// How long a solver may take to say its version, and how much it may say.
const VERSION_TIME: Duration = Duration::from_secs(60);
const VERSION_BYTES_MAX: u64 = 64 * 1024;

/// What a solver may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SolverLimits {
    /// For one question.
    pub each: Duration,
    /// For all questions together.
    pub whole: Duration,
}

impl SolverLimits {
    /// For a gate that somebody waits for.
    pub const STANDARD: Self = Self { each: Duration::from_secs(30), whole: Duration::from_secs(300) };
}

/// Which program answers: cvc5, or what behaves like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverCommand(PathBuf);

impl SolverCommand {
    /// The solver at this path, or of this name on the path of programs.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self(program.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It gets no variables but the one with which a script finds its interpreter.
    fn program(&self) -> Command {
        let mut program = Command::new(&self.0);
        program.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        program
    }

    /// Runs it, to see whether it could be asked: its name and version, or why nothing can be proved with it.
    pub fn ready(&self) -> Result<String, Unproved> {
        self.ready_within(VERSION_TIME)
    }

    /// The same, if it says so within this time.
    pub fn ready_within(&self, time: Duration) -> Result<String, Unproved> {
        let found = self.version(time).map_err(|source| Unproved::NoSolver { path: self.0.clone(), source })?;
        let mut parts = found.split('.').map_while(|part| part.parse::<u32>().ok());
        let parts = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
        if parts < VERSION_MIN {
            return Err(Unproved::SolverOld { path: self.0.clone(), found });
        }
        Ok(format!("cvc5 {found}"))
    }

    /// The version that it says it is.
    fn version(&self, time: Duration) -> std::io::Result<String> {
        let mut program = self.program();
        let mut child =
            program.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take();
        let (say, said) = sync_channel(1);
        // Not waited for: what it has started may keep its output open.
        std::thread::spawn(move || {
            let mut text = Vec::new();
            stdout.map(|stdout| stdout.take(VERSION_BYTES_MAX).read_to_end(&mut text));
            say.send(text).ok();
        });
        let text = said.recv_timeout(time);
        child.kill().ok();
        child.wait().ok();
        let text = text.map_err(|_| std::io::Error::other("it does not say its version in time"))?;
        let text = String::from_utf8_lossy(&text);
        let version = text.split_whitespace().skip_while(|word| *word != "version").nth(1);
        version.map(str::to_owned).ok_or_else(|| std::io::Error::other("it does not say its version"))
    }
}

/// A solver that runs. It is ended when this is dropped.
pub(crate) struct Process {
    child: Arc<Mutex<Child>>,
    /// Whoever ends it when its time is over, should it take nothing of what it is told. It waits for this to be dropped.
    watched: Option<SyncSender<()>>,
    watchman: Option<JoinHandle<()>>,
    stdin: Option<ChildStdin>,
    lines: Receiver<std::io::Result<String>>,
    reader: Option<JoinHandle<()>>,
    /// What is to be said next.
    script: Vec<u8>,
    each: Duration,
    until: Instant,
}

impl Process {
    pub(crate) fn start(command: &SolverCommand, limits: SolverLimits) -> std::io::Result<Self> {
        let mut child = command
            .program()
            .args(["--lang", "smt", "--quiet"])
            .arg(format!("--tlimit-per={}", limits.each.as_millis()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (say, lines) = sync_channel(LINES_WAITING);
        let reader = stdout.map(|stdout| {
            std::thread::spawn(move || {
                for line in Lines(BufReader::new(stdout).take(SAID_BYTES_MAX)) {
                    if say.send(line).is_err() {
                        return;
                    }
                }
            })
        });
        let until = Instant::now().checked_add(limits.whole).unwrap_or_else(Instant::now);
        let child = Arc::new(Mutex::new(child));
        let (watched, ended) = sync_channel(0);
        let watchman = std::thread::spawn({
            let child = child.clone();
            move || {
                if ended.recv_timeout(limits.whole) == Err(RecvTimeoutError::Timeout) {
                    end(&child);
                }
            }
        });
        Ok(Self {
            child,
            watched: Some(watched),
            watchman: Some(watchman),
            stdin,
            lines,
            reader,
            script: Vec::new(),
            each: limits.each,
            until,
        })
    }

    /// Says what was collected.
    fn say(&mut self) -> Result<(), SolverError> {
        let stdin = self.stdin.as_mut().ok_or(SolverError::SolverMarkedFailed)?;
        stdin.write_all(&self.script)?;
        stdin.flush()?;
        self.script.clear();
        Ok(())
    }

    fn line(&mut self) -> Result<String, SolverError> {
        let left = self.until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left.min(self.each.saturating_add(GRACE))) {
            Ok(line) => Ok(line?),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(SolverError::SolverMarkedFailed)
            }
            // The watchman was quicker.
            Err(RecvTimeoutError::Disconnected) if Instant::now() >= self.until => Err(SolverError::SolverMarkedFailed),
            Err(RecvTimeoutError::Disconnected) => Err(SolverError::Solver("it ended".to_owned())),
        }
    }

    fn answer(&mut self) -> Result<Decision, SolverError> {
        self.script.extend_from_slice(b"(check-sat)\n");
        self.say()?;
        match self.line()?.trim() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" | "timeout" => Ok(Decision::Unknown),
            other => Err(SolverError::Solver(other.chars().take(200).collect())),
        }
    }

    fn end(&mut self) {
        self.stdin = None;
        end(&self.child);
    }
}

/// It may have ended by itself.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    child.kill().ok();
    child.wait().ok();
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        // The reader sees the end of what the solver says, or that nobody listens; the watchman, that there is nothing left to watch.
        let (_, nobody) = sync_channel(0);
        self.lines = nobody;
        self.watched = None;
        for thread in [self.reader.take(), self.watchman.take()].into_iter().flatten() {
            thread.join().ok();
        }
    }
}

impl Solver for Process {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.script
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        self.script.extend_from_slice(b"(set-option :produce-models true)\n");
        Ok(())
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.answer()
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.answer()? {
            Decision::Unsat => return Ok(DecisionWithModel::Unsat),
            Decision::Unknown => return Ok(DecisionWithModel::Unknown),
            Decision::Sat => {}
        }
        self.script.extend_from_slice(b"(get-model)\n");
        self.say()?;
        // `(`, definitions, and `)` in a line of its own.
        let mut model = self.line()?;
        if model.trim() != "(" {
            return Err(SolverError::Solver(model.chars().take(200).collect()));
        }
        loop {
            let line = self.line()?;
            let is_last = line.trim_end() == ")";
            model.push_str(&line);
            if is_last {
                return Ok(DecisionWithModel::Sat { model });
            }
        }
    }
}

/// Lines with their ends, until the end or an error.
struct Lines(std::io::Take<BufReader<ChildStdout>>);

impl Iterator for Lines {
    type Item = std::io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    }
}
