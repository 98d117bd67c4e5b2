//! Webhook URLs, and which of them may call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::Uri;
use http::uri::Authority;

use super::budget::TO_A_TARGET;
use crate::path::check_path;
use crate::principal::Permissions;

/// The only path that counts where an origin is listed instead of a URL.
pub const WELL_KNOWN: &str = "/.well-known/webhook-auth";

/// A longer URL is nobody's.
const LONGEST: usize = 2048;

/// What a webhook URL may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRules {
    /// The ports that https may name.
    pub ports: Vec<u16>,
    /// Whether plain HTTP on loopback will do: for labs.
    pub http_on_loopback: bool,
}

impl Default for UrlRules {
    fn default() -> Self {
        Self { ports: vec![443], http_on_loopback: false }
    }
}

/// A URL at which an API can be asked: https, without user information, query or fragment, with the
/// host in lower case and the scheme's own port left out.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookUrl {
    text: Arc<str>,
    /// Where the path begins.
    path_at: usize,
}

/// A text that is no webhook URL.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a webhook URL: {0}")]
pub struct UrlError(&'static str);

impl WebhookUrl {
    /// Reads and normalises a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, rules: &UrlRules) -> Result<Self, UrlError> {
        let (origin, path) = normalise(text)?;
        let (secure, authority) = origin.split_once("://").unwrap_or_default();
        let authority: Authority = authority.parse().map_err(|_| UrlError("the host cannot be read"))?;
        match secure {
            "https" if rules.ports.contains(&authority.port_u16().unwrap_or(443)) => {}
            "https" => return Err(UrlError("its port is not among the accepted ones")),
            _ if rules.http_on_loopback && is_loopback(authority.host()) => {}
            _ => return Err(UrlError("not https")),
        }
        if text.contains('?') {
            return Err(UrlError("it has a query"));
        }
        check_path(&path).map_err(|_| UrlError("its path could be read in more than one way"))?;
        Ok(Self { path_at: origin.len(), text: (origin + &path).into() })
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.text[..self.path_at]
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.path_at..]
    }

    /// As what HTTP libraries take.
    #[must_use]
    pub fn uri(&self) -> Uri {
        // It was put together from parts that were read as a URI.
        self.text.parse().unwrap_or_default()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The URL at which a receiver is addressed, as both sides name it in the exchange: normalised, and
/// without the query. `None` for what is no absolute HTTP URL.
#[must_use]
pub fn receiver_url(target: &str) -> Option<String> {
    // The query is no part of it, however long it is.
    let (target, _) = target.split_once('?').unwrap_or((target, ""));
    let (origin, path) = normalise(target).ok()?;
    Some(origin + &path)
}

/// Origin and path of an absolute URL: scheme and host in lower case, addresses in their usual form,
/// the scheme's own port left out. The path keeps its bytes; a query is cut off.
fn normalise(text: &str) -> Result<(String, String), UrlError> {
    if text.len() > LONGEST {
        return Err(UrlError("it is too long"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError("it holds characters that are not visible ASCII"));
    }
    if text.contains('#') {
        return Err(UrlError("it has a fragment"));
    }
    let uri: Uri = text.parse().map_err(|_| UrlError("it cannot be read"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(UrlError("it is not absolute"));
    };
    if authority.as_str().contains('@') {
        return Err(UrlError("it has user information"));
    }
    let default_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err(UrlError("its scheme is neither https nor http")),
    };
    let host = normalise_host(authority.host())?;
    let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    let port = match after_host.strip_prefix(':') {
        None if after_host.is_empty() => None,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(UrlError("its port is none"))?)
        }
        _ => return Err(UrlError("its port cannot be read")),
    };
    let origin = match port.filter(|port| *port != default_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    Ok((origin, path.to_owned()))
}

fn normalise_host(host: &str) -> Result<String, UrlError> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = address.parse().map_err(|_| UrlError("its address cannot be read"))?;
        return Ok(format!("[{address}]"));
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(inner)
    };
    // A dot at the end would be a second name for the same host.
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(UrlError("its host is no name"));
    }
    Ok(host.to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    if host == "localhost" || host == "[::1]" {
        return true;
    }
    host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// How a caller is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// By this very URL: the operator chose its host.
    ByUrl,
    /// By its origin: then only the well-known path counts.
    ByOrigin,
}

/// Who may call: exact webhook URLs, or origins. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    urls: BTreeSet<WebhookUrl>,
    origins: BTreeSet<String>,
    permissions: BTreeMap<String, Permissions>,
    in_flight: Option<usize>,
}

