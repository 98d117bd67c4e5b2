//! A site with sessions, and what a browser holds of one.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use countersign_testing::{Echo, Gateway, Request, Response};

pub(crate) const ANN: &str = "ann@example.org";
pub(crate) const BOB: &str = "bob@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A gateway that serves `/auth/*`, and guards `/api/*` of an upstream with sessions.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    pub(crate) echo: Echo,
}

/// Both halves of a session.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

impl Held {
    pub(crate) fn cookie_header(&self) -> String {
        format!("session={}", self.cookie)
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// The cookie half of this one, the token half of the other.
    pub(crate) fn mixed_with(&self, other: &Self) -> Self {
        Self { cookie: self.cookie.clone(), token: other.token.clone() }
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with("signup = true\n", "")
    }

    /// `session` is in `[session]`; `more` follows all else.
    pub(crate) fn with(session: &str, more: &str) -> Self {
        Self::at("", session, more)
    }

    /// The same, with more lines in `[server]`.
    pub(crate) fn at(server: &str, session: &str, more: &str) -> Self {
        let echo = Echo::start();
        let mut gateway = Gateway::with_server(server, &Self::configuration(&echo, session, more));
        gateway.start();
        Self { gateway, echo }
    }

    pub(crate) fn configuration(echo: &Echo, session: &str, more: &str) -> String {
        let url = echo.url();
        format!(
            "[session]\nenabled = true\n{session}\n\
             [[route]]\npath = \"/api/*\"\nupstream = \"{url}\"\naccept = [\"session\"]\nanyone = true\n{more}\n"
        )
    }

    /// POSTs JSON as a page of ours does.
    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        let request = Request::new("POST", path).header("Content-Type", "application/json");
        self.gateway.send(&request.body(body.as_bytes()))
    }

    pub(crate) fn sign_up(&self, email: &str) -> Response {
        let body = json!({ "email": email, "name": "Somebody", "password": PASSWORD });
        self.post("/auth/signup", &body.to_string())
    }

    pub(crate) fn try_sign_in(&self, email: &str, password: &str) -> Response {
        self.post("/auth/signin", &json!({ "email": email, "password": password }).to_string())
    }

    pub(crate) fn sign_in(&self, email: &str) -> Held {
        held(&self.try_sign_in(email, PASSWORD))
    }

    /// Signed up and in.
    pub(crate) fn somebody(&self, email: &str) -> Held {
        self.sign_up(email).is(201, "");
        self.sign_in(email)
    }

    /// A request with both halves, and `more`.
    pub(crate) fn send(&self, held: &Held, method: &str, path: &str, more: &[(&str, &str)]) -> Response {
        let (cookie, bearer) = (held.cookie_header(), held.bearer());
        let mut request = Request::new(method, path).header("Cookie", &cookie);
        request = request.header("Authorization", &bearer);
        for (name, value) in more {
            request = request.header(name, value);
        }
        self.gateway.send(&request)
    }

    pub(crate) fn get(&self, held: &Held) -> Response {
        self.send(held, "GET", "/api/orders", &[])
    }

    pub(crate) fn handshake(&self, held: &Held) -> String {
        let answer = self.send(held, "POST", "/auth/handshake", &[]);
        assert_eq!((answer.status, answer.body.len()), (200, 43), "{}", answer.text());
        answer.text()
    }

    /// A file in the gateway's folder that nobody else reads.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.gateway.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }
}

/// What a sign-in gave.
#[track_caller]
pub(crate) fn held(answer: &Response) -> Held {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let set = answer.header("set-cookie").expect("a cookie");
    let cookie = set.strip_prefix("session=").and_then(|rest| rest.split(';').next()).unwrap();
    assert_eq!((cookie.len(), answer.body.len()), (43, 43));
    Held { cookie: cookie.to_owned(), token: answer.text() }
}
