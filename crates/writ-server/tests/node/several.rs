//! Several domains behind one listener, and callers who try to get from one what is another's.

use crate::authority;
use crate::ledger::Kept;
use crate::wire::{Heard, Lines, NEVER, PATIENT, Wire, plain};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use writ_protocol::{Code, Refusal};
use writ_server::{
    Asker, Exchange, Front, Handler, Host, Hosted, LocalSocket, Log, LogFormat, Network, Node, NodeLimits, Reply,
    Route, ServeError, StatusCode, TlsConfig, event, serve_nodes,
};

const ROUTES: &[Route] = &[
    Route::get("/v1/whose"),
    Route::post("/v1/known"),
    Route::post("/v1/stranger"),
    Route::post("/v1/fail"),
    Route::post_up_to(1 << 20, "/v1/large"),
    Route::follow("/v1/feed"),
];
const NAMES: [&str; 2] = ["a.localhost", "b.localhost"];

struct Several {
    address: SocketAddr,
    sockets: Vec<PathBuf>,
    kept: Vec<Kept>,
    lines: Lines,
    turned_away: Vec<Arc<Mutex<Vec<Code>>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: tempfile::TempDir,
}

async fn answer(
    name: &'static str,
    feeds: Arc<Mutex<Vec<mpsc::Sender<hyper::body::Bytes>>>>,
    exchange: Exchange,
) -> Reply {
    match exchange.route.pattern {
        "/v1/known" => Reply::text(StatusCode::OK, name).to(Asker::Known),
        "/v1/stranger" => {
            let refusal = Refusal::new(Code::Unauthenticated, "nobody knows you");
            Reply::refusal(StatusCode::UNAUTHORIZED, &refusal, None).to(Asker::Stranger)
        }
        "/v1/feed" => {
            let (sender, events) = mpsc::channel(64);
            sender.send(event("control", "{}")).await.unwrap();
            feeds.lock().unwrap().push(sender);
            Reply::events(events)
        }
        _ => Reply::text(StatusCode::OK, name),
    }
}

fn hosted(
    name: &'static str,
    host: Option<&str>,
    kept: &Kept,
    limits: NodeLimits,
    log: &Log,
) -> (Hosted, Arc<Mutex<Vec<Code>>>) {
    let turned_away: Arc<Mutex<Vec<Code>>> = Arc::default();
    let (counting, feeds) = (turned_away.clone(), Arc::default());
    let is_ready = name == "a";
    let node = Node {
        store: kept.store().to_owned(),
        routes: ROUTES,
        handler: Handler::new(move |exchange| answer(name, Arc::clone(&feeds), exchange)),
        ready: Box::new(move || {
            if is_ready { Ok(()) } else { Err(Refusal::new(Code::LedgerUnavailable, "the secret disk of b is full")) }
        }),
        room: Box::new(|| Ok(())),
        turned_away: Box::new(move |code| counting.lock().unwrap().push(code)),
        metrics: Arc::new(Node::metrics(ROUTES)),
        log: log.of(name),
        limits,
        answers_on: None,
    };
    (Hosted { host: host.map(|host| Host::parse(host).unwrap()), socket: None, node }, turned_away)
}

impl Several {
    fn new(limits: NodeLimits, front: NodeLimits, tls: Option<TlsConfig>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let lines = Lines::default();
        let log = Log::new(LogFormat::Json, lines.clone()).unwrap();
        // So that their checkpoints differ.
        let kept = vec![Kept::with_entries(1), Kept::with_entries(3)];
        let sockets: Vec<_> = NAMES.iter().map(|name| folder.path().join(name)).collect();
        let (mut domains, mut turned_away) = (Vec::new(), Vec::new());
        for ((name, host), kept) in ["a", "b"].into_iter().zip(NAMES).zip(&kept) {
            let (domain, counted) = hosted(name, Some(host), kept, limits, &log);
            domains.push(domain);
            turned_away.push(counted);
        }
        let places = sockets.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for (domain, place) in domains.iter_mut().zip(&places) {
                    domain.socket = Some(LocalSocket::bind(place, 0o666).await?);
                }
                let network = Network::bind("127.0.0.1:0".parse().unwrap(), tls).await?;
                tell.send(network.address().unwrap()).unwrap();
                let front = Front { network: Some(network), limits: front, log };
                serve_nodes(domains, front, async { stopped.await.unwrap_or(()) }).await
            })
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { address: told.recv().unwrap(), sockets, kept, lines, turned_away, stop, thread, _folder: folder }
    }

    fn remote(&self) -> Wire {
        Wire::remote(self.address).unwrap()
    }

    fn local(&self, number: usize) -> Wire {
        Wire::local(&self.sockets[number]).unwrap()
    }

    /// The value of one line of a page of metrics.
    fn counted(page: &Heard, series: &str) -> u64 {
        let page = page.text();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
    }
}

