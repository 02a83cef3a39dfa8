//! A node that is slow, dies, or gives way to an impostor, in each phase of a governed run. Nothing runs on a doubt, nothing runs twice, and
//! the ledger is whole afterwards (Invariants 2, 6 and 9).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use serde_json::Value as Json;
use site::relay::{Moment, Relay};
use site::{NOBODY, PATIENCE, REFUSED, Site, executions, json, needs_root, refusal, stderr, wait};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

/// How a run gets its writ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writ {
    /// It asks for one, which is spent by its own entry.
    Own,
    /// It was handed one, and spends it.
    HandedOver,
}

const BOTH: [Writ; 2] = [Writ::Own, Writ::HandedOver];

impl Writ {
    /// What the node is asked, in order. The last tells how the command ended, the one before that it starts.
    fn requests(self) -> &'static [&'static str] {
        match self {
            Self::Own => {
                &["GET /v1/gateways/process/01", "POST /v1/authorize", "POST /v1/statements", "POST /v1/statements"]
            }
            Self::HandedOver => &[
                "GET /v1/gateways/process/01",
                "GET /v1/control",
                "POST /v1/statements",
                "GET /v1/control?from=",
                "POST /v1/statements",
                "POST /v1/statements",
                "POST /v1/statements",
            ],
        }
    }

    /// The request that tells how the command ended: whatever happens from here on happens after it ran.
    fn last(self) -> usize {
        self.requests().len()
    }

    /// Whether the use of a writ that was handed over is recorded, when all goes wrong at this moment.
    fn is_spent_at(self, moment: Moment) -> bool {
        let spend = self.last() - 2;
        match moment {
            Moment::Asked(number) => number > spend,
            Moment::Answered(number) | Moment::Told(number) => number >= spend,
            Moment::Never => true,
        }
    }
}

/// One run, of a command that leaves a line behind and ends with 5.
struct Attempt {
    mark: PathBuf,
    /// Writ and command, as options of `writ run`.
    rest: Vec<String>,
}

impl Attempt {
    fn new(site: &Site, writ: Writ, name: &str) -> Self {
        let mark = site.path(&format!("mark-{name}"));
        let script = "echo ran >> \"$0\"; exit 5";
        let command = ["--", "sh", "-c", script, mark.to_str().unwrap()].map(str::to_owned);
        let mut rest = Vec::new();
        if writ == Writ::HandedOver {
            let file = site.text(&format!("writ-{name}"));
            let asked = [&["--json", "authorize", "-o", &file].map(str::to_owned)[..], &command].concat();
            json(&site.writ(&asked));
            rest = vec!["--writ".to_owned(), file];
        }
        rest.extend(command);
        Self { mark, rest }
    }

    fn over(&self, site: &Site, relay: &Relay, options: &[&str]) -> Output {
        let address = relay.address();
        let first = [&["--json", "run", "--node", &address], options].concat();
        let arguments: Vec<&str> = first.into_iter().chain(self.rest.iter().map(String::as_str)).collect();
        site.writ(&arguments)
    }

    fn again(&self, site: &Site) -> Output {
        site.writ(&[&["--json", "run"].map(str::to_owned)[..], &self.rest].concat())
    }

    fn executions(&self) -> usize {
        executions(&self.mark)
    }
}

fn relay(site: &Site, moment: Moment, deed: impl FnOnce() + Send + 'static) -> Relay {
    Relay::begin(site.home.path(), &site.path("acme/run/node.sock"), moment, deed)
}

/// What a person reads of a run whose node was lost: it was refused, and nothing ran; or it ran, and its end is not recorded.
#[track_caller]
fn told(attempt: &Attempt, ran: &Output, is_over: bool, code: &str, says: &[&str]) {
    let context = format!("{}\n{}", attempt.mark.display(), stderr(ran));
    assert_eq!(attempt.executions(), usize::from(is_over), "{context}");
    let why = if is_over {
        assert_eq!(ran.status.code(), Some(5), "{context}");
        let said = stderr(ran);
        assert!(said.contains("it ran, and its end could not be recorded") && said.contains(code), "{context}");
        said
    } else {
        assert_eq!(ran.status.code(), Some(REFUSED), "{context}");
        let refused = refusal(ran);
        assert_eq!((refused["code"].as_str(), &refused["index"]), (Some(code), &Json::Null), "{context}");
        refused["why"].as_str().unwrap().to_owned()
    };
    assert!(says.iter().any(|says| why.contains(says)), "{context}");
}

