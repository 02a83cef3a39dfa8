//! A node on real sockets with a real ledger, and clients that behave and that do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "node/floods.rs"]
mod floods;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "log/ledger.rs"]
mod ledger;
#[path = "node/several.rs"]
mod several;
#[path = "node/wire.rs"]
mod wire;

use ledger::Kept;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
use rustls::pki_types::pem::PemObject;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use wire::{NEVER, PATIENT, SHORT, Served, Wire, plain, serve, serve_with};
use writ_server::{NodeLimits, ServeError, TlsConfig};

fn node(limits: NodeLimits) -> (Kept, Served) {
    let kept = Kept::with_entries(0);
    let served = serve(&kept, limits);
    (kept, served)
}

// What is answered.

#[test]
fn ledger_and_operations_are_served_on_both_listeners() {
    let (kept, served) = node(PATIENT);
    for mut wire in [served.local(), served.remote()] {
        assert_eq!(wire.ask("GET", "/checkpoint").body, kept.reader().checkpoint().unwrap().1);
        assert_eq!(wire.ask("GET", "/tile/0/000.p/2").status, 200);
        let echoed = wire.post("/v1/echo", "{\"a\":1}");
        assert_eq!((echoed.status, echoed.text().as_str()), (200, "{\"a\":1}"));
        assert_eq!(echoed.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(wire.ask("GET", "/v1/gateways/edge/1:a@b").text(), "edge/1:a@b");
        assert_eq!(wire.ask("GET", "/healthz").text(), "alive\n");
        let ready = wire.ask("GET", "/readyz");
        assert_eq!((ready.status, ready.text().as_str()), (503, "not ready: ledger_unavailable: not yet\n"));
    }
}

#[test]
fn the_system_says_who_asks() {
    let (_kept, served) = node(PATIENT);
    let own = std::fs::metadata("/proc/self").unwrap();
    let (uid, gid) = (own.uid(), own.gid());
    let own = format!("local {uid} {gid} Some({}) ", std::process::id());
    assert!(served.local().ask("GET", "/v1/peer").text().starts_with(&own));
    assert_eq!(served.remote().ask("GET", "/v1/peer").text(), "remote tls=false");
}

#[test]
fn head_says_the_same_without_the_body() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    for target in ["/checkpoint", "/v1/peer", "/page", "/healthz", "/v1/none", "/v1/echo"] {
        let (get, head) = (wire.ask("GET", target), wire.ask("HEAD", target));
        assert_eq!(head.status, get.status, "{target}");
        for name in ["content-length", "content-type", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{target} {name}");
        }
    }
    // Of a stream there is only the head, and the connection goes on.
    assert_eq!(wire.ask("HEAD", "/v1/feed").header("content-type"), Some("text/event-stream"));
    assert_eq!(wire.ask("GET", "/page").text(), "a page\n");
}

#[test]
fn requests_and_refusals_are_counted_and_logged_without_what_a_terminal_must_not_see() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    wire.post("/v1/refuse", "{}").refuses(403, "halted");
    wire.ask("GET", "/v1/none");
    assert_eq!(served.counted("writ_refusals_total{code=\"halted\"}"), 1);
    assert_eq!(served.counted("writ_requests_total{route=\"/v1/refuse\",status=\"403\"}"), 1);
    assert_eq!(served.counted("writ_requests_total{route=\"other\",status=\"404\"}"), 1);
    assert_eq!(served.counted("writ_received_bytes_total"), 2);
    let lines = served.lines.clone();
    served.end().unwrap();
    let text = lines.text();
    let line = text.lines().find(|line| line.contains("/v1/refuse")).unwrap();
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&value["status"], &value["code"]), (&403.into(), &"halted".into()));
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(value["peer"], format!("uid:{uid}/pid:{}", std::process::id()));
    assert!(value["request"].is_u64() && value["us"].is_u64(), "{line}");
    assert!(!text.contains('\u{1b}'));
}

// What is refused.

#[test]
fn paths_and_methods_that_are_not_there_are_refused_each_in_its_way() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.remote();
    for path in ["/v1", "/v1/", "/v1/none", "/v1/echo/", "/v1/../page"] {
        wire.ask("GET", path).refuses(404, "malformed");
    }
    let plain = wire.ask("GET", "/none");
    assert_eq!((plain.status, plain.text().as_str()), (404, "there is no such path\n"));
    for (method, path, allowed) in [
        ("GET", "/v1/echo", "POST"),
        ("DELETE", "/v1/peer", "GET, HEAD"),
        ("OPTIONS", "/v1/echo", "POST"),
        ("PUT", "/checkpoint", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
    ] {
        let heard = wire.ask(method, path);
        assert_eq!((heard.status, heard.header("allow")), (405, Some(allowed)), "{method} {path}");
    }
    assert_eq!(wire.ask("GET", "/page").status, 200);
}

