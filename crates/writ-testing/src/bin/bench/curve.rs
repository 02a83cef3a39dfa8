//! Latency against load: the same question as in `authorize`, asked by ever more callers at a time.

use super::authorize::{ours_round, peers_round};
use super::cerbos::{self, Cerbos};
use super::domain::Node;
use super::load::Round;
use super::plot::{Ink, Line, Mark, Plot, Point};
use super::row::{ROUNDS, Row, median, spread};
use std::path::Path;

/// One user has no more connections to a node.
const CALLERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Draws it, and prints what is drawn; there are no rows.
pub(crate) fn drawn(home: &Path) -> Vec<Row> {
    let node = Node::start(&home.join("curve"), 10, 10);
    let peer = Cerbos::start(&home.join("curve-cerbos"), &cerbos::policies(10, 10));
    // For each number of callers the p50 and p99 of each round, ours and the peer's.
    let mut ours = CALLERS.map(|_| [Vec::new(), Vec::new()]);
    let mut peers = CALLERS.map(|_| [Vec::new(), Vec::new()]);
    for turn in 0..=ROUNDS {
        for (callers, (ours, peers)) in CALLERS.iter().zip(ours.iter_mut().zip(&mut peers)) {
            let count = if *callers <= 4 { 2_000 } else { 4_000 };
            let took = [peers_round(&peer, *callers, count), ours_round(&node, *callers, count, Node::bare)];
            // The first turn warms both up.
            if turn > 0 {
                note(peers, &took[0]);
                note(ours, &took[1]);
            }
        }
    }
    let line = |label, ink, mark, of: &[[Vec<f64>; 2]; CALLERS.len()], percentile: usize| Line {
        label,
        ink,
        mark,
        points: CALLERS.iter().zip(of).map(|(callers, took)| point(*callers as f64, &took[percentile])).collect(),
    };
    let plot = Plot {
        name: "latency",
        title: "Latency of an authorization against load",
        subtitle: [
            "Writ: durable, in a signed tree, proved. Cerbos: decision log in a file, not synchronized, not signed.",
            "10 policies, local socket, two cores shared with the load generator. Bars: the middle half of the rounds.",
        ],
        along: "callers at a time, each with one request under way",
        up: "Latency",
        unit: "ms",
        ticks: CALLERS.iter().map(|callers| (*callers as f64, callers.to_string())).collect(),
        lines: vec![
            line("Writ p50", Ink::One, Mark::Disc, &ours, 0),
            line("Writ p99", Ink::One, Mark::Ring, &ours, 1),
            line("Cerbos p50", Ink::Two, Mark::Square, &peers, 0),
            line("Cerbos p99", Ink::Two, Mark::Triangle, &peers, 1),
        ],
    };
    plot.tell();
    plot.write();
    Vec::new()
}

fn note(into: &mut [Vec<f64>; 2], took: &Round) {
    into[0].push(took.percentile_ms(50));
    into[1].push(took.percentile_ms(99));
}

/// The median of some rounds.
pub(crate) fn point(x: f64, rounds: &[f64]) -> Point {
    let (low, high) = spread(rounds).unwrap();
    Point { x, y: median(rounds), low, high }
}
