//! The server on a real socket with a real ledger, and clients that behave and that do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "log/ledger.rs"]
mod ledger;
#[path = "log/wire.rs"]
mod wire;

use ledger::{Kept, append};
use std::collections::BTreeSet;
use wire::{PATIENT, Reply, SHORT, Wire, serve};
use writ_ledger::LedgerError;
use writ_server::{Limits, ServeError};
use writ_tlog::{Resource, TILE_WIDTH, TileId, TreeSize, decode_bundle, decode_tile, leaf_hash, tile_width};

/// With their seals, these fill one tile and begin another.
const ENTRIES: u64 = 300;

fn found(reply: &Reply, content_type: &str, caching: &str) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some(content_type));
    assert_eq!(reply.header("cache-control"), Some(caching));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

/// Every resource that a tree of this size has: every width of every tile, of hashes and of entries.
fn resources(size: TreeSize) -> Vec<Resource> {
    let mut resources = Vec::new();
    for (level, index) in (0..3).flat_map(|level| (0..3).map(move |index| (level, index))) {
        for width in 1..=tile_width(size, level, index).unwrap_or(0) {
            resources.push(Resource::Tile(TileId { level, index, width }));
            if level == 0 {
                resources.push(Resource::Entries { index, width });
            }
        }
    }
    resources
}

// What is there.

#[test]
fn the_checkpoint_is_served_and_asked_for_again() {
    let kept = Kept::with_entries(1);
    let served = serve(kept.store(), PATIENT);
    let reply = served.get("/checkpoint");
    found(&reply, "text/plain; charset=utf-8", "no-cache");
    assert_eq!(reply.body, kept.reader().checkpoint().unwrap().1);
}

#[test]
fn every_width_of_every_published_tile_is_served_for_good() {
    let kept = Kept::with_entries(ENTRIES);
    let served = serve(kept.store(), PATIENT);
    let (size, _) = kept.reader().checkpoint().unwrap();
    let resources = resources(size);
    assert!(resources.contains(&Resource::Tile(TileId { level: 0, index: 0, width: TILE_WIDTH })));
    assert!(resources.contains(&Resource::Tile(TileId { level: 1, index: 0, width: 1 })));
    assert!(resources.len() > 2 * 300);
    let mut wire = served.connect();
    for resource in resources {
        let reply = wire.ask("GET", &format!("/{resource}"));
        found(&reply, "application/octet-stream", "max-age=31536000, immutable");
        match resource {
            Resource::Tile(id) => assert_eq!(reply.body.len(), 32 * usize::from(id.width)),
            Resource::Entries { index, width } => {
                let tile = wire.ask("GET", &format!("/{}", Resource::Tile(TileId { level: 0, index, width })));
                let entries = decode_bundle(&reply.body, width).unwrap();
                let hashes: Vec<_> = entries.into_iter().map(leaf_hash).collect();
                assert_eq!(hashes, decode_tile(&tile.body, width).unwrap(), "{resource}");
            }
            Resource::Checkpoint => panic!("the checkpoint is no tile"),
        }
    }
}

#[test]
fn many_clients_at_once_get_the_same() {
    let kept = Kept::with_entries(20);
    let served = serve(kept.store(), PATIENT);
    let alone = served.get("/tile/entries/000.p/20");
    let address = served.address;
    let get = || Wire::to(address).unwrap().ask("GET", "/tile/entries/000.p/20").body;
    let ask = || (0..20).map(|_| get()).collect::<BTreeSet<_>>();
    let bodies: BTreeSet<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(bodies, BTreeSet::from([alone.body]));
}

#[test]
fn what_is_appended_meanwhile_is_served() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    served.get("/tile/0/000.p/4").refuses(404);
    let ledger = kept.open();
    let receipt = append(&ledger, 1);
    assert_eq!(served.get("/checkpoint").body, receipt.checkpoint.note_bytes());
    assert_eq!(served.get("/tile/0/000.p/4").status, 200);
}

#[test]
fn a_request_may_name_the_server_in_its_target() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    assert_eq!(served.get("http://ledger.example/checkpoint").status, 200);
}

// What is not.