impl Callers {
    /// Adds a URL, or, without any path, an origin. `permissions`: what it may do; `None` says nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(
        &mut self,
        entry: &str,
        permissions: Option<Permissions>,
        rules: &UrlRules,
    ) -> Result<(), UrlError> {
        let is_origin = entry.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
        let url = WebhookUrl::parse(entry, rules)?;
        let name = if is_origin { url.origin().to_owned() } else { url.as_str().to_owned() };
        if let Some(permissions) = permissions {
            self.permissions.insert(name.clone(), permissions);
        }
        if is_origin {
            self.origins.insert(name);
        } else {
            self.urls.insert(url);
        }
        Ok(())
    }

    /// Whether anybody is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.urls.is_empty() && self.origins.is_empty()
    }

    /// Whether the API at `url` may call, and how it is listed.
    #[must_use]
    pub fn list(&self, url: &WebhookUrl) -> Option<Listed> {
        if self.urls.contains(url) {
            Some(Listed::ByUrl)
        } else if url.path() == WELL_KNOWN && self.origins.contains(url.origin()) {
            Some(Listed::ByOrigin)
        } else {
            None
        }
    }

    /// Lets this many questions be in flight to each caller that is listed by its URL.
    #[must_use]
    pub fn with_in_flight(self, in_flight: usize) -> Self {
        Self { in_flight: Some(in_flight), ..self }
    }

    /// How many questions may be in flight to a caller that is listed by its URL. Default: 4.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.unwrap_or(TO_A_TARGET)
    }

    /// What the API at `url` may do.
    #[must_use]
    pub fn permissions(&self, url: &WebhookUrl) -> Permissions {
        let granted = self.permissions.get(url.as_str()).or_else(|| self.permissions.get(url.origin()));
        granted.cloned().unwrap_or(Permissions::Unstated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, UrlError> {
        WebhookUrl::parse(text, &UrlRules::default()).map(|url| url.to_string())
    }

    #[test]
    fn a_url_is_normalised() {
        for (text, normal) in [
            ("https://alice.example/hooks/auth", "https://alice.example/hooks/auth"),
            ("HTTPS://Alice.Example:443/Hooks/%41uth", "https://alice.example/Hooks/%41uth"),
            ("https://alice.example", "https://alice.example/"),
            ("https://[2001:DB8:0:0::1]/a", "https://[2001:db8::1]/a"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(normal));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_is_not_https_is_refused() {
        for (text, why) in [
            ("http://alice.example/a", "not https"),
            ("http://127.0.0.1/a", "not https"),
            ("ftp://alice.example/a", "its scheme is neither https nor http"),
            ("https://u@alice.example/a", "it has user information"),
            ("https://u:p@alice.example/a", "it has user information"),
            ("https://alice.example/a?b", "it has a query"),
            ("https://alice.example/a?", "it has a query"),
            ("https://alice.example?b", "it has a query"),
            ("https://alice.example/a#b", "it has a fragment"),
            ("https://alice.example:8443/a", "its port is not among the accepted ones"),
            ("https://alice.example:0/a", "its port is none"),
            ("https://alice.example:/a", "its port cannot be read"),
            ("https://alice.example./a", "its host is no name"),
            ("https://alice.example/../a", "its path could be read in more than one way"),
            ("https://alice.example/a%2fb", "its path could be read in more than one way"),
            ("https://alice.example//a", "its path could be read in more than one way"),
            ("https://[fe80::1%25eth0]/a", "its address cannot be read"),
            ("https://ex%61mple/a", "it cannot be read"),
            ("/a", "it is not absolute"),
            ("https:///a", "it cannot be read"),
            ("", "it cannot be read"),
            ("https://alice.example/\u{e9}", "it holds characters that are not visible ASCII"),
        ] {
            let refused = parse(text).expect_err(text);
            assert!(refused.0 == why || why == "it cannot be read", "{text}: {refused}");
        }
        assert!(parse(&format!("https://a/{}", "b".repeat(2048))).is_err());
    }

    #[test]
    fn plain_http_is_for_loopback_and_only_where_it_is_allowed() {
        let lab = UrlRules { ports: vec![443], http_on_loopback: true };
        for text in ["http://127.0.0.1:5000/webhook", "http://localhost/w", "http://[::1]:81/w"] {
            assert_eq!(WebhookUrl::parse(text, &lab).unwrap().as_str(), text);
            assert!(parse(text).is_err());
        }
        for text in ["http://10.0.0.1/w", "http://alice.example/w", "http://127.0.0.1.example/w"] {
            assert!(WebhookUrl::parse(text, &lab).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_lists_its_well_known_path_alone_and_a_url_itself_alone() {
        let rules = UrlRules::default();
        let mut callers = Callers::default();
        callers.add("https://Alice.example", None, &rules).unwrap();
        callers.add("https://carol.example/hooks/auth", None, &rules).unwrap();
        callers.add("https://dave.example/", None, &rules).unwrap();
        let list = |text: &str| callers.list(&WebhookUrl::parse(text, &rules).unwrap());
        assert_eq!(list("https://alice.example/.well-known/webhook-auth"), Some(Listed::ByOrigin));
        assert_eq!(list("https://alice.example/other"), None);
        assert_eq!(list("https://carol.example/hooks/auth"), Some(Listed::ByUrl));
        assert_eq!(list("https://carol.example/.well-known/webhook-auth"), None);
        assert_eq!(list("https://dave.example/"), Some(Listed::ByUrl));
        assert_eq!(list("https://dave.example/.well-known/webhook-auth"), None);
        assert_eq!(list("https://alice.example.evil.example/.well-known/webhook-auth"), None);
        assert!(Callers::default().is_empty() && !callers.is_empty());
    }

    #[test]
    fn both_sides_name_a_receiver_alike() {
        let name = |target: &str| receiver_url(target);
        assert_eq!(name("https://Bob.example:443/orders?id=1").unwrap(), "https://bob.example/orders");
        assert_eq!(name("http://127.0.0.1:80").unwrap(), "http://127.0.0.1/");
        let long = format!("https://bob.example/orders?{}", "a".repeat(4096));
        assert_eq!(name(&long).unwrap(), "https://bob.example/orders");
        assert_eq!(name("bob.example/orders"), None);
    }

    proptest::proptest! {
        #[test]
        fn what_was_normalised_is_normal(text in "(https?|HTTPS)://[A-Za-z0-9.\\[\\]:@%-]{1,20}[/a-z%?#.]{0,12}") {
            if let Ok(url) = WebhookUrl::parse(&text, &UrlRules { ports: (1..=65535).collect(), http_on_loopback: true }) {
                let again = WebhookUrl::parse(url.as_str(), &UrlRules { ports: (1..=65535).collect(), http_on_loopback: true });
                proptest::prop_assert_eq!(again.unwrap(), url.clone());
                proptest::prop_assert_eq!(url.uri().to_string(), url.as_str());
            }
        }
    }
}