/// The node works, and what was left open is closed. How everything ended is returned.
#[track_caller]
fn works(site: &Site) -> Vec<Json> {
    let ran = site.run(&["true"]);
    assert_eq!((ran.status.code(), stderr(&ran).as_str()), (Some(0), ""));
    assert_eq!(site.status()["running"], 0);
    assert_eq!(site.left(), Vec::<u32>::new());
    site.endings()
}

/// Of commands that ended with 5.
fn ended_with_5(endings: &[Json]) -> usize {
    endings.iter().filter(|ending| ending["kind"] == "exited" && ending["status"] == 5).count()
}

#[test]
fn a_run_asks_in_one_order() {
    let mut site = Site::up();
    for writ in BOTH {
        let relay = relay(&site, Moment::Never, || {});
        let attempt = Attempt::new(&site, writ, &format!("{writ:?}"));
        let ran = attempt.over(&site, &relay, &[]);
        assert_eq!((ran.status.code(), attempt.executions()), (Some(5), 1), "{}", stderr(&ran));
        let told: Json = serde_json::from_str(&stderr(&ran)).unwrap();
        assert_eq!((&told["outcome"], &told["ended"]), (&"ran".into(), &"exited:5".into()));
        let asked = relay.end();
        assert_eq!(asked.len(), writ.last(), "{asked:?}");
        let expected = asked.iter().zip(writ.requests());
        expected.for_each(|(asked, expected)| assert!(asked.starts_with(expected), "{asked} {expected}"));
    }
    works(&site);
    site.audit();
}

#[test]
fn a_node_that_is_killed_in_any_phase_lets_nothing_run_unrecorded_or_twice() {
    std::thread::scope(|scope| {
        for writ in BOTH {
            scope.spawn(move || killed_in_each_phase(writ));
        }
    });
}

fn killed_in_each_phase(writ: Writ) {
    let mut site = Site::up();
    let moments = (1..=writ.last()).flat_map(|number| [Moment::Asked(number), Moment::Answered(number)]);
    let mut known_to_end = 0;
    for moment in moments {
        let attempt = Attempt::new(&site, writ, &format!("{moment:?}"));
        let node = site.node.clone();
        let relay = relay(&site, moment, move || node.kill());
        let ran = attempt.over(&site, &relay, &[]);
        relay.end();
        let is_over = matches!(moment, Moment::Asked(number) | Moment::Answered(number) if number == writ.last());
        told(&attempt, &ran, is_over, "authority_unreachable", &["closed before its answer was whole"]);
        assert_eq!(site.left(), Vec::<u32>::new(), "{moment:?}");
        site.start();
        if writ == Writ::HandedOver {
            let again = attempt.again(&site);
            if writ.is_spent_at(moment) {
                let refused = refusal(&again);
                assert!(refused["code"] == "replayed" && refused["index"].is_u64(), "{moment:?}: {refused}");
                assert_eq!(attempt.executions(), usize::from(is_over), "{moment:?}");
            } else {
                assert_eq!((again.status.code(), attempt.executions()), (Some(5), 1), "{moment:?}: {}", stderr(&again));
                known_to_end += 1;
            }
        }
        // The last answer was lost, and what it was the answer to is recorded.
        known_to_end += usize::from(moment == Moment::Answered(writ.last()));
        assert_eq!(ended_with_5(&works(&site)), known_to_end, "{moment:?}");
    }
    site.audit();
}

#[test]
fn a_node_that_stops_answering_in_any_phase_is_not_waited_for() {
    std::thread::scope(|scope| {
        for writ in BOTH {
            for number in 1..=writ.last() {
                scope.spawn(move || stopped_at(writ, number));
            }
        }
    });
}

