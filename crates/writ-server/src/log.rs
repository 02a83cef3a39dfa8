//! What the node tells its operator: one line for each thing, as text or as JSON.
//!
//! A thread of its own writes the lines: an operator's pipe that nobody reads must not hold up decisions. Lines that find no room
//! are counted, and the count is told.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Lines that wait for the writer.
const WAITING_MAX: usize = 4096;
/// How long lines are gathered, and how much is written at once.
const GATHER: Duration = Duration::from_millis(5);
const TOGETHER_BYTES_MAX: usize = 64 * 1024;
/// The longest value of a field: what comes from a client must not fill disks.
const VALUE_CHARACTERS_MAX: usize = 1024;
/// How long the last lines have to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `time=… level=info event=request route=/v1/authorize`
    Text,
    /// One JSON object a line.
    Json,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What happened.
    Info,
    /// What somebody should look at.
    Warn,
    /// What failed on our side.
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What a field of a line says.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// Text, which may come from anybody.
    Text(&'a str),
    /// A number.
    Number(u64),
}

/// Where lines go. Clones write to the same place; the last one that goes waits a moment for what is not written yet.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
    /// Of which ledger each line is, where there are several.
    ledger: Option<Arc<str>>,
}

struct Inner {
    format: LogFormat,
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    ended: Mutex<Receiver<()>>,
}

impl Log {
    /// A log that writes to `out` from a thread of its own.
    pub fn new(format: LogFormat, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write_lines(format, out, &waiting, &counted);
            end.send(()).ok();
        })?;
        let inner = Arc::new(Inner { format, lines: Some(lines), lost, ended: Mutex::new(ended) });
        Ok(Self { inner, ledger: None })
    }

    /// The same log, each line of which says that it is about this ledger.
    #[must_use]
    pub fn of(&self, ledger: &str) -> Self {
        Self { inner: self.inner.clone(), ledger: Some(ledger.into()) }
    }

    /// Says what happened. Never waits.
    pub fn line(&self, level: Level, event: &str, fields: &[(&str, Said<'_>)]) {
        let ledger = self.ledger.as_ref().map(|ledger| ("ledger", Said::Text(ledger)));
        let fields: Vec<_> = ledger.into_iter().chain(fields.iter().copied()).collect();
        let line = written(self.inner.format, now_ms(), level, event, &fields);
        let taken = self.inner.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        if !taken {
            self.inner.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.lines = None;
        // A writer that hangs is left behind.
        self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(LAST_LINES).ok();
    }
}

fn write_lines(format: LogFormat, mut out: impl Write, waiting: &Receiver<String>, lost: &AtomicU64) {
    for first in waiting {
        // What is said within a moment is written together. Whoever says it need not wake this thread each time.
        thread::sleep(GATHER);
        let mut lines = first;
        for line in waiting.try_iter() {
            lines.push_str(&line);
            if lines.len() >= TOGETHER_BYTES_MAX {
                break;
            }
        }
        // A log that cannot be written is no reason to stop deciding: the ledger is the record, not the log.
        out.write_all(lines.as_bytes()).ok();
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let told = written(format, now_ms(), Level::Warn, "lines_lost", &[("lines", Said::Number(missing))]);
            out.write_all(told.as_bytes()).ok();
        }
        out.flush().ok();
    }
}

fn written(format: LogFormat, time_ms: u64, level: Level, event: &str, fields: &[(&str, Said<'_>)]) -> String {
    let time = rfc_3339(time_ms);
    let first = [("time", Said::Text(&time)), ("level", Said::Text(level.as_str())), ("event", Said::Text(event))];
    let (open, between, close) = match format {
        LogFormat::Text => ("", " ", "\n"),
        LogFormat::Json => ("{", ",", "}\n"),
    };
    let mut line = String::with_capacity(256);
    line.push_str(open);
    for (number, (name, said)) in first.iter().chain(fields).enumerate() {
        if number > 0 {
            line.push_str(between);
        }
        match format {
            LogFormat::Text => {
                line.push_str(name);
                line.push('=');
            }
            LogFormat::Json => {
                quote(&mut line, name);
                line.push(':');
            }
        }
        match said {
            Said::Text(text) if format == LogFormat::Text && is_plain(text) => line.push_str(text),
            Said::Text(text) => quote(&mut line, text),
            Said::Number(number) => drop(write!(line, "{number}")),
        }
    }
    line.push_str(close);
    line
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:+{}".contains(&byte);
    !text.is_empty() && text.bytes().all(plain) && text.len() <= VALUE_CHARACTERS_MAX
}

/// A JSON string that a terminal may show: characters that move cursors or turn lines round come from clients too.
fn quote(quoted: &mut String, text: &str) {
    quoted.push('"');
    for character in text.chars().take(VALUE_CHARACTERS_MAX) {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if is_harmless(character) => quoted.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(quoted, "\\u{unit:04x}").ok();
                }
            }
        }
    }
    if text.chars().nth(VALUE_CHARACTERS_MAX).is_some() {
        quoted.push('…');
    }
    quoted.push('"');
}

/// Neither control characters, nor separators of lines, nor what has no width or changes the direction of writing.
fn is_harmless(character: char) -> bool {
    let unseen = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    let marks = matches!(character, '\u{61c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !(character.is_control() || unseen || marks)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time in UTC, as in `2026-01-31T09:30:00.250Z`.
fn rfc_3339(time_ms: u64) -> String {
    let (days, of_day_ms) = (time_ms / 86_400_000, time_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute) = (of_day_ms / 3_600_000, of_day_ms / 60_000 % 60);
    let (second, ms) = (of_day_ms / 1000 % 60, of_day_ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The Gregorian date that many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    // 400 years always have the same number of days, so whole ones are skipped.
    let (mut year, mut left) = (1970_u64.saturating_add(days / 146_097 * 400), days % 146_097);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year = year.saturating_add(1);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left.saturating_add(1))
}
