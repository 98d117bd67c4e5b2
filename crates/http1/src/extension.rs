//! Chunk extensions (RFC 9112, 7.1.1): read to know where they end, whatever they say.

use super::fields::has_controls;
use super::violation::Violation;

/// Longer than any that is in use; whoever sends more of them than of data is not heard out.
const MAX_BYTES: u16 = 1024;

/// How far the bytes between a chunk's size and its CRLF have been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    length: u16,
    /// Its semicolon was seen; before it there may be white space.
    begun: bool,
    quoted: bool,
    escaped: bool,
}

impl Extension {
    /// Reads `bytes` up to the CR that ends the line. Says how many there are before it, and whether it was seen.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(usize, bool), Violation> {
        for (index, &byte) in bytes.iter().enumerate() {
            match byte {
                // One parser ends the line here, one that honours quotes goes on to the next.
                b'\r' if self.quoted => {
                    return Err(Violation::framing("a chunk extension ends within quotes"));
                }
                b'\r' if self.begun => return Ok((index, true)),
                b'\n' => return Err(Violation::framing("a line ends with LF alone")),
                b';' if !self.quoted => self.begun = true,
                b' ' | b'\t' if !self.begun => {}
                _ if !self.begun => {
                    return Err(Violation::framing("a chunk's size is not hexadecimal digits"));
                }
                _ if has_controls(&[byte]) => {
                    return Err(Violation::framing("a control character in a chunk extension"));
                }
                _ if self.escaped => {
                    self.escaped = false;
                }
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ => {}
            }
            self.length += 1;
            if self.length > MAX_BYTES {
                return Err(Violation::framing("a chunk extension is longer than the limit"));
            }
        }
        Ok((bytes.len(), false))
    }
}
