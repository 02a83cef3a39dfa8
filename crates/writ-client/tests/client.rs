//! The client on real sockets, with nodes that answer well and that do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "client/node.rs"]
mod node;

use node::{FakeNode, Step, answer, local, remote, secret};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use writ_client::blocking::Client;
use writ_client::{
    Answer, Asked, ClientError, Denial, Endpoint, FeedEvent, GatewayPlace, OpenExecution, OrderAnswer, Permit,
    PolicyNote, Recorded, Refused, ShadowAnswer, Shadowed, StateAnswer, Timeouts,
};
use writ_protocol::entry::Would;
use writ_protocol::{Code, ExecutionId};
use writ_tlog::Hash;

/// Longer than anything takes.
const NEVER: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
const PERMIT: &str = r#"{"outcome":"permit","index":7,"repeated":false,"writ":"proof\n"}"#;
const REFUSED: &str = r#"{"outcome":"refused","code":"halted","why":"all stands still","next":"wait"}"#;

fn timeouts(request: Duration) -> Timeouts {
    Timeouts { connect: NEVER, request, silence: NEVER }
}

fn connect(node: &FakeNode) -> Client {
    Client::connect_within(&node.endpoint, timeouts(NEVER)).unwrap()
}

fn bare() -> Asked {
    Asked::Bare(vec![1, 2, 3, 4])
}

fn says(status: u16, body: &str) -> Vec<Vec<Step>> {
    vec![vec![Step::Say(answer(status, body))]]
}

/// What an authorization ends in when this is the answer.
fn failing(step: Step) -> ClientError {
    let node = local(vec![vec![step]]);
    connect(&node).authorize(&bare()).unwrap_err()
}

fn stream(events: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{events}").into_bytes()
}

fn refused(status: u16) -> Refused {
    let (why, next) = ("all stands still".to_owned(), Some("wait".to_owned()));
    Refused { status, code: Code::Halted, why, next }
}

// What is asked, and what is answered.

/// The order of fields is nothing to a node.
fn value(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn a_permit_is_read() {
    let node = remote(says(200, PERMIT));
    let permit = Permit { index: 7, repeated: false, writ: "proof\n".to_owned() };
    assert_eq!(connect(&node).authorize(&bare()).unwrap(), Answer::Permit(permit));
    let request = node.requests.recv().unwrap();
    assert_eq!(request.line, "POST /v1/authorize HTTP/1.1");
    assert_eq!(value(&request.body), serde_json::json!({ "explain": true, "request": "AQIDBA==" }));
    assert!(request.headers.contains(&"content-type: application/json".to_owned()));
}

#[test]
fn a_denial_is_read_with_the_policies_that_decided() {
    let body = r#"{"outcome":"deny","code":"policy_denied","index":9,"why":"no","proof":"p","next":"ask Ada","explanation":{"remedy":null},
        "policies":[{"id":"a","file":"f.cedar","line":3,"effect":"forbid","text":"forbid(..);"},
                    {"id":"b","effect":"permit"}]}"#;
    let node = local(says(403, body));
    let note = |id: &str, effect: &str| PolicyNote {
        id: id.to_owned(),
        file: None,
        line: None,
        effect: effect.to_owned(),
        text: None,
    };
    let text = Some("forbid(..);".to_owned());
    let forbid = PolicyNote { file: Some("f.cedar".to_owned()), line: Some(3), text, ..note("a", "forbid") };
    let denial = Denial {
        code: Code::PolicyDenied,
        index: 9,
        why: "no".to_owned(),
        proof: "p".to_owned(),
        policies: vec![forbid, note("b", "permit")],
        explanation: Some(serde_json::json!({ "remedy": null })),
        next: Some("ask Ada".to_owned()),
    };
    assert_eq!(connect(&node).authorize(&Asked::Signed(vec![0])).unwrap(), Answer::Deny(denial));
    let body = value(&node.requests.recv().unwrap().body);
    assert_eq!(body, serde_json::json!({ "explain": true, "signed": "AA==" }));
}

