//! One node with two domains, and clients that ask the one or the other.

use crate::site::{Ca, Lines, Plan, Shown, TRUST_DOMAIN, files};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use writ_client::blocking::Client;
use writ_client::{Asked, Endpoint, OrderAnswer};
use writ_protocol::action::{Command, Given};
use writ_protocol::entry::{AssertedPrincipal, Window};
use writ_protocol::scope::{Scope, ScopeFields};
use writ_protocol::statement::Request;
use writ_server::{
    AuthorityNode, ClientCertificates, ClientTrust, Governed, Host, KeyFetcher, LocalSocket, Log, LogFormat, Network,
    NodeSetting, Quota, Rate, ServeError, SolverCommand, TlsConfig, serve_authorities,
};
use writ_testing::governed::{GovernedDomain, PolicyFiles, TestClock};

const MORE: &str = r#"
@id("agents-deploy") permit (principal in Group::"agents", action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("an-operator") @approval("1 of operators") @approve_within("10m")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("operators-answer") permit (principal in Group::"operators", action in [Action::"approve", Action::"reject"], resource)
when { context.auth == "key" };
@id("administrators-mandate") permit (principal in Group::"administrators", action == Action::"mandate", resource)
when { context.auth == "key" };
"#;
const HOUR_MS: u64 = 3_600_000;

/// A domain of the node, and how it is asked.
pub(crate) struct Side {
    pub(crate) domain: GovernedDomain,
    pub(crate) node: Arc<AuthorityNode>,
    host: &'static str,
    socket: PathBuf,
    ca: PathBuf,
    port: u16,
}

pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) ca: Ca,
    pub(crate) lines: Lines,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    home: tempfile::TempDir,
}

type KnownBy<'a> = &'a [(&'static str, &'static str, Value)];

/// Tells the time to a domain's node.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Pair {
    pub(crate) fn new() -> Self {
        Self::knowing(&[], &[])
    }

    /// With more fields of members in the `principals.json` of each.
    pub(crate) fn knowing(in_a: KnownBy<'_>, in_b: KnownBy<'_>) -> Self {
        Self::over([domain("writ.example/a"), domain("writ.example/b")], [in_a, in_b], |clock| {
            Arc::new(move || clock.now_ms())
        })
    }

    /// Over these domains; the clock of A is made by the test.
    pub(crate) fn over(
        domains: [GovernedDomain; 2],
        known_by: [KnownBy<'_>; 2],
        clock_of_a: impl FnOnce(TestClock) -> Clock,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let ca = Ca::new();
        let made = rcgen::generate_simple_self_signed(["a.localhost", "b.localhost"].map(str::to_owned)).unwrap();
        let path = |name: &str| home.path().join(name);
        for (name, text) in
            [("node.pem", made.cert.pem()), ("node.key", made.signing_key.serialize_pem()), ("bundle.pem", ca.pem())]
        {
            std::fs::write(path(name), text).unwrap();
        }
        let [mut a, mut b] = domains;
        let clock = a.clock.clone();
        let bundles = [(TRUST_DOMAIN.to_owned(), path("bundle.pem"))];
        let trust = ClientTrust::new(ClientCertificates::Asked, bundles, move || clock.now_ms()).unwrap();
        let tls = TlsConfig::with_clients(&path("node.pem"), &path("node.key"), Arc::new(trust)).unwrap();
        let clock_of_b = b.clock.clone();
        let clocks: [Clock; 2] = [clock_of_a(a.clock.clone()), Arc::new(move || clock_of_b.now_ms())];
        let nodes = [&mut a, &mut b];
        let mut opened = nodes.into_iter().zip(known_by).zip(clocks).map(|((domain, known_by), clock)| {
            let plan = Plan { known_by: known_by.to_vec(), policies: vec![("more.cedar", MORE)], ..Plan::default() };
            opened(domain, &plan, clock)
        });
        let nodes = [opened.next().unwrap(), opened.next().unwrap()];
        drop(opened);
        let lines = Lines::default();
        let log = Log::new(LogFormat::Json, lines.clone()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let sockets = [path("a.sock"), path("b.sock")];
        let (served, places) = (nodes.clone(), sockets.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut domains = Vec::new();
                for ((node, name), place) in served.into_iter().zip(["a", "b"]).zip(&places) {
                    let socket = Some(LocalSocket::bind(place, 0o666).await?);
                    let host = Some(Host::parse(&format!("{name}.localhost"))?);
                    domains.push(Governed { node, host, socket, log: log.of(name) });
                }
                let network = Network::bind("127.0.0.1:0".parse().unwrap(), Some(tls)).await?;
                tell.send(network.address().unwrap().port()).unwrap();
                serve_authorities(domains, Some(network), log, async { stopped.await.unwrap_or(()) }).await
            })
        });
        let port = told.recv().unwrap();
        let side = |domain, node, host, socket| Side { domain, node, host, socket, ca: path("node.pem"), port };
        let ([of_a, of_b], [socket_of_a, socket_of_b]) = (nodes, sockets);
        let (a, b) = (side(a, of_a, "a.localhost", socket_of_a), side(b, of_b, "b.localhost", socket_of_b));
        Self { a, b, ca, lines, stop: Some(stop), thread: Some(thread), home }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// What the listener answers by a name, over TLS that names a domain of the node or nobody.
    pub(crate) fn asked(&self, host: &str, path: &str) -> (u16, Vec<u8>) {
        asked_of(&self.home().join("node.pem"), self.a.port, host, path)
    }

    /// Ends the node; both ledgers are as they were signed.
    pub(crate) fn end(mut self) -> Lines {
        self.stop = None;
        self.thread.take().unwrap().join().unwrap().unwrap();
        let Self { a, b, lines, .. } = self;
        for Side { mut domain, node, .. } in [a, b] {
            drop(node);
            let judged = domain.judged();
            assert!(judged.is_clean(), "{judged:?}");
        }
        lines
    }
}

