//! What is asked of every signature here: what it must cover, and how long it may live.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http::header::CONTENT_TYPE;

use super::component::{Derived, Form, Name};
use super::digest::{CONTENT_DIGEST, ContentDigest};
use super::signed::{MAX_LIFE, Signed};
use crate::denial::{Code, Denial};
use crate::request::{Body, RequestView};
use crate::time::{SKEW, Timestamp};
use crate::verifier::BodyCheck;

pub(super) const MAX_NONCE: usize = 256;

/// Whether a signature binds all of the request: `@method`; `@target-uri`, or `@scheme`,
/// `@authority`, `@path` and `@query`; `content-digest` if a body is announced; `content-type` if
/// the request has one; and each field of `also`, in lower case, whole or by the member that bears
/// the signature's own label (`"signature-key";key="cb"`).
///
/// A component counts if its identifier has no parameters, for most parameters make less of it.
///
/// # Errors
/// `signature_coverage` with the missing component in the cause; also if a front proxy withheld the
/// body, for then nobody can check it.
pub fn covers(signed: &Signed, request: &RequestView<'_>, also: &[&str]) -> Result<(), Denial> {
    let part = |derived| plainly(signed, &|name| *name == Name::Derived(derived));
    let field =
        |wanted: &HeaderName| plainly(signed, &|name| matches!(name, Name::Field(name) if name == wanted));

    if !part(Derived::Method) {
        return Err(missing("@method"));
    }
    if !part(Derived::TargetUri) {
        let parts = [
            (Derived::Scheme, "@scheme"),
            (Derived::Authority, "@authority"),
            (Derived::Path, "@path"),
            (Derived::Query, "@query"),
        ];
        if let Some((_, name)) = parts.into_iter().find(|(derived, _)| !part(*derived)) {
            return Err(missing(name));
        }
    }
    covers_body(signed, request)?;
    if request.headers.contains_key(CONTENT_TYPE) && !field(&CONTENT_TYPE) {
        return Err(missing("content-type"));
    }
    match also.iter().find(|name| !covers_field(signed, name)) {
        Some(name) => Err(uncovered_field(signed, name)),
        None => Ok(()),
    }
}

/// Why a field does not count as covered: another member of it is no part of what this signature needs.
pub(super) fn uncovered_field(signed: &Signed, wanted: &str) -> Denial {
    let other = signed.components.iter().find_map(|component| match (component.name(), component.form()) {
        (Name::Field(name), Form::Key(key)) if name.as_str() == wanted && *key != signed.label => Some(key),
        _ => None,
    });
    let Some(other) = other else { return missing(wanted) };
    let label = &signed.label;
    let cause =
        format!("of {wanted} the member {other} is covered, and not {label}, as the signature is called");
    Denial::new(Code::SignatureCoverage, cause)
}

/// Whether a signature covers the digest of a body that was announced.
pub(super) fn covers_body(signed: &Signed, request: &RequestView<'_>) -> Result<(), Denial> {
    match request.body {
        Body::Absent => Ok(()),
        Body::Announced if plainly(signed, &|name| *name == Name::Field(CONTENT_DIGEST)) => Ok(()),
        Body::Announced => Err(missing("content-digest")),
        Body::Withheld => {
            let cause = "the body was withheld, so that content-digest cannot be checked";
            Err(Denial::new(Code::SignatureCoverage, cause))
        }
    }
}

pub(super) fn plainly(signed: &Signed, wanted: &dyn Fn(&Name) -> bool) -> bool {
    signed.components.iter().any(|component| component.is_plain() && wanted(component.name()))
}

pub(super) fn covers_field(signed: &Signed, wanted: &str) -> bool {
    signed.components.iter().any(|component| {
        let own_member = matches!(component.form(), Form::Key(key) if *key == signed.label)
            && !component.of_request
            && !component.of_trailers;
        matches!(component.name(), Name::Field(name) if name.as_str() == wanted)
            && (component.is_plain() || own_member)
    })
}

