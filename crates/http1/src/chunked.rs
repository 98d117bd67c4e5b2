//! The chunked coding (RFC 9112, 7.1), read strictly and byte by byte, without keeping any.

use std::ops::Range;

use super::extension::Extension;
use super::fields::check_trailer;
use super::limits::Limits;
use super::section::Section;
use super::violation::Violation;

/// Sixteen digits fill 64 bits; a seventeenth overflows in one parser and is dropped by another.
const MAX_SIZE_DIGITS: u8 = 16;

/// How far a chunked body has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    extensions: Extensions,
    phase: Phase,
    /// The size read so far, then what is left of the chunk.
    remaining: u64,
}

/// What becomes of chunk extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extensions {
    /// The body is refused: no caller sends any, and parsers that end them at a lone LF, or not at all, have been
    /// smuggled past (CVE-2025-22871, CVE-2025-58056).
    Refused,
    /// They are read, and said to whoever must not see them: a recipient ignores those it does not know (RFC 9112,
    /// 7.1.1), and an upstream is chosen by the operator.
    Ignored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Size { digits: u8 },
    Extension(Extension),
    SizeLineFeed,
    Data,
    DataCarriageReturn,
    DataLineFeed,
    Trailers { section: Section, count: usize },
}

/// What a window held of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// How many bytes from the window's start are settled. What is left behind an extension was not looked at yet;
    /// else it is an unfinished trailer section.
    pub(super) length: usize,
    pub(super) ends: bool,
    /// Where in the window an extension lies, or a part of one.
    pub(super) extension: Range<usize>,
}

impl Chunked {
    pub(super) fn new(extensions: Extensions) -> Self {
        Self { extensions, phase: Phase::Size { digits: 0 }, remaining: 0 }
    }

    /// Reads as much of `window` as belongs to the body.
    pub(super) fn scan(&mut self, window: &[u8], limits: &Limits) -> Result<Progress, Violation> {
        let mut length = 0;
        while let Some(&byte) = window.get(length) {
            match &mut self.phase {
                Phase::Data => {
                    let available = (window.len() - length) as u64;
                    let taken = self.remaining.min(available);
                    self.remaining -= taken;
                    length += usize::try_from(taken).unwrap_or(usize::MAX);
                    if self.remaining == 0 {
                        self.phase = Phase::DataCarriageReturn;
                    }
                    continue;
                }
                Phase::Trailers { section, count } => {
                    let ends = scan_trailers(section, count, &window[length..], limits)?;
                    let length = if ends { length + section.length() } else { length };
                    return Ok(Progress { length, ends, extension: 0..0 });
                }
                Phase::Extension(extension) => {
                    let (taken, ends) = extension.scan(&window[length..])?;
                    let extension = length..length + taken;
                    length += taken;
                    if ends {
                        self.phase = Phase::SizeLineFeed;
                        length += 1;
                    }
                    return Ok(Progress { length, ends: false, extension });
                }
                Phase::Size { digits } => match size_digit(byte) {
                    Some(_) if *digits == MAX_SIZE_DIGITS => {
                        return Err(Violation::framing("a chunk's size has more than 16 digits"));
                    }
                    Some(digit) => {
                        *digits += 1;
                        self.remaining = (self.remaining << 4) | u64::from(digit);
                    }
                    None if byte == b'\r' && *digits > 0 => self.phase = Phase::SizeLineFeed,
                    None if matches!(byte, b';' | b' ' | b'\t')
                        && *digits > 0
                        && self.extensions == Extensions::Ignored =>
                    {
                        self.phase = Phase::Extension(Extension::default());
                        continue;
                    }
                    None => return Err(size_violation(byte)),
                },
                Phase::SizeLineFeed => {
                    expect_line_feed(byte, "a chunk's size does not end with CRLF")?;
                    if self.remaining > i64::MAX as u64 {
                        return Err(Violation::framing("a chunk's size is beyond 2^63 - 1"));
                    }
                    self.phase = match self.remaining {
                        0 => Phase::Trailers { section: Section::default(), count: 0 },
                        _ => Phase::Data,
                    };
                }
                Phase::DataCarriageReturn if byte == b'\r' => self.phase = Phase::DataLineFeed,
                Phase::DataCarriageReturn => {
                    return Err(Violation::framing("a chunk is longer than its size says"));
                }
                Phase::DataLineFeed => {
                    expect_line_feed(byte, "a chunk's data does not end with CRLF")?;
                    self.phase = Phase::Size { digits: 0 };
                }
            }
            length += 1;
        }
        Ok(Progress { length, ends: false, extension: 0..0 })
    }
}

fn size_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn size_violation(byte: u8) -> Violation {
    Violation::framing(match byte {
        b';' => "a chunk extension",
        b'\n' => "a line ends with LF alone",
        _ => "a chunk's size is not hexadecimal digits",
    })
}

fn expect_line_feed(byte: u8, reason: &'static str) -> Result<(), Violation> {
    if byte == b'\n' { Ok(()) } else { Err(Violation::framing(reason)) }
}

fn scan_trailers(
    section: &mut Section,
    count: &mut usize,
    window: &[u8],
    limits: &Limits,
) -> Result<bool, Violation> {
    let too_large = "the trailers are larger than the limit";
    while let Some(line) = section.next_line(window, limits.max_trailer_bytes, too_large)? {
        if line.bytes.is_empty() {
            return Ok(true);
        }
        check_trailer(line.bytes, limits)?;
        *count += 1;
        if *count > limits.max_fields {
            return Err(Violation::too_large("more trailers than the limit"));
        }
    }
    Ok(false)
}
