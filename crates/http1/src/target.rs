//! Request targets and Host (RFC 9112, 3.2): which bytes they may hold, and whether the two agree.

use std::ops::Range;

use http::Method;

use super::violation::Violation;

/// `http::Uri` ends below 64 KiB.
const MAX_TARGET_BYTES: usize = 65_534;

/// Bytes of an origin-form target: those of RFC 3986, and `\ ^ { | }`, which browsers send as they are. All
/// of them are bytes that `http::Uri` takes too, so that no request is refused behind our back.
const TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = !matches!(byte as u8, b'"' | b'#' | b'<' | b'>' | b'`');
        byte += 1;
    }
    table
};

/// Checks a target for its method. For the absolute form, says where in `target` the authority lies.
pub(super) fn check(method: &Method, target: &[u8]) -> Result<Option<Range<usize>>, Violation> {
    if target.len() > MAX_TARGET_BYTES {
        return Err(Violation::too_large("the request target is too long"));
    }
    if method == Method::CONNECT {
        return match is_host(target) && target.contains(&b':') {
            true => Ok(Some(0..target.len())),
            false => Err(Violation::framing("CONNECT without a host and a port")),
        };
    }
    check_bytes(target)?;
    match target {
        [b'/', ..] => Ok(None),
        b"*" if method == Method::OPTIONS => Ok(None),
        _ => check_absolute(target).map(Some),
    }
}

fn check_bytes(target: &[u8]) -> Result<(), Violation> {
    if target.iter().all(|&byte| TARGET[usize::from(byte)]) {
        return Ok(());
    }
    let mut in_query = false;
    for &byte in target {
        match byte {
            b'#' => return Err(Violation::framing("the request target has a fragment")),
            // Browsers encode it in a path and not in a query.
            b'`' if in_query => {}
            _ if !TARGET[usize::from(byte)] => {
                return Err(Violation::framing("a character in the request target that must be encoded"));
            }
            b'?' => in_query = true,
            _ => {}
        }
    }
    Ok(())
}

fn check_absolute(target: &[u8]) -> Result<Range<usize>, Violation> {
    let malformed = Violation::framing("the request target has none of the four forms");
    let begin = ["http://", "https://"]
        .iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .map(|scheme| scheme.len())
        .ok_or(malformed)?;
    let rest = &target[begin..];
    let length = rest.iter().position(|&byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    // No userinfo (RFC 9110, 4.2.4): `good.example@evil.example` is two hosts to two parsers.
    if !is_host(&rest[..length]) || http::Uri::try_from(target).is_err() {
        return Err(malformed);
    }
    Ok(begin..begin + length)
}

/// `uri-host [ ":" port ]` (RFC 9110, 7.2), not empty.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.first() {
        Some(b'[') => {
            let Some(end) = value.iter().position(|&byte| byte == b']') else { return false };
            let literal = &value[1..end];
            if !literal.iter().all(|&byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) {
                return false;
            }
            (literal, &value[end + 1..])
        }
        _ => {
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            let (name, port) = value.split_at(end);
            // A registered name of RFC 3986 without sub-delims and encodings, which no DNS name has.
            if !name.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
                return false;
            }
            (name, port)
        }
    };
    let port_is_sound = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !host.is_empty() && port_is_sound
}
