//! What `call` prints: the answer on standard output, the rest on standard error.

use std::io::{IsTerminal as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::FetchResponse;
use countersign_gateway::terminal::{self, escape};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::answerer::Asked;
use super::message::Message;
use super::sent::{By, Sent};
use crate::say::{complain, say};

/// What is printed, and how.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    include: bool,
    verbose: bool,
}

impl Screen {
    pub(crate) const fn new(json: bool, include: bool, verbose: bool) -> Self {
        Self { json, include, verbose }
    }

    /// What is about to be sent, without its secrets.
    pub(super) fn request(self, message: &Message, sent: &Sent) {
        if !self.verbose {
            return;
        }
        complain(&format!("> {} {}", message.method, escape(&message.url.to_string())));
        for (name, value) in &sent.headers {
            complain(&format!("> {name}: {}", visible(value)));
        }
        complain(&format!("* {}", sent.by.story()));
    }

    /// The head of the answer.
    pub(super) fn status(self, answer: &FetchResponse) {
        if !self.verbose {
            return;
        }
        complain(&format!("< {}", answer.status));
        for (name, value) in &answer.headers {
            complain(&format!("< {name}: {}", visible(value)));
        }
    }

    /// Somebody asked about a token of ours.
    pub(super) fn asked(self, asked: &Asked) {
        if !self.verbose {
            return;
        }
        let url = asked.url.as_deref().map_or_else(|| "nothing that can be read".to_owned(), escape);
        complain(&match asked.answered {
            true => format!("* {} asked for {url} whether we sent this: confirmed with the token", asked.by),
            false => format!("* {} asked for {url}: refused, for we sent it no such thing", asked.by),
        });
    }

    /// The same request is proven anew and sent once more.
    pub(super) fn again(self, why: &str) {
        if self.verbose {
            complain(&format!("* {why}: once more, proven anew"));
        }
    }

    /// The answer itself.
    pub(super) fn answer(self, answer: &FetchResponse, sent: &Sent, retried: bool) {
        if self.json {
            say(&terminal::json(&as_json(answer, sent, retried)));
            return;
        }
        let terminal = std::io::stdout().is_terminal();
        if self.include {
            say(&format!("HTTP/1.1 {}", answer.status));
            for (name, value) in &answer.headers {
                say(&format!("{name}: {}", escape(&String::from_utf8_lossy(value.as_bytes()))));
            }
            say("");
        }
        match terminal {
            true => say_to_terminal(&answer.body),
            false => drop(std::io::stdout().write_all(&answer.body)),
        }
        // Nothing may still be on its way when the next call's lines on standard error are written.
        let _ = std::io::stdout().flush();
        if let Some(problem) = problem(answer) {
            complain(&problem);
        }
    }
}

impl By {
    fn story(self) -> String {
        match self {
            Self::Nothing => "sent without a proof".to_owned(),
            Self::Bearer => "proven by an API key that is sent as itself".to_owned(),
            Self::Signature => "proven by a signature: the key stays here".to_owned(),
            Self::Asymmetric => "proven by a wallet's signature in AsymmetricAuthentication".to_owned(),
            Self::AccessToken => "proven by an access token".to_owned(),
            Self::Token { algorithm, introduces } => format!(
                "proven by a one-time token, hashed by {}: the receiver will ask for it{}",
                algorithm.as_str(),
                if introduces { "; introduces a key, so that it need not ask again" } else { "" }
            ),
            Self::IntroducedKey => {
                "proven by the key that was introduced before: nobody needs to ask".to_owned()
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Bearer => "bearer",
            Self::Signature => "signature",
            Self::Asymmetric => "asymmetric",
            Self::AccessToken => "token",
            Self::Token { .. } => "webhook",
            Self::IntroducedKey => "introduced-key",
        }
    }
}

/// A header's value, unless it opens something. A webhook's hash opens nothing.
fn visible(value: &HeaderValue) -> String {
    match value.is_sensitive() {
        true => "(hidden)".to_owned(),
        false => escape(&String::from_utf8_lossy(value.as_bytes())),
    }
}

fn as_json(answer: &FetchResponse, sent: &Sent, retried: bool) -> Value {
    let (encoding, body) = match std::str::from_utf8(&answer.body) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(&answer.body)),
    };
    json!({
        "status": answer.status.as_u16(),
        "headers": headers(&answer.headers),
        "body": body,
        "body_encoding": encoding,
        "proof": sent.by.name(),
        "retried": retried,
    })
}

/// By name, in lower case; each name has a list, for a header may be there twice.
fn headers(headers: &HeaderMap) -> Value {
    let all = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        (name.to_string(), Value::from_iter(values.map(|value| Value::from(value.into_owned()))))
    });
    Value::Object(all.collect())
}

/// A body on a terminal: its lines as they are, and nothing that the terminal would obey.
fn say_to_terminal(body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => {
            for line in text.lines() {
                let columns: Vec<_> = line.split('\t').map(escape).collect();
                say(&columns.join("\t"));
            }
        }
        Err(_) => {
            complain(&format!("the body is no text ({} bytes): send it to a file or a pipe", body.len()));
        }
    }
}

/// What a gateway of ours says about its refusal.
fn problem(answer: &FetchResponse) -> Option<String> {
    if answer.headers.get(CONTENT_TYPE)? != "application/problem+json" {
        return None;
    }
    let problem: Value = serde_json::from_slice(&answer.body).ok()?;
    let text = |name: &str| problem[name].as_str().map(escape);
    let detail = text("detail").unwrap_or_default();
    let decision = text("decision").map(|id| format!(" (decision {id})")).unwrap_or_default();
    Some(format!("countersign: {} {}: {detail}{decision}", answer.status.as_u16(), text("code")?))
}
