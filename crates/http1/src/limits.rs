//! How much is read before it is refused.

/// How much of a head and of trailers is read before they are refused, and which trailers are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a head, with its last empty line.
    pub max_head_bytes: usize,
    /// Field lines of a head, and of trailers. hyper's own limit must not be lower (its default is 100).
    pub max_fields: usize,
    /// Bytes of the trailers behind a chunked body, with their last empty line. hyper's own limit is 16 KiB.
    pub max_trailer_bytes: usize,
    /// Whether a trailer of this name is refused, besides those that frame, route or authenticate (RFC 9110, 6.5.1).
    pub refuses_trailer: fn(&[u8]) -> bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 32 * 1024,
            max_fields: 100,
            max_trailer_bytes: 8 * 1024,
            refuses_trailer: |_| false,
        }
    }
}