#[test]
fn what_would_be_answered_is_read_and_is_no_permit() {
    let body = r#"{"outcome":"shadow","would":"policy_denied","index":9,"repeated":false,"why":"no","proof":"p","next":"ask Ada",
        "explanation":null,"policies":[]}"#;
    let node = local(says(200, body));
    let expected = Shadowed {
        would: Would::PolicyDenied,
        index: 9,
        why: Some("no".to_owned()),
        proof: "p".to_owned(),
        policies: Vec::new(),
        explanation: None,
        next: Some("ask Ada".to_owned()),
    };
    assert_eq!(connect(&node).shadow(&bare()).unwrap(), ShadowAnswer::Recorded(expected));
    assert_eq!(node.requests.recv().unwrap().line, "POST /v1/shadow HTTP/1.1");
    // Neither is taken for the other, and nothing is taken that is not among what policy can answer.
    assert!(matches!(connect(&local(says(200, body))).authorize(&bare()), Err(ClientError::Garbled { .. })));
    let others = [PERMIT.to_owned(), body.replace("policy_denied", "halted"), body.replace("\"would\"", "\"was\"")];
    for other in others {
        let read = connect(&local(says(200, &other))).shadow(&bare());
        assert!(matches!(read, Err(ClientError::Garbled { .. })), "{other}: {read:?}");
    }
    let refusing = local(says(403, REFUSED));
    assert_eq!(connect(&refusing).shadow(&bare()).unwrap(), ShadowAnswer::Refused(refused(403)));
}

#[test]
fn a_refusal_is_read_and_never_asked_again() {
    for status in [400, 403, 429, 500, 503, 504] {
        let node = local(vec![vec![Step::Say(answer(status, REFUSED)), Step::Say(answer(200, PERMIT))]]);
        let client = connect(&node);
        assert_eq!(client.authorize(&bare()).unwrap(), Answer::Refused(refused(status)));
        node.requests.recv().unwrap();
        assert!(node.requests.try_recv().is_err());
    }
    let told = refused(503).refusal();
    assert_eq!((told.code(), told.why()), (Code::Halted, "the node refused: all stands still; wait"));
}

