use crate::connection::Connection;
use crate::control::ControlPage;
use crate::error::ClientError;
use crate::sse::{Event, Parser};
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

const EVENTS: &str = "text/event-stream";

/// What a feed brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// The node is there. It says nothing of what it knows, so no lease stands on it.
    Alive,
    /// Control entries.
    Control(ControlPage),
}

/// The control entries as they come.
pub struct Feed {
    /// Holds the connection open.
    _connection: Connection,
    body: Incoming,
    parser: Parser,
    waiting: VecDeque<Event>,
    place: String,
    silence: Duration,
}

impl Feed {
    pub(crate) fn begin(
        connection: Connection,
        response: Response<Incoming>,
        place: String,
        silence: Duration,
    ) -> Result<Self, ClientError> {
        let (head, body) = response.into_parts();
        if head.headers.get(CONTENT_TYPE).is_none_or(|found| found != EVENTS) {
            return Err(ClientError::garbled(&place, format!("expected {EVENTS}, found another content type")));
        }
        let (parser, waiting) = (Parser::new(), VecDeque::new());
        Ok(Self { _connection: connection, body, parser, waiting, place, silence })
    }

    /// The next event; nothing once the node has ended the feed, as it does when it stops. After an error, nothing more comes.
    pub async fn next(&mut self) -> Result<Option<FeedEvent>, ClientError> {
        loop {
            match self.waiting.pop_front() {
                None => {}
                Some(Event::Alive) => return Ok(Some(FeedEvent::Alive)),
                Some(Event::Named { name, data }) if name == "control" => {
                    let page = ControlPage::read(data.as_bytes());
                    let page = page.map_err(|why| ClientError::garbled(&self.place, why))?;
                    return Ok(Some(FeedEvent::Control(page)));
                }
                Some(Event::Named { name, .. }) => {
                    let why = format!("expected the event \"control\", found {name:?}");
                    return Err(ClientError::garbled(&self.place, why));
                }
            }
            if !self.read_more().await? {
                return Ok(None);
            }
        }
    }

    async fn read_more(&mut self) -> Result<bool, ClientError> {
        let place = || self.place.clone();
        let within = self.silence;
        let Ok(frame) = timeout(within, self.body.frame()).await else {
            return Err(ClientError::Late { place: place(), what: "say anything on the feed", within });
        };
        match frame {
            None if self.parser.is_within_event() => {
                Err(ClientError::Closed { place: place(), why: "the feed ended within an event".to_owned() })
            }
            None => Ok(false),
            Some(Err(error)) => Err(ClientError::Closed { place: place(), why: error.to_string() }),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    let events = self.parser.push(&data);
                    self.waiting.extend(events.map_err(|error| ClientError::of_stream(&self.place, &error))?);
                }
                Ok(true)
            }
        }
    }
}
