//! Killed at any moment under load, the real process loses nothing that it acknowledged, and shows no other history than before
//! (Invariant 9).
//!
//! Half of the kills come at random moments, from the start of the process on; the others wait until the process is seen in a phase
//! of a batch. What counts is the phase found after the process is dead. `WRIT_CRASH_N` sets the number of kills, `WRIT_CRASH_SEED`
//! the moments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test panics to fail, and prints its table"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use writ_ledger::{Ledger, Options, Phase, Place, Reader, audit::audit};
use writ_testing::load::{Line, Memory, PhaseFile};
use writ_testing::scenario::Domain;

const BASE_MS: u64 = 1_700_000_000_000;
const KILLS: u64 = 200;
const APPENDERS: usize = 32;
/// A store takes this many kills, then it is audited and the next one begins: opening and auditing cost more with each entry.
const KILLS_OF_A_STORE: u64 = 40;
/// How late a random kill comes after the process was started, at most.
const RANDOM_KILL_US_MAX: u64 = 80_000;
/// How often a phase is seen before the kill that is aimed at it, at most.
const PASSED_MAX: u64 = 5;
/// For what takes milliseconds: afterwards something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds added, at most, to strike a phase that was not struck yet.
const EXTRA_MAX: u64 = 100;

#[test]
fn a_killed_ledger_loses_nothing_and_shows_one_history() {
    let kills = variable("WRIT_CRASH_N").unwrap_or(KILLS);
    let seed = variable("WRIT_CRASH_SEED").unwrap_or(1);
    let mut chance = Chance(seed);
    let mut table = Table::default();
    let mut store = Store::new(0);
    let started = Instant::now();
    for kill in 0..kills + EXTRA_MAX {
        let missing = table.missing();
        if kill >= kills && missing.is_none() {
            break;
        }
        let aim = if kill >= kills { Aim::of(missing.unwrap(), &mut chance) } else { Aim::any(kill, &mut chance) };
        let phase = store.round(&aim);
        table.count(&aim, phase);
        if (kill + 1) % KILLS_OF_A_STORE == 0 {
            table.add(&store.finish());
            store = Store::new(kill + 1);
        }
    }
    table.add(&store.finish());
    table.print(seed, started.elapsed());
    assert_eq!(table.missing(), None, "a phase was never struck: aim better");
}

/// When to kill.
enum Aim {
    /// After so long, wherever it is then.
    Random(Duration),
    /// When it is seen in a phase for the nth time.
    At(Phase, u64),
}

impl Aim {
    fn any(kill: u64, chance: &mut Chance) -> Self {
        if kill.is_multiple_of(2) {
            return Self::Random(Duration::from_micros(chance.below(RANDOM_KILL_US_MAX)));
        }
        let phase = usize::try_from(kill / 2).unwrap() % Phase::ALL.len();
        Self::of(Phase::ALL[phase], chance)
    }

    fn of(phase: Phase, chance: &mut Chance) -> Self {
        Self::At(phase, 1 + chance.below(PASSED_MAX))
    }
}

/// A ledger that outlives many processes.
struct Store {
    root: PathBuf,
    place: Place,
    domain: Domain,
    memory: Memory,
}

