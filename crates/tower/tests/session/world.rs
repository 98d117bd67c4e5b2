//! An axum application with sessions, and what a browser holds of one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request as AxumRequest;
use axum::response::{IntoResponse as _, Response as AxumResponse};
use axum::routing::any;
use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::limit::Rate;
use countersign::schemes::session::SessionDemand;
use countersign::testing::{self, TestStore, seal_key};
use countersign::time::ManualClock;
use countersign::workers::OnThisThread;
use countersign::{Policy, Principal, PublicUrl};
use countersign_tower::{AuthService, GateLayer, SessionSettings, SessionSite, SiteParts};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const ANN: &str = "ann@example.org";
pub(crate) const BOB: &str = "bob@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) site: SessionSite<Arc<TestStore>>,
    /// The heads of the requests that the guarded handler got.
    pub(crate) got: Arc<Mutex<Vec<HeaderMap>>>,
    app: Router,
}

/// Both halves of a session.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and code; an empty code for what is no problem.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, code: &str) -> &Self {
        let said = match self.header("content-type") {
            Some("application/problem+json") => self.json()["code"].as_str().unwrap().to_owned(),
            _ => String::new(),
        };
        assert_eq!((self.status.as_u16(), said.as_str()), (status, code), "{self:?}");
        self
    }

    /// The halves that a sign-in gave.
    #[track_caller]
    pub(crate) fn held(&self) -> Held {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let set = self.headers[SET_COOKIE].to_str().unwrap();
        let cookie = set.strip_prefix("__Host-session=").and_then(|rest| rest.split(';').next()).unwrap();
        assert_eq!((cookie.len(), self.body.len()), (43, 43));
        Held { cookie: cookie.to_owned(), token: self.text().to_owned() }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SessionSettings { signup: true, ..SessionSettings::default() }, None)
    }

    pub(crate) fn with(settings: SessionSettings, unproven: Option<Rate>) -> Self {
        let testing::World { clock, store, mut gate } = testing::World::new();
        let url = PublicUrl::parse("https://bob.example").unwrap();
        let parts = SiteParts {
            store,
            public_url: &url,
            allowed_origins: &[PublicUrl::parse("https://app.example").unwrap()],
            seal_key: &seal_key(7),
            workers: Arc::new(OnThisThread),
            random: Arc::new(SystemRandom),
        };
        let site = SessionSite::new(parts, settings).unwrap();
        if let Some(rate) = unproven {
            gate = gate.with_unproven_limit(rate);
        }
        let gate = Arc::new(gate);
        let rule = site.rule("notes", SessionDemand::default()).policy(Policy::default()).build().unwrap();
        let source = |extensions: &http::Extensions| extensions.get::<IpAddr>().copied();
        let guard = GateLayer::new(gate.clone(), rule, url.clone()).source(source);
        let auth = AuthService::new(site.clone(), gate, url).unwrap().source(source);
        let got: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let seen = got.clone();
        let notes = async move |request: AxumRequest| answer(&seen, &request);
        let app = Router::new().route("/notes", any(notes).layer(guard)).route_service("/auth/{*path}", auth);
        Self { clock, site, got, app }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// POSTs JSON as a page of ours does.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: &str, more: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        add(request.headers_mut(), more);
        self.send(request).await
    }

    pub(crate) async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "name": "Somebody", "password": PASSWORD });
        self.post("/auth/signup", &body.to_string()).await
    }

    pub(crate) async fn sign_in(&self, email: &str) -> Held {
        self.post("/auth/signin", &typed(email, PASSWORD)).await.held()
    }

    /// Signed up and in.
    pub(crate) async fn somebody(&self, email: &str) -> Held {
        self.sign_up(email).await.is(201, "");
        self.sign_in(email).await
    }

    /// A request with both halves, and `more`.
    pub(crate) async fn call(&self, held: &Held, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let cookie = format!("theme=dark; __Host-session={}", held.cookie);
        let headers = request.headers_mut();
        headers.insert(COOKIE, cookie.parse().unwrap());
        headers.insert(AUTHORIZATION, format!("Bearer {}", held.token).parse().unwrap());
        add(headers, more);
        self.send(request).await
    }

    pub(crate) async fn get(&self, held: &Held) -> Answer {
        self.call(held, "GET", "/notes", &[]).await
    }

    pub(crate) async fn change(&self, held: &Held, handshake: &str) -> Answer {
        self.call(held, "POST", "/notes", &[("handshake", handshake)]).await
    }

    pub(crate) async fn handshake(&self, held: &Held) -> String {
        let answer = self.call(held, "POST", "/auth/handshake", &[]).await;
        assert_eq!(answer.is(200, "").body.len(), 43);
        answer.text().to_owned()
    }
}

/// A bare request with these headers.
pub(crate) fn bare(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    add(request.headers_mut(), headers);
    request
}

pub(crate) fn typed(email: &str, password: &str) -> String {
    json!({ "email": email, "password": password }).to_string()
}

fn add(headers: &mut HeaderMap, more: &[(&str, &str)]) {
    for (name, value) in more {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
}

/// The guarded handler: says who was proven, and sets cookies of all kinds.
fn answer(got: &Mutex<Vec<HeaderMap>>, request: &AxumRequest) -> AxumResponse {
    got.lock().unwrap().push(request.headers().clone());
    let subject = request.extensions().get::<Principal>().unwrap().subject.to_string();
    let mut response = subject.into_response();
    for cookie in ["theme=light", "__Host-session=chosen; Path=/; Secure", "=__Host-session=chosen"] {
        response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(cookie));
    }
    response
}