#[test]
fn orders_and_statements_are_answered() {
    let recorded = r#"{"outcome":"recorded","index":4,"proof":"p"}"#;
    let node = local(vec![vec![
        Step::Say(answer(200, recorded)),
        Step::Say(answer(401, REFUSED)),
        Step::Say(answer(200, r#"{"index":5,"proof":"p","repeated":true}"#)),
        Step::Say(answer(409, REFUSED)),
    ]]);
    let client = connect(&node);
    let kept = |index, repeated| Recorded { index, proof: "p".to_owned(), repeated };
    assert_eq!(client.order(&[1]).unwrap(), OrderAnswer::Recorded(kept(4, false)));
    assert_eq!(client.order(&[1]).unwrap(), OrderAnswer::Refused(refused(401)));
    assert_eq!(client.state(&[1], Some(77)).unwrap(), StateAnswer::Recorded(kept(5, true)));
    assert_eq!(client.state(&[1], None).unwrap(), StateAnswer::Refused(refused(409)));
    let bodies: Vec<String> = node.requests.iter().take(4).map(|request| request.body).collect();
    let bodies: Vec<serde_json::Value> = bodies.iter().map(|body| value(body)).collect();
    assert_eq!(bodies[0], serde_json::json!({ "explain": true, "signed": "AQ==" }));
    let stated =
        [serde_json::json!({ "statement": "AQ==", "watcher": 77 }), serde_json::json!({ "statement": "AQ==" })];
    assert_eq!(bodies[2..], stated);
}

#[test]
fn what_is_there_is_read() {
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let page = format!(r#"{{"bundle":"AQI=","consistency":["{hash}","{hash}"],"size":9}}"#);
    let (execution, writ) = (format!("exec_{}", "01".repeat(16)), "02".repeat(32));
    let gateway = format!(
        r#"{{"epoch":2,"last_seq":8,"groups":[],"key":"key_07","revoked":false,"by_order":true,"open":[{{"execution":"{execution}","writ":"{writ}"}}]}}"#
    );
    let node = local(vec![vec![
        Step::Say(answer(200, &page)),
        Step::Say(answer(200, &gateway)),
        Step::Say(answer(200, "\u{1}bundle")),
        Step::Say(answer(200, r#"{"size":1}"#)),
        Step::Say(answer(503, "not ready\n")),
        Step::Say(answer(404, REFUSED)),
    ]]);
    let client = connect(&node);
    let read = client.control(Some(5)).unwrap();
    assert_eq!((read.bundle.as_slice(), read.size, read.consistency.hashes().len()), (&[1, 2][..], 9, 2));
    let open = OpenExecution { execution: ExecutionId::from_bytes([1; 16]), writ: Hash::from_bytes([2; 32]) };
    let key = "key_07".to_owned();
    let place = GatewayPlace { epoch: 2, last_seq: 8, key, is_revoked: false, by_order: true, open: vec![open] };
    assert_eq!(client.gateway("edge/1").unwrap(), place);
    assert_eq!(client.bundle(7, true).unwrap().as_ref(), b"\x01bundle");
    assert_eq!(client.status().unwrap()["size"], 1);
    assert_eq!(client.text("/readyz").unwrap(), (503, "not ready\n".to_owned()));
    let error = client.bundle(8, false).unwrap_err();
    assert!(matches!(&error, ClientError::Refused(found) if *found == refused(404)), "{error}");
    assert_eq!(error.code(), Code::Halted);
    let lines: Vec<String> = node.requests.iter().take(6).map(|request| request.line).collect();
    assert_eq!(lines[0], "GET /v1/control?from=5 HTTP/1.1");
    assert_eq!(lines[1], "GET /v1/gateways/edge/1 HTTP/1.1");
    assert_eq!(lines[2], "GET /v1/entries/7/bundle?disclose=1 HTTP/1.1");
    assert_eq!(lines[5], "GET /v1/entries/8/bundle HTTP/1.1");
}

// Connections.

#[test]
fn a_connection_is_kept_for_the_next_request() {
    for node in
        [local(vec![vec![Step::Say(answer(200, "{}")); 3]]), remote(vec![vec![Step::Say(answer(200, "{}")); 3]])]
    {
        let client = connect(&node);
        for _ in 0..3 {
            client.status().unwrap();
            assert_eq!(node.requests.recv().unwrap().connection, 0);
        }
    }
}

#[test]
fn a_kept_connection_that_closed_is_replaced_before_anything_is_sent() {
    let node = local(vec![
        vec![Step::SayAndClose(answer(200, "{}"))],
        vec![Step::Say(answer(200, PERMIT)), Step::Say(answer(200, "{}"))],
    ]);
    let client = connect(&node);
    client.status().unwrap();
    // Until the second connection answers, the first may not have closed yet; nobody is asked twice in either case.
    let began = Instant::now();
    let answered = loop {
        match client.authorize(&bare()) {
            Ok(answered) => break answered,
            Err(error) => assert!(began.elapsed() < NEVER && matches!(error, ClientError::Closed { .. }), "{error}"),
        }
    };
    assert!(matches!(answered, Answer::Permit(_)));
    let connections: Vec<usize> = node.requests.iter().take(2).map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[test]
fn a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() {
    let mut two = answer(200, "{}");
    two.extend(answer(200, PERMIT));
    let node = local(vec![vec![Step::Say(two), Step::Say(answer(200, "{}"))], says(403, REFUSED).remove(0)]);
    let client = connect(&node);
    client.text("/healthz").ok();
    // The answer that came by itself is not taken for the answer to this.
    assert!(!matches!(client.authorize(&bare()), Ok(Answer::Permit(_))));
}

#[test]
fn a_request_of_which_a_byte_was_sent_is_not_sent_again() {
    let node = local(vec![vec![Step::SayAndClose(Vec::new())], vec![Step::Say(answer(200, PERMIT))]]);
    let client = connect(&node);
    let error = client.authorize(&bare()).unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
    assert_eq!(error.code(), Code::AuthorityUnreachable);
    assert!(error.to_string().contains("ask again with the same request key"), "{error}");
    node.requests.recv().unwrap();
    assert!(node.requests.try_recv().is_err());
}

#[test]
fn nobody_there_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    for endpoint in
        [Endpoint::unix(&folder.path().join("none.sock")), Endpoint::parse(&format!("http://{free}")).unwrap()]
    {
        let error = Client::connect(&endpoint).err().unwrap();
        assert_eq!(error.code(), Code::AuthorityUnreachable);
        assert_eq!(error.refusal().code(), Code::AuthorityUnreachable);
        assert!(error.to_string().contains("see that it runs (`writ up`)"), "{error}");
    }
}

/// Ends the process it started.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_socket_of_a_user_that_is_not_expected_is_told_nothing() {
    let node = local(vec![vec![Step::Say(answer(200, "{}"))]; 2]);
    let own = own_uid();
    let error = Client::connect(&node.endpoint.clone().owned_by([own + 1])).err().unwrap();
    assert!(matches!(&error, ClientError::Impostor { found, .. } if *found == own), "{error}");
    let known = Client::connect(&node.endpoint.clone().owned_by([own + 1, own])).unwrap();
    known.status().unwrap();
    assert_eq!(node.requests.recv().unwrap().connection, 1);
    assert!(node.requests.try_recv().is_err());
}

fn own_uid() -> u32 {
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_socket_of_another_users_process_is_told_nothing() {
    assert_eq!(own_uid(), 0, "this test becomes another user, which only root can: run it as root");
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("node.sock");
    let answering = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n\
                     print('ready',flush=True)\n\
                     while True:\n c=s.accept()[0]\n print(repr(c.recv(100)),flush=True)\n";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", answering]);
    let mut child = Ended(command.arg(&path).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.0.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let error = Client::connect(&Endpoint::unix(&path)).err().unwrap();
    assert!(matches!(&error, ClientError::Impostor { expected, found: 65534, .. } if *expected == [0]), "{error}");
    assert_eq!(error.code(), Code::UnknownAuthority);
    assert_eq!(lines.next().unwrap().unwrap(), "b''");
    // Where that user is expected, there is no impostor.
    Client::connect(&Endpoint::unix(&path).owned_by([65534])).unwrap();
}

#[test]
fn the_blocking_client_starts_no_thread() {
    let node = secret(vec![vec![Step::Say(answer(200, "{}")); 2]]);
    let endpoint = node.endpoint.clone().with_ca(node.file("ca.pem"));
    // Other tests start threads of their own, so those of this test's name are counted.
    let asked = std::thread::Builder::new().name("asks-alone".to_owned()).spawn(move || {
        let client = Client::connect(&endpoint).unwrap();
        client.status().unwrap();
        client.status().unwrap();
        // A thread that it starts inherits the name.
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name =
            |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("comm"));
        let names: Vec<String> = tasks.filter_map(|task| name(task).ok()).collect();
        let runtime = names.iter().filter(|name| name.contains("tokio") || name.contains("runtime")).count();
        (names.iter().filter(|name| name.trim() == "asks-alone").count(), runtime)
    });
    assert_eq!(asked.unwrap().join().unwrap(), (1, 0));
}

#[test]
fn a_question_is_on_its_way_before_its_answer_is_taken() {
    let place = r#"{"epoch":1,"last_seq":7,"key":"key_07","revoked":false,"by_order":false,"open":[]}"#;
    let node = local(vec![vec![Step::Say(answer(200, place)), Step::Say(answer(200, "{}"))]]);
    let client = Client::connect(&node.endpoint).unwrap();
    let asking = client.ask_gateway("process/01");
    let request = node.requests.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(request.line.contains("/v1/gateways/process/01"), "{}", request.line);
    assert_eq!(client.answer(asking).unwrap().last_seq, 7);
    // The same connection is asked again.
    client.status().unwrap();
    assert_eq!(node.requests.recv().unwrap().connection, request.connection);
}

// TLS.

#[test]
fn over_tls_the_node_is_known_by_its_ca_only() {
    let node = secret(vec![vec![Step::Say(answer(200, PERMIT)); 2]; 3]);
    let known = node.endpoint.clone().with_ca(node.file("ca.pem"));
    let client = Client::connect(&known).unwrap();
    for _ in 0..2 {
        assert!(matches!(client.authorize(&bare()).unwrap(), Answer::Permit(_)));
    }
    let other = node.file("other.pem");
    node::certified(&other);
    let error = Client::connect(&node.endpoint.clone().with_ca(&other)).err().unwrap();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
    assert!(error.to_string().contains("UnknownIssuer") || error.to_string().contains("BadSignature"), "{error}");
    assert_eq!(error.code(), Code::UnknownAuthority);
    let elsewhere = Endpoint::parse(&known.to_string().replace("localhost", "127.0.0.1")).unwrap();
    let error = Client::connect(&elsewhere.with_ca(node.file("ca.pem"))).err().unwrap();
    assert!(matches!(error, ClientError::Untrusted { .. }) && error.to_string().contains("127.0.0.1"), "{error}");
    let connections: Vec<usize> = node.requests.iter().take(2).map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0]);
    assert!(node.requests.try_recv().is_err());
}

#[test]
fn without_a_ca_nobody_is_asked() {
    let node = secret(Vec::new());
    assert!(matches!(Client::connect(&node.endpoint), Err(ClientError::NoCa(_))));
    std::fs::write(node.file("empty.pem"), "").unwrap();
    for name in ["none.pem", "empty.pem"] {
        let error = Client::connect(&node.endpoint.clone().with_ca(node.file(name))).err().unwrap();
        assert!(matches!(error, ClientError::Ca { .. }), "{error}");
    }
}

#[test]
fn who_speaks_in_clear_is_not_believed_over_tls() {
    let node = remote(vec![vec![Step::Say(answer(200, PERMIT))]]);
    let ca = node.file("ca.pem");
    node::certified(&ca);
    let endpoint = Endpoint::parse(&node.endpoint.to_string().replace("http:", "https:")).unwrap().with_ca(ca);
    assert!(Client::connect_within(&endpoint, Timeouts { connect: SHORT, ..timeouts(NEVER) }).is_err());
}

#[test]
fn who_is_asked_in_clear_and_has_tls_is_asked_over_https() {
    // The alert with which TLS answers what is none: `decode_error`.
    let alert = vec![0x15, 3, 3, 0, 2, 2, 50];
    let node = remote(vec![vec![Step::SayAndClose(alert)]]);
    let error = Client::connect(&node.endpoint).and_then(|client| client.status()).err().unwrap();
    assert!(matches!(error, ClientError::Garbled { .. }), "{error}");
    assert!(error.to_string().contains("one with TLS answers so: say https"), "{error}");
}

// Answers that are none.

#[test]
fn answers_that_no_node_gives_are_refused() {
    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, "null"),
        (200, "{\"outcome\":\"permit\"}"),
        (200, &PERMIT.replace("permit", "deny")),
        (200, &PERMIT.replace("7", "-7")),
        (200, &PERMIT.replace("7", "7.5")),
        (200, &PERMIT.replace("false", "\"false\"")),
        (200, REFUSED),
        (201, PERMIT),
        (302, PERMIT),
        (403, PERMIT),
        (500, PERMIT),
        (403, "{\"outcome\":\"deny\",\"code\":\"policy_denied\"}"),
        (400, &REFUSED.replace("halted", "of a newer node")),
        (502, "<html>Bad Gateway</html>"),
    ] {
        let error = failing(Step::Say(answer(status, body)));
        assert!(matches!(error, ClientError::Garbled { .. }), "{status} {body}: {error}");
        assert_eq!(error.code(), Code::AuthorityUnreachable);
    }
}

