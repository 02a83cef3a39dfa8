//! The AuthZEN facade of a running node, over TLS and HTTP: the certification scenario of the Authorization API 1.0, the decisions of the
//! interoperability scenario of its task list, and what an attacker would make of an advice.

use super::site::{Plan, Shown, Site, files};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use writ_client::blocking::Client;
use writ_protocol::action::Command;
use writ_protocol::entry::{Opinion, Target};
use writ_protocol::statement::Request;
use writ_protocol::{Body, Code, EntryType, WritVerifier};
use writ_testing::governed::PolicyFiles;

const CERTIFICATION_SCHEMA: &str = r#"
entity user { role?: String };
entity record { status?: String };
action read, write appliesTo { principal: user, resource: record };
action delete appliesTo { principal: user, resource: record, context: { action: { soft?: Bool } } };
"#;

const CERTIFICATION_POLICY: &str = r#"
@id("pep-asks") permit (principal == Agent::"builder", action == Action::"advise", resource);
@id("all-read") permit (principal is user, action == Action::"read", resource);
@id("alice-writes") permit (principal == user::"alice", action == Action::"write", resource)
unless { resource has status && resource.status == "archived" };
@id("admins-write-archives") permit (principal is user, action == Action::"write", resource)
when { principal has role && principal.role == "admin" && resource has status && resource.status == "archived" };
@id("soft-deletes") permit (principal == user::"alice", action == Action::"delete", resource)
when { context.action has soft && context.action.soft };
"#;

fn certification_entities() -> Vec<Value> {
    let one = |kind: &str, id: &str, attrs: Value| json!({ "uid": { "type": kind, "id": id }, "attrs": attrs, "parents": [] });
    vec![
        one("user", "alice", json!({})),
        one("user", "bob", json!({ "role": "admin" })),
        one("record", "record-1", json!({ "status": "active" })),
        one("record", "record-2", json!({ "status": "archived" })),
    ]
}

