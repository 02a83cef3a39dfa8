//! What a large ledger costs: appending to it, starting on it, proving from it, replaying it.

use super::curve::point;
use super::domain::{CONNECTIONS, Node, SLOTS, init, mark, writ};
use super::grown::Grown;
use super::history;
use super::ledger::appended_at_once;
use super::load::{get, round};
use super::plot::{Ink, Line, Mark, Plot};
use super::row::{Goal, ROUNDS, Row, rate, rehearsed};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use writ_tlog::sha256;

const SIZES: [u64; 3] = rehearsed([50_000, 500_000, 5_000_000], [1_000, 2_000, 4_000]);
const GROWTH: &str = "an append from 64 writers to a ledger of 5 million entries / to one of 50 thousand";
/// Appends of each writer in a round.
const APPENDS: usize = rehearsed(100, 1);
/// Proofs asked in a round.
const PROOFS: usize = rehearsed(2_000, 100);
const DECIDED: u64 = rehearsed(200_000, 1_000);
const AUDITS: usize = rehearsed(3, 1);

pub(crate) fn rows(home: &Path) -> Vec<Row> {
    let grown = SIZES.map(Grown::of);
    let appends = appended(&grown);
    let mut growth = Row::new("append_growth", GROWTH, "µs", Goal::AtMost(1.18));
    (growth.ours, growth.peer) = (appends[2].clone(), appends[0].clone());
    let places = grown.map(|grown| {
        let place = (grown.dir.clone(), grown.size());
        grown.ledger.close().unwrap();
        place
    });
    let what = "from the start of the node until it is ready, 5 million entries";
    let mut start = Row::new("start_5m_s", what, "s", Goal::AtMost(2.0));
    let what = "an entry with its proof from anywhere in it, over the local socket, p99";
    let mut proof = Row::new("proof_5m_p99_ms", what, "ms", Goal::AtMost(1.0));
    let proofs = places.each_ref().map(|(dir, size)| served(dir, *size));
    start.ours = proofs[2].started_s.clone();
    proof.ours = proofs[2].p99_ms.clone();
    draw(&appends, &proofs);
    vec![growth, start, proof, replay_rate(home)]
}

/// Microseconds for each append in each round, to each ledger in turn.
fn appended(grown: &[Grown; 3]) -> [Vec<f64>; 3] {
    let mut took = grown.each_ref().map(|_| Vec::new());
    for turn in 0..=ROUNDS {
        for (grown, took) in grown.iter().zip(&mut took) {
            let proposals = (0..CONNECTIONS * APPENDS).map(|_| grown.grant()).collect();
            let begun = Instant::now();
            let appended = appended_at_once(&grown.ledger, CONNECTIONS, proposals);
            // The first turn warms all of them up.
            if turn > 0 {
                took.push(begun.elapsed().as_secs_f64() * 1e6 / appended.len() as f64);
            }
        }
    }
    took
}

/// What a node on a ledger of some size took in each round.
struct Served {
    started_s: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

fn served(dir: &Path, size: u64) -> Served {
    // Into memory, so that it is not the disk that is measured.
    std::io::copy(&mut File::open(dir.join("ledger.db")).unwrap(), &mut std::io::sink()).unwrap();
    let mut took = Served { started_s: Vec::new(), p50_ms: Vec::new(), p99_ms: Vec::new() };
    let mut asked = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let node = Node::up(dir, SLOTS);
        took.started_s.push(begun.elapsed().as_secs_f64());
        let requests = (0..PROOFS).map(|_| {
            asked += 1;
            get(&format!("/v1/entries/{}", anywhere(asked, size)))
        });
        let proved = round(&node.place(), 1, requests.collect(), is_proved);
        took.p50_ms.push(proved.percentile_ms(50));
        took.p99_ms.push(proved.percentile_ms(99));
        node.stop();
    }
    took
}

fn draw(appends: &[Vec<f64>; 3], proofs: &[Served; 3]) {
    let us = |rounds: &[f64]| rounds.iter().map(|ms| ms * 1e3).collect::<Vec<_>>();
    let line = |label, ink, mark, rounds: [Vec<f64>; 3]| Line {
        label,
        ink,
        mark,
        points: SIZES.iter().zip(rounds).map(|(size, rounds)| point(*size as f64, &rounds)).collect(),
    };
    let plot = Plot {
        name: "size",
        title: "What an append and a proof cost in a growing ledger",
        subtitle: [
            "Appends: 64 writers, each durable and proved; the time divided by their number. Proofs: of entries from",
            "anywhere, asked one after another over the local socket. Bars: the middle half of the rounds.",
        ],
        along: "entries in the ledger",
        up: "Time",
        unit: "µs",
        ticks: SIZES
            .iter()
            .zip(["50 thousand", "500 thousand", "5 million"])
            .map(|(size, text)| (*size as f64, text.to_owned()))
            .collect(),
        lines: vec![
            line("append", Ink::One, Mark::Disc, appends.clone()),
            line("proof p50", Ink::Three, Mark::Square, proofs.each_ref().map(|served| us(&served.p50_ms))),
            line("proof p99", Ink::Three, Mark::Triangle, proofs.each_ref().map(|served| us(&served.p99_ms))),
        ],
    };
    plot.tell();
    plot.write();
}

fn anywhere(number: u64, size: u64) -> u64 {
    let [first, second, third, fourth, ..] = *sha256(&number.to_be_bytes()).as_bytes();
    u64::from(u32::from_be_bytes([first, second, third, fourth])) % size
}

fn is_proved(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("c2sp.org/tlog-proof@v1")
}

fn replay_rate(home: &Path) -> Row {
    let what = "entries/s of `writ audit --replay`: everything verified, each decision derived again";
    let mut row = Row::new("replay_rate", what, "/s", Goal::AtLeast(20_000.0));
    let dir = home.join("decided");
    init(&dir, 10, 10);
    let node = Node::up(&dir, CONNECTIONS);
    println!("  a node decides until there are {DECIDED} entries");
    history::make(&node, DECIDED);
    node.stop();
    for _ in 0..AUDITS {
        let begun = Instant::now();
        let mut audit = Command::new(writ());
        audit.args(["--json", "audit", "--replay", "--mark"]).arg(mark(&dir)).arg("--domain").arg(&dir);
        let audited = audit.output().unwrap();
        let elapsed = begun.elapsed();
        assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stderr));
        let report: Value = serde_json::from_slice(&audited.stdout).unwrap();
        assert!(report["replay"]["same"].as_u64().unwrap() > DECIDED / 3, "{report}");
        row.ours.push(rate(usize::try_from(report["entries"].as_u64().unwrap()).unwrap(), elapsed));
    }
    row
}