#[test]
fn what_is_not_published_is_not_found() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    for path in [
        "tile/0/000",
        "tile/0/000.p/3",
        "tile/0/001.p/1",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/1/000.p/1",
        "tile/63/000.p/1",
        "tile/entries/000",
        "tile/entries/000.p/3",
        "tile/entries/001.p/1",
        "tile/entries/x018/x446/x744/x073/x709/x551/615",
    ] {
        served.get(&format!("/{path}")).refuses(404);
    }
}

#[test]
fn a_path_that_is_no_resource_is_refused() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    let long = "0".repeat(5000);
    for path in [
        "",
        "checkpoint/",
        "/checkpoint",
        "CHECKPOINT",
        "checkpoint?",
        "checkpoint?now",
        "./checkpoint",
        "../checkpoint",
        "tile/../checkpoint",
        "tile/../../store.db",
        "tile/0/../../store.db",
        "%2e%2e/checkpoint",
        "..%2fcheckpoint",
        "%63heckpoint",
        "checkpoint%00",
        "tile\\0\\000",
        "store.db",
        "etc/passwd",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/02",
        "tile/0/000.p/256",
        "tile/0/000.p/2/",
        "tile/0/000.p/2?",
        "tile/entries/../../store.db",
        "tile/entries/x018/x446/x744/x073/x709/x551/616",
        long.as_str(),
    ] {
        served.get(&format!("/{path}")).refuses(400);
    }
}

#[test]
fn other_methods_are_refused_whatever_they_ask() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    for (method, target) in [
        ("POST", "/checkpoint"),
        ("PUT", "/checkpoint"),
        ("PATCH", "/tile/0/000.p/2"),
        ("DELETE", "/tile/0/000.p/2"),
        ("TRACE", "/nothing"),
        ("OPTIONS", "*"),
        ("CONNECT", "ledger.example:80"),
        ("get", "/checkpoint"),
    ] {
        let reply = served.ask(method, target);
        reply.refuses(405);
        assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn a_request_with_a_body_is_refused_and_its_connection_closed() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        let mut wire = served.connect();
        wire.say(&format!("GET /checkpoint HTTP/1.1\r\nHost: ledger\r\n{body}"));
        wire.hear("GET").refuses(413);
        assert_eq!(wire.rest(), b"");
    }
    let mut wire = served.connect();
    wire.say("GET /checkpoint HTTP/1.1\r\nHost: ledger\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.hear("GET").status, 200);
}

#[test]
fn head_says_the_same_without_the_body() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    let mut wire = served.connect();
    for target in ["/checkpoint", "/tile/0/000.p/2", "/tile/entries/000.p/2", "/tile/0/001", "/no", "/checkpoint?"] {
        let get = wire.ask("GET", target);
        let head = wire.ask("HEAD", target);
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()));
        let names = ["content-length", "content-type", "cache-control", "x-content-type-options"];
        assert_eq!(names.map(|name| head.header(name)), names.map(|name| get.header(name)), "{target}");
        assert!(head.body.is_empty());
    }
}

// What goes wrong.

#[test]
fn a_store_that_fails_is_told_to_the_operator_only_and_tried_again() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    // Answered once, it has begun: a store that fails before is another test.
    assert_eq!(served.get("/checkpoint").status, 200);
    let aside = rusqlite::Connection::open(kept.store()).unwrap();
    aside.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM checkpoint; DELETE FROM checkpoint").unwrap();
    let reply = served.get("/checkpoint");
    reply.refuses(503);
    assert_eq!(reply.body, b"the ledger cannot be read now; try again later\n");
    let report = served.reports.recv().unwrap();
    assert!(
        report.starts_with("checkpoint could not be served: ") && report.contains("there is no checkpoint"),
        "{report}"
    );
    aside.execute_batch("INSERT INTO checkpoint SELECT * FROM kept").unwrap();
    assert_eq!(served.get("/checkpoint").status, 200);
}

#[test]
fn without_a_store_nothing_is_served() {
    let served = serve(std::path::Path::new("nowhere/store.db"), PATIENT);
    let ended = served.end();
    assert!(matches!(ended, Err(ServeError::Store(LedgerError::NoStore(_)))), "{ended:?}");
}

// Clients that do not behave.

#[test]
fn a_head_that_is_too_long_is_refused() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    let one_long = format!("Long: {}\r\n", "a".repeat(32 * 1024));
    let many = "Short: a\r\n".repeat(100);
    for headers in [one_long, many] {
        let mut wire = served.connect();
        wire.say(&format!("GET /checkpoint HTTP/1.1\r\n{headers}\r\n"));
        assert!(wire.rest().starts_with(b"HTTP/1.1 431 "));
    }
    assert_eq!(served.get("/checkpoint").status, 200);
}

