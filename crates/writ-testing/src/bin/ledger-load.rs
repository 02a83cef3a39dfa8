//! A process that writes a ledger as fast as it can, to be killed. It tells on standard output what was acknowledged, one line each
//! (`writ_testing::load::Line`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test infrastructure: a panic is a failed test"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};
use writ_ledger::{Ledger, Options, Place};
use writ_testing::load::{Line, PhaseFile, append_all};
use writ_testing::scenario::Domain;

const USAGE: &str =
    "ledger-load --store FILE --mark FILE --base-ms N --from STORY,STORY,... [--until STORY] [--phase-file FILE]

  --base-ms     when the scripted domain began: its keys and ids follow from it
  --from        one appender for each number: the story that it goes on with
  --until       the story before which each appender ends; without it they go on for ever
  --phase-file  where to write the phase of the batch at work, in one byte";

struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn read() -> Self {
        let mut words = std::env::args().skip(1);
        let mut values = BTreeMap::new();
        while let Some(name) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{name} has no value\n{USAGE}"));
            values.insert(name, value);
        }
        Self(values)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("{name} is missing\n{USAGE}"))
    }
}

fn main() {
    let arguments = Arguments::read();
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text} is no number\n{USAGE}"));
    let domain = Domain::new(number(arguments.need("--base-ms")));
    let stories: Vec<u64> = arguments.need("--from").split(',').map(number).collect();
    let until = arguments.get("--until").map_or(u64::MAX, number);
    let mut options = Options::new(now_ms);
    if let Some(path) = arguments.get("--phase-file") {
        let phases = PhaseFile::open(&PathBuf::from(path)).unwrap();
        options = options.observed(move |phase| phases.enter(phase));
    }
    // Past the buffer of `Stdout`: what was told is told, whenever the end comes.
    let out = Mutex::new(File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap()));
    let tell = |line: Line| out.lock().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    let place = Place::new(arguments.need("--store"), arguments.need("--mark"));
    let ledger = Ledger::open(&place, domain.ledger_signer(), options).unwrap();
    tell(Line::Opened(ledger.published().checkpoint.checkpoint().size));
    if append_all(&ledger, &domain, &stories, until, &tell).is_err() {
        // It has told why. Gone at once: nothing is closed in order, so nothing is put right on the way out.
        std::process::exit(1);
    }
    ledger.close().unwrap();
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