/// The body that a signature covers by its digest, and the judge of it: at most `limit` bytes. Also where
/// no body came with a digest of one, for it may have been taken away.
///
/// # Errors
/// `signature_coverage` if a body was announced without a digest, `content_digest` for a digest that
/// cannot be read.
pub fn covered_body(request: &RequestView<'_>, limit: usize) -> Result<Option<BodyCheck>, Denial> {
    let Some(digest) = ContentDigest::read(request.headers)? else {
        return match request.body {
            Body::Absent => Ok(None),
            _ => Err(Denial::new(Code::SignatureCoverage, "content-digest is missing")),
        };
    };
    Ok(Some(BodyCheck { limit, check: Box::new(move |whole: &Bytes| digest.matches(whole).map(|()| None)) }))
}

pub(super) fn missing(component: &str) -> Denial {
    Denial::new(Code::SignatureCoverage, format!("{component} is not covered"))
}

/// What a fresh signature says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh<'a> {
    /// When it was made.
    pub created: Timestamp,
    /// From when on it counts no more; skew comes on top.
    pub expires: Timestamp,
    /// The first moment at which it is refused, skew included: so long it must be remembered.
    pub until: Timestamp,
    /// What is spent, so that it passes once.
    pub nonce: &'a str,
    /// The name of its key.
    pub keyid: &'a str,
}

/// Whether a signature lives at `received_at`, give or take [`SKEW`], and was made to live 60 s at
/// most. Expiry is judged before the rest.
///
/// # Errors
/// `signature_coverage` if `created`, `expires`, `nonce` (1 to 256 characters) or `keyid` is
/// missing; `proof_expired` if it has expired or was made to live longer than 60 s, or not at all;
/// `proof_future` if it was made later.
pub fn fresh(signed: &Signed, received_at: Timestamp) -> Result<Fresh<'_>, Denial> {
    fresh_beyond(signed, SKEW, received_at)
}

/// The same for signatures by wallets, which count at the last moment too: `now <= expires + skew`
/// (ERC-8128 §3.3.2).
pub(super) fn fresh_inclusive(signed: &Signed, received_at: Timestamp) -> Result<Fresh<'_>, Denial> {
    fresh_beyond(signed, SKEW + Duration::from_millis(1), received_at)
}

/// Refused from `beyond` after its expiry on.
fn fresh_beyond(signed: &Signed, beyond: Duration, received_at: Timestamp) -> Result<Fresh<'_>, Denial> {
    let parameters = &signed.parameters;
    let created = parameters.created.ok_or_else(|| missing("created"))?;
    let expires = parameters.expires.ok_or_else(|| missing("expires"))?;
    let keyid = parameters.keyid.as_deref().filter(|keyid| !keyid.is_empty());
    let keyid = keyid.ok_or_else(|| missing("keyid"))?;
    let nonce = parameters.nonce.as_deref().filter(|nonce| (1..=MAX_NONCE).contains(&nonce.len()));
    let nonce = nonce.ok_or_else(|| missing("a nonce of 1 to 256 characters"))?;
    let until = expires.plus(beyond);
    within(created, expires, until, MAX_LIFE, received_at)?;
    Ok(Fresh { created, expires, until, nonce, keyid })
}