#[test]
fn what_is_no_http_is_refused() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), PATIENT);
    for nonsense in ["\u{16}\u{3}\u{1}nonsense\r\n\r\n", "GET /checkpoint\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n"] {
        let mut wire = served.connect();
        wire.say(nonsense);
        let rest = wire.rest();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn a_client_that_does_not_finish_its_head_is_cut_off() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), Limits { head_timeout: SHORT, ..PATIENT });
    for begun in ["", "GET /checkp", "GET /checkpoint HTTP/1.1\r\nHost: ledger\r\n"] {
        let mut wire = served.connect();
        wire.say(begun);
        assert_eq!(wire.rest(), b"", "{begun:?}");
    }
}

#[test]
fn a_kept_connection_without_a_next_request_is_closed() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), Limits { head_timeout: SHORT, ..PATIENT });
    let mut wire = served.connect();
    assert_eq!(wire.ask("GET", "/checkpoint").status, 200);
    assert_eq!(wire.rest(), b"");
}

#[test]
fn a_client_that_asks_and_does_not_read_is_cut_off() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), Limits { stall_timeout: SHORT, ..PATIENT });
    let mut wire = served.connect();
    let asks = "GET /checkpoint HTTP/1.1\r\nHost: ledger\r\n\r\n".repeat(100);
    // Both directions fill up; then the server waits for the client, and the client for the server.
    let error = loop {
        if let Err(error) = wire.try_say(&asks) {
            break error;
        }
    };
    assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server waited as long as the client");
}

#[test]
fn connections_beyond_the_limit_wait_for_one_to_end() {
    let kept = Kept::with_entries(0);
    let served = serve(kept.store(), Limits { connections_max: 2, ..PATIENT });
    let (mut first, mut second) = (served.connect(), served.connect());
    assert_eq!(first.ask("GET", "/checkpoint").status, 200);
    assert_eq!(second.ask("GET", "/checkpoint").status, 200);
    let mut third = served.connect();
    third.say("GET /checkpoint HTTP/1.1\r\nHost: ledger\r\n\r\n");
    for _ in 0..50 {
        assert_eq!(first.ask("GET", "/tile/0/000.p/2").status, 200);
        assert_eq!(second.ask("GET", "/tile/0/000.p/2").status, 200);
        assert!(!third.has_answer());
    }
    drop(first);
    assert_eq!(third.hear("GET").status, 200);
    assert_eq!(second.ask("GET", "/checkpoint").status, 200);
}

// The end.

#[test]
fn the_server_stops_while_a_kept_connection_is_idle() {
    let kept = Kept::with_entries(0);
    let mut served = serve(kept.store(), PATIENT);
    let mut idle = served.connect();
    assert_eq!(idle.ask("GET", "/checkpoint").status, 200);
    let address = served.address;
    served.tell_to_stop();
    assert_eq!(idle.rest(), b"");
    served.end().unwrap();
    assert!(Wire::to(address).is_err());
}

#[test]
fn clients_that_do_not_finish_cannot_keep_the_server_from_stopping() {
    let kept = Kept::with_entries(0);
    let mut served = serve(kept.store(), Limits { drain_timeout: SHORT, ..PATIENT });
    let (mut silent, mut slow) = (served.connect(), served.connect());
    slow.say("GET /checkpoint HTTP/1.1\r\n");
    // Accepted in order: once the third is answered, the others are connections of the server.
    assert_eq!(served.get("/checkpoint").status, 200);
    served.tell_to_stop();
    assert_eq!(silent.rest(), b"");
    assert_eq!(slow.rest(), b"");
    served.end().unwrap();
}

#[test]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let kept = Kept::with_entries(0);
    let mut served = serve(kept.store(), PATIENT);
    let mut wire = served.connect();
    wire.say("GET /checkpoint HTTP/1.1\r\nHost: ");
    assert_eq!(served.get("/checkpoint").status, 200);
    served.tell_to_stop();
    while Wire::to(served.address).is_ok() {}
    wire.say("ledger\r\n\r\n");
    let reply = wire.hear("GET");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(wire.rest(), b"");
    served.end().unwrap();
}
