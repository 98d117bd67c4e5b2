//! Who sent a request, where a proxy that is trusted stands in front: by `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy writes the last element; what stands before it was written by whoever spoke to that proxy. So both are
//! read from their end, as long as those whom they name are trusted, and nothing that a caller wrote can change how
//! the elements behind it are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Once;

use countersign::{Said, Source};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::headers::X_FORWARDED_FOR;

/// Who sent a request, and what is told of the way.
pub(super) struct Read {
    pub(super) source: Source,
    /// The source and the proxies behind it, except the one that opened the connection; `None` if it is the source.
    pub(super) chain: Option<HeaderValue>,
}

/// Reads who sent a request that came from `peer`.
pub(super) fn read(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Read {
    let alone = Read { source: peer.into(), chain: None };
    if !trusts(peer) {
        return alone;
    }
    let walk = |name: &HeaderName| Walk::of(headers, name, &trusts);
    let way = match (walk(&X_FORWARDED_FOR), walk(&FORWARDED)) {
        (None, None) => return alone,
        (Some(way), None) | (None, Some(way)) => way,
        (Some(way), Some(other)) if way.end == other.end => way,
        // Most proxies write one of them, and pass on whatever their callers say in the other.
        (Some(_), Some(_)) => Walk { end: Err(Said::Contradiction), proxies: Vec::new() },
    };
    let source = match way.end {
        Ok(address) => address.into(),
        Err(said) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                tracing::warn!(%peer, why = said.in_words(), "a trusted proxy names sources that cannot be read");
            });
            Source::Unread { through: peer, said }
        }
    };
    Read { source, chain: way.told() }
}

/// What one field says.
struct Walk {
    end: Result<IpAddr, Said>,
    /// Those between the source and the peer, the nearest first.
    proxies: Vec<IpAddr>,
}

impl Walk {
    /// `None`: the field is not there.
    fn of(headers: &HeaderMap, name: &HeaderName, trusts: impl Fn(IpAddr) -> bool) -> Option<Self> {
        let lines = headers.get_all(name);
        lines.iter().next()?;
        let mut proxies = Vec::new();
        let ended = |end, proxies| Some(Self { end, proxies });
        for line in lines.iter().rev() {
            let mut left = Some(line.to_str().unwrap_or_default());
            while let Some(text) = left {
                let Some((before, element)) = last_element(text) else {
                    return ended(Err(Said::NoAddress), proxies);
                };
                left = before;
                let node = if *name == FORWARDED { forwarded_for(element) } else { Some(element) };
                match node.map_or(Err(Said::NoAddress), node_address) {
                    Ok(address) if trusts(address) => proxies.push(address),
                    end => return ended(end, proxies),
                }
            }
        }
        // Everybody is trusted: the first of them is the source.
        let first = proxies.pop();
        ended(first.ok_or(Said::NoAddress), proxies)
    }

    fn told(&self) -> Option<HeaderValue> {
        let mut told = self.end.map_or_else(|_| String::from("unknown"), |address| address.to_string());
        for proxy in self.proxies.iter().rev() {
            told.push_str(", ");
            told.push_str(&proxy.to_string());
        }
        HeaderValue::try_from(told).ok()
    }
}

/// The last element of a list, and the list before it. `None`: a quoted string has no beginning.
fn last_element(text: &str) -> Option<(Option<&str>, &str)> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            b'"' if !quoted => quoted = true,
            // A quote behind an odd number of backslashes is part of the string.
            b'"' => {
                let backslashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                quoted = backslashes % 2 == 1;
            }
            b',' if !quoted => return Some((Some(&text[..at]), &text[at + 1..])),
            _ => {}
        }
    }
    (!quoted).then_some((None, text))
}

/// The value of `for` in an element of `Forwarded`, once.
fn forwarded_for(element: &str) -> Option<&str> {
    let (mut rest, mut found) = (Some(element), None);
    while let Some(text) = rest {
        let (pair, behind) = first_pair(text);
        rest = behind;
        let Some((name, value)) = pair.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    found
}

/// What stands before the first semicolon outside a quoted string, and what behind it.
fn first_pair(text: &str) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

/// A node (RFC 7239, 6), quoted or not, with a port or without.
fn node_address(node: &str) -> Result<IpAddr, Said> {
    let node = node.trim_matches([' ', '\t']);
    let node = node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node);
    if let Some(node) = node.strip_prefix('[') {
        let (address, port) = node.split_once(']').ok_or(Said::NoAddress)?;
        let address: Ipv6Addr = address.parse().map_err(|_| Said::NoAddress)?;
        let ends = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return if ends { Ok(IpAddr::V6(address).to_canonical()) } else { Err(Said::NoAddress) };
    }
    // IPv6 without brackets is common in X-Forwarded-For, and has no port then.
    if let Ok(address) = node.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    let (name, port) = node.split_once(':').map_or((node, None), |(name, port)| (name, Some(port)));
    if !port.is_none_or(is_port) {
        return Err(Said::NoAddress);
    }
    match name.parse::<Ipv4Addr>() {
        Ok(address) => Ok(address.into()),
        Err(_) if is_hidden(name) => Err(Said::hidden(name)),
        Err(_) => Err(Said::NoAddress),
    }
}

fn is_port(port: &str) -> bool {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    digits || is_hidden(port)
}

