//! What goes wrong in one domain while the node runs, and the other goes on.

use crate::pair::{Pair, Side, domain};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use writ_client::Answer;
use writ_protocol::{Code, Name};
use writ_testing::fault_disk::{Fault, FaultDisk, WriteFailure};
use writ_testing::governed::Place;

fn ask(side: &Side) -> Answer {
    side.client().authorize(&side.signed("builder", &side.domain.asked_to_build())).unwrap()
}

#[track_caller]
fn permits(side: &Side) {
    let answer = ask(side);
    assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
}

#[test]
fn a_disk_that_is_full_under_one_domain_stops_that_one_alone() {
    let (mut a, b) = (domain("writ.example/a"), domain("writ.example/b"));
    a.close();
    let disk = FaultDisk::mount(&a.home().join("backing"), &a.home().join("disk"));
    let place = Place::new(disk.mountpoint().join("ledger.db"), a.home().join("mark"));
    // What was committed last is in the log beside the store.
    for end in ["", "-wal"] {
        let of = |store: &std::path::Path| format!("{}{end}", store.display());
        std::fs::copy(of(&a.place.store), of(&place.store)).unwrap();
    }
    a.place = place;
    let pair = Pair::over([a, b], [&[], &[]], |clock| Arc::new(move || clock.now_ms()));
    permits(&pair.a);
    disk.fail(Fault::FromWrite { nth: 1, failure: WriteFailure::NoSpace });
    for _ in 0..3 {
        let Answer::Refused(refused) = ask(&pair.a) else { panic!("nothing can be recorded") };
        assert_eq!(refused.code, Code::LedgerUnavailable, "{}", refused.why);
        permits(&pair.b);
    }
    disk.heal();
    permits(&pair.a);
    permits(&pair.b);
    // Then it fails for good: A stops recording, says so, and B still goes on.
    disk.fail(Fault::SyncError { nth: 1 });
    assert!(matches!(ask(&pair.a), Answer::Refused(_)));
    assert_eq!(pair.a.asked("/readyz").0, 503);
    assert_eq!(pair.b.asked("/readyz").0, 200);
    let (status, why) = pair.asked("localhost", "/readyz");
    assert_eq!(status, 503, "one of them cannot record");
    assert!(!String::from_utf8(why).unwrap().contains("writ.example"));
    assert_eq!(pair.asked("localhost", "/healthz").0, 200, "the process lives");
    permits(&pair.b);
    disk.heal();
    pair.end();
}

/// A clock that waits, as a disk that hangs would, while it is held.
#[derive(Default)]
struct Stuck {
    is_held: Mutex<bool>,
    freed: Condvar,
}

impl Stuck {
    fn hold(&self, is_held: bool) {
        *self.is_held.lock().unwrap() = is_held;
        self.freed.notify_all();
    }

    fn pass(&self) {
        let held = self.is_held.lock().unwrap();
        drop(self.freed.wait_while(held, |held| *held).unwrap());
    }
}

#[test]
fn a_domain_that_hangs_holds_up_no_other() {
    let stuck = Arc::new(Stuck::default());
    let pair = Pair::over([domain("writ.example/a"), domain("writ.example/b")], [&[], &[]], |clock| {
        let stuck = stuck.clone();
        Arc::new(move || {
            stuck.pass();
            clock.now_ms()
        })
    });
    permits(&pair.a);
    stuck.hold(true);
    let (client, asked) = (pair.a.client(), pair.a.signed("builder", &pair.a.domain.asked_to_build()));
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || tell.send(client.authorize(&asked).unwrap()).unwrap());
    for _ in 0..3 {
        permits(&pair.b);
        assert_eq!(pair.b.asked("/v1/status").0, 200);
    }
    assert_eq!(pair.asked("localhost", "/healthz").0, 200);
    assert!(told.recv_timeout(Duration::ZERO).is_err(), "A is still held");
    stuck.hold(false);
    let answer = told.recv().unwrap();
    assert!(matches!(answer, Answer::Permit(_)), "{answer:?}");
    waiting.join().unwrap();
    pair.end();
}

#[test]
fn lines_of_the_log_say_whose_they_are() {
    let pair = Pair::new();
    permits(&pair.a);
    permits(&pair.b);
    let gateway: Name = pair.a.domain.domain.gateway_name(0);
    assert_eq!(pair.b.asked(&format!("/v1/gateways/{gateway}")).0, 200);
    assert_eq!(pair.asked("c.example", "/v1/status").0, 421);
    let lines = pair.end();
    let of = |route: &str| {
        let text = lines.text();
        let found = text.lines().filter(|line| line.contains(&format!("\"route\":\"{route}\"")));
        let whose = found.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["ledger"].clone());
        whose.collect::<Vec<_>>()
    };
    assert_eq!(of("/v1/authorize"), ["a", "b"]);
    assert_eq!(of("/v1/gateways/{*name}"), ["b"]);
    assert_eq!(of("other"), [serde_json::Value::Null], "nobody's");
}
