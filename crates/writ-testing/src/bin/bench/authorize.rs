//! Authorizations as callers see them.

use super::cerbos::{self, Cerbos};
use super::domain::{Node, policies};
use super::load::round;
use std::path::Path;

pub fn quick(home: &Path) {
    let count: usize = std::env::var("POLICIES").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut node = Node::start(&home.join("quick"), &policies(count, count.min(50)));
    if std::env::var_os("CERBOS").is_some() {
        let peer = Cerbos::start(&home.join("cerbos"), &cerbos::policies(count, count.min(50)));
        for connections in [1, 64] {
            for _ in 0..3 {
                let n = if connections == 1 { 1_000 } else { 8_000 };
                let found = round(&peer.server(), connections, (0..n).map(cerbos::ask).collect(), cerbos::is_permitted);
                println!(
                    "cerbos {connections:>4} {:>8.0}/s p50 {:.3} p99 {:.3} ms",
                    found.per_second(),
                    found.percentile_ms(50),
                    found.percentile_ms(99)
                );
            }
        }
    }
    let permitted = |body: &[u8]| body.windows(6).any(|six| six == b"permit");
    for (name, connections, signed) in
        [("c1", 1, false), ("c16", 16, false), ("c64", 64, false), ("c64 signed", 64, true)]
    {
        for _ in 0..3 {
            let n = if connections == 1 { 2_000 } else { 20_000 };
            let requests = (0..n).map(|_| if signed { node.signed() } else { node.bare() }).collect();
            let found = round(&node.server(), connections, requests, permitted);
            println!(
                "{name:>12} {:>8.0}/s p50 {:.3} p99 {:.3} ms, node {:.0} MiB",
                found.per_second(),
                found.percentile_ms(50),
                found.percentile_ms(99),
                node.resident_mib()
            );
        }
    }
}
