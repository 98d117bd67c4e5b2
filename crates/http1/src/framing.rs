//! A strict reading of requests (RFC 9112): bytes in, steps out; no I/O, no clock, nothing kept but
//! positions.

use std::ops::Range;

use http::{Method, Version};
use memchr::{memchr, memchr2};

use super::chunked::{Chunked, Extensions};
use super::fields::{FramingFields, is_token, is_token_byte};
use super::limits::Limits;
use super::section::Section;
use super::target;
use super::violation::Violation;

/// How a message says where its body ends (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    None,
    /// As many bytes as Content-Length says.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Everything until the peer closes: responses only.
    UntilClose,
}

impl BodyFraming {
    /// Whether a body was announced; one of no bytes is none.
    pub const fn announces_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

/// Longer than any method that is registered (the longest has 17 bytes).
pub const MAX_METHOD_BYTES: usize = 64;

/// What a method that is longer is refused for.
pub const METHOD_TOO_LONG: Violation = Violation::framing("the method is longer than any that there is");

/// What a request's head says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The method.
    pub method: Method,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// What follows the message may be another protocol: CONNECT, or an Upgrade that Connection names.
    pub upgrade: bool,
    /// Where the body ends.
    pub body: BodyFraming,
    /// The client waits for `100 (Continue)` before it sends the body.
    pub expects_continue: bool,
}

/// What was found at the start of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing whole: present the same bytes again when more have come behind them.
    Incomplete,
    /// The one empty line that is tolerated before a request line.
    EmptyLine {
        /// Its bytes.
        length: usize,
    },
    /// A head. When the facts announce no body, the message ends with it.
    Head {
        /// Its bytes.
        length: usize,
        /// What it says.
        facts: Facts,
    },
    /// A part of the body, with the chunked coding's lines.
    Body {
        /// Its bytes.
        length: usize,
        /// The message ends with them.
        ends: bool,
    },
}

/// Reads the requests of one connection, one after another.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunked(Chunked),
}

#[derive(Clone, Debug, Default)]
struct Head {
    section: Section,
    request_line: Option<RequestLine>,
    fields: FramingFields,
    after_empty_line: bool,
}

#[derive(Clone, Debug)]
struct RequestLine {
    method: Method,
    version: Version,
    /// Where the target's authority lies in the head, when it has one.
    authority: Option<Range<usize>>,
}

impl Scanner {
    /// A scanner for a fresh connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(Head::default()) }
    }

    /// Whether the last message is whole and nothing of the next has been seen.
    pub fn is_between_messages(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.section == Section::default())
    }

    /// Whether a head is being read, or waited for.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Reads the start of `window`: the bytes that earlier steps did not count, and whatever came behind
    /// them.
    ///
    /// # Errors
    /// The violation. Nothing behind it can be given a meaning: the connection must not be read on.
    pub fn step(&mut self, window: &[u8]) -> Result<Step, Violation> {
        if window.is_empty() {
            return Ok(Step::Incomplete);
        }
        match &mut self.state {
            State::Head(head) => {
                let step = head.step(window, &self.limits)?;
                match &step {
                    Step::EmptyLine { .. } => {
                        self.state = State::Head(Head { after_empty_line: true, ..Head::default() });
                    }
                    Step::Head { facts, .. } => {
                        self.state = match facts.body {
                            BodyFraming::Length(length @ 1..) => State::Length(length),
                            BodyFraming::Chunked => State::Chunked(Chunked::new(Extensions::Refused)),
                            _ => State::Head(Head::default()),
                        };
                    }
                    Step::Incomplete | Step::Body { .. } => {}
                }
                Ok(step)
            }
            State::Length(remaining) => {
                let taken = (*remaining).min(window.len() as u64);
                *remaining -= taken;
                let ends = *remaining == 0;
                Ok(self.body_step(usize::try_from(taken).unwrap_or(usize::MAX), ends))
            }
            State::Chunked(chunked) => {
                let progress = chunked.scan(window, &self.limits)?;
                Ok(self.body_step(progress.length, progress.ends))
            }
        }
    }

    fn body_step(&mut self, length: usize, ends: bool) -> Step {
        if ends {
            self.state = State::Head(Head::default());
        }
        if length == 0 { Step::Incomplete } else { Step::Body { length, ends } }
    }
}

