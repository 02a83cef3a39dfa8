//! A node on a TLS listener and a local socket, over a governed domain, and clients that show what they are given.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType, date_time_ymd,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Endpoint};
use writ_protocol::entry::Grant;
use writ_protocol::statement::Request;
use writ_protocol::{Body, Code};
use writ_server::{
    AuthorityNode, ClientCertificates, ClientTrust, HoldsWebhook, KeyFetcher, Listeners, Log, LogFormat, NodeSetting,
    Rate, ServeError, SolverCommand, TlsConfig, serve_authority,
};
use writ_testing::governed::{GovernedDomain, Judgement, Member, Members, PolicyFiles};

/// The trust domain of the tests.
pub(crate) const TRUST_DOMAIN: &str = "acme.example";

/// What messages about holds are signed with: 24 bytes.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// A CA, and what it has signed.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM files.
pub(crate) struct Shown {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_after = date_time_ymd(2200, 1, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    /// The document of a workload, changed as a test wants it.
    pub(crate) fn signs(
        &self,
        folder: &Path,
        name: &str,
        uris: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Shown {
        let mut params = workload(uris);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        written(folder, name, &certificate.pem(), &key.serialize_pem())
    }
}

fn workload(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2026, 11, 1);
    params.not_after = date_time_ymd(2026, 12, 1);
    params
}

fn written(folder: &Path, name: &str, certificate: &str, key: &str) -> Shown {
    let shown = Shown { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    std::fs::write(&shown.certificate, certificate).unwrap();
    std::fs::write(&shown.key, key).unwrap();
    shown
}

/// A certificate that nobody but its own key has signed, of a member's key.
pub(crate) fn self_signed(folder: &Path, member: &Member) -> Shown {
    // RFC 8410: what stands before the seed in PKCS #8.
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = [&head[..], member.key().seed()].concat();
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    written(folder, member.name().id.as_str(), &certificate.pem(), &key.serialize_pem())
}

/// What the node logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a site is made of, beside the usual.
pub(crate) struct Plan {
    /// More fields of members in `principals.json`.
    pub(crate) known_by: Vec<(&'static str, &'static str, Value)>,
    pub(crate) issuers: Value,
    pub(crate) wanted: ClientCertificates,
    pub(crate) issuer_ca: Option<PathBuf>,
    pub(crate) holds_webhook: Option<String>,
    /// More files of the policy folder.
    pub(crate) policies: Vec<(&'static str, &'static str)>,
}

impl Default for Plan {
    fn default() -> Self {
        let builder = json!(["spiffe://acme.example/builder"]);
        let known_by = vec![("builder", "spiffe", builder)];
        Self {
            known_by,
            issuers: json!([]),
            wanted: ClientCertificates::Asked,
            issuer_ca: None,
            holds_webhook: None,
            policies: Vec::new(),
        }
    }
}

pub(crate) struct Site {
    pub(crate) domain: GovernedDomain,
    pub(crate) node: Arc<AuthorityNode>,
    pub(crate) trust: Arc<ClientTrust>,
    pub(crate) ca: Ca,
    pub(crate) lines: Lines,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Site {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::over(GovernedDomain::new(), plan)
    }

    /// A node over a domain that has a history.
    pub(crate) fn over(mut domain: GovernedDomain, plan: &Plan) -> Self {
        domain.close();
        let home = domain.home().to_owned();
        let policy = home.join("policy");
        files(&domain.members, plan).write(&policy);
        let ca = Ca::new();
        std::fs::write(home.join("bundle.pem"), ca.pem()).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let tls = written(&home, "node", &made.cert.pem(), &made.signing_key.serialize_pem());
        let (clock, trust_clock) = (domain.clock.clone(), domain.clock.clone());
        let bundles = [(TRUST_DOMAIN.to_owned(), home.join("bundle.pem"))];
        let trust = Arc::new(ClientTrust::new(plan.wanted, bundles, move || trust_clock.now_ms()).unwrap());
        let setting = NodeSetting {
            place: domain.place.clone(),
            signer: domain.domain.ledger_signer(),
            policy,
            rate: Rate::STANDARD,
            quota: writ_server::Quota::NONE,
            solver: SolverCommand::new("cvc5"),
            fetcher: KeyFetcher::new(plan.issuer_ca.clone()).unwrap(),
            holds_webhook: plan
                .holds_webhook
                .as_ref()
                .map(|place| HoldsWebhook::new(place, None, WEBHOOK_SECRET).unwrap()),
        };
        let node = Arc::new(AuthorityNode::open(setting, move || clock.now_ms()).unwrap());
        let lines = Lines::default();
        let log = Log::new(LogFormat::Json, lines.clone()).unwrap();
        let config = TlsConfig::with_clients(&tls.certificate, &tls.key, trust.clone()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let (served, socket) = (node.clone(), home.join("node.sock"));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listeners = Listeners::new().with_unix(&socket, 0o666).await?;
                let listeners = listeners.with_tcp("127.0.0.1:0".parse().unwrap(), Some(config)).await?;
                tell.send(listeners.tcp_address().unwrap().port()).unwrap();
                serve_authority(served, listeners, log, async { stopped.await.unwrap_or(()) }).await
            })
        });
        let port = told.recv().unwrap();
        Self { domain, node, trust, ca, lines, port, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn home(&self) -> &Path {
        self.domain.home()
    }

    /// The node, as somebody on the network reaches it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("https://localhost:{}", self.port)).unwrap().with_ca(self.home().join("node.pem"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn local(&self) -> Endpoint {
        Endpoint::unix(&self.home().join("node.sock"))
    }

