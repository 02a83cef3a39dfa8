//! Authorizations as callers see them: a real node, durable, logged and proved, beside Cerbos with its audit log in a file.

use super::cedar_agent::{self, CedarAgent};
use super::cerbos::{self, Cerbos};
use super::domain::{CONNECTIONS, Node};
use super::load::{Round, round};
use super::row::{Goal, ROUNDS, Row, percentile_ms, rehearsed};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Endpoint};
use writ_protocol::WritVerifier;
use writ_tlog::{Algorithm, SigningKey};

fn is_permitted(body: &[u8]) -> bool {
    body.starts_with(b"{\"outcome\":\"permit\"") || body.windows(18).any(|found| found == b"\"outcome\":\"permit\"")
}

/// Bare and signed requests with 10 policies, bare ones with 1,000.
pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let what = "authorizations/s, 64 callers known by the local socket / Cerbos with file audit";
    let mut ten = Row::new("authorize_http_64_10", what, "/s", Goal::AtLeast(4.0));
    let mut late = Row::new("authorize_p99_64_10", "the same, p99", "ms", Goal::AtMost(1.0));
    let what = "the same, every request signed and verified";
    let mut signed = Row::new("authorize_signed_64_10", what, "/s", Goal::AtLeast(2.5));
    let what = "as the first, 1,000 policies, 50 of them for this principal and action";
    let mut thousand = Row::new("authorize_http_64_1000", what, "/s", Goal::AtLeast(5.0));
    let what = "as the first / cedar-agent: the same engine, policies in memory, nothing logged";
    let mut engine = Row::new("authorize_http_64_10_cedar_agent", what, "/s", Goal::None);
    let mut memory = Row::new("rss_mb", "resident memory of the node after this load", "MiB", Goal::AtMost(64.0));
    for (count, name) in [(10, "ten"), (1_000, "thousand")] {
        let node = Node::start(&home.join(name), count, count.min(50));
        let peer = Cerbos::start(&home.join(format!("{name}-cerbos")), &cerbos::policies(count, count.min(50)));
        let agent = (count == 10).then(|| CedarAgent::start(&home.join("cedar-agent"), count, count));
        for turn in 0..=ROUNDS {
            let theirs = peers_round(&peer, CONNECTIONS, 6_000);
            let engines = agent.as_ref().map(|agent| engines_round(agent, 6_000));
            let ours = ours_round(&node, CONNECTIONS, 12_000, Node::bare);
            // The first turn warms both up.
            if turn == 0 {
                continue;
            }
            if count == 10 {
                let asked = ours_round(&node, CONNECTIONS, 12_000, Node::signed);
                signed.ours.push(asked.per_second());
                signed.peer.push(theirs.per_second());
                late.ours.push(ours.percentile_ms(99));
                late.peer.push(theirs.percentile_ms(99));
                engine.ours.push(ours.per_second());
                engine.peer.extend(engines.map(|theirs| theirs.per_second()));
                ten.ours.push(ours.per_second());
                ten.peer.push(theirs.per_second());
            } else {
                thousand.ours.push(ours.per_second());
                thousand.peer.push(theirs.per_second());
            }
        }
        memory.ours.push(node.resident_mib());
    }
    vec![ten, late, signed, thousand, engine, memory]
}

/// With everything that a decision can stand on: labels, counters, a mandate, and what was read asked again.
pub(crate) fn full(home: &Path) -> Vec<Row> {
    let what = "as 64_1000, each under a mandate that counts, with a counter and labels given and read";
    let mut full = Row::new("authorize_full_64", what, "/s", Goal::AtLeast(3.0));
    let node = Node::start_full(&home.join("full"), 1_000, 50);
    let peer = Cerbos::start(&home.join("full-cerbos"), &cerbos::policies(1_000, 50));
    for turn in 0..=ROUNDS {
        let theirs = peers_round(&peer, CONNECTIONS, 6_000);
        let ours = ours_round(&node, CONNECTIONS, 12_000, Node::bare);
        if turn > 0 {
            full.ours.push(ours.per_second());
            full.peer.push(theirs.per_second());
        }
    }
    vec![full]
}

pub(crate) fn peers_round(peer: &Cerbos, callers: usize, count: usize) -> Round {
    round(&peer.place(), callers, (0..count).map(cerbos::ask).collect(), cerbos::is_permitted)
}

fn engines_round(agent: &CedarAgent, count: usize) -> Round {
    round(&agent.place(), CONNECTIONS, (0..count).map(|_| cedar_agent::ask()).collect(), cedar_agent::is_permitted)
}