/// `obfnode` and `obfport`.
fn is_hidden(name: &str) -> bool {
    let of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.bytes().all(of_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: [u8; 4] = [10, 0, 0, 1];

    fn read_of(lines: &[(HeaderName, &str)]) -> Read {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusts = |address: IpAddr| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
        read(&headers, PROXY.into(), trusts)
    }

    fn says(name: &HeaderName, value: &str) -> Result<String, Said> {
        match read_of(&[(name.clone(), value)]).source {
            Source::Address(address) => Ok(address.to_string()),
            Source::Unread { said, .. } => Err(said),
        }
    }

    #[test]
    fn ports_brackets_and_quotes_are_read_in_both_fields() {
        for (node, address) in [
            ("198.51.100.9", "198.51.100.9"),
            ("198.51.100.9:51000", "198.51.100.9"),
            ("198.51.100.9:_port", "198.51.100.9"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:198.51.100.9", "198.51.100.9"),
            ("[::ffff:198.51.100.9]:1", "198.51.100.9"),
            ("\"198.51.100.9:51000\"", "198.51.100.9"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
        ] {
            for before in ["", "6.6.6.6, ", "6.6.6.6,", "\"6.6.6.6, ", "x\\\", \"y\\, "] {
                assert_eq!(
                    says(&X_FORWARDED_FOR, &format!("{before}{node}")).as_deref(),
                    Ok(address),
                    "{before}{node}"
                );
                let written = format!("{before}for={node}");
                assert_eq!(says(&FORWARDED, &written).as_deref(), Ok(address), "{written}");
                let written =
                    format!("{before}proto=https;For={node};host=\"a;for=6.6.6.6,b\\\", for=6.6.6.6\";by=_x");
                assert_eq!(says(&FORWARDED, &written).as_deref(), Ok(address), "{written}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_nobodys() {
        for node in [
            "",
            "unknown",
            "unknown:1",
            "unix:",
            "bob.example",
            "198.51.100.9:",
            "198.51.100.9:65536",
            "198.51.100.9:1:2",
            "198.51.100.009",
            "[198.51.100.9]",
            "[2001:db8::1",
            "[2001:db8::1]443",
            "[2001:db8::1]:x",
            "[fe80::1%eth0]",
            "_",
            "_hid den",
            "\"198.51.100.9",
            "é",
        ] {
            assert_eq!(says(&X_FORWARDED_FOR, &format!("6.6.6.6, {node}")), Err(Said::NoAddress), "{node}");
            assert_eq!(says(&FORWARDED, &format!("for=6.6.6.6, for={node}")), Err(Said::NoAddress), "{node}");
        }
        for element in ["for=1.2.3.4;for=1.2.3.5", "proto=https", "by=1.2.3.4", "1.2.3.4", "host=\"a"] {
            assert_eq!(says(&FORWARDED, element), Err(Said::NoAddress), "{element}");
        }
        let (one, other) = (says(&X_FORWARDED_FOR, "6.6.6.6, _a"), says(&FORWARDED, "for=_a;proto=http"));
        assert_eq!(one, Err(Said::hidden("_a")));
        assert_eq!(one, other);
        assert_ne!(one, says(&FORWARDED, "for=_b"));
    }

    #[test]
    fn a_chain_is_followed_from_its_end_as_far_as_it_is_trusted_and_told_from_there() {
        let told = |lines: &[(HeaderName, &str)]| {
            let read = read_of(lines);
            (read.source.to_string(), read.chain.map(|chain| chain.to_str().unwrap().to_owned()))
        };
        let known = |source: &str, chain: &str| (source.to_owned(), Some(chain.to_owned()));
        let lines = [(X_FORWARDED_FOR, "6.6.6.6, 198.51.100.9:1"), (X_FORWARDED_FOR, "10.0.0.3:2, 10.0.0.2")];
        assert_eq!(told(&lines), known("198.51.100.9", "198.51.100.9, 10.0.0.3, 10.0.0.2"));
        assert_eq!(told(&[(X_FORWARDED_FOR, "10.0.0.3, 10.0.0.2")]), known("10.0.0.3", "10.0.0.3, 10.0.0.2"));
        let hidden = told(&[(X_FORWARDED_FOR, "6.6.6.6, _x, 10.0.0.2")]);
        assert_eq!(hidden, known("unread, through 10.0.0.1", "unknown, 10.0.0.2"));
        assert_eq!(told(&[]), ("10.0.0.1".to_owned(), None));
        let both = [(X_FORWARDED_FOR, "198.51.100.9:1"), (FORWARDED, "for=198.51.100.9")];
        assert_eq!(told(&both), known("198.51.100.9", "198.51.100.9"));
    }

    #[test]
    fn two_fields_that_name_two_sources_name_nobody() {
        for (one, other) in
            [("198.51.100.9", "6.6.6.6"), ("198.51.100.9", "_x"), ("_y", "_x"), ("unknown", "6.6.6.6")]
        {
            let forwarded = format!("for={other}");
            let source = read_of(&[(X_FORWARDED_FOR, one), (FORWARDED, &forwarded)]).source;
            let nobody = Source::Unread { through: PROXY.into(), said: Said::Contradiction };
            assert_eq!(source, nobody, "{one} {other}");
        }
    }

    #[test]
    fn whom_nobody_trusts_is_not_believed() {
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6"))]);
        let read = read(&headers, PROXY.into(), |_| false);
        assert_eq!((read.source, read.chain), (Source::Address(PROXY.into()), None));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_caller_writes_changes_what_its_proxy_wrote_behind_it(written in "[ -~]{0,40}") {
            let lists = [(X_FORWARDED_FOR, "198.51.100.9:1"), (FORWARDED, "for=\"198.51.100.9:1\";host=\"a\\\"b\"")];
            for (name, own) in lists {
                let read = says(&name, &format!("{written}, {own}"));
                proptest::prop_assert_eq!(read.as_deref(), Ok("198.51.100.9"));
            }
        }
    }
}
