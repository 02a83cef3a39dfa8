use std::time::Duration;

/// What clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Whoever comes later waits, in the backlog of the socket, until one has ended.
    pub connections_max: usize,
    /// How long the head of a request may take, from the moment it is waited for: a client that sends nothing, or a byte now and
    /// then, is cut off, and so is a kept connection without a next request.
    pub head_timeout: Duration,
    /// How long a client may take nothing of what it asked for.
    pub stall_timeout: Duration,
    /// How long requests under way have to finish once the server is told to stop.
    pub drain_timeout: Duration,
}

impl Limits {
    /// For a server on the open network.
    pub const STANDARD: Self = Self {
        connections_max: 256,
        head_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(5),
    };
}