#[test]
fn a_page_in_a_browser_cannot_ask_under_its_own_name() {
    let (_kept, served) = node(PATIENT);
    for head in
        ["GET /v1/peer HTTP/1.1\r\nHost: evil.example", "GET http://evil.example/v1/peer HTTP/1.1\r\nHost: localhost"]
    {
        let mut wire = served.remote();
        wire.say(&format!("{head}\r\n\r\n"));
        wire.hear("GET").refuses(421, "malformed");
    }
    let mut wire = served.remote();
    wire.say("GET /v1/peer HTTP/1.0\r\n\r\n");
    wire.hear("GET").refuses(421, "malformed");
    // What everybody may read has any name, and a local socket has none.
    let mut wire = served.remote();
    wire.say("GET /checkpoint HTTP/1.1\r\nHost: ledger.example\r\n\r\n");
    assert_eq!(wire.hear("GET").status, 200);
    let mut wire = served.local();
    wire.say("GET /v1/peer HTTP/1.1\r\nHost: any\r\n\r\n");
    assert_eq!(wire.hear("GET").status, 200);
}

#[test]
fn bodies_are_refused_by_size_and_type() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    wire.begin_post("/v1/echo", 64 * 1024 + 1);
    wire.hear("POST").refuses(413, "malformed");
    assert_eq!(wire.rest(), b"");
    let chunked = "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut wire = served.local();
    wire.say(&format!("{chunked}10001\r\n{}\r\n0\r\n\r\n", "a".repeat(0x10001)));
    wire.hear("POST").refuses(413, "malformed");
    let large = format!("\"{}\"", "a".repeat(8 * 1024 * 1024 - 2));
    assert_eq!(served.local().post("/v1/large", &large).text(), "8388608");
    for kind in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", ""] {
        let mut wire = served.remote();
        wire.say(&format!("POST /v1/echo HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: 2\r\n\r\n{{}}"));
        wire.hear("POST").refuses(415, "malformed");
    }
    let mut wire = served.remote();
    wire.say("GET /v1/peer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}");
    wire.hear("GET").refuses(413, "malformed");
}

#[test]
fn json_with_two_readings_is_refused() {
    let (_kept, served) = node(PATIENT);
    for body in ["{\"a\":1,\"a\":2}", "{\"a\":1.5}", "[]", "{} {}", ""] {
        served.local().post("/v1/echo", body).refuses(400, "malformed");
    }
    assert_eq!(served.counted("writ_refusals_total{code=\"malformed\"}"), 5);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let (_kept, served) = node(PATIENT);
    for headers in [format!("Long: {}\r\n", "a".repeat(32 * 1024)), "Short: a\r\n".repeat(100)] {
        let mut wire = served.remote();
        wire.say(&format!("GET /page HTTP/1.1\r\n{headers}\r\n"));
        assert!(wire.rest().starts_with(b"HTTP/1.1 431 "));
    }
}

#[test]
fn a_handler_that_panics_refuses_and_the_node_goes_on() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    wire.post("/v1/panic", "{}").refuses(500, "internal");
    assert_eq!(wire.post("/v1/echo", "{}").status, 200);
    let lines = served.lines.clone();
    served.end().unwrap();
    assert!(lines.text().contains("handler_failed"));
}

// Clients that do not behave.

#[test]
fn a_slow_head_is_cut_off_although_idle_connections_may_stay() {
    let (_kept, served) = node(NodeLimits { head_timeout: SHORT, ..PATIENT });
    let mut idle = served.local();
    assert_eq!(idle.ask("GET", "/page").status, 200);
    for begun in ["G", "GET /page HTTP/1.1\r\nHost: localhost\r\n"] {
        for mut wire in [served.local(), served.remote()] {
            wire.say(begun);
            assert_eq!(wire.rest(), b"");
        }
        // Also as the second request.
        let mut wire = served.local();
        assert_eq!(wire.ask("GET", "/page").status, 200);
        wire.say(begun);
        assert_eq!(wire.rest(), b"");
    }
    assert_eq!(idle.ask("GET", "/page").status, 200);
}

#[test]
fn bytes_now_and_then_do_not_buy_time() {
    let (_kept, served) = node(NodeLimits { head_timeout: SHORT, ..PATIENT });
    let mut wire = served.remote();
    wire.say("GET /page HTTP/1.1\r\n");
    let began = std::time::Instant::now();
    while wire.try_say("A: b\r\n").is_ok() && began.elapsed() < NEVER {
        std::thread::sleep(SHORT / 20);
    }
    assert!(began.elapsed() < NEVER);
}

