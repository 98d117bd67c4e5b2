//! `/auth/*`: signing up, in and out, handshakes, and the sessions that one has.

use std::sync::Arc;

use bytes::Bytes;
use countersign::path::Template;
use countersign::schemes::session::{
    AccountError, Half, HandshakePolicy, SESSION_CLAIM, SessionDemand, SessionId, SessionRecord, SignIn,
    UserId, handshakes, wire,
};
use countersign::{Code, Denial, Rule};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Answering, Asked, Endpoint};
use crate::session::Session;

/// More than any address, name and password are long.
const LONGEST: usize = 16 * 1024;

/// What a path does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    SignUp,
    SignIn,
    Handshake,
    WhoAmI,
    SignOut,
    List,
    End,
    EndAll,
}

/// All paths, where sessions are served.
pub(super) fn endpoints(session: &Session) -> Vec<Endpoint> {
    let config = session.config();
    if !config.enabled {
        return Vec::new();
    }
    // Whoever wants a handshake, or wants to leave, cannot be asked for one first.
    let both_halves = SessionDemand { handshake: HandshakePolicy::Never, ..config.demand };
    let paths = [
        ("/auth/signup", Method::POST, Does::SignUp, None),
        ("/auth/signin", Method::POST, Does::SignIn, None),
        ("/auth/handshake", Method::POST, Does::Handshake, Some(both_halves)),
        ("/auth/whoami", Method::GET, Does::WhoAmI, Some(both_halves)),
        ("/auth/signout", Method::POST, Does::SignOut, Some(both_halves)),
        ("/auth/sessions", Method::GET, Does::List, Some(config.demand)),
        ("/auth/sessions", Method::DELETE, Does::EndAll, Some(config.demand)),
        ("/auth/sessions/{id}", Method::DELETE, Does::End, Some(config.demand)),
    ];
    let endpoint = |(path, method, does, demand): (&'static str, _, _, Option<SessionDemand>)| {
        let rule = match demand {
            Some(demand) => session.rule(path, demand)?,
            None => Arc::new(Rule::public(path)),
        };
        let template = Template::parse(path).ok()?;
        let answer = Box::new(Auth { session: session.clone(), does });
        Some(Endpoint { template, methods: Some(vec![method]), rule, answer })
    };
    paths.into_iter().filter_map(endpoint).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignUpBody {
    email: String,
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInBody {
    email: String,
    password: String,
}

struct Auth {
    session: Session,
    does: Does,
}

impl Answer for Auth {
    fn answer<'a>(&'a self, mut asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            match self.does {
                Does::SignUp => self.sign_up(&mut asked).await,
                Does::SignIn => self.sign_in(&mut asked).await,
                Does::Handshake => self.handshake(&mut asked).await,
                Does::WhoAmI => self.who_am_i(&mut asked).await,
                Does::SignOut => self.sign_out(&mut asked).await,
                Does::List => self.list(&mut asked).await,
                Does::End => self.end(&mut asked).await,
                Does::EndAll => self.end_all(&mut asked).await,
            }
        })
    }
}

impl Auth {
    /// Whether somebody had the address is not said: they get the same answer after the same work.
    async fn sign_up(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        if !self.session.config().signup {
            return Err(Denial::new(Code::RouteUnknown, "session.signup is not true"));
        }
        let body: SignUpBody = self.body(asked).await?;
        let (request, accounts) = (asked.request, &self.session.accounts);
        let now = request.received_at;
        match accounts.sign_up(&body.email, &body.name, &body.password, request.source, now).await {
            Ok(user) => {
                let details = json!({ "id": user.id.to_string(), "by": "themselves" });
                let written = asked.gateway.audit.change(now, "user-added", &details).await;
                if let Err(why) = written {
                    // Nobody has been told of them.
                    accounts.disable(user.id, now).await?;
                    return Err(Denial::new(Code::StoreUnavailable, why));
                }
            }
            Err(AccountError::Taken) => tracing::debug!("a sign-up with an address that has an account"),
            Err(error) => return Err(error.into()),
        }
        Ok(plain(StatusCode::CREATED, ""))
    }