pub(crate) fn domain(origin: &str) -> GovernedDomain {
    let files = PolicyFiles::standard(&GovernedDomain::members()).with("more.cedar", MORE);
    GovernedDomain::at(origin, &files)
}

fn opened(domain: &mut GovernedDomain, plan: &Plan, clock: Clock) -> Arc<AuthorityNode> {
    domain.close();
    let policy = domain.home().join("policy");
    files(&domain.members, plan).write(&policy);
    let setting = NodeSetting {
        place: domain.place.clone(),
        signer: domain.domain.ledger_signer(),
        policy,
        rate: Rate::STANDARD,
        quota: Quota::NONE,
        solver: SolverCommand::new("cvc5"),
        fetcher: KeyFetcher::default(),
        holds_webhook: None,
    };
    Arc::new(AuthorityNode::open(setting, move || clock()).unwrap())
}

/// Whatever somebody wants, for an hour.
pub(crate) fn anything(side: &Side, to: &AssertedPrincipal) -> Command {
    let now_ms = side.domain.clock.now_ms();
    let fields = ScopeFields {
        uses: None,
        depth: None,
        window: Window::new(now_ms - 60_000, now_ms + HOUR_MS).unwrap(),
        folders: None,
        contents: None,
        gateways: None,
        programs: None,
        surroundings: None,
    };
    Command::Mandate(Box::new(Given { to: to.clone(), scope: Scope::new(fields).unwrap(), parent: None }))
}

impl Side {
    fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("https://{}:{}", self.host, self.port)).unwrap().with_ca(&self.ca)
    }

    /// A client that asks this domain over the network.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.endpoint()).unwrap()
    }

    /// The same, and shows a certificate.
    pub(crate) fn showing(&self, shown: &Shown) -> Client {
        Client::connect(&self.endpoint().with_certificate(&shown.certificate, &shown.key)).unwrap()
    }

    pub(crate) fn local(&self) -> Client {
        Client::connect(&Endpoint::unix(&self.socket)).unwrap()
    }

    pub(crate) fn signed(&self, who: &str, request: &Request) -> Asked {
        Asked::Signed(self.domain.member(who).sign(request, self.domain.domain.origin()))
    }

    pub(crate) fn bare(&self) -> Asked {
        Asked::Bare(self.domain.asked_to_build().payload(self.domain.domain.origin()))
    }

    /// What somebody is answered who orders something.
    pub(crate) fn ordered(&self, who: &str, command: Command) -> OrderAnswer {
        let asked = Request { time_ms: self.domain.clock.now_ms(), ..self.domain.domain.asked_order(command) };
        self.client().order(&self.domain.member(who).sign(&asked, self.domain.domain.origin())).unwrap()
    }

    /// The index of what somebody orders, who may.
    #[track_caller]
    pub(crate) fn orders(&self, who: &str, command: Command) -> u64 {
        let answer = self.ordered(who, command);
        let OrderAnswer::Recorded(recorded) = answer else { panic!("expected it to be done: {answer:?}") };
        recorded.index
    }

    /// What anybody reads by its name.
    pub(crate) fn asked(&self, path: &str) -> (u16, Vec<u8>) {
        asked_of(&self.ca, self.port, self.host, path)
    }

    /// What is read on its own socket, whatever name is given there.
    pub(crate) fn asked_locally(&self, path: &str) -> (u16, Vec<u8>) {
        heard(UnixStream::connect(&self.socket).unwrap(), "a.localhost", path)
    }
}

fn asked_of(ca: &Path, port: u16, host: &str, path: &str) -> (u16, Vec<u8>) {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // Whoever names nobody in the handshake has a certificate shown that is of somebody it can verify.
    config.enable_sni = host.ends_with(".localhost");
    let name = if config.enable_sni { host.to_owned() } else { "a.localhost".to_owned() };
    let connection = rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    heard(rustls::StreamOwned::new(connection, stream), host, path)
}

fn heard(mut stream: impl Read + Write, host: &str, path: &str) -> (u16, Vec<u8>) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A node that closes without a farewell of TLS has said all the same what it said.
    stream.read_to_end(&mut answer).ok();
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[body..].to_vec())
}
