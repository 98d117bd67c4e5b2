//! What `/auth/*` answers, once it is known who calls.

use bytes::Bytes;
use countersign::rule::RuleError;
use countersign::schemes::session::{
    AccountError, Half, SESSION_CLAIM, SessionRecord, SignIn, UserRecord, handshakes, wire,
};
use countersign::{
    BodySource, Code, Denial, Principal, RequestView, Rule, Scheme, SessionId, Source, Store, Subject, UserId,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::paths::AuthPath;
use super::site::SessionSite;

/// More than any address, name and password are long.
const LONGEST: usize = 16 * 1024;

/// A request to one of the paths, which has met that path's rule.
pub struct AuthAsked<'a> {
    /// Its head.
    pub request: &'a RequestView<'a>,
    /// Who was proven, where the path asks for a session.
    pub principal: Option<&'a Principal>,
    /// What stands in the place of `{id}`, raw.
    pub named: Option<&'a str>,
    /// Its body, which nobody has read.
    pub body: &'a mut dyn BodySource,
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

impl<S: Store + Clone> SessionSite<S> {
    /// Who may call `path`: sign-up and sign-in whoever has not failed too often.
    ///
    /// # Errors
    /// None in practice: the rule has the one verifier that it needs.
    pub fn rule_of(&self, path: AuthPath) -> Result<Rule, RuleError> {
        match path.demand(self.settings.demand) {
            None => Ok(Rule::trying(path.template())),
            Some(demand) => {
                let rule = Rule::requiring(path.template(), Scheme::Session.into());
                rule.verifier(self.exactly(demand)).build()
            }
        }
    }

    /// Answers a request to `path`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn answer(&self, path: AuthPath, mut asked: AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        match path {
            AuthPath::SignUp => self.sign_up(asked).await.map(|_| Self::signed_up()),
            AuthPath::SignIn => self.sign_in(asked).await,
            AuthPath::Handshake => self.handshake(&mut asked).await,
            AuthPath::WhoAmI => self.who_am_i(&mut asked).await,
            AuthPath::SignOut => self.sign_out(&mut asked).await,
            AuthPath::Sessions => self.list(&mut asked).await,
            AuthPath::EndSessions => self.end_all(&mut asked).await,
            AuthPath::EndSession => self.end(&mut asked).await,
        }
    }

    /// Signs somebody up. `None`: somebody had the address, of which nobody is told, so that whoever asks gets
    /// the same [`SessionSite::signed_up`] after the same hash.
    ///
    /// # Errors
    /// `route_unknown` where nobody may sign up by themselves; what is wrong with what was sent.
    pub async fn sign_up(&self, mut asked: AuthAsked<'_>) -> Result<Option<UserRecord>, Denial> {
        if !self.settings.signup {
            return Err(Denial::new(Code::RouteUnknown, "nobody may sign up by themselves"));
        }
        let body: SignUpBody = self.body(&mut asked).await?;
        let (source, now) = (asked.request.source.map(Source::counted_as), asked.request.received_at);
        match self.accounts.sign_up(&body.email, &body.name, &body.password, source, now).await {
            Ok(user) => Ok(Some(user)),
            Err(AccountError::Taken) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The answer to a sign-up.
    #[must_use]
    pub fn signed_up() -> Response<Bytes> {
        plain(StatusCode::CREATED, "")
    }

    async fn sign_in(&self, mut asked: AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let body: SignInBody = self.body(&mut asked).await?;
        let (request, cookie) = (asked.request, self.surroundings.cookie);
        let now = request.received_at;
        let asking = |denial: Denial| match denial.code() {
            Code::DpopInvalid => denial.asking(vec![self.key_proof.0.nonce(now)]),
            _ => denial,
        };
        let shown = self.key_proof.shown(request).map_err(asking)?;
        if shown.is_none() && self.settings.demand.key_bound {
            let cause = "form: there is no DPoP header, and session.key_bound is true";
            return Err(asking(Denial::new(Code::DpopInvalid, cause)));
        }
        if let Some(shown) = &shown {
            shown.spend(&self.store).await.map_err(asking)?;
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
            source: request.source.map(Source::counted_as),
            agent: request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
            presented: presented.as_ref(),
            bound: shown.as_ref().map(|shown| shown.thumbprint.as_str()),
        };
        let (halves, record) = self.accounts.sign_in(typed, now).await?;
        let mut response = plain(StatusCode::OK, halves.token.reveal().expose());
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, cookie.set(&halves.cookie, record.ends.since(now)));
        if shown.is_some() {
            let (name, nonce) = self.key_proof.0.nonce(now);
            headers.insert(name, nonce);
        }
        Ok(response)
    }

    async fn handshake(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let place = SessionRecord::place(&self.presented(asked)?.halves.cookie);
        let handshake =
            handshakes::give(&self.store, place, asked.request.received_at, &*self.random).await?;
        Ok(plain(StatusCode::OK, handshake.reveal().expose()))
    }

    async fn who_am_i(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let user = self.accounts.users().get(user_of(asked)?).await?;
        let user = user.ok_or_else(|| Denial::new(Code::ProofMismatch, "there is no such user any more"))?;
        Ok(shown(&json!({ "email": user.email.as_str(), "name": user.name })))
    }

    async fn sign_out(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let halves = self.presented(asked)?.halves;
        self.accounts.sign_out(&halves.cookie, asked.request.received_at).await?;
        Ok(self.forgotten(plain(StatusCode::OK, "")))
    }

    async fn list(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let current = current(asked);
        let all = self.accounts.list_sessions(user_of(asked)?, asked.request.received_at).await?;
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

    async fn end(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let unknown = || Denial::new(Code::RouteUnknown, "this user has no session of this name");
        let id = asked.named.and_then(SessionId::parse).ok_or_else(unknown)?;
        let now = asked.request.received_at;
        if !self.accounts.end_session(user_of(asked)?, id, now).await? {
            return Err(unknown());
        }
        let response = plain(StatusCode::NO_CONTENT, "");
        Ok(if current(asked) == Some(id) { self.forgotten(response) } else { response })
    }

    async fn end_all(&self, asked: &mut AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        self.accounts.end_sessions(user_of(asked)?, asked.request.received_at).await?;
        Ok(self.forgotten(plain(StatusCode::NO_CONTENT, "")))
    }

    /// The JSON object that a page of ours sends where nobody needs to be signed in. Its type is demanded,
    /// since a page of another site can send text without asking first.
    async fn body<T: DeserializeOwned>(&self, asked: &mut AuthAsked<'_>) -> Result<T, Denial> {
        let request = asked.request;
        self.surroundings.origins.judge(request)?;
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
    fn presented(&self, asked: &AuthAsked<'_>) -> Result<wire::SessionCredential, Denial> {
        let credential = wire::read(asked.request, self.surroundings.cookie)?;
        credential.ok_or_else(|| Denial::new(Code::CredentialMissing, "no session was presented"))
    }

    fn forgotten(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        response.headers_mut().append(SET_COOKIE, self.surroundings.cookie.clear());
        response
    }
}

/// Who was proven.
fn user_of(asked: &AuthAsked<'_>) -> Result<UserId, Denial> {
    match asked.principal.map(|principal| &principal.subject) {
        Some(Subject::User(user)) => Ok(*user),
        _ => Err(Denial::new(Code::CredentialMissing, "no user was proven")),
    }
}

/// By which session.
fn current(asked: &AuthAsked<'_>) -> Option<SessionId> {
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
