//! What a route lets pass of the headers in which other proxies say who sent a request.

use countersign::field_names::{Meaning, meaning};
use http::HeaderName;
use http::header::HOST;

use crate::settings::{Reader, Text};

/// The headers that a route names; `path` is where it stands.
pub(super) fn read(written: Option<&[Text]>, reader: &mut Reader<'_>, path: &Text) -> Vec<HeaderName> {
    let Some(written) = written else { return Vec::new() };
    if written.is_empty() {
        reader.wrong("`pass_headers` is empty: name some, or leave it out for none", path.span());
    }
    let mut passes: Vec<HeaderName> = Vec::with_capacity(written.len());
    for text in written {
        let Some(name) = reader.parsed(text, parse) else { continue };
        let spelled: &str = text;
        if passes.contains(&name) {
            reader.wrong(format!("`{spelled}` is there twice"), text.span());
        } else if meaning(name.as_str().as_bytes()).is_none() {
            reader.warnings.push(format!("pass_headers names {spelled}, which passes on every route"));
        }
        passes.push(name);
    }
    passes
}

fn parse(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text.parse().map_err(|_| format!("`{text}` is no name of a header"))?;
    let why = match meaning(text.as_bytes()) {
        Some(Meaning::Ours) => "that is ours to say",
        Some(Meaning::Forwarding) => "by whom and for whom a request is forwarded is ours to say",
        Some(Meaning::Hop) => "it frames a message, or is for the next hop alone",
        Some(Meaning::Override) => "the upstream would serve another request than the one that was judged",
        None if name == HOST => "the upstream is addressed by its own name",
        Some(Meaning::Claim) | None => return Ok(name),
    };
    Err(format!("`{text}` never passes: {why}"))
}
