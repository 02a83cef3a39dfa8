//! Callers who take more than their share: of connections, of tries, of what may be read, of places for those who wait.

use crate::ledger::Kept;
use crate::wire::{NEVER, PATIENT, Served, Wire, serve};
use std::net::SocketAddr;
use std::time::Duration;
use writ_protocol::Code;
use writ_server::{NodeLimits, Rate};

/// So many, and never one more.
const fn only(burst: u64) -> Rate {
    Rate { per_second: 0, burst }
}

fn node(limits: NodeLimits) -> (Kept, Served) {
    let kept = Kept::with_entries(0);
    let served = serve(&kept, limits);
    (kept, served)
}

/// A connection from another loopback address: another crowd.
fn from_elsewhere(address: SocketAddr) -> Wire {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(NEVER)).unwrap();
    Wire::over(stream)
}

#[test]
fn who_fails_too_often_is_refused_unread_and_others_go_on() {
    let (_kept, served) = node(NodeLimits { tries_each: only(3), ..PATIENT });
    let (mut known, mut stranger) = (served.remote(), served.remote());
    assert_eq!(known.post("/v1/known", "{}").status, 200);
    for _ in 0..3 {
        stranger.post("/v1/stranger", "{}").refuses(401, "unauthenticated");
    }
    let refused = stranger.post("/v1/known", "{}");
    refused.refuses(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Nothing of what is sent is waited for.
    let mut announcing = stranger;
    announcing.begin_post("/v1/large", 1_000_000);
    announcing.hear("POST").refuses(429, "rate_limited");
    // A new connection of the same crowd gets no place; one that is known goes on; and others are others.
    assert_eq!(served.remote().rest(), b"");
    assert_eq!(known.post("/v1/known", "{}").status, 200);
    assert_eq!(from_elsewhere(served.address).post("/v1/known", "{}").status, 200);
    assert_eq!(served.local().post("/v1/known", "{}").status, 200);
    // It was told once, and counted each time; what the handler refused, whoever answers it counts.
    assert_eq!(served.turned_away(Code::RateLimited), 3);
    assert_eq!(served.counted("writ_refusals_total{code=\"rate_limited\"}"), 2);
    let lines = served.lines.clone();
    served.end().unwrap();
    assert_eq!(lines.text().matches("\"event\":\"strangers\"").count(), 1);
    assert!(!lines.text().contains("rate_limited"), "a flood must not fill the log");
}

#[test]
fn who_is_known_and_then_fails_has_to_be_known_again() {
    let (_kept, served) = node(NodeLimits { tries_each: only(1), ..PATIENT });
    let mut wire = served.remote();
    wire.post("/v1/known", "{}");
    wire.post("/v1/stranger", "{}").refuses(401, "unauthenticated");
    wire.post("/v1/known", "{}").refuses(429, "rate_limited");
}

#[test]
fn tries_come_back_with_time() {
    let (_kept, served) = node(NodeLimits { tries_each: Rate { per_second: 20, burst: 1 }, ..PATIENT });
    let mut wire = served.remote();
    wire.post("/v1/stranger", "{}").refuses(401, "unauthenticated");
    while wire.post("/v1/known", "{}").status == 429 {}
}

#[test]
fn what_anybody_may_read_is_read_so_often() {
    let (_kept, served) = node(NodeLimits { reads_each: only(2), ..PATIENT });
    let mut wire = served.remote();
    for path in ["/v1/peer", "/checkpoint"] {
        assert_eq!(wire.ask("GET", path).status, 200);
    }
    for path in ["/v1/peer", "/checkpoint", "/metrics", "/v1/none"] {
        wire.ask("HEAD", path);
        assert_eq!(wire.ask("GET", path).status, 429, "{path}");
    }
    wire.ask("GET", "/v1/peer").refuses(429, "rate_limited");
    // Whoever watches over the node is never refused, and asking for a writ is something else.
    assert_eq!(wire.ask("GET", "/healthz").status, 200);
    assert_eq!(wire.post("/v1/known", "{}").status, 200);
    assert_eq!(served.local().ask("GET", "/v1/peer").status, 200);
}

#[test]
fn so_many_may_follow() {
    let (_kept, served) = node(NodeLimits { followers_max: 3, followers_each_max: 2, ..PATIENT });
    let follow = |mut wire: Wire| {
        wire.say("GET /v1/feed HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let line = wire.line();
        (wire, line)
    };
    let (first, second) = (follow(served.remote()), follow(served.remote()));
    assert_eq!((first.1.as_str(), second.1.as_str()), ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK"));
    served.remote().ask("GET", "/v1/feed").refuses(429, "rate_limited");
    let third = follow(from_elsewhere(served.address));
    assert_eq!(third.1, "HTTP/1.1 200 OK");
    from_elsewhere(served.address).ask("GET", "/v1/feed").refuses(429, "rate_limited");
    assert_eq!(follow(served.local()).1, "HTTP/1.1 200 OK", "this machine has places of its own");
    assert_eq!(served.turned_away(Code::RateLimited), 2);
    drop(first);
    while !follow(served.remote()).1.contains("200") {}
}

#[test]
fn one_user_cannot_take_all_connections() {
    let (_kept, served) = node(NodeLimits { connections_each_max: 2, ..PATIENT });
    let (mut first, mut second) = (served.local(), served.local());
    assert_eq!(first.ask("GET", "/page").status, 200);
    assert_eq!(second.ask("GET", "/page").status, 200);
    assert_eq!(served.local().rest(), b"");
    assert_eq!(served.turned_away(Code::RateLimited), 1);
    // Another crowd has places of its own.
    assert_eq!(served.remote().ask("GET", "/page").status, 200);
    drop(first);
    let page = second.ask("GET", "/metrics").text();
    assert!(page.contains("writ_connections_turned_away_total 1\n"), "{page}");
    let answered = || {
        Wire::local(&served.socket)
            .is_ok_and(|mut wire| wire.try_say("GET /page HTTP/1.0\r\n\r\n").is_ok() && !wire.rest().is_empty())
    };
    while !answered() {}
}

#[test]
fn connections_that_say_nothing_give_way_to_others_of_the_same_user() {
    let (_kept, served) = node(NodeLimits { connections_each_max: 2, ..PATIENT });
    let (mut silent, mut slow) = (served.remote(), served.remote());
    slow.say("POST /v1/known HTTP/1.1\r\nHost: loc");
    let mut third = served.remote();
    assert_eq!(third.post("/v1/known", "{}").status, 200);
    assert_eq!(silent.rest(), b"");
    let mut fourth = served.remote();
    assert_eq!(fourth.ask("GET", "/page").status, 200);
    assert_eq!(slow.rest(), b"");
    // Both have been of use, so neither goes.
    assert_eq!(served.remote().rest(), b"");
    assert_eq!(third.post("/v1/known", "{}").status, 200);
}

#[test]
fn connections_beyond_the_limit_of_one_listener_wait_where_nobody_is_a_stranger() {
    let (_kept, served) = node(NodeLimits { connections_max: 1, ..PATIENT });
    let mut first = served.remote();
    assert_eq!(first.post("/v1/known", "{}").status, 200);
    first.begin_post("/v1/gate", 2);
    first.say("{}");
    served.at_gate.recv().unwrap();
    let mut waiting = served.remote();
    waiting.say("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(served.local().ask("GET", "/page").status, 200);
    served.gate.add_permits(1);
    assert_eq!(first.hear("POST").text(), "passed");
    drop(first);
    assert_eq!(waiting.hear("GET").status, 200);
}

#[test]
fn strangers_who_take_every_place_give_way_and_whoever_is_known_stays() {
    let (_kept, served) = node(NodeLimits { connections_max: 3, ..PATIENT });
    let mut known = served.remote();
    assert_eq!(known.post("/v1/known", "{}").status, 200);
    let (mut first, mut second) = (from_elsewhere(served.address), from_elsewhere(served.address));
    assert_eq!(first.ask("GET", "/page").status, 200);
    second.say("GET /pa");
    let mut newcomer = served.remote();
    assert_eq!(newcomer.post("/v1/known", "{}").status, 200);
    assert_eq!(first.rest(), b"", "the oldest of the largest crowd");
    assert_eq!(served.remote().post("/v1/known", "{}").status, 200);
    assert_eq!(second.rest(), b"");
    assert_eq!(known.post("/v1/known", "{}").status, 200);
    assert_eq!(newcomer.post("/v1/known", "{}").status, 200);
}

#[test]
fn half_a_request_is_counted_for_the_record_and_a_look_whether_somebody_listens_is_not() {
    let limits = NodeLimits { head_timeout: Duration::from_millis(50), ..PATIENT };
    let (_kept, served) = node(limits);
    drop(served.remote());
    let mut slow = served.remote();
    slow.say("POST /v1/known HTTP/1.1\r\nHost: loc");
    assert_eq!(slow.rest(), b"");
    // Its place is given back a moment after it was closed.
    while served.turned_away(Code::Malformed) == 0 {
        std::thread::yield_now();
    }
    served.local().ask("GET", "/healthz");
    assert_eq!(served.turned_away(Code::Malformed), 1);
}

#[test]
fn what_the_transport_refuses_is_counted_for_the_record() {
    let (_kept, served) = node(PATIENT);
    served.remote().ask("GET", "/v1/none").refuses(404, "malformed");
    let mut large = served.remote();
    large.begin_post("/v1/echo", 1 << 20);
    large.hear("POST").refuses(413, "malformed");
    assert_eq!(served.turned_away(Code::Malformed), 2);
}
