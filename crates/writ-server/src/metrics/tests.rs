use super::*;
use std::collections::BTreeSet;

fn has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "no line {line:?} in\n{page}");
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let metrics = Metrics::new(["/v1/authorize", "/v1/control"]);
    metrics.answered("/v1/authorize", 200, Duration::from_millis(3));
    metrics.answered("/v1/authorize", 403, Duration::from_secs(60));
    metrics.answered("/v1/authorize", 418, Duration::ZERO);
    metrics.answered("/etc/passwd", 404, Duration::from_micros(500));
    let page = metrics.page();
    has(&page, "writ_requests_total{route=\"/v1/authorize\",status=\"200\"} 1");
    has(&page, "writ_requests_total{route=\"/v1/authorize\",status=\"403\"} 1");
    has(&page, "writ_requests_total{route=\"/v1/authorize\",status=\"other\"} 1");
    has(&page, "writ_requests_total{route=\"other\",status=\"404\"} 1");
    has(&page, "writ_requests_total{route=\"/v1/control\",status=\"200\"} 0");
    has(&page, "writ_request_duration_seconds_bucket{route=\"other\",le=\"0.0005\"} 1");
    has(&page, "writ_request_duration_seconds_bucket{route=\"/v1/authorize\",le=\"0.0025\"} 1");
    has(&page, "writ_request_duration_seconds_bucket{route=\"/v1/authorize\",le=\"0.005\"} 2");
    has(&page, "writ_request_duration_seconds_bucket{route=\"/v1/authorize\",le=\"10\"} 2");
    has(&page, "writ_request_duration_seconds_bucket{route=\"/v1/authorize\",le=\"+Inf\"} 3");
    has(&page, "writ_request_duration_seconds_count{route=\"/v1/authorize\"} 3");
    has(&page, "writ_request_duration_seconds_sum{route=\"/v1/authorize\"} 60.003");
    assert!(!page.contains("passwd"));
}

#[test]
fn refusals_are_counted_by_code() {
    let metrics = Metrics::new([]);
    for code in Code::ALL {
        metrics.refused(*code);
        assert_eq!(metrics.refusals(*code), 1, "{code}");
    }
    metrics.refused(Code::Halted);
    has(&metrics.page(), "writ_refusals_total{code=\"halted\"} 2");
}

#[test]
fn counters_and_gauges_of_others_are_shown() {
    let entries = Arc::new(Counters::by("writ_entries_total", "Entries.", "type", ["a\"b\\", "c\nd"]));
    entries.count(0);
    entries.add(1, 5);
    entries.count(2);
    let gauge = Gauge { name: "writ_ledger_size", help: "Entries.", value: 7 };
    let metrics = Metrics::new([]).with(entries.clone()).at_scrape(move || vec![gauge.clone()]);
    let page = metrics.page();
    has(&page, "writ_entries_total{type=\"a\\\"b\\\\\"} 1");
    has(&page, "writ_entries_total{type=\"c\\nd\"} 5");
    has(&page, "# TYPE writ_ledger_size gauge");
    has(&page, "writ_ledger_size 7");
    assert_eq!(entries.counted(1), 5);
}

#[test]
fn no_series_is_there_twice() {
    let page = Metrics::new(["/a", "/b"]).page();
    let series: Vec<&str> =
        page.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.iter().collect::<BTreeSet<_>>().len(), series.len());
    assert!(page.ends_with('\n'));
}