#[test]
fn idle_connections_end_by_where_they_come_from() {
    let (_kept, served) = node(NodeLimits { remote_idle_timeout: SHORT, ..PATIENT });
    let (mut local, mut remote, mut silent) = (served.local(), served.remote(), served.remote());
    assert_eq!(local.ask("GET", "/page").status, 200);
    assert_eq!(remote.ask("GET", "/page").status, 200);
    assert_eq!(remote.rest(), b"");
    assert_eq!(silent.rest(), b"");
    assert_eq!(local.ask("GET", "/page").status, 200);
    let (_kept, served) = node(NodeLimits { local_idle_timeout: SHORT, ..PATIENT });
    let mut local = served.local();
    assert_eq!(local.ask("GET", "/page").status, 200);
    assert_eq!(local.rest(), b"");
}

#[test]
fn a_body_that_does_not_end_is_refused_in_time() {
    let (_kept, served) = node(NodeLimits { body_timeout: SHORT, ..PATIENT });
    let mut wire = served.local();
    wire.begin_post("/v1/echo", 10);
    wire.say("{");
    wire.hear("POST").refuses(408, "malformed");
    assert_eq!(wire.rest(), b"");
}

#[test]
fn bodies_of_all_clients_share_one_limit() {
    let (_kept, served) = node(NodeLimits { bodies_bytes_max: 100, ..PATIENT });
    let body = format!("\"{}\"", "a".repeat(78));
    let mut holding = served.local();
    holding.begin_post("/v1/gate", 80);
    holding.say(&body);
    served.at_gate.recv().unwrap();
    let mut second = served.local();
    let refused = second.post("/v1/large", &body);
    refused.refuses(503, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    served.gate.add_permits(1);
    assert_eq!(holding.hear("POST").text(), "passed");
    assert_eq!(served.local().post("/v1/large", &body).text(), "80");
}

#[test]
fn an_answer_that_is_late_is_refused_and_its_making_goes_on() {
    let (_kept, served) = node(NodeLimits { answer_timeout: SHORT, ..PATIENT });
    served.local().post("/v1/gate", "{}").refuses(504, "authority_unreachable");
    served.at_gate.recv().unwrap();
    served.gate.add_permits(1);
    served.passed.recv_timeout(NEVER).unwrap();
}

#[test]
fn what_was_asked_goes_on_when_the_client_leaves() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    wire.begin_post("/v1/gate", 2);
    wire.say("{}");
    served.at_gate.recv().unwrap();
    drop(wire);
    served.gate.add_permits(1);
    served.passed.recv_timeout(NEVER).unwrap();
}

// Streams.

#[test]
fn events_come_as_they_are_sent_with_signs_of_life_between() {
    let (_kept, served) = node(NodeLimits { alive_every: SHORT / 10, ..PATIENT });
    let mut wire = served.local();
    let head = wire.ask("GET", "/v1/feed");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let sender = served.feeds.recv().unwrap();
    let mut lines = Vec::new();
    while lines.iter().filter(|line| *line == ": alive").count() < 2 {
        lines.push(wire.line());
    }
    assert!(lines.contains(&"event: control".to_owned()) && lines.contains(&"data: {}".to_owned()), "{lines:?}");
    // The sender gone, the stream ends as a stream does, and the connection goes on.
    drop(sender);
    while wire.line() != "0" {}
    assert_eq!(wire.line(), "");
    assert_eq!(wire.ask("GET", "/page").status, 200);
}

#[test]
fn a_sender_sees_that_nobody_listens_any_more() {
    let (_kept, served) = node(PATIENT);
    let mut wire = served.local();
    wire.ask("GET", "/v1/feed");
    let sender = served.feeds.recv().unwrap();
    drop(wire);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(sender.closed());
}

#[test]
fn a_listener_that_does_not_read_is_cut_off() {
    let (_kept, served) = node(NodeLimits { stall_timeout: SHORT, ..PATIENT });
    let mut wire = served.remote();
    wire.ask("GET", "/v1/feed");
    let sender = served.feeds.recv().unwrap();
    let much = hyper::body::Bytes::from(vec![b'a'; 1 << 20]);
    while sender.blocking_send(much.clone()).is_ok() {}
}

#[test]
fn streams_end_when_the_node_stops() {
    let (_kept, mut served) = node(PATIENT);
    let mut wire = served.local();
    wire.ask("GET", "/v1/feed");
    let _sender = served.feeds.recv().unwrap();
    served.tell_to_stop();
    assert!(wire.rest().ends_with(b"0\r\n\r\n"));
    served.end().unwrap();
}

// The end.

