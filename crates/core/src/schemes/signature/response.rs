//! What is asked of a signature on a response: that it says what was answered, and to what.

use http::header::CONTENT_TYPE;

use super::component::{Component, Derived, Name};
use super::digest::CONTENT_DIGEST;
use super::input::SIGNATURE;
use super::message::Message;
use super::signed::Signed;
use crate::denial::{Code, Denial};

/// What a signature on this response should cover: `@status`; `content-type` where there is one;
/// `content-digest` where there is one, or `has_body` says that there must be; and of the request that
/// it answers, if the message knows it, `@method`, `@scheme`, `@authority`, `@path`, `@query`, and its
/// `content-digest` and `signature` where it has them, so that the answer fits no other request.
#[must_use]
pub fn cover_response_floor(response: &Message<'_>, has_body: bool) -> Vec<Component> {
    let mut components = vec![Component::derived(Derived::Status)];
    if response.headers.contains_key(CONTENT_TYPE) {
        components.push(Component::field(CONTENT_TYPE));
    }
    if has_body || response.headers.contains_key(CONTENT_DIGEST) {
        components.push(Component::field(CONTENT_DIGEST));
    }
    let Some(request) = response.answered() else { return components };
    let parts = [Derived::Method, Derived::Scheme, Derived::Authority, Derived::Path, Derived::Query];
    components.extend(parts.map(|part| Component::derived(part).of_request()));
    for name in [CONTENT_DIGEST, SIGNATURE] {
        if request.headers.contains_key(&name) {
            components.push(Component::field(name).of_request());
        }
    }
    components
}

/// Whether a signature covers the floor of this response; `@target-uri` stands for the four parts
/// behind `@method`. Components count as [`covers`](super::covers) counts them.
///
/// # Errors
/// `signature_coverage` with the missing component in the cause.
pub fn covers_response(signed: &Signed, response: &Message<'_>, has_body: bool) -> Result<(), Denial> {
    let whole = Component::derived(Derived::TargetUri).of_request();
    let whole_target = signed.components.contains(&whole);
    let is_target = |component: &Component| {
        let parts = [Derived::Scheme, Derived::Authority, Derived::Path, Derived::Query];
        component.of_request && matches!(component.name(), Name::Derived(part) if parts.contains(part))
    };
    let floor = cover_response_floor(response, has_body);
    let missing = floor
        .iter()
        .filter(|component| !(whole_target && is_target(component)))
        .find(|component| !signed.components.contains(component));
    match missing {
        Some(component) => Err(Denial::new(Code::SignatureCoverage, format!("{component} is not covered"))),
        None => Ok(()),
    }
}
