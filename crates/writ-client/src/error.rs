use crate::answer::Refused;
use crate::sse::SseError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use writ_protocol::{Code, Refusal};

/// Why a node did not answer, or not so that its answer can be used. Each is a refusal: nothing may happen on it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text names no place where a node can be.
    #[error("expected unix:/path, http://127.0.0.1:port or https://host:port, found {found:?}: {why}")]
    Endpoint {
        /// The text.
        found: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Everything between us and the node could be read and changed.
    #[error("expected a loopback address for http, found {0:?}; use https and give the node's CA")]
    PlainHttp(String),
    /// There is nothing to know the node by.
    #[error("expected a CA file for {0}, found none; give the PEM file of the CA that signed the node's certificate")]
    NoCa(String),
    /// The CA file is of no use.
    #[error("{file:?} cannot be used as CA: {why}; give a PEM file with certificates")]
    Ca {
        /// The file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// The certificate to show, or its key, is of no use.
    #[error("{file:?} cannot be shown to the node: {why}; give a PEM file with {expected}")]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What must be in it.
        expected: &'static str,
        /// What was found.
        why: String,
    },
    /// The token cannot stand in the head of a request.
    #[error("the token has characters that no token has; see that the file holds the token alone")]
    Token,
    /// Nobody answers.
    #[error("no node answers at {place}: {why}; see that it runs (`writ up`) and that this is where it listens")]
    Unreachable {
        /// Where it should be.
        place: String,
        /// What the system said.
        why: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error("expected a node of uid {expected:?} at {place}, found one of uid {found}; find out who put it there")]
    Impostor {
        /// Where it is.
        place: String,
        /// Who may answer there.
        expected: Vec<u32>,
        /// Who does.
        found: u32,
    },
    /// The other end has not shown that it is the node.
    #[error(
        "the node at {place} has not shown that it is itself: {why}; see whether the CA is the one that signed its certificate"
    )]
    Untrusted {
        /// Where it is.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing came in time.
    #[error("the node at {place} did not {what} within {within:?}; see `writ status` and its log")]
    Late {
        /// Where it is.
        place: String,
        /// What it did not do.
        what: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// It went away before its answer was there; whether it has recorded something is unknown.
    #[error(
        "the node at {place} closed before its answer was whole: {why}; see whether it still runs (`writ status`), and ask again with the same request key to learn what became of it"
    )]
    Closed {
        /// Where it is.
        place: String,
        /// What was seen.
        why: String,
    },
    /// The answer is not one that a node gives.
    #[error("the node at {place} answered what no node answers: {why}; see whether it is a node, and of which version")]
    Garbled {
        /// Where it is.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The answer has no end, or one that is too far.
    #[error("the node at {place} answered more than {max} bytes; ask for less at once")]
    TooLarge {
        /// Where it is.
        place: String,
        /// What is taken at most.
        max: usize,
    },
    /// What is asked does not fit in a request.
    #[error("expected {what} of at most {max} bytes, found {found}")]
    AskedTooMuch {
        /// What it is.
        what: &'static str,
        /// What fits.
        max: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// The node refused.
    #[error("the node refused: {}: {}", .0.code, .0.why)]
    Refused(Refused),
    /// The system gives no event loop.
    #[error("the client cannot start: {0}; see whether the process may open more files")]
    Start(io::Error),
}

impl ClientError {
    /// The stable code: what is in doubt about the node is `authority_unreachable`.
    pub fn code(&self) -> Code {
        match self {
            Self::Endpoint { .. }
            | Self::PlainHttp(_)
            | Self::NoCa(_)
            | Self::Ca { .. }
            | Self::Certificate { .. }
            | Self::Token
            | Self::AskedTooMuch { .. } => Code::Malformed,
            Self::Impostor { .. } | Self::Untrusted { .. } => Code::UnknownAuthority,
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Closed { .. }
            | Self::Garbled { .. }
            | Self::TooLarge { .. } => Code::AuthorityUnreachable,
            Self::Refused(refused) => refused.code,
            Self::Start(_) => Code::Internal,
        }
    }

    /// As a refusal, with code and reason. A refusal of the node is its own: its code is not said twice.
    pub fn refusal(&self) -> Refusal {
        if let Self::Refused(refused) = self {
            return Refusal::new(refused.code, refused.why.clone());
        }
        Refusal::new(self.code(), self.to_string())
    }

    pub(crate) fn garbled(place: &str, why: impl std::fmt::Display) -> Self {
        Self::Garbled { place: place.to_owned(), why: why.to_string() }
    }

    pub(crate) fn of_stream(place: &str, error: &SseError) -> Self {
        Self::garbled(place, error)
    }
}
