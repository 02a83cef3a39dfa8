//! Somebody is told of what waits for approval: until they have heard, and so that they know who says it.

use crate::site::{Plan, Site, WEBHOOK_SECRET, files};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use writ_authority::Answer;
use writ_server::HoldsWebhook;
use writ_testing::governed::{GovernedDomain, Member};

/// Longer than two attempts in vain take.
const NEVER: Duration = Duration::from_secs(60);
const APPROVALS: &str = r#"
@id("builders-deploy") permit (principal, action == Action::"exec", resource == Executable::"/usr/bin/deploy");
@id("an-operator") @approval("operators") @approve_within("1h")
forbid (principal, action == Action::"exec", resource == Executable::"/usr/bin/deploy");
"#;

struct Told {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// As a receiver does it that knows the secret.
    fn is_signed(&self) -> bool {
        let secret = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_")).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = format!("{}.{}.{}", self.headers["webhook-id"], self.headers["webhook-timestamp"], self.body);
        let signature = self.headers["webhook-signature"].strip_prefix("v1,").unwrap();
        hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(signature).unwrap()).is_ok()
    }
}

/// Answers with these in turn, and with the last one from then on; an empty one hangs up.
fn receiver(answers: &'static [&'static str]) -> (SocketAddr, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut headers = BTreeMap::new();
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, "POST /hooks/writ HTTP/1.1\r\n");
            loop {
                line.clear();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let answer = answers[turn.min(answers.len() - 1)];
            reader.get_mut().write_all(answer.as_bytes()).ok();
            if tell.send(Told { headers, body: String::from_utf8(body).unwrap() }).is_err() {
                return;
            }
        }
    });
    (address, told)
}

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn plan(address: SocketAddr) -> Plan {
    let place = format!("http://{address}/hooks/writ");
    Plan { holds_webhook: Some(place), policies: vec![("approvals.cedar", APPROVALS)], ..Plan::default() }
}

/// A domain in which somebody has asked for this already, and waits.
fn with_hold(plan: &Plan, arguments: &[&str]) -> (GovernedDomain, u64) {
    let members = GovernedDomain::members();
    let policies = files(&members, plan);
    let domain = GovernedDomain::with(members, &policies);
    let answer = domain.asks("builder", &domain.asked(arguments));
    let Answer::Hold(held) = answer else { panic!("expected a hold: {answer:?}") };
    (domain, held.receipt.index.get())
}