    async fn sign_in(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let body: SignInBody = self.body(asked).await?;
        let (request, cookie) = (asked.request, self.session.surroundings.cookie);
        let now = request.received_at;
        let key_proof = &self.session.key_proof;
        let asking = |denial: Denial| match denial.code() {
            Code::DpopInvalid => denial.asking(vec![key_proof.0.nonce(now)]),
            _ => denial,
        };
        let shown = key_proof.shown(request).map_err(asking)?;
        if shown.is_none() && self.session.config().demand.key_bound {
            let cause = "form: there is no DPoP header, and session.key_bound is true";
            return Err(asking(Denial::new(Code::DpopInvalid, cause)));
        }
        if let Some(shown) = &shown {
            shown.spend(self.session.store()).await.map_err(asking)?;
        }
        // A cookie that is there twice is nobody's: no session of theirs ends with it.
        let mut presented = cookie.values(request.headers).map(Half::parse);
        let presented = match (presented.next(), presented.next()) {
            (Some(half), None) => half,
            _ => None,
        };
        let typed = SignIn {
            email: &body.email,
            password: &body.password,
            source: request.source,
            agent: request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
            presented: presented.as_ref(),
            bound: shown.as_ref().map(|shown| shown.thumbprint.as_str()),
        };
        let (halves, record) = self.session.accounts.sign_in(typed, now).await?;
        let mut response = plain(StatusCode::OK, halves.token.reveal().expose());
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, cookie.set(&halves.cookie, record.ends.since(now)));
        if shown.is_some() {
            let (name, nonce) = key_proof.0.nonce(now);
            headers.insert(name, nonce);
        }
        Ok(response)
    }

    async fn handshake(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let place = SessionRecord::place(&self.presented(asked)?.halves.cookie);
        let (store, now) = (self.session.store(), asked.request.received_at);
        let handshake = handshakes::give(store, place, now, &asked.gateway.random).await?;
        Ok(plain(StatusCode::OK, handshake.reveal().expose()))
    }

    async fn who_am_i(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let user = self.session.accounts.users().get(user_of(asked)?).await?;
        let user = user.ok_or_else(|| Denial::new(Code::ProofMismatch, "there is no such user any more"))?;
        Ok(shown(&json!({ "email": user.email.as_str(), "name": user.name })))
    }

    async fn sign_out(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let halves = self.presented(asked)?.halves;
        self.session.accounts.sign_out(&halves.cookie, asked.request.received_at).await?;
        Ok(self.forgotten(plain(StatusCode::OK, "")))
    }

    async fn list(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let current = current(asked);
        let all = self.session.accounts.list_sessions(user_of(asked)?, asked.request.received_at).await?;
        let all = all.iter().map(|record| {
            json!({
                "id": record.id.to_string(),
                "created": record.created.to_string(),
                "last_seen": record.seen.to_string(),
                "expires": record.lives_until().to_string(),
                "label": record.label,
                "key_bound": record.bound.is_some(),
                "current": Some(record.id) == current,
            })
        });
        Ok(shown(&Value::Array(all.collect())))
    }

    async fn end(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        let named = asked.values.first().and_then(|(_, id)| SessionId::parse(id));
        let unknown = || Denial::new(Code::RouteUnknown, "this user has no session of this name");
        let id = named.ok_or_else(unknown)?;
        let now = asked.request.received_at;
        if !self.session.accounts.end_session(user_of(asked)?, id, now).await? {
            return Err(unknown());
        }
        let response = plain(StatusCode::NO_CONTENT, "");
        Ok(if current(asked) == Some(id) { self.forgotten(response) } else { response })
    }

    async fn end_all(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, Denial> {
        self.session.accounts.end_sessions(user_of(asked)?, asked.request.received_at).await?;
        Ok(self.forgotten(plain(StatusCode::NO_CONTENT, "")))
    }

    /// The JSON object that a page of ours sends where nobody needs to be signed in. Its type is demanded,
    /// since a page of another site can send text without asking first.
    async fn body<T: for<'de> Deserialize<'de>>(&self, asked: &mut Asked<'_>) -> Result<T, Denial> {
        let request = asked.request;
        asked.runtime.gate.look_at_source(request)?;
        self.session.surroundings.origins.judge(request)?;
        let malformed = |cause: String| Denial::new(Code::CredentialMalformed, cause);
        let kind = request.single_header(&CONTENT_TYPE)?.unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(malformed("the Content-Type is not application/json".to_owned()));
        }
        let body = asked.body.read(LONGEST).await?;
        // A list would be read as a record's members in their order.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(malformed("the body is no JSON object".to_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| {
            // What the error says may quote a password.
            let (line, column) = (error.line(), error.column());
            malformed(format!("not the JSON object that is asked for: line {line}, column {column}"))
        })
    }

    /// The halves that have been verified.
    fn presented(&self, asked: &Asked<'_>) -> Result<wire::SessionCredential, Denial> {
        let credential = wire::read(asked.request, self.session.surroundings.cookie)?;
        credential.ok_or_else(|| Denial::new(Code::CredentialMissing, "no session was presented"))
    }

    fn forgotten(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        response.headers_mut().append(SET_COOKIE, self.session.surroundings.cookie.clear());
        response
    }
}

/// Who was proven.
fn user_of(asked: &Asked<'_>) -> Result<UserId, Denial> {
    let subject = asked.principal.and_then(|principal| principal.subject.as_str().strip_prefix("user:"));
    let user = subject.and_then(UserId::parse);
    user.ok_or_else(|| Denial::new(Code::CredentialMissing, "no user was proven"))
}

/// By which session.
fn current(asked: &Asked<'_>) -> Option<SessionId> {
    asked.principal?.claims.get(SESSION_CLAIM)?.as_str().and_then(SessionId::parse)
}

fn plain(status: StatusCode, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = status;
    if !body.is_empty() {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn shown(body: &Value) -> Response<Bytes> {
    let mut response = plain(StatusCode::OK, &body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
