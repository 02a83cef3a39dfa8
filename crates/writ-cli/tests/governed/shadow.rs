//! Shadow mode as a person meets it: programs run as they are, the ledger gets what policy would have answered, and a set is learnt from that.

use super::site::{NOT_FOUND, REFUSED, Site, json, refusal, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::thread::JoinHandle;
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Endpoint, ShadowAnswer};
use writ_ledger::Reader;
use writ_protocol::Code;
use writ_protocol::action::Action;
use writ_protocol::entry::{Audience, Positive};
use writ_protocol::statement::{Ask, Authorize, Request, Shadowing};
use writ_protocol::{Ed25519Key, Key, Name, RequestKey};
use writ_tlog::{Algorithm, LeafIndex, Origin, SigningKey};

impl Site {
    fn shadow(&self, argv: &[&str]) -> Output {
        self.writ(&[&["run", "--shadow", "--"], argv].concat())
    }

    /// The newest shadow, whole.
    fn newest_shadow(&self) -> Json {
        serde_json::from_str(&self.newest("shadow")).unwrap()
    }
}

#[test]
fn what_would_be_permitted_runs_in_silence_and_as_it_is() {
    let mut site = Site::up();
    let ran = site.shadow(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str(), stderr(&ran).as_str()), (Some(7), "out\n", "err\n"));
    // It is the process that was started, with its standard input, its name for itself and its folder.
    let mut child = site
        .command(&["run", "--shadow", "--", "sh", "-c", "read -r line; echo $$ \"$line\" \"$0\"; pwd", "me"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"told\n").unwrap();
    let pid = child.id();
    let ran = child.wait_with_output().unwrap();
    let here = fs::canonicalize(site.path("")).unwrap();
    assert_eq!(stdout(&ran), format!("{pid} told me\n{}\n", here.display()));
    let killed = site.shadow(&["sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status.signal(), Some(15));
    assert_eq!(site.types().iter().filter(|found| *found == "shadow").count(), 3);
    let shadow = site.newest_shadow();
    assert_eq!((&shadow["body"]["would"], &shadow["body"]["cause"]["depth"]), (&"permit".into(), &0.into()));
    assert!(!site.types().iter().any(|found| found == "grant" || found == "report"), "no gateway has spoken");
    site.audit();
}

#[test]
fn what_would_be_refused_is_told_in_a_line_and_runs() {
    let site = Site::up();
    let ran = site.writ(&["run", "--shadow", "--as", "Agent::builder", "--", "touch", "made"]);
    assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(0), ""));
    assert!(site.path("made").exists());
    let told = stderr(&ran);
    assert_eq!(told.lines().count(), 1, "{told}");
    let shadow = site.newest_shadow();
    let expected = format!(
        "writ: would refuse touch made: policy_denied: no policy permits it: Agent::builder, running /usr/bin/touch in {}; entry {}\n",
        fs::canonicalize(site.path("")).unwrap().display(),
        shadow["index"]
    );
    assert_eq!(told, expected);
    let ran = site.writ(&["--json", "run", "--shadow", "--as", "Agent::builder", "--", "touch", "made-too"]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(site.path("made-too").exists());
    let told: Json = serde_json::from_str(&stderr(&ran)).unwrap();
    assert_eq!((&told["outcome"], &told["would"]), (&"shadow".into(), &"policy_denied".into()));
    assert_eq!(told["index"], site.newest_shadow()["index"]);
    assert!(told["explanation"].is_object() && told["next"].is_string(), "{told}");
    // What a policy forbids is told with its name.
    let ran = site.shadow(&["dd", "if=/dev/null", "status=none"]);
    assert!(stderr(&ran).contains("policy_denied: forbidden by no-raw-disks"), "{}", stderr(&ran));
}

#[test]
fn what_cannot_be_recorded_is_told_in_a_line_and_runs() {
    let mut site = Site::up();
    let runs = |site: &Site, arguments: &[&str], code: &str| {
        let ran = site.writ(&[arguments, &["--", "sh", "-c", "echo ran; exit 3"]].concat());
        assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(3), "ran\n"));
        let told = stderr(&ran);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.starts_with("writ: not recorded, and runs anyhow: sh -c ") && told.contains(code), "{told}");
    };
    let stranger = site.text("stranger.seed");
    fs::write(&stranger, format!("{}\n", "07".repeat(32))).unwrap();
    fs::set_permissions(&stranger, fs::Permissions::from_mode(0o600)).unwrap();
    runs(&site, &["run", "--shadow", "--as", "Agent::builder", "--key", &stranger], "unauthenticated");
    runs(&site, &["run", "--shadow", "--as", "Agent::nobody"], "identity_mismatch");
    runs(&site, &["run", "--shadow", "--domain", "/nowhere"], "/nowhere");
    // Of standard input that leads to files nothing is asked; it is none of ours to stop it.
    let folder = fs::File::open(site.path("")).unwrap();
    let ran = site.command(&["run", "--shadow", "--", "echo", "ran"]).stdin(folder).output().unwrap();
    assert_eq!(stdout(&ran), "ran\n");
    assert!(stderr(&ran).contains("integrity_failure"), "{}", stderr(&ran));
    // A node that takes the question and never answers.
    let mute = site.path("mute.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    let node = format!("unix:{}", mute.display());
    runs(&site, &["run", "--shadow", "--timeout", "1", "--node", &node], "authority_unreachable");
    site.kill_node();
    runs(&site, &["run", "--shadow"], "authority_unreachable");
    // Nor does anything depend on whether that can be told.
    for json in [&[][..], &["--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let arguments = [json, &["run", "--shadow", "--", "sh", "-c", "echo ran"]].concat();
        let ran = site.command(&arguments).stderr(full).output().unwrap();
        assert_eq!((ran.status.code(), stdout(&ran).as_str()), (Some(0), "ran\n"));
    }
    let ran = site.writ(&["run", "--shadow", "--", "sh", "-c", "true\ntrue"]);
    assert_eq!(stderr(&ran).lines().count(), 1, "{}", stderr(&ran));
    let ran = site.writ(&["--json", "run", "--shadow", "--", "true"]);
    let told: Json = serde_json::from_str(&stderr(&ran)).unwrap();
    assert_eq!((&told["outcome"], &told["code"]), (&"unrecorded".into(), &"authority_unreachable".into()));
    assert_eq!(told["index"], Json::Null);
    site.audit();
}

/// Something that looks like a node and answers one request with this.
fn answering(site: &Site, body: String) -> (String, JoinHandle<()>) {
    let socket = site.path("lying.sock");
    fs::remove_file(&socket).ok();
    let listener = UnixListener::bind(&socket).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        client.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    (format!("unix:{}", socket.display()), answering)
}

/// What a node says of shadow is not believed before it is proved.
#[test]
fn an_answer_that_is_not_proved_or_not_ours_counts_as_none() {
    let site = Site::up();
    site.shadow(&["true"]);
    let index = site.newest_shadow()["index"].as_u64().unwrap();
    let reader = Reader::open(&site.path("acme/ledger.db")).unwrap();
    let view = reader.view().unwrap();
    let proof = |index| String::from_utf8(reader.receipt(LeafIndex::new(index), &view).unwrap().to_writ()).unwrap();
    let told = |would: &str, proof: String| {
        serde_json::json!({
            "outcome": "shadow", "would": would, "index": index, "repeated": false, "why": null, "policies": [],
            "explanation": null, "next": null, "proof": proof,
        })
    };
    for (answer, code) in [
        // The answer to another request.
        (told("permit", proof(index)), "evidence_invalid"),
        // An entry of another type.
        (told("permit", proof(0)), "evidence_invalid"),
        (told("permit", "no proof".to_owned()), "malformed"),
        (told("halted", proof(index)), "authority_unreachable"),
        (
            serde_json::json!({ "outcome": "permit", "index": index, "repeated": false, "writ": proof(index) }),
            "authority_unreachable",
        ),
    ] {
        let (node, answering) = answering(&site, answer.to_string());
        let ran = site.writ(&["run", "--shadow", "--node", &node, "--", "echo", "ran"]);
        answering.join().unwrap();
        assert_eq!(stdout(&ran), "ran\n");
        let told = stderr(&ran);
        assert!(told.starts_with("writ: not recorded, and runs anyhow") && told.contains(code), "{code}: {told}");
    }
}

#[test]
fn what_cannot_be_executed_ends_as_in_a_shell() {
    let site = Site::up();
    let missing = site.shadow(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(NOT_FOUND));
    fs::write(site.path("plain"), "text").unwrap();
    assert_eq!(site.shadow(&["./plain"]).status.code(), Some(REFUSED));
    let used = site.writ(&["run", "--shadow", "--writ", "x", "--", "true"]);
    assert_eq!(used.status.code(), Some(2), "{}", stderr(&used));
}

#[test]
fn a_shadow_presented_as_a_writ_runs_nothing() {
    let mut site = Site::up();
    site.shadow(&["touch", "never"]);
    fs::remove_file(site.path("never")).unwrap();
    let shadow = site.newest_shadow();
    assert_eq!(shadow["body"]["would"], "permit");
    let reader = Reader::open(&site.path("acme/ledger.db")).unwrap();
    let view = reader.view().unwrap();
    let index = LeafIndex::new(shadow["index"].as_u64().unwrap());
    let proof = reader.receipt(index, &view).unwrap().to_writ();
    fs::write(site.path("shadow.writ"), proof).unwrap();
    fs::write(site.path("shadow.writ.key"), format!("{}\n", "07".repeat(32))).unwrap();
    fs::set_permissions(site.path("shadow.writ.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let refused = site.writ(&["--json", "run", "--writ", "shadow.writ", "--", "touch", "never"]);
    assert_eq!(refusal(&refused)["code"], "not_a_writ");
    assert!(!site.path("never").exists());
    let verified = site.writ(&["verify", "shadow.writ", "--trust", "acme/trust-root"]);
    assert_eq!(verified.status.code(), Some(1), "{}", stdout(&verified));
    site.audit();
}

/// What a principal has signed for one question answers no other, over the node's own socket.
#[test]
fn a_request_signed_for_one_route_is_refused_by_the_other() {
    let site = Site::up();
    let seed = fs::read_to_string(site.path("acme/keys/principals/Agent/builder.seed")).unwrap();
    let pairs = seed.trim().as_bytes().chunks(2);
    let seed: Vec<u8> = pairs.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
    let key = SigningKey::from_seed(Algorithm::Ed25519, seed.as_slice().try_into().unwrap());
    let origin = Origin::new("acme.example/ledger").unwrap();
    let exec = writ_gateway_process::measure(
        &writ_gateway_process::Executable::open("make".as_ref(), Some("/usr/bin".as_ref())).unwrap(),
        &["make".into()],
        &[],
        "/".as_ref(),
    );
    let now_ms = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let request = |number: u8, ask: Ask| Request {
        key: RequestKey::new(now_ms, [number; 10]),
        salt: [number; 32],
        time_ms: now_ms,
        principal: None,
        action_salt: [number; 32],
        action: Action::Exec(exec.clone().unwrap()).encode().unwrap(),
        ask,
    };
    let gateway = Name::new("process/01").unwrap();
    let authorize = Ask::Authorize(Authorize {
        mandate: None,
        hold: None,
        admit: None,
        holder: Ed25519Key::new(Key::from(key.verifying_key())).unwrap(),
        audience: Audience::Gateway { gateway: gateway.clone(), epoch: Positive::ONE },
        surroundings: Vec::new(),
    });
    let shadow = Ask::Shadow(Shadowing { gateway, mandate: None, surroundings: Vec::new() });
    let client = Client::connect(&Endpoint::unix(&site.path("acme/run/node.sock"))).unwrap();
    let signed = |number, ask| Asked::Signed(request(number, ask).sign(&origin, &key));
    let crossed = client.authorize(&signed(1, shadow.clone())).unwrap();
    assert!(matches!(&crossed, Answer::Refused(refused) if refused.code == Code::Malformed), "{crossed:?}");
    let crossed = client.shadow(&signed(2, authorize.clone())).unwrap();
    assert!(matches!(&crossed, ShadowAnswer::Refused(refused) if refused.code == Code::Malformed), "{crossed:?}");
    assert!(!site.types().iter().any(|found| found == "grant" || found == "shadow"));
    // Each is answered where it belongs.
    assert!(matches!(client.authorize(&signed(2, authorize)).unwrap(), Answer::Permit(_)));
    assert!(matches!(client.shadow(&signed(1, shadow)).unwrap(), ShadowAnswer::Recorded(_)));
}

/// Inside a governed execution nothing more is possible with it than without it.
#[test]
fn inside_a_governed_execution_it_opens_nothing() {
    let mut site = Site::up();
    let secret = site.text("acme/keys/ledger-ed25519.seed");
    let writ: PathBuf = env!("CARGO_BIN_EXE_writ").into();
    let script = format!(
        "cat {secret} && echo SEEN; {writ} run --shadow -- cat {secret} && echo SEEN-IN-SHADOW; \
         {writ} run --shadow -- dd if={secret} of=copy status=none && echo COPIED; {writ} run --shadow -- id -u",
        writ = writ.display()
    );
    let ran = site.run(&["sh", "-c", &script]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(stdout(&ran).lines().count(), 1, "only `id` has said something: {}", stdout(&ran));
    assert!(!site.path("copy").exists() || fs::read(site.path("copy")).unwrap().is_empty());
    assert!(stderr(&ran).contains("would refuse dd"), "{}", stderr(&ran));
    let entries = site.entries();
    let grant = entries.iter().find(|entry| entry["type"] == "grant").unwrap();
    let shadows: Vec<&Json> = entries.iter().filter(|entry| entry["type"] == "shadow").collect();
    assert_eq!(shadows.len(), 3);
    for shadow in shadows {
        let cause = &shadow["body"]["cause"];
        assert_eq!((&cause["depth"], &cause["parent"]["index"]), (&1.into(), &grant["index"]));
        assert_eq!(shadow["body"]["principal"]["auth"], "execution");
    }
    assert_eq!(site.endings().len(), 1, "one execution, and nothing in shadow is one");
    site.audit();
}

#[test]
fn under_a_halt_everything_in_shadow_still_runs_and_nothing_governed_does() {
    let mut site = Site::up();
    assert_eq!(site.writ(&["halt"]).status.code(), Some(0));
    assert_eq!(refusal(&site.writ(&["--json", "run", "--", "true"]))["code"], "halted");
    let ran = site.shadow(&["echo", "runs"]);
    assert_eq!((stdout(&ran).as_str(), stderr(&ran).as_str()), ("runs\n", ""));
    assert_eq!(site.newest_shadow()["body"]["would"], "permit");
    site.audit();
}

#[test]
fn it_draws_from_no_budget() {
    let mut site = Site::new();
    let policy =
        "@id(\"once\") @budget(\"1 per day\")\npermit (principal is User, action == Action::\"exec\", resource);\n";
    fs::write(site.path("acme/policy/starter.cedar"), policy).unwrap();
    site.start();
    for _ in 0..3 {
        assert_eq!(stderr(&site.shadow(&["true"])), "");
    }
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    assert_eq!(refusal(&site.writ(&["--json", "run", "--", "true"]))["code"], "budget_exceeded");
    assert_eq!(stderr(&site.shadow(&["true"])), "", "a limit is no policy");
    site.audit();
}

#[test]
fn what_would_be_answered_can_be_asked_for_alone() {
    let site = Site::up();
    let permitted = site.writ(&["authorize", "--shadow", "--as", "Agent::builder", "--", "make"]);
    assert_eq!(permitted.status.code(), Some(0), "{}", stderr(&permitted));
    assert!(stdout(&permitted).starts_with("would permit: entry "), "{}", stdout(&permitted));
    assert!(stdout(&permitted).contains("by agents-build"));
    let arguments = ["authorize", "--shadow", "--explain", "--as", "Agent::builder", "--", "touch", "x"];
    let refused = site.writ(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let told = stdout(&refused);
    assert!(told.starts_with("would refuse: policy_denied: no policy permits it"), "{told}");
    assert!(told.contains("policy  agents-build (starter.cedar:"), "{told}");
    let as_json = site.writ(&[&["--json"], arguments.as_slice()].concat());
    let told: Json = serde_json::from_str(&stdout(&as_json)).unwrap();
    assert_eq!((as_json.status.code(), &told["would"]), (Some(1), &"policy_denied".into()));
    let both = site.writ(&["authorize", "--shadow", "-o", "x.writ", "--", "make"]);
    assert_eq!(both.status.code(), Some(2));
    let neither = site.writ(&["authorize", "--", "make"]);
    assert_eq!(neither.status.code(), Some(2));
}

#[test]
fn it_is_listed_as_something_that_decided_nothing() {
    let mut site = Site::up();
    site.shadow(&["true"]);
    site.writ(&["run", "--shadow", "--as", "Agent::builder", "--", "touch", "x"]);
    let tail = stdout(&site.writ(&["log", "tail", "-n", "50"]));
    assert!(tail.contains("shadow      User::ada would permit"), "{tail}");
    assert!(tail.contains("shadow      Agent::builder would refuse policy_denied"), "{tail}");
    let index = site.newest_shadow()["index"].to_string();
    let metrics =
        Client::connect(&Endpoint::unix(&site.path("acme/run/node.sock"))).unwrap().text("/metrics").unwrap().1;
    assert!(metrics.contains("writ_shadows_total{would=\"permit\"} 1"), "{metrics}");
    assert!(metrics.contains("writ_shadows_total{would=\"policy_denied\"} 1"), "{metrics}");
    let log = fs::read_to_string(site.path("up.err")).unwrap();
    assert!(log.contains("would=policy_denied"), "{log}");
    site.kill_node();
    let replayed = site.writ(&["replay", &index]);
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    let told = stdout(&replayed);
    assert!(told.contains("in shadow, would refuse, policy_denied") && told.contains("byte for byte"), "{told}");
    assert_eq!(json(&site.writ(&["--json", "replay", &index]))["shadow"], true);
    let bundled = site.writ(&["log", "bundle", &index, "-o", "shadow.writ-bundle", "--disclose"]);
    assert_eq!(bundled.status.code(), Some(0), "{}", stderr(&bundled));
    let verified = stdout(&site.writ(&["verify", "shadow.writ-bundle", "--trust", "acme/trust-root"]));
    assert!(verified.contains("in shadow   would refuse policy_denied"), "{verified}");
    site.audit();
}

/// From a domain that permits nothing to one that permits what ran.
#[test]
fn a_first_policy_is_learnt_from_what_runs() {
    let mut site = Site::empty();
    let made = site.writ(&["init", "acme", "--origin", "acme.example/ledger", "--user", "ada", "--empty"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    site.start();
    assert_eq!(refusal(&site.writ(&["--json", "run", "--", "true"]))["code"], "policy_denied");
    let ran = site.shadow(&["sh", "-c", "echo built"]);
    assert_eq!(stdout(&ran), "built\n");
    assert!(stderr(&ran).starts_with("writ: would refuse sh -c 'echo built': policy_denied: "), "{}", stderr(&ran));
    site.shadow(&["ls", "acme"]);
    let nothing = site.writ(&["policy", "learn"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("--shadow"), "{}", stderr(&nothing));
    let learned = site.writ(&["policy", "learn", "--shadow", "-o", "learned"]);
    assert_eq!(learned.status.code(), Some(0), "{}", stderr(&learned));
    let told = stdout(&learned);
    assert!(told.contains("# learnt 2 policies from 2 executions; in place of 0 permits"), "{told}");
    assert!(told.contains("# of these, asked in shadow, where nothing was enforced: 2"), "{told}");
    assert!(told.contains("once in shadow, entry "), "{told}");
    assert_eq!(json(&site.writ(&["--json", "policy", "learn", "--shadow"]))["shadow"], 2);
    // To learn the same again changes nothing.
    assert_eq!(site.writ(&["policy", "learn", "--shadow", "learned", "-o", "again"]).status.code(), Some(0));
    let text = |folder: &str| fs::read_to_string(site.path(folder).join("learned.cedar")).unwrap();
    assert_eq!(text("again"), text("learned"));
    assert_eq!(site.writ(&["policy", "test", "learned"]).status.code(), Some(0));
    let tried = site.writ(&["policy", "backtest", "learned"]);
    assert_eq!(tried.status.code(), Some(1));
    assert!(stdout(&tried).contains("policy_denied, in shadow -> permit by learned/"), "{}", stdout(&tried));
    // The folder takes its place, and the node notices.
    fs::copy(site.path("learned/learned.cedar"), site.path("acme/policy/learned.cedar")).unwrap();
    super::wait("the set to be in force", || site.status()["policy"]["epoch"] == 2);
    let quiet = site.shadow(&["sh", "-c", "echo built"]);
    assert_eq!((stdout(&quiet).as_str(), stderr(&quiet).as_str()), ("built\n", ""));
    let governed = site.run(&["sh", "-c", "echo built"]);
    assert_eq!((governed.status.code(), stdout(&governed).as_str()), (Some(0), "built\n"), "{}", stderr(&governed));
    assert_eq!(refusal(&site.writ(&["--json", "run", "--", "sh", "-c", "echo other"]))["code"], "policy_denied");
    site.audit();
}
