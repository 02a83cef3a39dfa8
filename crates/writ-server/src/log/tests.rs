use super::*;
use serde_json::Value;
use std::sync::mpsc::{Sender, channel};

/// Gives each write to the test, and waits for it before the first.
struct Held {
    at_work: Sender<()>,
    go: Receiver<()>,
    written: Sender<String>,
    begun: bool,
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.begun {
            self.at_work.send(()).unwrap();
            self.go.recv().unwrap();
            self.begun = true;
        }
        self.written.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn one_line_says_one_thing_in_either_format() {
    let fields =
        [("route", Said::Text("/v1/entries/{index}")), ("status", Said::Number(200)), ("why", Said::Text("a b"))];
    assert_eq!(
        written(LogFormat::Text, 0, Level::Info, "request", &fields),
        "time=1970-01-01T00:00:00.000Z level=info event=request route=/v1/entries/{index} status=200 why=\"a b\"\n"
    );
    assert_eq!(
        written(LogFormat::Json, 1, Level::Warn, "request", &fields),
        "{\"time\":\"1970-01-01T00:00:00.001Z\",\"level\":\"warn\",\"event\":\"request\",\
         \"route\":\"/v1/entries/{index}\",\"status\":200,\"why\":\"a b\"}\n"
    );
}

#[test]
fn what_a_client_says_cannot_end_a_line_or_move_a_cursor() {
    let hostile = "a\n\r\u{1b}[2K\u{9b}\u{202e}\u{2066}\u{200b}\u{2028}\u{e0041}\"\\ level=error";
    for format in [LogFormat::Text, LogFormat::Json] {
        let line = written(format, 0, Level::Info, "x", &[("said", Said::Text(hostile))]);
        assert_eq!(line.chars().filter(|c| !is_harmless(*c)).collect::<String>(), "\n");
        assert!(line.ends_with('\n') && !line.contains(" level=error\n"), "{line}");
    }
    let line = written(LogFormat::Json, 0, Level::Info, "x", &[("said", Said::Text(hostile))]);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["said"], hostile);
}

#[test]
fn long_values_are_cut() {
    let long = "a".repeat(VALUE_CHARACTERS_MAX + 1);
    let line = written(LogFormat::Text, 0, Level::Info, "x", &[("said", Said::Text(&long))]);
    assert!(line.ends_with("a…\"\n") && line.len() < VALUE_CHARACTERS_MAX + 100);
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, time) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_799, "2000-02-29T23:59:59.000Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (1_700_000_000, "2023-11-14T22:13:20.000Z"),
        (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (13_574_649_599, "2400-02-29T23:59:59.000Z"),
    ] {
        assert_eq!(rfc_3339(seconds * 1000), time);
    }
}

#[test]
fn a_writer_that_hangs_holds_up_nobody_and_what_is_lost_is_told() {
    let (go, held) = channel();
    let (at_work, writes) = channel();
    let (written, lines) = channel();
    let log = Log::new(LogFormat::Text, Held { at_work, go: held, written, begun: false }).unwrap();
    log.line(Level::Info, "x", &[]);
    writes.recv().unwrap();
    // The writer hangs, and more lines are said than may wait.
    let said = 1 + WAITING_MAX + 100;
    for _ in 1..said {
        log.line(Level::Info, "x", &[]);
    }
    go.send(()).unwrap();
    let first: Vec<String> = (0..2).map(|_| lines.recv().unwrap()).collect();
    assert!(first[1].contains("level=warn event=lines_lost lines="), "{first:?}");
    let lost: usize = first[1].trim_end().rsplit_once('=').unwrap().1.parse().unwrap();
    drop(log);
    let after: usize = lines.iter().map(|lines| lines.lines().count()).sum();
    assert_eq!(first[0].lines().count() + after + lost, said);
}

#[test]
fn the_last_lines_are_written_before_the_log_is_gone() {
    let (go, held) = channel();
    go.send(()).unwrap();
    let (at_work, _writes) = channel();
    let (written, lines) = channel();
    let log = Log::new(LogFormat::Json, Held { at_work, go: held, written, begun: false }).unwrap();
    log.clone().line(Level::Error, "last", &[]);
    drop(log);
    assert!(lines.try_recv().unwrap().contains("\"event\":\"last\""));
}
