//! A section, the lines up to an empty one: a head, or the trailers behind a chunked body (RFC 9112, 2.1 and
//! 7.1.2).
//!
//! A section is presented whole, from its first byte, as often as it grows; what was looked at is not looked
//! at again, so that a peer that sends single bytes costs no more than one that sends them at once.

use memchr::memchr;

use super::violation::Violation;

/// How far a section has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    line_start: usize,
    searched: usize,
}

/// A line without its CRLF, and where it begins in the window.
pub(super) struct Line<'w> {
    pub(super) start: usize,
    pub(super) bytes: &'w [u8],
}

impl Section {
    /// The next whole line of `window`, or `None` until more of it has come.
    pub(super) fn next_line<'w>(
        &mut self,
        window: &'w [u8],
        limit: usize,
        too_large: &'static str,
    ) -> Result<Option<Line<'w>>, Violation> {
        let Some(offset) = memchr(b'\n', window.get(self.searched..).unwrap_or_default()) else {
            self.searched = window.len();
            return if window.len() > limit { Err(Violation::too_large(too_large)) } else { Ok(None) };
        };
        let line_feed = self.searched + offset;
        if line_feed >= limit {
            return Err(Violation::too_large(too_large));
        }
        // RFC 9112, 2.2 lets a recipient take a lone LF for a line's end. Those who do and those who do not
        // see different messages, so nobody gets to.
        let Some(bytes) = window[self.line_start..line_feed].strip_suffix(b"\r") else {
            return Err(Violation::framing("a line ends with LF alone"));
        };
        let start = self.line_start;
        self.line_start = line_feed + 1;
        self.searched = line_feed + 1;
        Ok(Some(Line { start, bytes }))
    }

    /// How many bytes the lines returned so far take, with their line ends.
    pub(super) fn length(&self) -> usize {
        self.line_start
    }
}