fn stopped_at(writ: Writ, number: usize) {
    let mut site = Site::up();
    let attempt = Attempt::new(&site, writ, "stopped");
    let node = site.node.clone();
    let relay = relay(&site, Moment::Asked(number), move || node.signal("-STOP"));
    let begun = Instant::now();
    let ran = attempt.over(&site, &relay, &["--timeout", "1"]);
    assert!(begun.elapsed() < PATIENCE / 2, "{writ:?} {number}: {:?}", begun.elapsed());
    told(&attempt, &ran, number == writ.last(), "authority_unreachable", &["did not answer within 1s"]);
    assert_eq!(site.left(), Vec::<u32>::new(), "{writ:?} {number}");
    // It goes on, and does what it had been asked, for a run that is gone.
    site.signal_node("-CONT");
    relay.end();
    works(&site);
    assert_eq!(attempt.executions(), usize::from(number == writ.last()), "{writ:?} {number}");
    if writ == Writ::HandedOver {
        let again = attempt.again(&site);
        let is_spent = writ.is_spent_at(Moment::Answered(number));
        assert_eq!(again.status.code(), Some(if is_spent { REFUSED } else { 5 }), "{number}: {}", stderr(&again));
        assert!(!is_spent || refusal(&again)["code"] == "replayed", "{number}: {}", stderr(&again));
        assert_eq!(attempt.executions(), usize::from(!is_spent || number == writ.last()), "{number}");
    }
    site.audit();
}

/// Somebody else's process with a socket, which writes down what it is told.
struct Impostor {
    child: Child,
    socket: PathBuf,
    heard: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _folder: tempfile::TempDir,
}

impl Impostor {
    const PROGRAM: &str = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n\
                           print('ready',flush=True)\n\
                           while True:\n c=s.accept()[0]\n print(repr(c.recv(100)),flush=True)\n";

    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let socket = folder.path().join("node.sock");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", Self::PROGRAM]).arg(&socket).uid(NOBODY).gid(NOBODY).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut heard = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(heard.next().unwrap().unwrap(), "ready");
        Self { child, socket, heard, _folder: folder }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_socket_that_another_user_puts_there_between_two_requests_is_told_nothing() {
    needs_root();
    let mut site = Site::up();
    for writ in BOTH {
        for number in 1..writ.last() {
            let mut impostor = Impostor::begin();
            let attempt = Attempt::new(&site, writ, &format!("{writ:?}-{number}"));
            let theirs = impostor.socket.clone();
            let ours = site.path("relay.sock");
            let relay = relay(&site, Moment::Told(number), move || fs::rename(theirs, ours).unwrap());
            let ran = attempt.over(&site, &relay, &[]);
            let is_over = number + 1 == writ.last();
            told(&attempt, &ran, is_over, "unknown_authority", &["find out who put it there"]);
            assert_eq!(relay.end().len(), number);
            assert_eq!(impostor.heard.next().unwrap().unwrap(), "b''");
            works(&site);
        }
    }
    site.audit();
}

#[test]
fn a_node_that_takes_the_socket_of_another_one_does_not_get_its_ledger() {
    let mut site = Site::up();
    let attempt = Attempt::new(&site, Writ::Own, "second");
    // The same domain again, elsewhere: the ledger has one writer.
    let second = site.writ(&["up", "--socket", &site.text("second.sock")]);
    assert_eq!(second.status.code(), Some(3), "{}", stderr(&second));
    assert!(!Path::new(&site.text("second.sock")).exists(), "{}", stderr(&second));
    // And in the same place: the first one goes on.
    let second = site.writ(&["up"]);
    assert_eq!(second.status.code(), Some(3), "{}", stderr(&second));
    assert!(stderr(&second).starts_with("writ: "), "{}", stderr(&second));
    assert_eq!((attempt.again(&site).status.code(), attempt.executions()), (Some(5), 1));
    wait("the node to be alone", || site.left().is_empty());
    site.audit();
}
