//! `[limits]` and `[upstream]`: how much, and for how long.

use std::time::Duration;

use countersign::limit::Rate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::quantities::parse_size;
use crate::settings::{Reader, Text, Written};

/// `[limits]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// A request's head.
    #[schemars(extend("default" = "32KiB"))]
    pub max_head: Text,
    /// Header fields in a request.
    #[schemars(extend("default" = 100))]
    pub max_headers: Written<usize>,
    /// A body that a proof covers.
    #[schemars(extend("default" = "1MiB"))]
    pub max_signed_body: Text,
    /// Any body.
    pub max_body: Option<Text>,
    /// Open connections.
    #[schemars(extend("default" = 20_000))]
    pub max_connections: Written<usize>,
    /// Requests at once on one HTTP/2 connection.
    #[schemars(extend("default" = 100))]
    pub max_streams: Written<u32>,
    /// How much of bodies an HTTP/2 connection may send ahead of who reads them.
    #[schemars(extend("default" = "256KiB"))]
    pub http2_window: Text,
    /// How often one source may fail to prove itself, `600/min`.
    #[schemars(extend("default" = "60000/min"))]
    pub unproven: Text,
    /// How many nonces one signer may spend, `600/min`.
    #[schemars(extend("default" = "60000/min"))]
    pub nonces: Text,
    /// From the first byte of a head to its last; also the TLS handshake.
    #[schemars(extend("default" = "10s"))]
    pub header_timeout: Text,
    /// Between two pieces of a body.
    #[schemars(extend("default" = "30s"))]
    pub body_timeout: Text,
    /// A caller that does not read its response.
    #[schemars(extend("default" = "60s"))]
    pub write_timeout: Text,
    /// A connection without a request.
    #[schemars(extend("default" = "120s"))]
    pub idle_timeout: Text,
}

/// `[upstream]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UpstreamSection {
    /// To connect.
    #[schemars(extend("default" = "5s"))]
    pub connect_timeout: Text,
    /// From the end of the request to the head of the response.
    #[schemars(extend("default" = "60s"))]
    pub response_timeout: Text,
    /// Between two pieces of a response's body, and on an upgraded connection.
    #[schemars(extend("default" = "5m"))]
    pub stream_timeout: Text,
    /// How long an unused connection is kept; shorter than the upstream keeps it.
    #[schemars(extend("default" = "4s"))]
    pub idle_timeout: Text,
    /// Unused connections kept for each upstream.
    #[schemars(extend("default" = 256))]
    pub max_idle: Written<usize>,
}

/// `[limits]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request's head, in bytes.
    pub max_head: usize,
    /// Header fields in a request.
    pub max_headers: usize,
    /// A body that a proof covers, in bytes.
    pub max_signed_body: usize,
    /// Any body, in bytes.
    pub max_body: Option<usize>,
    /// Open connections.
    pub max_connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// How much of bodies an HTTP/2 connection may send ahead, in bytes.
    pub http2_window: u32,
    /// How often one source may fail to prove itself.
    pub unproven: Rate,
    /// How many nonces one signer may spend.
    pub nonces: Rate,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between two pieces of a body.
    pub body_timeout: Duration,
    /// A caller that does not read.
    pub write_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
}

/// `[upstream]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// To connect.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the response.
    pub response_timeout: Duration,
    /// Between two pieces of a response's body.
    pub stream_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
}

impl UpstreamLimits {
    /// How long it may take until it is known what became of a request whose body is at hand: to connect, to
    /// send it, to wait for the answer, and to write that down.
    #[must_use]
    pub fn longest_delivery(&self) -> Duration {
        self.connect_timeout + self.response_timeout * 2 + Duration::from_secs(10)
    }
}

impl Section {
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Option<Limits> {
        let max_head = reader.size(&self.max_head, 1024..=1_048_576, "from 1KiB to 1MiB");
        let max_headers = reader.number(&self.max_headers, 1..=10_000);
        let max_signed_body = reader.parsed(&self.max_signed_body, parse_size);
        let max_body = reader.maybe(self.max_body.as_ref(), parse_size);
        let max_connections = reader.number(&self.max_connections, 1..=10_000_000);
        let max_streams = reader.number(&self.max_streams, 1..=100_000);
        let window = reader.size(&self.http2_window, 65_536..=16_777_216, "from 64KiB to 16MiB");
        let unproven = reader.parsed(&self.unproven, str::parse);
        let nonces = reader.parsed(&self.nonces, str::parse);
        let header_timeout = reader.timeout(&self.header_timeout);
        let body_timeout = reader.timeout(&self.body_timeout);
        let write_timeout = reader.timeout(&self.write_timeout);
        let idle_timeout = reader.timeout(&self.idle_timeout);
        Some(Limits {
            max_head: max_head?,
            max_headers,
            max_signed_body: max_signed_body?,
            max_body,
            max_connections,
            max_streams,
            http2_window: u32::try_from(window?).ok()?,
            unproven: unproven?,
            nonces: nonces?,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            write_timeout: write_timeout?,
            idle_timeout: idle_timeout?,
        })
    }
}

impl UpstreamSection {
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Option<UpstreamLimits> {
        let connect = reader.timeout(&self.connect_timeout);
        let response = reader.timeout(&self.response_timeout);
        let stream = reader.timeout(&self.stream_timeout);
        let idle = reader.timeout(&self.idle_timeout);
        let max_idle = reader.number(&self.max_idle, 0..=1_000_000);
        Some(UpstreamLimits {
            connect_timeout: connect?,
            response_timeout: response?,
            stream_timeout: stream?,
            idle_timeout: idle?,
            max_idle,
        })
    }
}
