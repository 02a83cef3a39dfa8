//! Server-sent events, read strictly: what another reader would leave out or repair is an error here. The node is the only one that
//! writes them.

#[cfg(test)]
mod tests;

use std::fmt;

/// The longest event, in bytes.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
const NAME_BYTES_MAX: usize = 64;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A comment: the other end is alive.
    Alive,
    /// An event with a name and data.
    Named {
        /// Its name.
        name: String,
        /// Its data; line breaks between lines of data.
        data: String,
    },
}

/// Why bytes are no stream of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// No end comes.
    #[error("expected an event of at most {EVENT_BYTES_MAX} bytes, found more")]
    TooLong,
    /// Not text.
    #[error("expected UTF-8 in a stream of events, found other bytes")]
    NotUtf8,
    /// Neither a field that the node sends nor a comment.
    #[error("expected `event: …`, `data: …` or a comment, found {0:?}")]
    Line(String),
    /// A name without data, data without a name, or two names.
    #[error("expected one name and then data in each event, found {0}")]
    Shape(&'static str),
}

/// Takes bytes as they come, and gives events.
#[derive(Default)]
pub struct Parser {
    line: Vec<u8>,
    bytes: usize,
    name: Option<String>,
    data: Option<String>,
    commented: bool,
}

impl Parser {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The events that these bytes end. After an error, nothing more can be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, SseError> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.bytes = self.bytes.saturating_add(piece.len());
            if self.bytes > EVENT_BYTES_MAX {
                return Err(SseError::TooLong);
            }
            match piece.strip_suffix(b"\n") {
                None => self.line.extend_from_slice(piece),
                Some(end) => {
                    self.line.extend_from_slice(end);
                    let line = std::mem::take(&mut self.line);
                    let line = str::from_utf8(&line).map_err(|_| SseError::NotUtf8)?;
                    events.extend(self.take_line(line)?);
                }
            }
        }
        Ok(events)
    }

    /// Whether an event has begun and not ended.
    pub fn is_within_event(&self) -> bool {
        self.bytes > 0
    }

    fn take_line(&mut self, line: &str) -> Result<Option<Event>, SseError> {
        if line.is_empty() {
            return self.take_end();
        }
        if line.contains(['\r', '\0']) {
            return Err(SseError::Line(start_of(line)));
        }
        if line.starts_with(':') {
            self.commented = true;
        } else if let Some(name) = line.strip_prefix("event: ") {
            if self.name.is_some() || self.data.is_some() {
                return Err(SseError::Shape("a name where none may be"));
            }
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(SseError::Line(start_of(line)));
            }
            self.name = Some(name.to_owned());
        } else if let Some(more) = line.strip_prefix("data: ") {
            match &mut self.data {
                None => self.data = Some(more.to_owned()),
                Some(data) => {
                    data.push('\n');
                    data.push_str(more);
                }
            }
        } else {
            return Err(SseError::Line(start_of(line)));
        }
        Ok(None)
    }

    fn take_end(&mut self) -> Result<Option<Event>, SseError> {
        self.bytes = 0;
        let commented = std::mem::take(&mut self.commented);
        match (self.name.take(), self.data.take()) {
            (Some(name), Some(data)) => Ok(Some(Event::Named { name, data })),
            (None, None) if commented => Ok(Some(Event::Alive)),
            (None, None) => Err(SseError::Shape("nothing")),
            (Some(_), None) => Err(SseError::Shape("no data")),
            (None, Some(_)) => Err(SseError::Shape("no name")),
        }
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parser").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn start_of(line: &str) -> String {
    line.chars().take(40).collect()
}