/// Whether a signature that is refused from `until` on lives at `received_at`, and was made to live
/// `longest` at most.
pub(super) fn within(
    created: Timestamp,
    expires: Timestamp,
    until: Timestamp,
    longest: Duration,
    received_at: Timestamp,
) -> Result<(), Denial> {
    if until <= received_at {
        return Err(Denial::new(Code::ProofExpired, format!("it expired at {expires}")));
    }
    if expires <= created || expires.since(created) > longest {
        let most = longest.as_secs();
        let cause = format!("it was made to live from {created} to {expires}, at most {most} s are accepted");
        return Err(Denial::new(Code::ProofExpired, cause));
    }
    if created > received_at.plus(SKEW) {
        return Err(Denial::new(Code::ProofFuture, format!("it was made at {created}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::testing::{NOW, Request};

    const PARTS: &str = r#""@method" "@scheme" "@authority" "@path" "@query""#;

    fn signed(components: &str, parameters: &str) -> Signed {
        let headers = HeaderMap::from_iter(
            [
                ("signature-input", format!("own=({components}){parameters};tag=\"t\"")),
                ("signature", "own=::".to_owned()),
            ]
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())),
        );
        Signed::read(&headers, &["t"]).unwrap().remove(0)
    }

    fn judged(components: &str, body: Body, content_type: bool, also: &[&str]) -> Result<(), String> {
        let request = Request::get("/").announcing(body);
        let request = if content_type { request.with(CONTENT_TYPE, "text/plain") } else { request };
        let request = request.view(NOW);
        covers(&signed(components, ""), &request, also).map_err(|denial| {
            assert_eq!(denial.code(), Code::SignatureCoverage);
            denial.cause().to_owned()
        })
    }

    fn missing(name: &str) -> Result<(), String> {
        Err(format!("{name} is not covered"))
    }

    #[test]
    fn method_and_target_must_be_covered() {
        assert_eq!(judged(PARTS, Body::Absent, false, &[]), Ok(()));
        assert_eq!(judged(r#""@method" "@target-uri""#, Body::Absent, false, &[]), Ok(()));
        for name in ["@method", "@scheme", "@authority", "@path", "@query"] {
            let less = PARTS.replace(&format!("\"{name}\""), "");
            assert_eq!(judged(&less, Body::Absent, false, &[]), missing(name));
        }
        assert_eq!(judged(r#""@target-uri""#, Body::Absent, false, &[]), missing("@method"));
    }

    #[test]
    fn parameters_make_less_of_a_component() {
        for (strong, weak, name) in [
            ("\"@method\"", "\"@method\";req", "@method"),
            ("\"@path\"", "\"@path\";req", "@path"),
            ("\"@query\"", "\"@query-param\";name=\"a\"", "@query"),
        ] {
            assert_eq!(judged(&PARTS.replace(strong, weak), Body::Absent, false, &[]), missing(name));
        }
        for weak in ["\"content-digest\";key=\"sha-256\"", "\"content-digest\";tr", "\"content-digest\";req"]
        {
            let components = format!("{PARTS} {weak}");
            assert_eq!(judged(&components, Body::Announced, false, &[]), missing("content-digest"));
        }
    }

    #[test]
    fn a_body_and_its_type_must_be_covered_where_there_are_any() {
        let both = format!("{PARTS} \"content-digest\" \"content-type\"");
        assert_eq!(judged(&both, Body::Announced, true, &[]), Ok(()));
        assert_eq!(judged(PARTS, Body::Announced, false, &[]), missing("content-digest"));
        assert_eq!(judged(PARTS, Body::Absent, true, &[]), missing("content-type"));
        assert!(judged(&both, Body::Withheld, true, &[]).unwrap_err().contains("withheld"));
    }

    #[test]
    fn a_body_that_was_announced_or_withheld_needs_a_digest_and_none_without_one_needs_nothing() {
        let judge = |body, digest: Option<&str>| {
            let mut request = Request::post("/", "").announcing(body);
            request.headers.extend(digest.map(|digest| (CONTENT_DIGEST, digest.parse().unwrap())));
            let check = covered_body(&request.view(NOW), 7).map_err(|denial| denial.code())?;
            Ok(check.map(|demand| (demand.limit, (demand.check)(&Bytes::new()).is_ok())))
        };
        let of_nothing = ContentDigest::of_sha256(b"");
        let of_nothing = of_nothing.to_str().unwrap();
        for body in [Body::Announced, Body::Withheld] {
            assert_eq!(judge(body, None), Err(Code::SignatureCoverage), "{body:?}");
            assert_eq!(judge(body, Some(of_nothing)), Ok(Some((7, true))), "{body:?}");
        }
        assert_eq!(judge(Body::Absent, None), Ok(None));
        assert_eq!(judge(Body::Absent, Some(of_nothing)), Ok(Some((7, true))));
        assert_eq!(judge(Body::Absent, Some("md5=:AQ==:")), Err(Code::ContentDigest));
    }

    #[test]
    fn a_field_counts_whole_or_by_its_own_member() {
        let also = |components: &str| {
            judged(&format!("{PARTS} {components}"), Body::Absent, false, &["signature-key"])
        };
        assert_eq!(also("\"signature-key\""), Ok(()));
        assert_eq!(also("\"signature-key\";key=\"own\""), Ok(()));
        for weak in ["", "\"signature-key\";key=\"own\";tr", "\"signature\""] {
            assert_eq!(also(weak), missing("signature-key"), "{weak}");
        }
        let other = "of signature-key the member other is covered, and not own, as the signature is called";
        assert_eq!(also("\"signature-key\";key=\"other\""), Err(other.to_owned()));
        assert_eq!(also("\"signature-key\";key=\"own\";req"), missing("signature-key"));
    }

    fn at(parameters: &str, millis: u64) -> Result<(u64, u64, String, String), Code> {
        let signed = signed("", parameters);
        let fresh = fresh(&signed, Timestamp::from_millis(millis)).map_err(|denial| denial.code())?;
        let Fresh { created, expires, nonce, keyid, .. } = fresh;
        Ok((created.as_secs(), expires.as_secs(), nonce.to_owned(), keyid.to_owned()))
    }

    #[test]
    fn a_signature_lives_from_created_to_expires_give_or_take_30_seconds() {
        let parameters = ";created=1000;expires=1060;nonce=\"n\";keyid=\"k\"";
        let fresh = Ok((1000, 1060, "n".to_owned(), "k".to_owned()));
        assert_eq!(at(parameters, 969_999), Err(Code::ProofFuture));
        assert_eq!(at(parameters, 970_000), fresh);
        assert_eq!(at(parameters, 1_089_999), fresh);
        assert_eq!(at(parameters, 1_090_000), Err(Code::ProofExpired));
    }

    #[test]
    fn a_life_over_60_seconds_or_none_at_all_is_expired() {
        let life = |created: u64, expires: u64| {
            at(&format!(";created={created};expires={expires};nonce=\"n\";keyid=\"k\""), 1_000_000).map(drop)
        };
        assert_eq!(life(1000, 1060), Ok(()));
        assert_eq!(life(1000, 1061), Err(Code::ProofExpired));
        assert_eq!(life(1000, 1000), Err(Code::ProofExpired));
        assert_eq!(life(1001, 1000), Err(Code::ProofExpired));
        // Both too late and too early: expiry is judged first.
        assert_eq!(life(2000, 900), Err(Code::ProofExpired));
    }

    #[test]
    fn every_parameter_is_needed() {
        let all = [";created=1000", ";expires=1060", ";nonce=\"n\"", ";keyid=\"k\""];
        for left_out in 0..all.len() {
            let mut some = all.to_vec();
            some.remove(left_out);
            assert_eq!(at(&some.concat(), 1_000_000), Err(Code::SignatureCoverage), "{some:?}");
        }
        let with_nonce = |length: usize| {
            let nonce = format!(";nonce=\"{}\"", "n".repeat(length));
            at(&[all[0], all[1], &nonce, all[3]].concat(), 1_000_000).map(drop)
        };
        assert_eq!(with_nonce(0), Err(Code::SignatureCoverage));
        assert_eq!(with_nonce(256), Ok(()));
        assert_eq!(with_nonce(257), Err(Code::SignatureCoverage));
        assert_eq!(
            at(&[all[0], all[1], all[2], ";keyid=\"\""].concat(), 1_000_000),
            Err(Code::SignatureCoverage)
        );
    }
}
