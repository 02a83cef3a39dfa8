//! Counts for operators, in the text format of Prometheus.
//!
//! Every series is there from the beginning: what a client sends can make none.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use writ_protocol::Code;
use writ_protocol::entry::{Opinion, Would};

/// The upper ends of the buckets for durations, in microseconds.
const BUCKETS_US: [u64; 14] = [
    500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
/// What answers there are; any other counts as `other`.
const STATUSES: [u16; 20] =
    [200, 202, 204, 400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 415, 421, 422, 429, 500, 503, 504];
const OTHER: &str = "other";

/// Counters that differ in their labels.
pub struct Counters {
    name: &'static str,
    help: &'static str,
    series: Vec<(String, AtomicU64)>,
}

impl Counters {
    /// A counter for each of the values of one label.
    pub fn by(
        name: &'static str,
        help: &'static str,
        label: &str,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let series = values.into_iter().map(|value| (labelled(label, value.as_ref()), AtomicU64::new(0))).collect();
        Self { name, help, series }
    }

    /// One counter without labels.
    pub fn single(name: &'static str, help: &'static str) -> Self {
        Self { name, help, series: vec![(String::new(), AtomicU64::new(0))] }
    }

    /// Counts one at a place in the order in which the values were given. A place that is not there counts nowhere.
    pub fn count(&self, place: usize) {
        self.add(place, 1);
    }

    /// Counts several.
    pub fn add(&self, place: usize, more: u64) {
        if let Some((_, count)) = self.series.get(place) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// What has been counted there.
    pub fn counted(&self, place: usize) -> u64 {
        self.series.get(place).map_or(0, |(_, count)| count.load(Ordering::Relaxed))
    }

    fn write(&self, page: &mut String) {
        head(page, self.name, self.help, "counter");
        for (labels, count) in &self.series {
            let labels = braced(labels);
            writeln!(page, "{}{labels} {}", self.name, count.load(Ordering::Relaxed)).ok();
        }
    }
}

/// How long something took, in buckets.
struct Histogram {
    labels: String,
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    fn new(labels: String) -> Self {
        let buckets = BUCKETS_US.map(|_| AtomicU64::new(0));
        Self { labels, buckets, count: AtomicU64::new(0), sum_us: AtomicU64::new(0) }
    }

    fn observe(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().zip(&self.buckets).find(|(end, _)| took_us <= **end);
        if let Some((_, bucket)) = bucket {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    fn write(&self, page: &mut String, name: &str) {
        let mut below = 0_u64;
        for (end, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            below = below.saturating_add(bucket.load(Ordering::Relaxed));
            writeln!(page, "{name}_bucket{{{},le=\"{}\"}} {below}", self.labels, seconds(*end)).ok();
        }
        let count = self.count.load(Ordering::Relaxed).max(below);
        writeln!(page, "{name}_bucket{{{},le=\"+Inf\"}} {count}", self.labels).ok();
        writeln!(page, "{name}_sum{{{}}} {}", self.labels, seconds(self.sum_us.load(Ordering::Relaxed))).ok();
        writeln!(page, "{name}_count{{{}}} {count}", self.labels).ok();
    }
}

/// A value at the time of a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Its name, such as `writ_ledger_size`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// The value.
    pub value: u64,
}

type Scrape = Box<dyn Fn() -> Vec<Gauge> + Send + Sync>;

/// Everything that is counted.
pub struct Metrics {
    routes: Vec<&'static str>,
    requests: Counters,
    durations: Vec<Histogram>,
    refusals: Counters,
    shadows: Counters,
    advice: Counters,
    more: Vec<Arc<Counters>>,
    scrape: Option<Scrape>,
    pub(crate) connections: AtomicI64,
    pub(crate) accepted: Counters,
    pub(crate) turned_away: Counters,
    pub(crate) received: Counters,
    pub(crate) sent: Counters,
}

impl Metrics {
    /// Counters for these routes, all at nothing; requests to others count as `other`.
    pub fn new(routes: impl IntoIterator<Item = &'static str>) -> Self {
        let mut routes: Vec<&str> = routes.into_iter().collect();
        routes.push(OTHER);
        let statuses = || STATUSES.iter().map(u16::to_string).chain([OTHER.to_owned()]);
        let both = routes.iter().flat_map(|route| {
            let route = labelled("route", route);
            statuses().map(move |status| (format!("{route},{}", labelled("status", &status)), AtomicU64::new(0)))
        });
        Self {
            requests: Counters { name: "writ_requests_total", help: "Requests answered.", series: both.collect() },
            durations: routes.iter().map(|route| Histogram::new(labelled("route", route))).collect(),
            refusals: Counters::by(
                "writ_refusals_total",
                "Refusals, by code.",
                "code",
                Code::ALL.iter().map(|code| code.as_str()),
            ),
            shadows: Counters::by(
                "writ_shadows_total",
                "Requests in shadow, by what would have been answered.",
                "would",
                Would::ALL.iter().map(|would| would.as_str()),
            ),
            advice: Counters::by(
                "writ_advice_total",
                "Questions about somebody, by what was answered.",
                "answer",
                Opinion::ALL.iter().map(|opinion| opinion.as_str()),
            ),
            routes,
            more: Vec::new(),
            scrape: None,
            connections: AtomicI64::new(0),
            accepted: Counters::by("writ_connections_total", "Connections accepted.", "kind", ["local", "remote"]),
            turned_away: Counters::single(
                "writ_connections_turned_away_total",
                "Connections closed because their peer had too many.",
            ),
            received: Counters::single("writ_received_bytes_total", "Bytes of request bodies read."),
            sent: Counters::single("writ_sent_bytes_total", "Bytes of response bodies handed to connections."),
        }
    }

    /// Shows these counters too.
    #[must_use]
    pub fn with(mut self, counters: Arc<Counters>) -> Self {
        self.more.push(counters);
        self
    }

    /// Asks for these gauges at every scrape. Called from the event loop, so it must be quick.
    #[must_use]
    pub fn at_scrape(mut self, scrape: impl Fn() -> Vec<Gauge> + Send + Sync + 'static) -> Self {
        self.scrape = Some(Box::new(scrape));
        self
    }

    /// Counts a refusal.
    pub fn refused(&self, code: Code) {
        // `Code::ALL` is in the order of the enum.
        self.refusals.count(code as usize);
    }

    /// How many refusals with this code there were.
    pub fn refusals(&self, code: Code) -> u64 {
        self.refusals.counted(code as usize)
    }

    /// Counts what would have been answered.
    pub(crate) fn shadowed(&self, would: Would) {
        // `Would::ALL` is in the order of the enum.
        self.shadows.count(would as usize);
    }

    /// Counts what was answered to a question.
    pub(crate) fn advised(&self, opinion: Opinion) {
        // `Opinion::ALL` is in the order of the enum.
        self.advice.count(opinion as usize);
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let other = self.routes.len().saturating_sub(1);
        let route = self.routes.iter().position(|known| *known == route).unwrap_or(other);
        let status = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        let width = STATUSES.len().saturating_add(1);
        self.requests.count(route.saturating_mul(width).saturating_add(status));
        if let Some(durations) = self.durations.get(route) {
            durations.observe(took);
        }
    }

    /// The page for a scraper.
    pub fn page(&self) -> String {
        let mut page = String::new();
        self.requests.write(&mut page);
        let name = "writ_request_duration_seconds";
        head(&mut page, name, "From the head of a request to its answer.", "histogram");
        for durations in &self.durations {
            durations.write(&mut page, name);
        }
        for counters in
            [&self.refusals, &self.shadows, &self.advice, &self.accepted, &self.turned_away, &self.received, &self.sent]
        {
            counters.write(&mut page);
        }
        head(&mut page, "writ_connections", "Connections now.", "gauge");
        writeln!(page, "writ_connections {}", self.connections.load(Ordering::Relaxed)).ok();
        for counters in &self.more {
            counters.write(&mut page);
        }
        for gauge in self.scrape.iter().flat_map(|scrape| scrape()) {
            head(&mut page, gauge.name, gauge.help, "gauge");
            writeln!(page, "{} {}", gauge.name, gauge.value).ok();
        }
        page
    }
}

fn head(page: &mut String, name: &str, help: &str, kind: &str) {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

fn labelled(label: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{label}=\"{value}\"")
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// Microseconds, written in seconds.
fn seconds(us: u64) -> String {
    let written = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}