#[test]
fn a_request_under_way_is_answered_before_the_node_stops() {
    let (_kept, mut served) = node(PATIENT);
    let mut wire = served.local();
    wire.begin_post("/v1/gate", 2);
    wire.say("{}");
    served.at_gate.recv().unwrap();
    served.tell_to_stop();
    while served.socket.exists() || Wire::remote(served.address).is_ok() {}
    served.gate.add_permits(1);
    let heard = wire.hear("POST");
    assert_eq!((heard.text().as_str(), heard.header("connection")), ("passed", Some("close")));
    served.end().unwrap();
}

#[test]
fn what_a_client_left_behind_is_finished_before_the_node_stops() {
    let (_kept, mut served) = node(PATIENT);
    let mut wire = served.local();
    wire.begin_post("/v1/gate", 2);
    wire.say("{}");
    served.at_gate.recv().unwrap();
    drop(wire);
    served.tell_to_stop();
    while served.socket.exists() {}
    assert!(served.passed.try_recv().is_err());
    served.gate.add_permits(1);
    served.passed.recv_timeout(NEVER).unwrap();
    served.end().unwrap();
}

#[test]
fn what_does_not_finish_is_cut_off() {
    let (_kept, mut served) = node(NodeLimits { drain_timeout: SHORT, ..PATIENT });
    let (mut silent, mut slow) = (served.local(), served.local());
    slow.say("GET /page HT");
    assert_eq!(served.local().ask("GET", "/page").status, 200);
    served.tell_to_stop();
    assert_eq!((silent.rest(), slow.rest()), (Vec::new(), Vec::new()));
    served.end().unwrap();
}

// TLS.

struct Authority {
    folder: tempfile::TempDir,
    certificate: rustls::pki_types::CertificateDer<'static>,
}

fn authority() -> Authority {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(
        ["node.example", "a.localhost", "b.localhost", "127.0.0.1"].map(str::to_owned),
    )
    .unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let certificate = rustls::pki_types::CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    Authority { folder, certificate }
}

impl Authority {
    fn config(&self) -> Result<TlsConfig, ServeError> {
        TlsConfig::from_pem_files(&self.folder.path().join("cert.pem"), &self.folder.path().join("key.pem"))
    }

    fn client(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> rustls::ClientConnection {
        self.client_of("node.example", versions)
    }

    fn client_for(&self, name: &'static str) -> rustls::ClientConnection {
        self.client_of(name, &[&rustls::version::TLS13])
    }

    fn client_of(
        &self,
        name: &'static str,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> rustls::ClientConnection {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let kx_groups = vec![X25519MLKEM768, X25519];
        let provider = Arc::new(CryptoProvider { kx_groups, ..rustls::crypto::aws_lc_rs::default_provider() });
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap()
    }
}

#[test]
fn over_tls_a_node_answers_in_both_versions() {
    let (kept, authority) = (Kept::with_entries(0), authority());
    let served = serve_with(&kept, PATIENT, Some(authority.config().unwrap()));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut connection = authority.client(&[version]);
        let mut stream = plain(served.address).unwrap();
        connection.complete_io(&mut stream).unwrap();
        let group = connection.negotiated_key_exchange_group().unwrap().name();
        let hybrid = group == rustls::NamedGroup::X25519MLKEM768;
        assert_eq!(hybrid, version.version == rustls::ProtocolVersion::TLSv1_3, "{group:?}");
        let mut wire = Wire::over(rustls::StreamOwned::new(connection, stream));
        assert_eq!(wire.ask("GET", "/v1/peer").text(), "remote tls=true");
    }
    // Who speaks in clear gets nothing, and takes nobody's place.
    let mut stream = plain(served.address).unwrap();
    stream.write_all(b"GET /v1/peer HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
    assert!(!rest.windows(4).any(|window| window == b"HTTP"));
}

#[test]
fn a_handshake_that_does_not_end_is_cut_off() {
    let (kept, authority) = (Kept::with_entries(0), authority());
    let limits = NodeLimits { head_timeout: SHORT, ..PATIENT };
    let served = serve_with(&kept, limits, Some(authority.config().unwrap()));
    let mut wire = served.remote();
    assert_eq!(wire.rest(), b"");
}

#[test]
fn files_that_are_no_certificate_or_key_are_refused() {
    let (first, second) = (authority(), authority());
    let at = |name: &str| first.folder.path().join(name);
    std::fs::write(at("empty.pem"), "").unwrap();
    for (certificate, key) in
        [("none.pem", "key.pem"), ("empty.pem", "key.pem"), ("cert.pem", "empty.pem"), ("key.pem", "key.pem")]
    {
        let error = TlsConfig::from_pem_files(&at(certificate), &at(key)).err().unwrap();
        assert!(matches!(error, ServeError::TlsFile { .. }), "{certificate} {key}: {error}");
    }
    let other = TlsConfig::from_pem_files(&at("cert.pem"), &second.folder.path().join("key.pem"));
    assert!(matches!(other.err().unwrap(), ServeError::Tls(_)));
}