    /// A client that shows this certificate.
    pub(crate) fn client(&self, shown: &Shown) -> Client {
        Client::connect(&self.endpoint().with_certificate(&shown.certificate, &shown.key)).unwrap()
    }

    /// The bare bytes of a new request for a build.
    pub(crate) fn bare(&self) -> Asked {
        self.bare_of(&self.domain.asked_to_build())
    }

    pub(crate) fn bare_of(&self, request: &Request) -> Asked {
        Asked::Bare(request.payload(self.domain.domain.origin()))
    }

    /// The grant that a client gets.
    pub(crate) fn granted(&self, client: &Client) -> Grant {
        let answer = client.authorize(&self.bare()).unwrap();
        let Answer::Permit(_) = answer else { panic!("expected a permit: {answer:?}") };
        let last = self.domain.entered().into_iter().filter_map(|one| match one.body {
            Body::Grant(grant) => Some(grant),
            _ => None,
        });
        last.last().unwrap()
    }

    /// A refusal that leaves no entry but a count.
    pub(crate) fn turned_away(&self, client: &Client, code: Code) -> String {
        let size = self.node.size();
        let answer = client.authorize(&self.bare()).unwrap();
        let Answer::Refused(refused) = answer else { panic!("expected to be turned away: {answer:?}") };
        assert_eq!(refused.code, code, "{}", refused.why);
        assert_eq!(self.node.size(), size, "nobody known has asked");
        refused.why
    }

    /// Puts another `principals.json` in force.
    pub(crate) fn knows(&self, plan: &Plan) {
        files(&self.domain.members, plan).write(&self.home().join("policy"));
        let before = self.node.policy().epoch;
        // The node looks by itself too; whoever comes first puts it in force.
        self.node.follow_policy().unwrap();
        assert!(self.node.policy().epoch > before);
    }

    /// Nobody is answered any more, and all that was counted is recorded.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    pub(crate) fn end(mut self) -> (Judgement, Lines) {
        self.stop();
        let Self { mut domain, node, lines, .. } = self;
        drop(node);
        (domain.judged(), lines)
    }
}

pub(crate) fn files(members: &Members, plan: &Plan) -> PolicyFiles {
    let mut principals: Value = serde_json::from_str(&members.principals()).unwrap();
    for item in principals.as_array_mut().unwrap() {
        let name = item["principal"].as_str().unwrap().to_owned();
        for (member, field, value) in &plan.known_by {
            if name.ends_with(&format!("::{member}")) {
                item[*field] = value.clone();
            }
        }
    }
    let standard = PolicyFiles::standard(members);
    let files = plan.policies.iter().fold(standard, |files, (name, text)| files.with(name, text));
    files.with("principals.json", &principals.to_string()).with("issuers.json", &plan.issuers.to_string())
}
