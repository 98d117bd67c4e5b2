//! A strict reading of responses (RFC 9112), for the connections on which we are the client.

use std::ops::Range;

use http::{StatusCode, Version};

use super::chunked::{Chunked, Extensions};
use super::fields::{FramingFields, has_controls};
use super::framing::{BodyFraming, Facts};
use super::limits::Limits;
use super::section::Section;
use super::violation::Violation;

/// What of a request decides how its response is read (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method was HEAD: there is no body, whatever the fields say.
    pub head: bool,
    /// The request asked for an upgrade, so 101 (or 2xx to CONNECT) may end HTTP.
    pub upgrade: bool,
}

impl From<&Facts> for Asked {
    fn from(facts: &Facts) -> Self {
        Self { head: facts.method == http::Method::HEAD, upgrade: facts.upgrade }
    }
}

/// What was found at the start of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// Nothing whole: present the same bytes again when more have come behind them.
    Incomplete,
    /// A head.
    Head {
        /// Its bytes.
        length: usize,
        /// What follows it.
        follows: Follows,
    },
    /// A part of the body, with the chunked coding's lines.
    Body {
        /// Its bytes.
        length: usize,
        /// The response ends with them.
        ends: bool,
        /// Which of them are a chunk extension, which nobody behind us is to see.
        extension: Range<usize>,
    },
}

/// What follows the head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Another head: this one was interim (1xx).
    AnotherHead,
    /// A body.
    Body(BodyFraming),
    /// Another protocol.
    AnotherProtocol,
}

/// Reads the responses of one connection, one after another.
#[derive(Clone, Debug)]
pub struct ResponseScanner {
    limits: Limits,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

#[derive(Clone, Debug, Default)]
struct Head {
    section: Section,
    status_line: Option<(Version, StatusCode)>,
    fields: FramingFields,
}

impl ResponseScanner {
    /// A scanner for a fresh connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(Head::default()) }
    }

    /// Reads the start of `window`, which answers a request that was as `asked` says.
    ///
    /// # Errors
    /// The violation. Nothing behind it can be given a meaning: the connection must not be used on.
    pub fn step(&mut self, window: &[u8], asked: Asked) -> Result<ResponseStep, Violation> {
        if window.is_empty() {
            return Ok(ResponseStep::Incomplete);
        }
        match &mut self.state {
            State::Head(head) => {
                let Some((length, follows)) = head.step(window, asked, &self.limits)? else {
                    return Ok(ResponseStep::Incomplete);
                };
                self.state = match follows {
                    Follows::Body(BodyFraming::Length(length @ 1..)) => State::Length(length),
                    Follows::Body(BodyFraming::Chunked) => State::Chunked(Chunked::new(Extensions::Ignored)),
                    Follows::Body(BodyFraming::UntilClose) | Follows::AnotherProtocol => State::UntilClose,
                    Follows::Body(_) | Follows::AnotherHead => State::Head(Head::default()),
                };
                Ok(ResponseStep::Head { length, follows })
            }
            State::Length(remaining) => {
                let taken = (*remaining).min(window.len() as u64);
                *remaining -= taken;
                let ends = *remaining == 0;
                Ok(self.body_step(usize::try_from(taken).unwrap_or(usize::MAX), ends, 0..0))
            }
            State::Chunked(chunked) => {
                let progress = chunked.scan(window, &self.limits)?;
                Ok(self.body_step(progress.length, progress.ends, progress.extension))
            }
            State::UntilClose => {
                Ok(ResponseStep::Body { length: window.len(), ends: false, extension: 0..0 })
            }
        }
    }

    /// Whether the connection must not end yet: a response has begun, and said how it will end.
    pub fn is_within_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_))
    }

    fn body_step(&mut self, length: usize, ends: bool, extension: Range<usize>) -> ResponseStep {
        if ends {
            self.state = State::Head(Head::default());
        }
        if length == 0 { ResponseStep::Incomplete } else { ResponseStep::Body { length, ends, extension } }
    }
}

impl Head {
    fn step(
        &mut self,
        window: &[u8],
        asked: Asked,
        limits: &Limits,
    ) -> Result<Option<(usize, Follows)>, Violation> {
        let too_large = "the head is larger than the limit";
        while let Some(line) = self.section.next_line(window, limits.max_head_bytes, too_large)? {
            match self.status_line {
                None => self.status_line = Some(parse_status_line(line.bytes)?),
                Some((version, status)) if line.bytes.is_empty() => {
                    let follows = follows(version, status, &self.fields, asked)?;
                    return Ok(Some((self.section.length(), follows)));
                }
                Some(_) => self.fields.add(line.bytes, line.start, limits.max_fields)?,
            }
        }
        Ok(None)
    }
}

/// `HTTP/1.x SP 3DIGIT [ SP reason ]` (RFC 9112, 4); the space before an empty reason is often left out.
fn parse_status_line(line: &[u8]) -> Result<(Version, StatusCode), Violation> {
    let malformed = Violation::framing("the status line is not version, three digits and a reason");
    let (version, rest) = line.split_at_checked(9).ok_or(malformed)?;
    let version = match version {
        b"HTTP/1.1 " => Version::HTTP_11,
        b"HTTP/1.0 " => Version::HTTP_10,
        _ => return Err(malformed),
    };
    let (status, reason) = rest.split_at_checked(3).ok_or(malformed)?;
    if !matches!(reason, [] | [b' ', ..]) || has_controls(reason) {
        return Err(malformed);
    }
    let status = StatusCode::from_bytes(status).map_err(|_| malformed)?;
    Ok((version, status))
}

/// RFC 9112, 6.3, without its repairs.
fn follows(
    version: Version,
    status: StatusCode,
    fields: &FramingFields,
    asked: Asked,
) -> Result<Follows, Violation> {
    if fields.chunked && version == Version::HTTP_10 {
        return Err(Violation::framing("Transfer-Encoding in HTTP/1.0"));
    }
    let announces_body = fields.chunked || fields.content_length.is_some_and(|length| length > 0);
    if (status.is_informational() || status == StatusCode::NO_CONTENT) && announces_body {
        // RFC 9112, 6.1 and RFC 9110, 8.6 forbid it. A body that comes late would answer the next request.
        return Err(Violation::framing("a response that has no body announces one"));
    }
    Ok(match status {
        StatusCode::SWITCHING_PROTOCOLS if asked.upgrade => Follows::AnotherProtocol,
        StatusCode::SWITCHING_PROTOCOLS => {
            return Err(Violation::framing("an upgrade that was not asked for"));
        }
        _ if status.is_informational() => Follows::AnotherHead,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Follows::Body(BodyFraming::None),
        _ if asked.head => Follows::Body(BodyFraming::None),
        _ if fields.chunked => Follows::Body(BodyFraming::Chunked),
        _ => Follows::Body(fields.content_length.map_or(BodyFraming::UntilClose, BodyFraming::Length)),
    })
}

#[cfg(test)]
mod tests;