#[test]
fn what_waited_before_the_node_began_is_told_until_somebody_has_heard() {
    let (address, told) = receiver(&["HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "", OK]);
    let plan = plan(address);
    let (domain, index) = with_hold(&plan, &["/usr/bin/deploy", "a-secret-argument"]);
    let site = Site::over(domain, &plan);
    let tries: Vec<Told> = (0..3).map(|_| told.recv_timeout(NEVER).unwrap()).collect();
    for one in &tries {
        assert!(one.is_signed());
        assert_eq!(one.headers["content-type"], "application/json");
        assert_eq!(one.headers["webhook-id"], tries[0].headers["webhook-id"], "each time the same message");
        let json = one.json();
        assert_eq!((json["type"].as_str(), json["hold"]["index"].as_u64()), (Some("hold"), Some(index)));
        assert_eq!(json["hold"]["id"], tries[0].headers["webhook-id"].as_str());
        assert_eq!((&json["hold"]["state"], &json["hold"]["principal"]), (&"pending".into(), &"Agent::builder".into()));
        assert!(!one.body.contains("a-secret-argument"), "no values");
    }
    // Another one that comes now is told too, and the first not again.
    let client = writ_client::blocking::Client::connect(&site.endpoint()).unwrap();
    let asked = site.domain.asked(&["/usr/bin/deploy", "another"]);
    let signed = site.domain.member("builder").sign(&asked, site.domain.domain.origin());
    let answer = client.authorize(&writ_client::Asked::Signed(signed)).unwrap();
    let writ_client::Answer::Hold(held) = answer else { panic!("expected a hold: {answer:?}") };
    let next = told.recv_timeout(NEVER).unwrap();
    assert_eq!(next.json()["hold"]["index"].as_u64(), Some(held.index));
    assert_ne!(next.headers["webhook-id"], tries[0].headers["webhook-id"]);
    let (judgement, lines) = site.end();
    assert!(judgement.is_clean(), "{judgement:?}");
    assert_eq!(lines.text().matches("\"event\":\"webhook\"").count(), 2, "{}", lines.text());
    assert!(told.try_recv().is_err());
}

#[test]
fn nobody_who_decides_waits_for_whoever_is_told() {
    // It takes the message, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plan = plan(listener.local_addr().unwrap());
    let (domain, _) = with_hold(&plan, &["/usr/bin/deploy"]);
    let site = Site::over(domain, &plan);
    let _hanging = listener.accept().unwrap();
    let client = writ_client::blocking::Client::connect(&site.endpoint()).unwrap();
    let request = site.domain.asked_to_build();
    let signed = site.domain.member("builder").sign(&request, site.domain.domain.origin());
    let answer = client.authorize(&writ_client::Asked::Signed(signed)).unwrap();
    assert!(matches!(answer, writ_client::Answer::Permit(_)), "{answer:?}");
    assert!(site.end().0.is_clean());
}

#[test]
fn addresses_and_secrets_that_protect_nothing_are_refused() {
    for place in ["http://chat.example/writ", "ftp://127.0.0.1/", "https://user@chat.example/", "", "127.0.0.1:80"] {
        assert!(HoldsWebhook::new(place, None, WEBHOOK_SECRET).is_err(), "{place}");
    }
    for secret in ["", "whsec_", "whsec_AAECAwQ=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_not base64 at all, is it"]
    {
        assert!(HoldsWebhook::new("https://chat.example/writ", None, secret).is_err(), "{secret}");
    }
    assert!(HoldsWebhook::new("http://127.0.0.1:8080/writ", None, &format!("{WEBHOOK_SECRET}\n")).is_ok());
}

#[test]
fn what_waits_is_shown_page_by_page() {
    let plan = Plan { policies: vec![("approvals.cedar", APPROVALS)], ..Plan::default() };
    let mut members = GovernedDomain::members();
    let crowd: Vec<String> = (0..5).map(|number| format!("agent-{number}")).collect();
    members.0.extend(crowd.iter().map(|id| Member::new("Agent", id, &["agents"])));
    let policies = files(&members, &plan);
    let domain = GovernedDomain::with(members, &policies);
    for who in &crowd {
        for number in 0..60 {
            let answer = domain.asks(who, &domain.asked(&["/usr/bin/deploy", &format!("{who} {number}")]));
            assert!(matches!(answer, Answer::Hold(_)), "{answer:?}");
        }
    }
    let site = Site::over(domain, &plan);
    let page = |query: &str| -> Value {
        let mut stream = UnixStream::connect(site.home().join("node.sock")).unwrap();
        let head = format!("GET /v1/holds{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let first = page("");
    let next = first["next"].as_u64().unwrap();
    assert_eq!(first["holds"].as_array().unwrap().len(), 256);
    let second = page(&format!("?from={next}"));
    assert_eq!((second["holds"].as_array().unwrap().len(), &second["next"]), (44, &Value::Null));
    assert_eq!(second["holds"][0]["index"].as_u64(), Some(next));
    // A client of ours puts them together.
    let all = writ_client::blocking::Client::connect(&site.local()).unwrap().holds().unwrap();
    let indices: Vec<_> = all["holds"].as_array().unwrap().iter().map(|hold| hold["index"].as_u64()).collect();
    assert_eq!(indices.len(), 300);
    assert!(indices.is_sorted());
    assert!(site.end().0.is_clean());
}