impl Store {
    fn new(number: u64) -> Self {
        let root = std::env::temp_dir().join(format!("writ-crash-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let place = Place::new(root.join("ledger.db"), root.join("mark"));
        let domain = Domain::new(BASE_MS);
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        let mut memory = Memory::new(&domain, domain.trust_root(), APPENDERS);
        memory.hold_against(&Reader::open(&place.store).unwrap());
        Self { root, place, domain, memory }
    }

    /// Starts the process, kills it, and holds what it left against what it said. Says in which phase it died.
    fn round(&mut self, aim: &Aim) -> Option<Phase> {
        let phases = PhaseFile::begin(&self.phase_file()).unwrap();
        let victim = Victim::start(self);
        victim.await_moment(aim, &phases, &mut self.memory);
        victim.kill(&mut self.memory);
        let struck = phases.phase();
        let ledger = Ledger::open(&self.place, self.domain.ledger_signer(), Options::new(now_ms))
            .unwrap_or_else(|error| panic!("after a kill in {struck:?}: {error}"));
        self.memory.hold_against(&Reader::open(&self.place.store).unwrap());
        ledger.close().unwrap();
        struck
    }

    fn finish(mut self) -> Memory {
        self.memory.hold_all_against(&Reader::open(&self.place.store).unwrap());
        let report = audit(&self.place.store, Some(&self.place.mark), &self.domain.trust_root(), &mut |_, _| {});
        let report = report.unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.entries, self.memory.size().get());
        std::fs::remove_dir_all(&self.root).unwrap();
        self.memory
    }

    fn phase_file(&self) -> PathBuf {
        self.root.join("phase")
    }
}

/// The process that will be killed, and what it says.
struct Victim {
    process: Child,
    heard: Receiver<Line>,
}

impl Victim {
    fn start(store: &Store) -> Self {
        let stories: Vec<String> = store.memory.stories().iter().map(u64::to_string).collect();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ledger-load"))
            .arg("--store")
            .arg(&store.place.store)
            .arg("--mark")
            .arg(&store.place.mark)
            .arg("--phase-file")
            .arg(store.phase_file())
            .args(["--base-ms", &BASE_MS.to_string(), "--from", &stories.join(",")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = process.stdout.take().unwrap();
        let (told, heard) = channel();
        std::thread::spawn(move || listen(out, |line| told.send(line).unwrap_or(())));
        Self { process, heard }
    }

    fn await_moment(&self, aim: &Aim, phases: &PhaseFile, memory: &mut Memory) {
        let started = Instant::now();
        match aim {
            Aim::Random(after) => {
                while let Some(left) = after.checked_sub(started.elapsed()) {
                    match self.heard.recv_timeout(left) {
                        Ok(line) => hear(memory, line),
                        Err(_) => return,
                    }
                }
            }
            Aim::At(phase, times) => {
                let line = self.heard.recv_timeout(PATIENCE).expect("the process opens the ledger");
                hear(memory, line);
                let mut seen = 0;
                let mut last = None;
                while started.elapsed() < PATIENCE {
                    self.heard.try_iter().for_each(|line| hear(memory, line));
                    let now = phases.phase();
                    seen += u64::from(now == Some(*phase) && last != now);
                    if seen == *times {
                        return;
                    }
                    last = now;
                }
                panic!("the process is never seen in the phase `{}`", phase.as_str());
            }
        }
    }

    /// Everything that it told before it died is heard.
    fn kill(mut self, memory: &mut Memory) {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        assert_eq!(status.code(), None, "the process ended before it was killed");
        // It ends with its last line, when the process has closed its end.
        self.heard.iter().for_each(|line| hear(memory, line));
    }
}

/// A test that fails leaves no process behind.
impl Drop for Victim {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn hear(memory: &mut Memory, line: Line) {
    if let Line::Failed { appender, asked, why } = line {
        panic!("appender {appender} asked for {asked}: {why}");
    }
    memory.hear(line);
}

/// Whole lines only: the last one may have been cut by the kill, and nobody acts on half an answer.
fn listen(out: ChildStdout, tell: impl Fn(Line)) {
    let mut out = BufReader::new(out);
    loop {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(whole) = line.strip_suffix('\n') else { return };
        tell(whole.parse().unwrap());
    }
}

/// Kills by the phase in which they struck, and what was seen meanwhile.
#[derive(Default)]
struct Table {
    kills: BTreeMap<Option<Phase>, [u64; 2]>,
    acknowledged: u64,
    repeated: u64,
    unanswered: u64,
    entries: u64,
}

impl Table {
    fn count(&mut self, aim: &Aim, phase: Option<Phase>) {
        let column = usize::from(matches!(aim, Aim::At(..)));
        self.kills.entry(phase).or_default()[column] += 1;
    }

    fn add(&mut self, memory: &Memory) {
        self.acknowledged += memory.acknowledged;
        self.repeated += memory.repeated;
        self.unanswered += memory.unanswered;
        self.entries += memory.size().get();
    }

    fn missing(&self) -> Option<Phase> {
        Phase::ALL.iter().copied().find(|phase| !self.kills.contains_key(&Some(*phase)))
    }

    fn print(&self, seed: u64, took: Duration) {
        println!("{:<10} {:>8} {:>8} {:>8}", "phase", "random", "aimed", "all");
        let rows = std::iter::once(None).chain(Phase::ALL.iter().copied().map(Some));
        let mut all = [0, 0];
        for phase in rows {
            let [random, aimed] = self.kills.get(&phase).copied().unwrap_or_default();
            let name = phase.map_or("opening", Phase::as_str);
            println!("{name:<10} {random:>8} {aimed:>8} {:>8}", random + aimed);
            all = [all[0] + random, all[1] + aimed];
        }
        println!("{:<10} {:>8} {:>8} {:>8}", "all", all[0], all[1], all[0] + all[1]);
        println!(
            "{} entries, {} acknowledged, {} of them again after a kill, {} recorded before their answer was heard; \
             none lost, none twice, one history; seed {seed}, {:.1} s",
            self.entries,
            self.acknowledged,
            self.repeated,
            self.unanswered,
            took.as_secs_f64()
        );
    }
}

/// splitmix64: the same seed aims the same way.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| value.parse().expect("a number"))
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