impl Head {
    fn step(&mut self, window: &[u8], limits: &Limits) -> Result<Step, Violation> {
        if self.section == Section::default()
            && let Some(step) = self.check_start(window)?
        {
            return Ok(step);
        }
        // What has no end here is no head that is too large: it is no request.
        if self.request_line.is_none()
            && window.len() > MAX_METHOD_BYTES
            && memchr2(b' ', b'\n', &window[..=MAX_METHOD_BYTES]).is_none()
        {
            return Err(METHOD_TOO_LONG);
        }
        let too_large = "the head is larger than the limit";
        while let Some(line) = self.section.next_line(window, limits.max_head_bytes, too_large)? {
            if self.request_line.is_none() {
                self.request_line = Some(parse_request_line(line.bytes)?);
            } else if line.bytes.is_empty() {
                return Ok(Step::Head { length: self.section.length(), facts: self.finish(window)? });
            } else {
                self.fields.add(line.bytes, line.start, limits.max_fields)?;
            }
        }
        Ok(Step::Incomplete)
    }

    /// Looks at the first bytes, so that TLS or noise is refused at once rather than after the time-out.
    fn check_start(&self, window: &[u8]) -> Result<Option<Step>, Violation> {
        match window {
            // RFC 9112, 2.2: old clients send an empty line behind a body; one is ignored. Two are noise.
            [b'\r', ..] if self.after_empty_line => {
                Err(Violation::framing("two empty lines before a request"))
            }
            [b'\r', b'\n', ..] => Ok(Some(Step::EmptyLine { length: 2 })),
            [b'\r'] => Ok(Some(Step::Incomplete)),
            [b'\n', ..] => Err(Violation::framing("a line ends with LF alone")),
            [first, ..] if !is_token_byte(*first) => Err(Violation::framing("the method is not a token")),
            _ => Ok(None),
        }
    }

    /// What the whole head says, once its last line has been seen.
    fn finish(&mut self, head: &[u8]) -> Result<Facts, Violation> {
        let Some(line) = self.request_line.take() else {
            return Err(Violation::framing("no request line"));
        };
        let fields = &self.fields;
        check_host(&line, fields, head)?;
        let current = line.version == Version::HTTP_11;
        if fields.chunked && !current {
            // RFC 9112, 6.1: a 1.0 recipient knows no chunks, so one of us would see a body and the other
            // none.
            return Err(Violation::framing("Transfer-Encoding in HTTP/1.0"));
        }
        let body = match fields.content_length {
            _ if fields.chunked => BodyFraming::Chunked,
            Some(length) => BodyFraming::Length(length),
            None => BodyFraming::None,
        };
        let asks_upgrade = current && fields.upgrade && fields.connection_upgrade;
        Ok(Facts {
            upgrade: asks_upgrade || line.method == Method::CONNECT,
            version: line.version,
            body,
            expects_continue: current && fields.expects_continue,
            method: line.method,
        })
    }
}

/// `METHOD SP target SP HTTP/1.x`, with exactly those two spaces (RFC 9112, 3).
fn parse_request_line(line: &[u8]) -> Result<RequestLine, Violation> {
    let malformed =
        Violation::framing("the request line is not method, target and version with a space between");
    let method_end = memchr(b' ', line).ok_or(malformed)?;
    if !is_token(&line[..method_end]) {
        return Err(Violation::framing("the method is not a token"));
    }
    let method = Method::from_bytes(&line[..method_end]).map_err(|_| malformed)?;
    let target_start = method_end + 1;
    let target_end = target_start + memchr(b' ', &line[target_start..]).ok_or(malformed)?;
    let version = match &line[target_end + 1..] {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        version if version.starts_with(b"HTTP/") => {
            return Err(Violation::framing("the version is neither HTTP/1.1 nor HTTP/1.0"));
        }
        _ => return Err(malformed),
    };
    let authority = target::check(&method, &line[target_start..target_end])?;
    let authority = authority.map(|range| range.start + target_start..range.end + target_start);
    Ok(RequestLine { method, version, authority })
}

/// RFC 9112, 3.2: exactly one Host in HTTP/1.1, sound, and the same as in an absolute target, since RFC 9112,
/// 3.2.2 has one recipient believe the target and common practice has others believe the field.
fn check_host(line: &RequestLine, fields: &FramingFields, head: &[u8]) -> Result<(), Violation> {
    let Some(host) = fields.host.clone() else {
        return match line.version {
            Version::HTTP_10 => Ok(()),
            _ => Err(Violation::framing("no Host")),
        };
    };
    let host = &head[host];
    if !target::is_host(host) {
        return Err(Violation::framing("Host is not a host and a port"));
    }
    match line.authority.clone() {
        Some(authority) if !head[authority.clone()].eq_ignore_ascii_case(host) => {
            Err(Violation::framing("Host is not the target's authority"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
