//! Field lines (RFC 9112, 5), and what those that frame a message say together.

use std::ops::Range;

use super::limits::Limits;
use super::violation::Violation;

/// One field line, as ranges of the line it was read from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FieldLine<'l> {
    pub(super) name: &'l [u8],
    /// Without the white space around it.
    pub(super) value: &'l [u8],
    /// Where `value` begins in the line.
    pub(super) value_start: usize,
}

/// No field has a longer name, and `http::HeaderName` ends at 64 KiB.
const MAX_NAME_BYTES: usize = 256;

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\''
            | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Whether `byte` may stand in a token (RFC 9110, 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether `bytes` is a token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `bytes` holds a control character other than HTAB: NUL, CR and LF end values early in some
/// parsers.
pub(super) fn has_controls(bytes: &[u8]) -> bool {
    // Without an early end this becomes one vector comparison per sixteen bytes.
    bytes.iter().fold(false, |found, &byte| found | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f))
}

/// Reads one line, which is not empty and has lost its CRLF.
pub(super) fn parse_line(line: &[u8]) -> Result<FieldLine<'_>, Violation> {
    let name_end = line.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(line.len());
    if name_end == 0 && matches!(line.first(), Some(b' ' | b'\t')) {
        // RFC 9112, 5.2: obs-fold. One parser appends it to the value before, another sees a field of its
        // own.
        return Err(Violation::framing("a field is folded over two lines"));
    }
    match line.get(name_end) {
        Some(b':') if name_end > MAX_NAME_BYTES => {
            return Err(Violation::too_large("a field's name is too long"));
        }
        Some(b':') if name_end > 0 => {}
        Some(b':') => return Err(Violation::framing("a field has no name")),
        // RFC 9112, 5.1: the white space that hid `Transfer-Encoding : chunked` from many a front proxy.
        Some(b' ' | b'\t') => {
            return Err(Violation::framing("white space between a field's name and the colon"));
        }
        Some(_) => return Err(Violation::framing("a field's name is not a token")),
        None => return Err(Violation::framing("a field line without a colon")),
    }
    let rest = &line[name_end + 1..];
    if has_controls(rest) {
        return Err(Violation::framing("a control character in a field's value"));
    }
    let is_text = |&byte: &u8| byte != b' ' && byte != b'\t';
    let begin = rest.iter().position(is_text).unwrap_or(rest.len());
    let end = rest.iter().rposition(is_text).map_or(begin, |last| last + 1);
    Ok(FieldLine { name: &line[..name_end], value: &rest[begin..end], value_start: name_end + 1 + begin })
}

/// `1*DIGIT` (RFC 9110, 8.6), up to 2^63 - 1, beyond which signed parsers see a negative length.
fn parse_content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value.iter().fold(0_u64, |sum, &digit| sum * 10 + u64::from(digit - b'0'));
    (length <= i64::MAX as u64).then_some(length)
}

/// What the field lines of one head say about where the message ends and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FramingFields {
    count: usize,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    /// Where the value of Host lies in the head.
    pub(super) host: Option<Range<usize>>,
    /// Connection lists `upgrade`.
    pub(super) connection_upgrade: bool,
    pub(super) upgrade: bool,
    pub(super) expects_continue: bool,
}

