//! `writ audit --replay` where something is wrong: a decision that policy does not make, and a value that was changed on the disk.

use super::site::{Site, json, stderr, stdout};
use serde_json::Value as Json;
use std::fs;
use writ_ledger::{Draft, Kept, Ledger, LedgerSigner, Options, Place, Proposal, Reader};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{Activation, Denial, Positive, RequestRef};
use writ_protocol::{Body, Code, DenialId, Label, RequestKey};
use writ_tlog::{LeafIndex, Origin, sha256};

/// A domain whose node denied one request, and is gone.
fn denied() -> (Site, Denial, Vec<Opening>) {
    let mut site = Site::up();
    let refused = site.refusal(&["--as", "Agent::builder", "--", "touch", "x"]);
    let index = LeafIndex::new(refused["index"].as_u64().unwrap());
    site.kill_node();
    let reader = Reader::open(&site.path("acme/ledger.db")).unwrap();
    let body = reader.entry(index).unwrap().unwrap().decode(reader.origin()).unwrap().body;
    let kept = body.commitments().into_iter().map(|(kind, commitment)| reader.kept(index, kind, &commitment).unwrap());
    let openings = kept.filter_map(|kept| if let Kept::Value(opening) = kept { Some(opening) } else { None }).collect();
    let denial = if let Body::Denial(denial) = body { Some(denial) } else { None };
    (site, denial.unwrap(), openings)
}

/// Somebody with the ledger's keys, beside the authority.
fn ledger(site: &Site) -> Ledger {
    let seed = |name: &str| {
        let text = fs::read_to_string(site.path(&format!("acme/keys/{name}.seed"))).unwrap();
        let digits = text.trim().as_bytes().chunks(2);
        let bytes: Vec<u8> =
            digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
        <[u8; 32]>::try_from(bytes).unwrap()
    };
    let origin = Origin::new("acme.example/ledger").unwrap();
    let signer = LedgerSigner::from_seeds(origin, &seed("ledger-ed25519"), &seed("ledger-ml-dsa-44"));
    let place = Place::new(site.path("acme/ledger.db"), site.path("another-mark"));
    Ledger::accept_mark(&place).unwrap();
    // Later than whatever the node has sealed.
    Ledger::open(&place, signer, Options::new(|| 4_000_000_000_000)).unwrap()
}

#[test]
fn a_decision_that_policy_does_not_make_is_told_of_and_fails() {
    let (site, denial, openings) = denied();
    let key = RequestKey::new(denial.time_ms, [7; 10]);
    let doctored = Denial {
        id: DenialId::new(denial.time_ms, [7; 10]),
        request: RequestRef { key, digest: sha256(b"another") },
        code: Code::BudgetExceeded,
        ..denial
    };
    let ledger = ledger(&site);
    let decided_on: Vec<_> = openings.into_iter().filter(|opening| opening.kind != CommitmentKind::Request).collect();
    let recorded = ledger.append(Proposal::new(Draft::Denial(doctored)).with_openings(decided_on)).unwrap();
    ledger.close().unwrap();
    assert_eq!(site.writ(&["audit"]).status.code(), Some(0), "it is as it was signed");

    let what = "recorded is budget_exceeded, derived is policy_denied";
    let found = site.writ(&["audit", "--replay"]);
    assert_eq!(found.status.code(), Some(1));
    let told = stdout(&found);
    let line = format!("decision_differs      entry {}: {what}", recorded.index);
    assert!(told.lines().any(|told| told == line), "{told}");
    assert!(told.contains("replay: 2 decisions derived again, 1 the same;"), "{told}");

    let found = site.writ(&["--json", "audit", "--replay"]);
    assert_eq!(found.status.code(), Some(1));
    let report = json_of(&found.stdout);
    assert_eq!(report["replay"]["findings"][0]["index"], recorded.index.get());
    assert_eq!(report["replay"]["findings"][0]["what"], what);
    assert_eq!((&report["replay"]["same"], &report["replay"]["different"]), (&1.into(), &1.into()));
}

