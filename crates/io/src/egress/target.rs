//! What a URL asks to be dialled, read in the one way that leaves no second reading.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Where a URL leads, before any address of it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Https,
    Http,
}

/// A name, in lower case, or an address that was written out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Scheme {
    const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl Target {
    /// Reads the scheme, host and port of `url`. `http::Uri` has dropped a fragment already. The error
    /// says what is wrong, for the operator; of the URL it names at most the host.
    pub(super) fn of(url: &Uri) -> Result<Self, String> {
        let scheme = match url.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            Some(_) => return Err("the URL is neither https nor http".into()),
            None => return Err("the URL is not absolute".into()),
        };
        let authority = url.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("the URL holds user information".into());
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => scheme.port(),
            // What is no number must not become the default port.
            _ => authority.port_u16().filter(|port| *port != 0).ok_or("the URL's port is no port")?,
        };
        Ok(Self { scheme, host: Host::of(host)?, port })
    }
}

impl Host {
    fn of(text: &str) -> Result<Self, String> {
        if let Some(inner) = text.strip_prefix('[') {
            // Neither a zone (RFC 6874) nor a future version passes this parser.
            let address: Option<Ipv6Addr> = inner.strip_suffix(']').and_then(|inner| inner.parse().ok());
            return address
                .map(|address| Self::Address(address.into()))
                .ok_or_else(|| "the host in brackets is no IPv6 address".into());
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if !is_name(text) {
            return Err(format!(
                "`{text}` is no host name as it is written in DNS, without a dot at its end"
            ));
        }
        if ends_in_a_number(text) {
            return Err(format!("`{text}` is a number, and no address as it is usually written"));
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// Labels of letters, digits, hyphens and underscores, within the lengths of RFC 1035 §2.3.4.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The WHATWG URL standard's "ends in a number": browsers, and `inet_aton` behind many a resolver, read
/// such a host as an IPv4 address in decimal, octal or hexadecimal, with parts left out.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// As in a `Host` header (RFC 9110 §7.2): the scheme's own port is left out.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Target, String> {
        Target::of(&url.parse::<Uri>().map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_name_is_read_in_lower_case_with_the_port_of_its_scheme() {
        let target = read("https://Alice.Example/hook?q=1#part").unwrap();
        assert_eq!(target.host, Host::Name("alice.example".into()));
        assert_eq!((target.scheme, target.port), (Scheme::Https, 443));
        assert_eq!(target.to_string(), "alice.example");
        assert_eq!(read("http://alice.example").unwrap().port, 80);
        assert_eq!(read("https://alice.example:8443").unwrap().to_string(), "alice.example:8443");
    }

    #[test]
    fn addresses_are_read_as_addresses() {
        assert_eq!(read("https://127.0.0.1").unwrap().host, Host::Address([127, 0, 0, 1].into()));
        assert_eq!(read("https://[::1]:444").unwrap().to_string(), "[::1]:444");
        assert_eq!(
            read("https://[::ffff:7f00:1]").unwrap().host,
            Host::Address("::ffff:127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn numbers_that_browsers_take_for_addresses_are_refused() {
        for host in [
            "2130706433",
            "0177.0.0.1",
            "0x7f.1",
            "0x7f.0.0.1",
            "127.1",
            "127.0.1",
            "0",
            "0x",
            "0X7F000001",
            "127.0.0.01",
            "127.0.0.0x1",
            "1.2.3.4.5",
            "256.0.0.1",
            "alice.1",
            "alice.0x1f",
            "017700000001",
            "00000177.1",
            "127.0.0.256",
        ] {
            let refusal = read(&format!("https://{host}/")).unwrap_err();
            assert!(refusal.contains("is a number"), "{host}: {refusal}");
        }
    }

    #[test]
    fn names_that_merely_hold_numbers_are_names() {
        for host in
            ["1.example", "0x7f.example", "127.0.0.1.example", "a.0xg", "a.1b", "a1", "_dmarc.example"]
        {
            assert!(matches!(read(&format!("https://{host}/")).unwrap().host, Host::Name(_)), "{host}");
        }
    }

    #[test]
    fn what_is_no_plain_name_is_refused() {
        let long = "a".repeat(64);
        for host in [
            "localhost.",
            "127.0.0.1.",
            "alice..example",
            ".example",
            "alice%2eexample",
            "%31%32%37.0.0.1",
            "ali!ce.example",
            "alice,example",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[v1.a]",
            "[127.0.0.1]",
            "[::1",
            "::1",
            "ⓛocalhost",
            "127。0。0。1",
            &long,
        ] {
            assert!(read(&format!("https://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn user_information_is_refused_with_a_port_and_without() {
        for authority in
            ["user@a.test", "user@a.test:443", "user:password@a.test:443", "a.test@127.0.0.1:443"]
        {
            let refusal = read(&format!("https://{authority}/")).unwrap_err();
            assert!(refusal.contains("user information"), "{authority}: {refusal}");
        }
    }

    #[test]
    fn other_schemes_and_ports_that_are_none_are_refused() {
        for url in [
            "https://user@alice.example/",
            "https://user:password@alice.example/",
            "https://@alice.example/",
            "https://alice.example@127.0.0.1/",
            "https://alice.example:0/",
            "https://alice.example:65979/",
            "https://alice.example:/",
            "https://alice.example:a/",
            "ftp://alice.example/",
            "/path",
            "alice.example",
            "file:///etc/passwd",
            "ws://alice.example/",
            "https:///hook",
            "*",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_user_information_or_the_query() {
        let refusal = read("https://alice:hunter2@alice.example/?hunter2").unwrap_err();
        assert!(!refusal.contains("hunter2"));
    }
}