impl FramingFields {
    /// Takes in the line that begins at `start` of the head.
    pub(super) fn add(&mut self, line: &[u8], start: usize, limit: usize) -> Result<(), Violation> {
        let field = parse_line(line)?;
        self.count += 1;
        if self.count > limit {
            return Err(Violation::too_large("more fields than the limit"));
        }
        match field.name.len() {
            4 if field.name.eq_ignore_ascii_case(b"host") => {
                if self.host.is_some() {
                    return Err(Violation::framing("Host occurs twice"));
                }
                let begin = start + field.value_start;
                self.host = Some(begin..begin + field.value.len());
            }
            6 if field.name.eq_ignore_ascii_case(b"expect") => {
                self.expects_continue = field.value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if field.name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if field.name.eq_ignore_ascii_case(b"connection") => self.add_connection(field.value)?,
            14 if folds_to(field.name, "content-length") => self.add_content_length(&field)?,
            17 if folds_to(field.name, "transfer-encoding") => self.add_transfer_encoding(&field)?,
            _ => {}
        }
        Ok(())
    }

    fn add_connection(&mut self, value: &[u8]) -> Result<(), Violation> {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            // RFC 9110, 7.6.1: a proxy removes what Connection names. Removing these would reframe the
            // message.
            if ["content-length", "transfer-encoding", "host"].iter().any(|name| folds_to(option, name)) {
                return Err(Violation::framing("Connection names a field that frames or routes the message"));
            }
            // What a proof covers, or is, must not go between us and whoever reads it (RFC 9110, 7.6.1 forbids it too).
            if NEVER_FOR_ONE_HOP.iter().any(|name| folds_to(option, name)) {
                return Err(Violation::framing("Connection names a field that is for the recipient"));
            }
        }
        Ok(())
    }

    fn add_content_length(&mut self, field: &FieldLine<'_>) -> Result<(), Violation> {
        if !field.name.eq_ignore_ascii_case(b"content-length") {
            return Err(Violation::framing("a field that looks like Content-Length"));
        }
        // RFC 9112, 6.3 lets a recipient fold equal lengths into one; whoever takes the first or the last of
        // unequal ones began by tolerating equal ones.
        if self.content_length.is_some() {
            return Err(Violation::framing("Content-Length occurs twice"));
        }
        if self.chunked {
            return Err(Violation::framing("Content-Length beside Transfer-Encoding"));
        }
        let length = parse_content_length(field.value);
        self.content_length =
            Some(length.ok_or(Violation::framing("Content-Length is not one decimal number"))?);
        Ok(())
    }

    fn add_transfer_encoding(&mut self, field: &FieldLine<'_>) -> Result<(), Violation> {
        if !field.name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Violation::framing("a field that looks like Transfer-Encoding"));
        }
        if self.chunked {
            return Err(Violation::framing("Transfer-Encoding occurs twice"));
        }
        // RFC 9112, 6.3, item 3: the oldest smuggling of all.
        if self.content_length.is_some() {
            return Err(Violation::framing("Content-Length beside Transfer-Encoding"));
        }
        // `identity`, `gzip, chunked`, `xchunked`, `"chunked"`: each is chunked to some parser and not to
        // another.
        if !field.value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::framing("Transfer-Encoding is not exactly `chunked`"));
        }
        self.chunked = true;
        Ok(())
    }
}

/// Fields that are for the recipient of the content, and that `Connection` must not name.
const NEVER_FOR_ONE_HOP: [&str; 10] = [
    "authorization",
    "content-digest",
    "content-encoding",
    "content-type",
    "cookie",
    "date",
    "signature",
    "signature-agent",
    "signature-input",
    "signature-key",
];

/// Whether `name` is `known` to a server that puts one byte in the place of all that is no letter or digit, as CGI and
/// WSGI do; `known` is in lower case.
fn folds_to(name: &[u8], known: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == known.len() && name.iter().zip(known.bytes()).all(|(&one, other)| fold(one) == other)
}

/// The same, where it may also leave out what is no letter or digit.
fn is_look_alike(name: &[u8], known: &str) -> bool {
    let letters = |name: &[u8]| -> Vec<u8> {
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
    };
    letters(name) == letters(known.as_bytes())
}

/// Fields that must not come behind the body (RFC 9110, 6.5.1): they frame, route or authenticate, and a server that
/// merges trailers into the head would believe them after the checks were made.
const NEVER_IN_TRAILERS: [&str; 20] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-api-key",
];

/// Checks one trailer line.
pub(super) fn check_trailer(line: &[u8], limits: &Limits) -> Result<(), Violation> {
    let field = parse_line(line)?;
    let never = NEVER_IN_TRAILERS.iter().any(|name| is_look_alike(field.name, name));
    if never || (limits.refuses_trailer)(field.name) {
        return Err(Violation::framing("a trailer that frames, routes or authenticates"));
    }
    Ok(())
}
