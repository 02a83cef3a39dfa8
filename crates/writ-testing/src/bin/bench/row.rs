//! One figure: ours and the peer's, measured in turn.

use serde_json::{Value, json};
use std::time::Duration;

/// Rounds of each figure.
pub(crate) const ROUNDS: usize = rehearsed(7, 1);

/// What a debug build does is no measurement: it does everything once, and small, so that what measures is known to work.
pub(crate) const fn rehearsed<T: Copy>(measured: T, small: T) -> T {
    if cfg!(debug_assertions) { small } else { measured }
}

pub(crate) struct Row {
    pub(crate) figure: &'static str,
    pub(crate) what: &'static str,
    pub(crate) ours: Vec<f64>,
    /// Nothing, where the goal is absolute.
    pub(crate) peer: Vec<f64>,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
}

/// What is to be reached: by the ratio to the peer or, without a peer, by the figure itself.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, and nothing is to be reached.
    None,
}

impl Row {
    pub(crate) fn new(figure: &'static str, what: &'static str, unit: &'static str, goal: Goal) -> Self {
        Self { figure, what, ours: Vec::new(), peer: Vec::new(), unit, goal }
    }

    fn ratio(&self) -> Option<f64> {
        (!self.peer.is_empty()).then(|| median(&self.ours) / median(&self.peer))
    }

    /// Whether it is reached, where something is to be.
    fn ok(&self) -> Option<bool> {
        let reached = self.ratio().unwrap_or_else(|| median(&self.ours));
        match self.goal {
            Goal::AtLeast(least) => Some(reached >= least),
            Goal::AtMost(most) => Some(reached <= most),
            Goal::None => None,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let peer = (!self.peer.is_empty()).then(|| median(&self.peer));
        json!({
            "figure": self.figure, "what": self.what, "unit": self.unit,
            "ours": median(&self.ours), "peer": peer, "ratio": self.ratio(), "goal": self.goal.to_string(), "ok": self.ok(),
            "ours_all": self.ours, "peer_all": self.peer,
        })
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::None => f.write_str("–"),
        }
    }
}

pub(crate) fn print(rows: &[Row]) {
    println!("{:<32} {:>24} {:>24} {:>7} {:>8}     what", "figure", "ours", "peer", "ratio", "goal");
    for row in rows {
        let shown = |figures: &[f64]| match spread(figures) {
            Some((low, high)) => format!("{} ({}–{}) {}", short(median(figures)), short(low), short(high), row.unit),
            None => "–".to_owned(),
        };
        let ratio = row.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "{:<32} {:>24} {:>24} {ratio:>7} {:>8} {:>3} {}",
            row.figure,
            shown(&row.ours),
            shown(&row.peer),
            row.goal.to_string(),
            match row.ok() {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            },
            row.what
        );
    }
}

/// The middle half of the rounds.
pub(crate) fn spread(figures: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some((*sorted.get(sorted.len() / 4)?, *sorted.get(sorted.len() * 3 / 4)?))
}

fn short(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Microseconds for each of so many times.
pub(crate) fn each(times: usize, mut work: impl FnMut()) -> f64 {
    let begun = std::time::Instant::now();
    for _ in 0..times {
        work();
    }
    begun.elapsed().as_secs_f64() * 1e6 / times as f64
}

pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// Of durations that ascend.
pub(crate) fn percentile_ms(ascending: &[Duration], percent: usize) -> f64 {
    ascending[(ascending.len() - 1) * percent / 100].as_secs_f64() * 1e3
}
