//! The issuer's endpoints (RFC 6749 §3.2, RFC 7662, RFC 7009, RFC 8414, OpenID Connect Discovery): what comes
//! in is read here, judged in the library, and answered in OAuth's own words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::RequestView;
use countersign::decision::Check;
use countersign::dpop::NoncePolicy;
use countersign::issuer::{Issuer, LONGEST_BODY, OAuthError, metadata, siwe};
use countersign_io::AnyStore;
use countersign_tower::DECISION;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use crate::endpoint::{Answer, Answering, Asked, Door, Endpoint};
use crate::recorder::Recorder;

type Ours = Arc<Issuer<Arc<AnyStore>>>;

/// What a path of the issuer's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Discovery,
    Keys,
    Token,
    Introspect,
    Revoke,
    Nonce,
}

/// All of the issuer's paths. `fresh`: for how long others may keep its keys.
pub(super) fn endpoints(issuer: &Ours, fresh: Duration, recorder: &Recorder) -> Vec<Endpoint> {
    let paths = [
        (metadata::OPENID_CONFIGURATION, Method::GET, Does::Discovery),
        (metadata::OAUTH_AUTHORIZATION_SERVER, Method::GET, Does::Discovery),
        (metadata::JWKS, Method::GET, Does::Keys),
        (metadata::TOKEN, Method::POST, Does::Token),
        (metadata::INTROSPECT, Method::POST, Does::Introspect),
        (metadata::REVOKE, Method::POST, Does::Revoke),
        (metadata::NONCE, Method::POST, Does::Nonce),
    ];
    let endpoint = |(path, method, does)| {
        let answer = OAuth { issuer: issuer.clone(), does, fresh, recorder: recorder.clone() };
        Endpoint::public(path, Some(vec![method]), answer)
    };
    paths.into_iter().filter_map(endpoint).collect()
}

struct OAuth {
    issuer: Ours,
    does: Does,
    fresh: Duration,
    recorder: Recorder,
}

impl Answer for OAuth {
    fn answer<'a>(&'a self, mut asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            match self.answered(&mut asked).await {
                Ok(response) => Ok(response),
                Err(error) => Ok(self.refused(asked.door, asked.request, &error).await),
            }
        })
    }
}

impl OAuth {
    async fn answered(&self, asked: &mut Asked<'_>) -> Result<Response<Bytes>, OAuthError> {
        let (issuer, request) = (&self.issuer, asked.request);
        let now = request.received_at;
        match self.does {
            Does::Discovery => return Ok(self.lasting(&issuer.metadata())),
            Does::Keys => return Ok(self.lasting(issuer.keys(now).await?.jwks())),
            // Whoever fails too often asks elsewhere first; nonces cost nothing, and fill nothing.
            _ => asked.door.may_try()?,
        }
        if self.does == Does::Nonce {
            let life = siwe::NONCE_LIFE.as_secs();
            return Ok(fresh(&json!({ "nonce": issuer.nonce(now), "expires_in": life })));
        }
        let body = asked.body.read(LONGEST_BODY).await?;
        match self.does {
            Does::Introspect => Ok(fresh(&issuer.introspect(request, &body).await?)),
            Does::Revoke => {
                issuer.revoke(request, &body).await?;
                Ok(fresh(&Value::Null))
            }
            _ => {
                let issued = issuer.token(request, &body).await?;
                self.recorder.metrics.token(issued.grant, "issued");
                tracing::debug!(grant = issued.grant, subject = %issued.subject, client = issued.client_id, "token");
                let mut response = fresh(&issued.body);
                if issuer.dpop().policy() == NoncePolicy::Required {
                    let (name, value) = issuer.dpop().nonce(now);
                    response.headers_mut().insert(name, value);
                }
                Ok(response)
            }
        }
    }

    /// What may be kept for a while.
    fn lasting(&self, body: &Value) -> Response<Bytes> {
        let mut response = json_response(body);
        if let Ok(age) = HeaderValue::try_from(format!("public, max-age={}", self.fresh.as_secs())) {
            response.headers_mut().insert(CACHE_CONTROL, age);
        }
        response
    }

    /// A refusal in OAuth's words; it counts against its source, and the operator finds it as a decision.
    async fn refused(
        &self,
        door: &Door<'_>,
        request: &RequestView<'_>,
        error: &OAuthError,
    ) -> Response<Bytes> {
        let refusal = door.fail(Check::Verify, error.denial().clone()).await;
        if self.does == Does::Token {
            self.recorder.metrics.token("any", error.code().as_str());
        }
        let mut response = fresh(&error.body());
        *response.status_mut() = error.status();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(refusal.decision().id.encode(&mut [0; 36])) {
            headers.insert(DECISION, id);
        }
        if error.challenges_basic() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"oauth\""));
        }
        if error.wants_nonce() {
            let (name, value) = self.issuer.dpop().nonce(request.received_at);
            headers.insert(name, value);
        }
        if let Some(wait) = error.denial().retry() {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        response
    }
}

/// What is good once, and for nobody else (RFC 6749 §5.1).
fn fresh(body: &Value) -> Response<Bytes> {
    let mut response = json_response(body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json_response(body: &Value) -> Response<Bytes> {
    if body.is_null() {
        return Response::new(Bytes::new());
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