/// The asker is known by its certificate, and the job by the user that these tests run as.
fn plan() -> Plan {
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    let mut plan = Plan::default();
    plan.known_by.push(("job", "uids", json!([uid])));
    plan
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A node that a PEP reaches over TLS, with its certificate.
struct Pdp {
    site: Site,
    pep: Shown,
}

impl Pdp {
    fn new(schema: &str, policy: &str, entities: &[Value]) -> Self {
        let plan = plan();
        let site = Site::new(&plan);
        let pep = site.ca.signs(site.home(), "pep", &["spiffe://acme.example/builder"], |_| {});
        let pdp = Self { site, pep };
        pdp.follows(schema, policy, entities);
        pdp
    }

    fn certified() -> Self {
        Self::new(CERTIFICATION_SCHEMA, CERTIFICATION_POLICY, &certification_entities())
    }

    fn follows(&self, schema: &str, policy: &str, entities: &[Value]) {
        let members = &self.site.domain.members;
        let files: PolicyFiles = files(&self.site.domain.members, &plan())
            .with("schema.cedarschema", schema)
            .with("advice.cedar", policy)
            .with("entities.json", &members.entities(entities));
        files.write(&self.site.home().join("policy"));
        self.site.node.follow_policy().unwrap();
    }

    fn send(&self, request: &str, shown: Option<&Shown>) -> Answer {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.site.home().join("node.pem")).unwrap()).unwrap();
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let chain =
                    CertificateDer::pem_file_iter(&shown.certificate).unwrap().collect::<Result<_, _>>().unwrap();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&shown.key).unwrap()).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.site.port())).unwrap();
        talk(rustls::StreamOwned::new(tls, stream), request)
    }

    fn post_with(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.send(&post(path, headers, body), Some(&self.pep))
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, "Content-Type: application/json\r\n", &body.to_string())
    }

    #[track_caller]
    fn ok(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.body);
        answer.json()
    }

    #[track_caller]
    fn decides(&self, body: &Value) -> bool {
        self.ok("/access/v1/evaluation", body)["decision"].as_bool().unwrap()
    }

    #[track_caller]
    fn decides_all(&self, body: &Value) -> Vec<bool> {
        let answer = self.ok("/access/v1/evaluations", body);
        let decisions = answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap());
        decisions.collect()
    }

    #[track_caller]
    fn finds(&self, what: &str, body: &Value) -> Vec<String> {
        let answer = self.ok(&format!("/access/v1/search/{what}"), body);
        let name = |one: &Value| one.get("id").or(one.get("name")).unwrap().as_str().unwrap().to_owned();
        answer["results"].as_array().unwrap().iter().map(name).collect()
    }

    fn count(&self, kind: EntryType) -> usize {
        self.site.domain.entered().into_iter().filter(|one| one.body.entry_type() == kind).count()
    }

    /// Answers and refusals; strangers are counted now and then by the node.
    fn recorded(&self) -> usize {
        self.count(EntryType::Advised) + self.count(EntryType::Denial)
    }

    #[track_caller]
    fn ends_clean(self) {
        let (judgement, _) = self.site.end();
        assert!(judgement.is_clean(), "{:?} {:?}", judgement.findings, judgement.replay);
    }
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn talk(mut stream: impl Read + Write, request: &str) -> Answer {
    // What is too large is refused before all of it is there.
    stream.write_all(request.as_bytes()).ok();
    let mut answer = Vec::new();
    // The other side may close without saying so first.
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn user(id: &str) -> Value {
    json!({ "type": "user", "id": id })
}

fn record(id: &str) -> Value {
    json!({ "type": "record", "id": id })
}

fn verb(name: &str) -> Value {
    json!({ "name": name })
}

fn asked(subject: Value, action: Value, resource: Value) -> Value {
    json!({ "subject": subject, "action": action, "resource": resource })
}

fn admin() -> Value {
    json!({ "type": "user", "id": "bob", "properties": { "role": "admin" } })
}

fn archived() -> Value {
    json!({ "type": "record", "id": "record-2", "properties": { "status": "archived" } })
}

#[test]
fn certification_basic() {
    let pdp = Pdp::certified();
    let first = |who: &str, action: &str| asked(user(who), verb(action), record("record-1"));
    for (who, action, expected) in
        [("alice", "read", true), ("alice", "write", true), ("bob", "read", true), ("bob", "write", false)]
    {
        assert_eq!(pdp.decides(&first(who, action)), expected, "{who} {action}");
    }
    assert!(!pdp.decides(&asked(user("alice"), verb("write"), archived())));
    assert!(pdp.decides(&asked(admin(), verb("write"), archived())));
    for soft in [true, false] {
        let action = json!({ "name": "delete", "properties": { "soft": soft } });
        assert_eq!(pdp.decides(&asked(user("alice"), action, record("record-1"))), soft);
    }
    let mut more = first("alice", "read");
    more["context"] = json!({ "time": "2026-11-21T10:00-07:00", "ip": "192.0.2.1", "risk": 0.25, "of": 1e17 });
    (more["foo"], more["later"]) = (json!("bar"), json!({ "nested": true }));
    assert!(pdp.decides(&more));
    let properties = json!({ "department": "Sales", "role": "manager" });
    let subject = json!({ "type": "user", "id": "alice", "properties": properties });
    let action = json!({ "name": "read", "properties": { "method": "GET" } });
    let resource = json!({ "type": "record", "id": "record-1", "properties": { "status": "active", "owner": "bob" } });
    assert!(pdp.decides(&asked(subject, action, resource)));
    let before = pdp.count(EntryType::Advised);
    assert!((0..3).all(|_| pdp.decides(&first("alice", "read"))));
    assert_eq!(pdp.count(EntryType::Advised), before + 3, "each answer is recorded");
    pdp.ends_clean();
}

#[test]
fn certification_errors_and_headers() {
    let pdp = Pdp::certified();
    let whole = asked(user("alice"), verb("read"), record("record-1"));
    let mut broken = Vec::new();
    for part in ["subject", "action", "resource"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(part);
        broken.push(without);
    }
    for (part, field) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let mut without = whole.clone();
        without[part].as_object_mut().unwrap().remove(field);
        broken.push(without);
    }
    for (part, value) in [("subject", json!("alice")), ("action", json!({ "name": 123 })), ("context", json!([]))] {
        let mut other = whole.clone();
        other[part] = value;
        broken.push(other);
    }
    for body in &broken {
        assert_eq!(pdp.post("/access/v1/evaluation", body).status, 400, "{body}");
    }
    let json = "Content-Type: application/json\r\n";
    let doubled = r#"{"subject":{"type":"user","id":"alice"},"subject":{"type":"user","id":"bob"}}"#;
    let deep = format!(r#"{{"context":{{"a":{}1{}}}}}"#, "[".repeat(13), "]".repeat(13));
    for body in ["", "{", "[]", "null", doubled, &deep, r#"{"subject":{"type":"us\ud800"}}"#] {
        assert_eq!(pdp.post_with("/access/v1/evaluation", json, body).status, 400, "{body}");
    }
    for headers in ["", "Content-Type: text/plain\r\n", "Content-Type: application/xml\r\n"] {
        assert_eq!(pdp.post_with("/access/v1/evaluation", headers, &whole.to_string()).status, 400, "{headers}");
    }
    // Told by its head, before any of it is read.
    let large = post("/access/v1/evaluation", json, "").replace("Content-Length: 0", "Content-Length: 1048577");
    assert_eq!(pdp.send(&large, Some(&pdp.pep)).status, 400);
    assert_eq!(pdp.recorded(), 0, "what is no question is not recorded");
    for (status, body) in [(200, whole.to_string()), (400, "{".to_owned())] {
        let named = pdp.post_with("/access/v1/evaluation", &format!("{json}X-Request-ID: a b/ü-7\r\n"), &body);
        assert_eq!((named.status, named.header("x-request-id")), (status, Some("a b/ü-7")));
    }
    assert_eq!(pdp.send(&post("/access/v1/nothing", json, "{}"), Some(&pdp.pep)).status, 404);
    pdp.ends_clean();
}

#[test]
fn certification_batch() {
    let pdp = Pdp::certified();
    let two = |one: Value, other: Value| json!([one, other]);
    let batch = |subject: Value, action: Value, evaluations: Value| json!({ "subject": subject, "action": action, "evaluations": evaluations });
    let resources = two(json!({ "resource": record("record-1") }), json!({ "resource": record("record-2") }));
    assert_eq!(pdp.decides_all(&batch(user("alice"), verb("read"), resources)).len(), 2);
    let actions = two(json!({ "action": verb("read") }), json!({ "action": verb("write") }));
    let of_bob = json!({ "subject": user("bob"), "resource": record("record-1"), "evaluations": actions });
    assert_eq!(pdp.decides_all(&of_bob), [true, false]);
    let active = json!({ "type": "record", "id": "record-1", "properties": { "status": "active" } });
    let by_status = two(json!({ "resource": active }), json!({ "resource": archived() }));
    assert_eq!(pdp.decides_all(&batch(user("alice"), verb("write"), by_status)), [true, false]);
    let subjects = two(json!({ "subject": user("alice") }), json!({ "subject": admin() }));
    let by_role = json!({ "action": verb("write"), "resource": archived(), "evaluations": subjects });
    assert_eq!(pdp.decides_all(&by_role), [false, true]);
    let full = two(
        asked(user("alice"), verb("read"), record("record-1")),
        asked(user("bob"), verb("write"), record("record-1")),
    );
    assert_eq!(pdp.decides_all(&json!({ "evaluations": full })), [true, false]);
    let mut inherited = asked(user("alice"), verb("write"), record("record-1"));
    inherited["evaluations"] = two(json!({}), json!({ "resource": archived() }));
    assert_eq!(pdp.decides_all(&inherited), [true, false]);
    let mut with_context = batch(
        user("alice"),
        verb("read"),
        two(
            json!({ "resource": record("record-1") }),
            json!({ "resource": record("record-2"), "context": { "source": "item" } }),
        ),
    );
    with_context["context"] = json!({ "time": "2026-11-21T10:00-07:00" });
    assert_eq!(pdp.decides_all(&with_context), [true, true]);
    let mut incomplete = batch(user("alice"), verb("read"), two(json!({ "resource": record("record-1") }), json!({})));
    incomplete["options"] = json!({ "evaluations_semantic": "execute_all", "another": 1 });
    let answer = pdp.ok("/access/v1/evaluations", &incomplete);
    assert_eq!(
        (&answer["evaluations"][0]["decision"], &answer["evaluations"][1]["decision"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(answer["evaluations"][1]["context"]["error"]["status"], 400);
    assert!(answer.get("decision").is_none());
    for evaluations in [None, Some(json!([]))] {
        let mut single = asked(user("alice"), verb("read"), record("record-1"));
        if let Some(evaluations) = evaluations {
            single["evaluations"] = evaluations;
        }
        assert_eq!(pdp.ok("/access/v1/evaluations", &single)["decision"], true);
    }
    pdp.ends_clean();
}

#[test]
fn a_batch_ends_where_its_semantic_says_and_has_a_limit() {
    let pdp = Pdp::certified();
    let actions = json!([{ "action": verb("write") }, { "action": verb("read") }, { "action": verb("write") }, {}]);
    let batch = |semantic: &str| {
        json!({
            "subject": user("bob"), "resource": record("record-1"), "evaluations": actions,
            "options": { "evaluations_semantic": semantic },
        })
    };
    for (semantic, expected) in [
        ("execute_all", vec![false, true, false, false]),
        ("deny_on_first_deny", vec![false]),
        ("permit_on_first_permit", vec![false, true]),
    ] {
        assert_eq!(pdp.decides_all(&batch(semantic)), expected, "{semantic}");
    }
    assert_eq!(pdp.count(EntryType::Advised), 3 + 1 + 2, "what is not answered is not decided");
    assert_eq!(pdp.post("/access/v1/evaluations", &batch("whatever")).status, 400);
    let many = |count: usize| {
        let items = vec![json!({ "action": verb("read") }); count];
        json!({ "subject": user("bob"), "resource": record("record-1"), "evaluations": items })
    };
    assert_eq!(pdp.decides_all(&many(256)).len(), 256);
    assert_eq!(pdp.post("/access/v1/evaluations", &many(257)).status, 400);
    // Together in a batch of the ledger, or in very few.
    let seals = pdp.count(EntryType::Seal);
    assert!(seals < 256, "{seals} seals");
    pdp.ends_clean();
}

#[test]
fn certification_search() {
    let pdp = Pdp::certified();
    let subjects = asked(json!({ "type": "user" }), verb("read"), record("record-1"));
    assert_eq!(pdp.finds("subject", &subjects), ["alice", "bob"]);
    let mut with_id = subjects.clone();
    (with_id["subject"], with_id["context"]) = (user("alice"), json!({ "ip": "192.0.2.1" }));
    assert_eq!(pdp.finds("subject", &with_id), ["alice", "bob"]);
    assert_eq!(pdp.finds("subject", &asked(json!({ "type": "user" }), verb("write"), archived())), ["bob"]);
    let resources = asked(user("alice"), verb("read"), json!({ "type": "record" }));
    assert_eq!(pdp.finds("resource", &resources), ["record-1", "record-2"]);
    assert_eq!(pdp.finds("resource", &asked(admin(), verb("write"), record("x"))), ["record-2"]);
    let actions = json!({ "subject": user("alice"), "resource": record("record-1") });
    assert_eq!(pdp.finds("action", &actions), ["read", "write"]);
    assert_eq!(pdp.finds("action", &json!({ "subject": admin(), "resource": archived() })), ["read", "write"]);
    for (what, body) in [
        ("action", json!({ "subject": user("nobody"), "resource": record("record-1") })),
        ("subject", asked(json!({ "type": "spaceship" }), verb("read"), record("record-1"))),
        ("resource", asked(user("alice"), verb("read"), json!({ "type": "spaceship" }))),
        ("subject", asked(json!({ "type": "user" }), verb("fly"), record("record-1"))),
    ] {
        assert!(pdp.finds(what, &body).is_empty(), "{what} {body}");
    }
    let open = asked(json!({ "type": "user" }), verb("read"), json!({ "type": "record" }));
    for (what, body) in [
        ("subject", json!({ "subject": { "type": "user" }, "resource": record("record-1") })),
        ("resource", json!({ "action": verb("read"), "resource": { "type": "record" } })),
        ("action", json!({ "subject": user("alice") })),
        ("action", json!({ "subject": { "type": "user" }, "resource": record("record-1") })),
        ("subject", open.clone()),
        ("resource", open),
    ] {
        assert_eq!(pdp.post(&format!("/access/v1/search/{what}"), &body).status, 400, "{what} {body}");
    }
    let page = |page: Value| {
        let mut body = subjects.clone();
        body["page"] = page;
        body
    };
    let first = pdp.ok("/access/v1/search/subject", &page(json!({ "limit": 1 })));
    let token = first["page"]["next_token"].as_str().unwrap();
    assert_eq!((first["results"][0]["id"].as_str(), token.is_empty()), (Some("alice"), false));
    let second = pdp.ok("/access/v1/search/subject", &page(json!({ "token": token })));
    assert_eq!((&second["results"], &second["page"]["next_token"]), (&json!([user("bob")]), &json!("")));
    let mut another = page(json!({ "token": token }));
    another["action"] = verb("write");
    assert_eq!(pdp.post("/access/v1/search/subject", &another).status, 400, "a token is for one search");
    pdp.ends_clean();
}

#[test]
fn certification_discovery() {
    let pdp = Pdp::certified();
    let get = "GET /.well-known/authzen-configuration HTTP/1.1\r\nHost: localhost:7777\r\nConnection: close\r\n\r\n";
    let found = pdp.send(get, None);
    assert_eq!((found.status, found.header("content-type")), (200, Some("application/json")));
    let found = found.json();
    let base = "https://localhost:7777";
    assert_eq!(found["policy_decision_point"], base);
    for (name, path) in [
        ("access_evaluation_endpoint", "/access/v1/evaluation"),
        ("access_evaluations_endpoint", "/access/v1/evaluations"),
        ("search_subject_endpoint", "/access/v1/search/subject"),
        ("search_resource_endpoint", "/access/v1/search/resource"),
        ("search_action_endpoint", "/access/v1/search/action"),
    ] {
        assert_eq!(found[name], format!("{base}{path}"));
    }
    // Nor does it say what a request makes up: the handshake has named localhost.
    for host in ["a b", "user@localhost", "localhost/x", "pdp.example", "127.0.0.1", "localhost\r\nHost: localhost"] {
        let odd = get.replace("localhost:7777", host);
        assert_eq!(pdp.send(&odd, None).status, 400, "{host}");
    }
    pdp.ends_clean();
}

/// Whoever may ask learns what is wrong with a question, and not what the domain has of whom it names.
#[test]
fn a_reason_tells_nothing_of_what_is_in_the_set() {
    let pdp = Pdp::certified();
    let reason = |subject: Value, resource: Value| {
        let answer = pdp.ok("/access/v1/evaluation", &asked(subject, verb("read"), resource));
        assert_eq!((&answer["decision"], &answer["context"]["code"]), (&json!(false), &json!("evaluation_error")));
        answer["context"]["reason"].as_str().unwrap().to_owned()
    };
    let with = |mut party: Value, properties: Value| {
        party["properties"] = properties;
        party
    };
    let nobody = reason(user("nobody"), record("record-1"));
    let told = [
        reason(user("alice"), record("record-7")),
        reason(with(user("bob"), json!({ "role": "clerk" })), record("record-1")),
        reason(with(user("alice"), json!({ "role": 7 })), record("record-1")),
        reason(user("alice"), with(record("record-1"), json!({ "status": "archived" }))),
    ];
    for one in &told {
        assert_eq!(one, &nobody);
    }
    for secret in ["nobody", "alice", "role", "status", "record-7", "entity"] {
        assert!(!nobody.contains(secret), "{nobody}");
    }
    // What is wrong with the question itself is said.
    let answer = pdp.ok("/access/v1/evaluation", &asked(user("alice"), verb("fly"), record("record-1")));
    assert!(answer["context"]["reason"].as_str().unwrap().contains("`fly` is no action"), "{answer}");
    pdp.ends_clean();
}

const TASKS_SCHEMA: &str = r#"
entity user { email?: String, roles?: Set<String> };
@from("request") entity todo { ownerID?: String };
action can_read_user appliesTo { principal: user, resource: user };
action can_read_todos, can_create_todo, can_update_todo, can_delete_todo appliesTo { principal: user, resource: todo };
"#;

const TASKS_POLICY: &str = r#"
@id("pep-asks") permit (principal == Agent::"builder", action == Action::"advise", resource);
@id("all-see") permit (principal is user, action in [Action::"can_read_user", Action::"can_read_todos"], resource);
@id("editors-create") permit (principal is user, action == Action::"can_create_todo", resource)
when { principal has roles && principal.roles.containsAny(["admin", "editor"]) };
@id("owners-change") permit (principal is user, action in [Action::"can_update_todo", Action::"can_delete_todo"], resource)
when {
  principal has roles && principal.roles.contains("editor") && principal has email && resource has ownerID &&
  principal.email == resource.ownerID
};
@id("one-changes-all") permit (principal is user, action in [Action::"can_update_todo", Action::"can_delete_todo"], resource)
when { principal has roles && principal.roles.contains("evil_genius") };
"#;

/// Id, address and roles of the five, and what each may of the eight questions.
const TASKS: [(&str, &str, &[&str], [bool; 8]); 5] = [
    (
        "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs",
        "rick@the-citadel.com",
        &["admin", "evil_genius"],
        [true; 8],
    ),
    ("CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "morty@the-citadel.com", &["editor"], EDITS),
    ("CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "summer@the-smiths.com", &["editor"], EDITS),
    ("CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "beth@the-smiths.com", &["viewer"], VIEWS),
    ("CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "jerry@the-smiths.com", &["viewer"], VIEWS),
];
const EDITS: [bool; 8] = [true, true, true, true, false, true, false, true];
const VIEWS: [bool; 8] = [true, true, true, false, false, false, false, false];

#[test]
fn the_task_list_is_decided_as_the_interoperability_scenario_says() {
    let person = |id: &str, attrs: Value| json!({ "uid": { "type": "user", "id": id }, "attrs": attrs, "parents": [] });
    let entities: Vec<Value> = TASKS
        .iter()
        .flat_map(|(id, email, roles, _)| {
            [person(id, json!({ "email": email, "roles": roles })), person(email, json!({}))]
        })
        .collect();
    let pdp = Pdp::new(TASKS_SCHEMA, TASKS_POLICY, &entities);
    let task = |owner: &str| json!({ "type": "todo", "id": format!("7240d0db-{}", owner.len()), "properties": { "ownerID": owner } });
    for (id, email, _, expected) in TASKS {
        // Whose tasks are asked about besides one's own; the one who may change all of them is asked about another's too.
        let own = if email.starts_with("rick") { "morty@the-citadel.com" } else { email };
        let any = json!({ "type": "todo", "id": "todo-1" });
        let questions = [
            ("can_read_user", user("beth@the-smiths.com")),
            ("can_read_user", user(email)),
            ("can_read_todos", any.clone()),
            ("can_create_todo", any),
            ("can_update_todo", task("rick@the-citadel.com")),
            ("can_update_todo", task(own)),
            ("can_delete_todo", task("rick@the-citadel.com")),
            ("can_delete_todo", task(own)),
        ];
        let items: Vec<Value> = questions
            .iter()
            .map(|(action, resource)| json!({ "action": verb(action), "resource": resource }))
            .collect();
        assert_eq!(
            pdp.decides_all(&json!({ "subject": user(id), "evaluations": items })),
            expected,
            "{email} together"
        );
        for ((action, resource), expected) in questions.into_iter().zip(expected) {
            assert_eq!(pdp.decides(&asked(user(id), verb(action), resource)), expected, "{email} {action}");
        }
    }
    pdp.ends_clean();
}

#[test]
fn who_is_not_known_or_may_not_ask_gets_no_decision() {
    let pdp = Pdp::certified();
    let whole = asked(user("alice"), verb("read"), record("record-1")).to_string();
    let json = "Content-Type: application/json\r\n";
    let request = post("/access/v1/evaluation", json, &whole);
    let unknown = pdp.site.ca.signs(pdp.site.home(), "unknown", &["spiffe://acme.example/nobody"], |_| {});
    for shown in [None, Some(&unknown)] {
        let answer = pdp.send(&request, shown);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{}", answer.body);
        assert!(!answer.body.contains("decision"));
    }
    for authorization in ["Bearer not.a.token", "Basic YTpi"] {
        let request = post("/access/v1/evaluation", &format!("{json}Authorization: {authorization}\r\n"), &whole);
        assert_eq!(pdp.send(&request, None).status, 401, "{authorization}");
    }
    assert_eq!(pdp.recorded(), 0, "nobody known has asked");
    // A process of this machine is known, and policy does not let it ask.
    let local = UnixStream::connect(pdp.site.home().join("node.sock")).unwrap();
    let answer = talk(local, &request);
    assert_eq!(answer.status, 403, "{}", answer.body);
    let entered = pdp.site.domain.entered();
    let Some(Body::Denial(denial)) =
        entered.iter().rev().map(|one| &one.body).find(|body| !matches!(body, Body::Seal(_)))
    else {
        panic!("it is recorded")
    };
    assert_eq!((denial.code, denial.action.kind.as_str()), (Code::PolicyDenied, "advice"));
    let local = UnixStream::connect(pdp.site.home().join("node.sock")).unwrap();
    let batch = json!({ "evaluations": [serde_json::from_str::<Value>(&whole).unwrap()] }).to_string();
    let answer = talk(local, &post("/access/v1/evaluations", json, &batch)).json();
    assert_eq!(answer["evaluations"][0]["decision"], false);
    assert_eq!(answer["evaluations"][0]["context"]["error"]["status"], 403);
    let local = UnixStream::connect(pdp.site.home().join("node.sock")).unwrap();
    let search = asked(json!({ "type": "user" }), verb("read"), record("record-1")).to_string();
    assert_eq!(talk(local, &post("/access/v1/search/subject", json, &search)).status, 403);
    pdp.ends_clean();
}

#[test]
fn what_cannot_be_read_is_counted() {
    let mut pdp = Pdp::certified();
    let json = "Content-Type: application/json\r\n";
    for path in ["evaluation", "evaluations", "search/subject"] {
        let answer = pdp.post_with(&format!("/access/v1/{path}"), json, "{ nothing");
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    let whole = asked(user("alice"), verb("read"), record("record-1")).to_string();
    assert_eq!(
        pdp.post_with("/access/v1/evaluation", &format!("{json}Authorization: Basic YTpi\r\n"), &whole).status,
        401
    );
    // Whoever is known learns which of several it was; nobody else learns anything.
    let batch = json!({ "evaluations": [{ "nothing": 1 }] });
    let answer = pdp.ok("/access/v1/evaluations", &batch);
    assert_eq!(answer["evaluations"][0]["decision"], false);
    let request = post("/access/v1/evaluations", json, &batch.to_string());
    assert_eq!(pdp.send(&request, None).status, 401);
    assert_eq!(pdp.recorded(), 0);
    pdp.site.stop();
    let entered = pdp.site.domain.entered();
    let counted =
        entered.into_iter().filter_map(|one| if let Body::Tally(tally) = one.body { Some(tally) } else { None });
    let malformed = counted.flat_map(|tally| tally.counts.clone()).filter(|one| one.code == Code::Malformed);
    assert_eq!(malformed.map(|one| one.count.get()).sum::<u64>(), 5);
    pdp.ends_clean();
}

/// What an attacker who holds an advice tries.
#[test]
fn an_advice_is_no_writ() {
    let pdp = Pdp::certified();
    assert!(pdp.decides(&asked(user("alice"), verb("read"), record("record-1"))));
    let entered = pdp.site.domain.entered();
    let at = entered.iter().position(|one| matches!(&one.body, Body::Advised(one) if one.decision == Opinion::Permit));
    let index = entered[at.unwrap()].index;
    let get = format!("GET /v1/entries/{index} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let proof = pdp.send(&get, None).json()["proof"].as_str().unwrap().to_owned();
    let trust = pdp.site.domain.domain.trust_root();
    let refusal = WritVerifier::new(trust).verify(proof.as_bytes()).unwrap_err();
    assert_eq!(refusal.code(), Code::NotAWrit);
    // Built-in actions are not advised on, so nothing even sounds like leave to run something.
    for action in ["exec", "halt", "advise"] {
        let about = json!({ "type": "Agent", "id": "builder" });
        let answer =
            pdp.ok("/access/v1/evaluation", &asked(about, verb(action), json!({ "type": "Domain", "id": "this" })));
        assert_eq!((&answer["decision"], &answer["context"]["code"]), (&json!(false), &json!("evaluation_error")));
    }
    pdp.ends_clean();
}

fn orders(site: &Site, command: Command) {
    let request = Request { time_ms: site.domain.clock.now_ms(), ..site.domain.domain.asked_order(command) };
    let signed = site.domain.member("alice").sign(&request, site.domain.domain.origin());
    let answer = Client::connect(&site.endpoint()).unwrap().order(&signed).unwrap();
    assert!(matches!(answer, writ_client::OrderAnswer::Recorded(_)), "{answer:?}");
}

#[test]
fn nobody_is_let_through_in_a_halt_or_after_a_revocation() {
    let policy = format!(
        r#"{CERTIFICATION_POLICY}
@id("people-see") permit (principal is User, action == Action::"see", resource);"#
    );
    let schema = format!("{CERTIFICATION_SCHEMA}\naction see appliesTo {{ principal: User, resource: record }};");
    let pdp = Pdp::new(&schema, &policy, &certification_entities());
    let of = |id: &str| asked(json!({ "type": "User", "id": id }), verb("see"), record("record-1"));
    assert!(pdp.decides(&of("bob")) && pdp.decides(&of("alice")));
    let domain = &pdp.site.domain;
    let bob = domain.members.named("bob").name().clone();
    orders(&pdp.site, Command::Revoke(Target::Principal(bob)));
    let answer = pdp.ok("/access/v1/evaluation", &of("bob"));
    assert_eq!((&answer["decision"], &answer["context"]["code"]), (&json!(false), &json!("revoked")));
    assert!(pdp.decides(&of("alice")));
    orders(&pdp.site, Command::Halt);
    let answer = pdp.ok("/access/v1/evaluation", &of("alice"));
    assert_eq!((&answer["decision"], &answer["context"]["code"]), (&json!(false), &json!("halted")));
    let subjects = asked(json!({ "type": "user" }), verb("read"), record("record-1"));
    assert!(pdp.finds("subject", &subjects).is_empty());
    pdp.ends_clean();
}