#[test]
fn a_decision_by_semantics_that_this_release_does_not_have_is_no_success() {
    let (site, denial, openings) = denied();
    let reader = Reader::open(&site.path("acme/ledger.db")).unwrap();
    let policies = reader.control_entries().unwrap().into_iter().filter_map(|at| {
        let body = reader.entry(at).unwrap().unwrap().decode(reader.origin()).unwrap().body;
        if let Body::Policy(activation) = body { Some((at, activation)) } else { None }
    });
    let (at, activation) = policies.last().unwrap();
    let Kept::Value(content) = reader.kept(at, CommitmentKind::Policy, &activation.content).unwrap() else { panic!() };
    let later = Label::new("cedar-5.0-writ-9").unwrap();
    let epoch = Positive::new(activation.epoch.get() + 1).unwrap();
    let request = |byte| RequestRef { key: RequestKey::new(denial.time_ms, [byte; 10]), digest: sha256(&[byte]) };
    let activation = Activation { semantics: later.clone(), epoch, request: request(8), ..activation };
    let mut doctored = Denial { id: DenialId::new(denial.time_ms, [9; 10]), request: request(9), ..denial.clone() };
    let policy = doctored.policy.as_mut().unwrap();
    (policy.epoch, policy.semantics) = (epoch.get(), later);
    let ledger = ledger(&site);
    ledger.append(Proposal::new(Draft::Policy(activation)).with_openings(vec![content])).unwrap();
    let decided_on: Vec<_> = openings.into_iter().filter(|opening| opening.kind != CommitmentKind::Request).collect();
    let index = ledger.append(Proposal::new(Draft::Denial(doctored)).with_openings(decided_on)).unwrap().index;
    ledger.close().unwrap();

    let what = "it was decided by `cedar-5.0-writ-9`, and this release has `cedar-4.14-writ-1`, `cedar-4.14-writ-2`";
    let found = site.writ(&["audit", "--replay"]);
    assert_eq!(found.status.code(), Some(1));
    let told = stdout(&found);
    assert!(told.contains(&format!("not_replayable        entry {index}: {what}\n")), "{told}");
    assert!(
        stderr(&found).contains("1 decision was made by semantics that this release does not have"),
        "{}",
        stderr(&found)
    );
    let report = json_of(&site.writ(&["--json", "audit", "--replay"]).stdout);
    assert_eq!((&report["replay"]["unknown_semantics"], &report["replay"]["different"]), (&1.into(), &0.into()));
    let retold = site.writ(&["--json", "replay", &index.to_string()]);
    assert_eq!(retold.status.code(), Some(1));
    let retold = json_of(&retold.stdout);
    assert_eq!((retold["replay"].as_str(), retold["what"].as_str()), (Some("unknown_semantics"), Some(what)));
}

#[test]
fn a_ledger_that_is_not_as_it_was_signed_is_not_replayed() {
    let (site, _, openings) = denied();
    // What the node left in the log comes into the file.
    ledger(&site).close().unwrap();
    assert_eq!(json(&site.writ(&["--json", "audit", "--replay"]))["replay"]["same"], 1);
    let store = site.path("acme/ledger.db");
    let mut bytes = fs::read(&store).unwrap();
    let value = &openings[0].value;
    let at = bytes.windows(value.len()).position(|found| found == value).unwrap();
    bytes[at + value.len() / 2] ^= 1;
    fs::write(&store, bytes).unwrap();
    let found = site.writ(&["audit", "--replay"]);
    assert_eq!(found.status.code(), Some(1));
    let told = stdout(&found);
    assert!(told.contains("vault_changed"), "{told}");
    assert!(told.ends_with("replay: not done, since the ledger is not as it was signed\n"), "{told}");
    assert_eq!(json_of(&site.writ(&["--json", "audit", "--replay"]).stdout)["replay"], Json::Null);
}

fn json_of(stdout: &[u8]) -> Json {
    serde_json::from_slice(stdout).unwrap()
}