pub(crate) fn ours_round(node: &Node, callers: usize, count: usize, ask: fn(&Node) -> Vec<u8>) -> Round {
    let requests = (0..count).map(|_| ask(node)).collect();
    round(&node.place(), callers, requests, is_permitted)
}

/// Where the processor's time goes: prints what each thread of the node spends on one authorization.
pub(crate) fn threads(home: &Path) -> Vec<Row> {
    let node = Node::start(&home.join("threads"), 10, 10);
    ours_round(&node, CONNECTIONS, rehearsed(4_000, 640), Node::bare);
    for (name, ask) in [("bare", Node::bare as fn(&Node) -> Vec<u8>), ("signed", Node::signed)] {
        let requests = (0..rehearsed(40_000, 640)).map(|_| ask(&node)).collect();
        let (before, begun) = (node.spent(), Instant::now());
        let measured = round(&node.place(), CONNECTIONS, requests, is_permitted);
        let count = measured.latencies.len() as f64;
        println!(
            "{name}: {:.1} µs and {:.0}/s, of which",
            begun.elapsed().as_secs_f64() * 1e6 / count,
            measured.per_second()
        );
        for (thread, spent) in node.spent() {
            let each = (spent - before.get(&thread).copied().unwrap_or_default()) * 1e6 / count;
            println!("  {thread:<18} {each:>6.1} µs");
        }
    }
    Vec::new()
}

/// One after another over the local socket, as a gateway asks, each writ verified; and what of it no way of building this could leave out.
pub(crate) fn sequential(home: &Path) -> Vec<Row> {
    let what = "asked over the local socket, answered, the writ verified: median";
    let mut row = Row::new("authorize_uds_1_p50_ms", what, "ms", Goal::AtMost(0.3));
    let what = "the same / written, synchronized, both signatures made and verified by either side, one after another";
    let mut bare = Row::new("authorize_uds_1_bare", what, "ms", Goal::None);
    let node = Node::start(&home.join("sequential"), 10, 10);
    let client = Client::connect(&Endpoint::unix(&node.socket())).unwrap();
    let mut verifier = WritVerifier::new(node.trust());
    let mut parts = Parts::new(home);
    for turn in 0..=ROUNDS {
        let needed = median_ms(|| parts.one_after_another());
        let took = median_ms(|| {
            let asked = Asked::Bare(node.ask().payload(&node.origin));
            let begun = Instant::now();
            let Answer::Permit(permit) = client.authorize(&asked).unwrap() else { panic!("a permit") };
            verifier.verify(permit.writ.as_bytes()).unwrap();
            begun.elapsed()
        });
        if turn > 0 {
            row.ours.push(took);
            bare.ours.push(took);
            bare.peer.push(needed);
        }
    }
    vec![row, bare]
}

fn median_ms(work: impl FnMut() -> Duration) -> f64 {
    let mut took: Vec<Duration> = std::iter::repeat_with(work).take(rehearsed(500, 20)).collect();
    took.sort_unstable();
    percentile_ms(&took, 50)
}

/// What an authorization by itself cannot do without: no HTTP, no decision, no rows, no threads to wake.
struct Parts {
    file: File,
    at: usize,
    keys: [SigningKey; 2],
}

impl Parts {
    /// What a batch of one grant writes to the log of the store: seven pages.
    const WRITTEN: usize = 7 * 4096;
    /// The log begins anew after so many bytes, so its space is there already.
    const FILE: usize = 4 << 20;

    fn new(home: &Path) -> Self {
        let file = File::create(home.join("synchronized")).unwrap();
        file.write_all_at(&vec![1; Self::FILE], 0).unwrap();
        file.sync_all().unwrap();
        let keys = [Algorithm::Ed25519, Algorithm::MlDsa44].map(|algorithm| SigningKey::from_seed(algorithm, &[7; 32]));
        Self { file, at: 0, keys }
    }

    fn one_after_another(&mut self) -> Duration {
        let (message, page) = ([42; 300], [7; Self::WRITTEN]);
        let begun = Instant::now();
        let signatures = self.keys.each_ref().map(|key| (key.verifying_key(), key.sign(&message)));
        let verified = || signatures.iter().all(|(key, signature)| key.verify(&message, signature).is_ok());
        assert!(verified());
        self.file.write_all_at(&page, self.at as u64).unwrap();
        self.file.sync_data().unwrap();
        assert!(verified());
        let took = begun.elapsed();
        self.at = (self.at + Self::WRITTEN) % (Self::FILE - Self::WRITTEN);
        took
    }
}
