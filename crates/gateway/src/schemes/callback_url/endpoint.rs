//! `POST /callbacks`: an application mints callback URLs with an API key that lists what it may mint.

use std::sync::Arc;

use bytes::Bytes;
use countersign::path::Template;
use countersign::schemes::api_key::MintRights;
use countersign::{Code, Denial, KeyId, Principal, Requirement, Subject};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::minting::{Minting, Refused, Wanted, revealed};
use crate::endpoint::{Answer, Answering, Asked, Endpoint};
use crate::schemes::{Rules, api_key};

/// Where applications mint.
const PATH: &str = "/callbacks";
/// More than any wish is long.
const LONGEST: usize = 16 * 1024;

/// The endpoint, where some route takes callbacks.
pub(super) fn endpoint(
    minting: &Arc<Minting>,
    api_key: &api_key::Ready,
    rules: &Rules<'_>,
) -> Option<Endpoint> {
    minting.routes().next()?;
    let rule = rules(PATH, Requirement::parse(["api-key"]).ok()?)?;
    Some(Endpoint {
        template: Template::parse(PATH).ok()?,
        methods: Some(vec![Method::POST]),
        rule: Arc::new(rule),
        answer: Box::new(Mints { minting: minting.clone(), api_key: api_key.clone() }),
    })
}

struct Mints {
    minting: Arc<Minting>,
    api_key: api_key::Ready,
}

impl Mints {
    /// What the key that was proven may mint.
    async fn rights(&self, principal: Option<&Principal>) -> Result<(KeyId, MintRights), Denial> {
        let Some(Subject::Key(id)) = principal.map(|principal| principal.subject.clone()) else {
            return Err(Denial::new(Code::PermissionMissing, "no key was proven"));
        };
        let record = self.api_key.keys().get(id).await;
        let record = record.map_err(|error| Denial::new(Code::StoreUnavailable, error.to_string()))?;
        Ok((id, record.terms.mint))
    }
}

impl Answer for Mints {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            let (id, rights) = self.rights(asked.principal).await?;
            if rights == MintRights::default() {
                return Err(Denial::new(Code::PermissionMissing, format!("{id} may mint no callbacks")));
            }
            let body = asked.body.read(LONGEST).await?;
            let wanted: Wanted = match serde_json::from_slice(&body) {
                Ok(wanted) => wanted,
                Err(error) => return Ok(refused(&error.to_string())),
            };
            if !rights.allow(&wanted.route, &wanted.user) {
                let cause = format!("{id} may not mint callbacks for this route and user");
                return Err(Denial::new(Code::PermissionMissing, cause));
            }
            let by = Subject::Key(id).to_string();
            match self.minting.mint(wanted, &by, asked.request.received_at).await {
                Ok(minted) => Ok(answer(StatusCode::CREATED, "application/json", &revealed(&minted))),
                Err(Refused::Terms(why)) => Ok(refused(&why)),
                Err(Refused::Now(denial)) => Err(denial),
            }
        })
    }
}

/// What is asked for cannot be: a sentence for whoever wrote the request, about nothing but the request.
fn refused(why: &str) -> Response<Bytes> {
    let status = StatusCode::BAD_REQUEST;
    let problem =
        json!({ "type": "about:blank", "title": "Bad Request", "status": status.as_u16(), "detail": why });
    answer(status, "application/problem+json", &problem)
}

fn answer(status: StatusCode, kind: &'static str, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