#[test]
fn what_is_no_answer_of_http_is_refused() {
    for bytes in [
        &b"\x16\x03\x01 nonsense\r\n\r\n"[..],
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let error = failing(Step::SayAndClose(bytes.to_vec()));
        assert!(matches!(error, ClientError::Garbled { .. } | ClientError::Closed { .. }), "{error}");
        assert_eq!(error.code(), Code::AuthorityUnreachable);
    }
}

#[test]
fn half_an_answer_is_none() {
    let whole = answer(200, PERMIT);
    for length in [10, whole.len() - PERMIT.len(), whole.len() - 1] {
        let error = failing(Step::SayAndClose(whole[..length].to_vec()));
        assert!(matches!(error, ClientError::Closed { .. } | ClientError::Garbled { .. }), "{length}: {error}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let error = failing(Step::SayAndClose(format!("{chunked}{:x}\r\n{PERMIT}\r\n", PERMIT.len()).into()));
    assert_eq!(error.code(), Code::AuthorityUnreachable, "{error}");
}

#[test]
fn an_answer_without_end_is_cut() {
    let node = local(vec![vec![Step::SayForEver(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())]]);
    assert!(matches!(connect(&node).authorize(&bare()), Err(ClientError::TooLarge { .. })));
    let error = failing(Step::SayForEver(b"HTTP/1.1 200 OK\r\nLong: long\r\n".to_vec()));
    assert_eq!(error.code(), Code::AuthorityUnreachable, "{error}");
}

#[test]
fn a_node_that_does_not_answer_is_not_waited_for() {
    for begun in [Vec::new(), answer(200, PERMIT)[..90].to_vec()] {
        let node = local(vec![vec![Step::SayAndHang(begun)]]);
        let client = Client::connect_within(&node.endpoint, timeouts(SHORT)).unwrap();
        let error = client.authorize(&bare()).unwrap_err();
        assert!(matches!(error, ClientError::Late { what: "answer", .. }), "{error}");
        assert_eq!(error.code(), Code::AuthorityUnreachable);
    }
}

#[test]
fn what_no_node_takes_is_not_sent() {
    let node = local(says(200, PERMIT));
    let client = connect(&node);
    let asked = Asked::Bare(vec![0; 7 * 1024 * 1024]);
    assert!(matches!(client.authorize(&asked), Err(ClientError::AskedTooMuch { .. })));
    assert!(matches!(client.order(&[0; 64 * 1024]), Err(ClientError::AskedTooMuch { .. })));
    assert!(node.requests.try_recv().is_err());
}

// Feeds.

#[test]
fn a_feed_brings_control_entries_and_signs_of_life_and_ends() {
    let page = r#"{"bundle":"AQI=","consistency":[],"size":4}"#;
    let events = format!(": alive\n\nevent: control\ndata: {page}\n\n");
    let node = local(vec![Vec::new(), vec![Step::SayAndClose(stream(&events))]]);
    let client = connect(&node);
    let mut feed = client.feed(3).unwrap();
    assert_eq!(node.requests.recv().unwrap().line, "GET /v1/feed?from=3 HTTP/1.1");
    assert_eq!(client.next(&mut feed).unwrap(), Some(FeedEvent::Alive));
    let Some(FeedEvent::Control(read)) = client.next(&mut feed).unwrap() else { panic!("no control page") };
    assert_eq!((read.bundle.as_slice(), read.size), (&[1, 2][..], 4));
    assert_eq!(client.next(&mut feed).unwrap(), None);
}

#[test]
fn feeds_that_are_none_are_refused() {
    for (bytes, code) in [
        (answer(200, "{}"), Code::AuthorityUnreachable),
        (answer(503, REFUSED), Code::Halted),
        (answer(503, "{}"), Code::AuthorityUnreachable),
    ] {
        let node = local(vec![Vec::new(), vec![Step::SayAndClose(bytes)]]);
        assert_eq!(connect(&node).feed(0).err().unwrap().code(), code);
    }
    for events in ["event: other\ndata: {}\n\n", "event: control\ndata: {}\n\n", "id: 1\n", "event: control\n"] {
        let node = local(vec![Vec::new(), vec![Step::SayAndClose(stream(events))]]);
        let client = connect(&node);
        let mut feed = client.feed(0).unwrap();
        assert_eq!(client.next(&mut feed).unwrap_err().code(), Code::AuthorityUnreachable, "{events}");
    }
}

#[test]
fn a_feed_that_falls_silent_is_an_error() {
    let node = local(vec![Vec::new(), vec![Step::SayAndHang(stream(": alive\n\n"))]]);
    let client = Client::connect_within(&node.endpoint, Timeouts { silence: SHORT, ..timeouts(NEVER) }).unwrap();
    let mut feed = client.feed(0).unwrap();
    assert_eq!(client.next(&mut feed).unwrap(), Some(FeedEvent::Alive));
    assert!(matches!(client.next(&mut feed), Err(ClientError::Late { .. })));
}