impl Drop for Several {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn several() -> Several {
    Several::new(PATIENT, PATIENT, None)
}

impl Wire {
    /// Asks a domain by a name.
    fn get(&mut self, host: &str, target: &str) -> Heard {
        self.say(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.hear("GET")
    }

    fn send(&mut self, host: &str, target: &str) -> Heard {
        let head = format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        self.say(&format!("{head}Content-Length: 2\r\n\r\n{{}}"));
        self.hear("POST")
    }
}

#[test]
fn each_domain_is_asked_by_its_name_and_by_no_other() {
    let several = several();
    for (host, whose, number) in
        [("a.localhost", "a", 0), ("B.LocalHost:8733", "b", 1), ("b.localhost", "b", 1), ("A.LOCALHOST:1", "a", 0)]
    {
        let mut wire = several.remote();
        assert_eq!(wire.get(host, "/v1/whose").text(), whose, "{host}");
        assert_eq!(wire.get(host, "/checkpoint").body, several.kept[number].reader().checkpoint().unwrap().1);
    }
    let mut absolute = several.remote();
    absolute.say("GET http://b.localhost/v1/whose HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
    assert_eq!(absolute.hear("GET").text(), "b", "the target counts where it names somebody");
    let mut refusals = Vec::new();
    for host in
        ["localhost", "127.0.0.1", "c.localhost", "a.localhost.evil.example", "evil.example", "x.a.localhost", ""]
    {
        for target in ["/v1/whose", "/checkpoint", "/tile/0/000.p/2", "/v1/none"] {
            let mut wire = several.remote();
            let refused = wire.get(host, target);
            refused_alike(&refused);
            refusals.push(refused.text());
            assert_eq!(wire.rest(), b"", "and the connection ends");
        }
    }
    refusals.sort();
    refusals.dedup();
    assert_eq!(
        refusals.len(),
        2,
        "as JSON and as text, and nobody learns from it which domains there are: {refusals:?}"
    );
    for head in ["Host: a.localhost\r\nHost: a.localhost\r\n", ""] {
        let mut wire = several.remote();
        wire.say(&format!("GET /v1/whose HTTP/1.1\r\n{head}\r\n"));
        refused_alike(&wire.hear("GET"));
    }
    // It is counted for the node, and in no domain's ledger.
    let page = several.remote().get("127.0.0.1", "/metrics");
    assert_eq!(Several::counted(&page, "writ_requests_total{route=\"other\",status=\"421\"}"), 30);
    assert_eq!(Several::counted(&page, "writ_refusals_total{code=\"malformed\"}"), 30);
    assert!(several.turned_away.iter().all(|counted| counted.lock().unwrap().is_empty()));
}

#[track_caller]
fn refused_alike(heard: &Heard) {
    assert_eq!(heard.status, 421);
    assert!(heard.text().contains("nothing is served by this name"), "{}", heard.text());
}

#[test]
fn a_connection_that_has_asked_one_domain_never_gets_another() {
    let several = several();
    let mut wire = several.remote();
    assert_eq!(wire.send("a.localhost", "/v1/known").text(), "a");
    wire.send("b.localhost", "/v1/known").refuses(421, "malformed");
    assert_eq!(wire.rest(), b"");
    // Nor after having been refused, on one that goes on.
    let mut wire = several.remote();
    assert_eq!(wire.get("a.localhost", "/v1/whose").text(), "a");
    assert_eq!(wire.get("b.localhost", "/healthz").text(), "alive\n", "of the process");
    assert_eq!(wire.get("a.localhost", "/v1/whose").text(), "a");
    let page = wire.get("b.localhost", "/metrics").text();
    assert!(!page.contains("/v1/whose"), "of the process too");
    wire.get("b.localhost", "/v1/whose").refuses(421, "malformed");
}

#[test]
fn who_is_known_in_one_domain_tries_like_a_stranger_in_another() {
    let tries_each = writ_server::Rate { per_second: 0, burst: 1 };
    let several = Several::new(PATIENT, NodeLimits { tries_each, ..PATIENT }, None);
    let (mut known, mut next) = (several.remote(), several.remote());
    assert_eq!(known.send("a.localhost", "/v1/known").status, 200);
    next.send("b.localhost", "/v1/stranger").refuses(401, "unauthenticated");
    next.send("b.localhost", "/v1/known").refuses(429, "rate_limited");
    assert_eq!(known.send("a.localhost", "/v1/known").status, 200);
    assert_eq!(several.turned_away[1].lock().unwrap().as_slice(), [Code::RateLimited], "counted where it was tried");
    assert!(several.turned_away[0].lock().unwrap().is_empty());
    // What is tried on a local socket is tried there.
    assert_eq!(several.local(0).send("any", "/v1/known").text(), "a");
    assert_eq!(several.local(1).send("any", "/v1/known").text(), "b");
}

#[test]
fn health_is_of_the_process_and_readiness_and_metrics_of_who_is_asked() {
    let several = several();
    let mut wire = several.remote();
    assert_eq!(wire.get("127.0.0.1", "/healthz").text(), "alive\n");
    let ready = wire.get("127.0.0.1", "/readyz");
    assert_eq!(ready.status, 503, "one of them is not");
    assert!(!ready.text().contains("secret"), "{}", ready.text());
    assert_eq!(several.remote().get("a.localhost", "/readyz").text(), "ready\n");
    assert_eq!(several.remote().get("b.localhost", "/readyz").status, 503);
    assert_eq!(several.local(0).get("any", "/readyz").text(), "ready\n");
    for _ in 0..3 {
        several.remote().get("b.localhost", "/v1/whose");
    }
    let series = "writ_requests_total{route=\"/v1/whose\",status=\"200\"}";
    let of_b = several.remote().get("b.localhost", "/metrics");
    assert_eq!(Several::counted(&of_b, series), 3);
    assert_eq!(Several::counted(&of_b, "writ_connections_total{kind=\"remote\"}"), 5);
    for of_a in [several.remote().get("a.localhost", "/metrics"), several.local(0).get("any", "/metrics")] {
        assert_eq!(Several::counted(&of_a, series), 0);
    }
    // The process counts connections, and says of nobody whose they are.
    let page = several.remote().get("localhost", "/metrics");
    assert!(Several::counted(&page, "writ_connections_total{kind=\"remote\"}") >= 8);
    assert!(!page.text().contains("localhost") && !page.text().contains("/v1/"), "{}", page.text());
    let lines = several.lines.clone();
    drop(several);
    let of_b = lines.text().lines().filter(|line| line.contains("/v1/whose")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of_b.len(), 3);
    assert!(of_b.iter().all(|line| line.contains("\"ledger\":\"b\"")), "{of_b:?}");
}

#[test]
fn the_known_callers_of_one_domain_leave_their_places_to_another() {
    let several = Several::new(PATIENT, NodeLimits { connections_max: 4, ..PATIENT }, None);
    let known = |host: &str| {
        let mut wire = several.remote();
        let heard = wire.send(host, "/v1/known");
        (wire, heard)
    };
    let (mut first, _) = known("a.localhost");
    let (mut second, _) = known("a.localhost");
    let (mut third, refused) = known("a.localhost");
    refused.refuses(503, "rate_limited");
    assert_eq!(third.rest(), b"");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let (_b, heard) = known("b.localhost");
    assert_eq!(heard.text(), "b");
    for wire in [&mut first, &mut second] {
        assert_eq!(wire.send("a.localhost", "/v1/known").text(), "a");
    }
    // A place that is given back is there again.
    drop(first);
    while known("a.localhost").1.status != 200 {}
}

#[test]
fn a_stranger_gives_way_to_a_newcomer_of_the_same_domain() {
    let several = Several::new(PATIENT, NodeLimits { connections_max: 4, ..PATIENT }, None);
    let connected = |host: &str, whose: &str| {
        let mut wire = several.remote();
        assert_eq!(wire.get(host, "/v1/whose").text(), whose);
        wire
    };
    let mut of_b = connected("b.localhost", "b");
    let (mut first, mut second) = (connected("a.localhost", "a"), connected("a.localhost", "a"));
    let mut newcomer = several.remote();
    assert_eq!(newcomer.send("a.localhost", "/v1/known").text(), "a");
    assert_eq!(first.rest(), b"", "the oldest of that domain, and not of all");
    for (wire, host, whose) in [(&mut second, "a.localhost", "a"), (&mut of_b, "b.localhost", "b")] {
        assert_eq!(wire.get(host, "/v1/whose").text(), whose);
    }
}

#[test]
fn followers_and_bodies_of_one_domain_leave_room_for_those_of_another() {
    let limits = NodeLimits { followers_max: 1, bodies_bytes_max: 1000, ..PATIENT };
    let several = Several::new(limits, PATIENT, None);
    let (mut following, mut another) = (several.remote(), several.remote());
    assert_eq!(following.get("a.localhost", "/v1/feed").status, 200);
    another.get("a.localhost", "/v1/feed").refuses(429, "rate_limited");
    assert_eq!(several.remote().get("b.localhost", "/v1/feed").status, 200);
    // Strangers have half of the room, which one of them has taken here.
    let begun = |host: &str, body: &str| {
        let mut wire = several.remote();
        let head = format!("POST /v1/large HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        wire.say(&format!("{head}Content-Length: 450\r\n\r\n{body}"));
        wire
    };
    let whole = "a".repeat(450);
    let _held = begun("a.localhost", &whole[1..]);
    while begun("a.localhost", &whole).hear("POST").status != 503 {}
    assert_eq!(begun("b.localhost", &whole).hear("POST").text(), "b");
}

#[test]
fn over_tls_the_handshake_and_the_request_name_the_same() {
    let authority = authority();
    let several = Several::new(PATIENT, PATIENT, Some(authority.config().unwrap()));
    let shaken = |name: &'static str| {
        let mut connection = authority.client_for(name);
        let mut stream = plain(several.address).unwrap();
        stream.set_read_timeout(Some(NEVER)).unwrap();
        connection.complete_io(&mut stream).unwrap();
        Wire::over(rustls::StreamOwned::new(connection, stream))
    };
    assert_eq!(shaken("a.localhost").get("a.localhost", "/v1/whose").text(), "a");
    assert_eq!(shaken("b.localhost").get("b.localhost:443", "/v1/whose").text(), "b");
    refused_alike(&shaken("a.localhost").get("b.localhost", "/v1/whose"));
    refused_alike(&shaken("node.example").get("a.localhost", "/v1/whose"));
    // An address names nobody in the handshake, so the request alone does.
    assert_eq!(shaken("127.0.0.1").get("b.localhost", "/v1/whose").text(), "b");
}

#[test]
fn names_that_would_mislead_start_nothing() {
    let kept = Kept::with_entries(0);
    let log = Log::new(LogFormat::Json, Lines::default()).unwrap();
    let served = |hosts: &[Option<&str>], is_listening: bool| {
        let domains = hosts.iter().map(|host| hosted("a", *host, &kept, PATIENT, &log).0).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let network =
                if is_listening { Some(Network::bind("127.0.0.1:0".parse().unwrap(), None).await?) } else { None };
            serve_nodes(domains, Front { network, limits: PATIENT, log: log.clone() }, async {}).await
        })
    };
    assert!(matches!(served(&[Some("a.localhost"), Some("A.localhost")], true), Err(ServeError::HostTwice(_))));
    assert!(matches!(served(&[None, Some("a.localhost")], true), Err(ServeError::NoHost)));
    assert!(matches!(served(&[Some("a.localhost"), Some("b.example")], true), Err(ServeError::PlainHost(_))));
    assert!(matches!(served(&[Some("a.example")], true), Err(ServeError::PlainHost(_))));
    assert!(matches!(served(&[None; 17], true), Err(ServeError::TooManyDomains { max: 16, found: 17 })));
    assert!(matches!(served(&[Some("a.localhost")], false), Err(ServeError::NoListener)));
    assert!(served(&[Some("a.localhost"), Some("b.localhost")], true).is_ok());
}
