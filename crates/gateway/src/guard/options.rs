//! How large, how slow and how silent a caller may be.

use std::time::Duration;

use countersign_http1::Limits;

/// What the guard allows. One value serves all connections.
#[derive(Clone, Debug)]
pub struct GuardOptions {
    /// Sizes of heads and trailers.
    pub limits: Limits,
    /// From a head's first byte to its last, and from the connection's start to its first byte.
    pub header_timeout: Duration,
    /// Between the end of a response and the next request's first byte.
    pub idle_timeout: Duration,
    /// How long a write may wait for a peer that does not read.
    pub write_timeout: Duration,
    /// How long a caller that has closed its side waits for an answer while nothing is said.
    pub half_closed_timeout: Duration,
    /// How long a connection that closes early waits for the peer to read the answer and close too.
    pub linger_timeout: Duration,
    /// How many bytes are read and thrown away meanwhile.
    pub linger_bytes: usize,
}

impl Default for GuardOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            half_closed_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(2),
            linger_bytes: 64 * 1024,
        }
    }
}
