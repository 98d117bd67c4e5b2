//! What is sent, before it is proven: method, URL, headers, body.

use std::io::Read as _;

use bytes::Bytes;
use countersign_gateway::terminal::escape;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::call::CallFlags;
use crate::failure::Failure;

/// As much of a body as is kept in memory.
const LONGEST_BODY: u64 = 64 * 1024 * 1024;

/// A request without a proof.
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Message {
    /// Reads what was typed, and the files that it names.
    pub(super) fn read(flags: &CallFlags) -> Result<Self, Failure> {
        let url = url(&flags.url)?;
        let body = flags.body.as_deref().map(body).transpose()?;
        let method = match (&flags.method, &body) {
            (Some(method), _) => Method::from_bytes(method.as_bytes())
                .map_err(|_| Failure::said(format!("`{}` is no method", escape(method))))?,
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let mut headers = HeaderMap::new();
        for line in &flags.headers {
            let (name, value) = header(line)?;
            headers.append(name, value);
        }
        if let Some(body) = &body {
            headers.entry(CONTENT_TYPE).or_insert_with(|| HeaderValue::from_static(content_type(body)));
        }
        Ok(Self { method, url, headers, body })
    }
}

fn url(text: &str) -> Result<Uri, Failure> {
    let shown = escape(text);
    let wrong = |why: &str| Failure::said(format!("`{shown}` cannot be called: {why}"));
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let url: Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    match (url.scheme_str(), url.authority()) {
        (Some("https" | "http"), Some(authority)) if authority.as_str().contains('@') => {
            Err(Failure::said("the URL holds a name or password, which is not sent: use -H or a proof"))
        }
        (Some("https" | "http"), Some(_)) => Ok(url),
        (Some(_), _) => Err(wrong("write https://…")),
        (None, _) => Err(wrong(&format!("write https://{shown}"))),
    }
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    // What was typed may be a secret, so a mistake in it is not repeated.
    let wrong = |why: &str| Failure::said(format!("-H: {why}; write -H 'Name: value'"));
    let (name, value) = line.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong("the name cannot be one"))?;
    let mut value =
        HeaderValue::try_from(value.trim()).map_err(|_| wrong("the value holds what no header may"))?;
    value.set_sensitive(is_secret(&name));
    Ok((name, value))
}

/// Whether a header usually holds what must not be printed.
fn is_secret(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "authorization" | "proxy-authorization" | "cookie")
        || ["key", "token", "secret", "password"].iter().any(|word| name.contains(word))
}

fn body(text: &str) -> Result<Bytes, Failure> {
    let Some(file) = text.strip_prefix('@') else { return Ok(Bytes::copy_from_slice(text.as_bytes())) };
    let failed = |error: std::io::Error| Failure::said(format!("-d @{}: {error}", escape(file)));
    let mut bytes = Vec::new();
    match file {
        "-" => std::io::stdin().take(LONGEST_BODY + 1).read_to_end(&mut bytes).map_err(failed)?,
        _ => {
            let opened = std::fs::File::open(file).map_err(failed)?;
            opened.take(LONGEST_BODY + 1).read_to_end(&mut bytes).map_err(failed)?
        }
    };
    match bytes.len() as u64 > LONGEST_BODY {
        true => Err(Failure::said("the body is larger than 64 MiB")),
        false => Ok(bytes.into()),
    }
}

/// As curl would say, but for JSON, which nobody means to send as a form.
fn content_type(body: &[u8]) -> &'static str {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Array(_)) => "application/json",
        _ => "application/x-www-form-urlencoded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_sent_as_json_and_the_rest_as_curl_would() {
        assert_eq!(content_type(br#"{"item":"tea"}"#), "application/json");
        assert_eq!(content_type(b"[1]"), "application/json");
        for form in ["a=1&b=2", "5", "true", "", "{"] {
            assert_eq!(content_type(form.as_bytes()), "application/x-www-form-urlencoded", "{form}");
        }
    }

    #[test]
    fn a_url_without_a_scheme_or_with_a_password_is_a_mistake() {
        for text in ["bob.example/orders", "ftp://bob.example/", "https://bob:secret@bob.example/", "/orders"]
        {
            let Err(Failure::Said(said)) = url(text) else { panic!("{text}") };
            assert!(!said.contains("secret"), "{said}");
        }
        assert_eq!(url("https://bob.example/orders?a=1#part").unwrap(), "https://bob.example/orders?a=1");
    }

    #[test]
    fn a_header_that_usually_holds_a_secret_is_marked() {
        for (line, secret) in [("Cookie: a=b", true), ("X-Api-Key: k", true), ("Accept: */*", false)] {
            assert_eq!(header(line).unwrap().1.is_sensitive(), secret, "{line}");
        }
        let Err(Failure::Said(said)) = header("hunter2") else { panic!() };
        assert!(!said.contains("hunter2"));
    }
}
