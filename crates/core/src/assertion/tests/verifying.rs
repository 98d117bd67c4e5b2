//! What a verifier takes, and what it refuses, as what.

use super::*;
use crate::testing::Request;

struct Upstream {
    asserter: Asserter<Shared>,
    verifier: AssertionVerifier,
}

/// A request as the upstream has it.
struct Arrived {
    request: Request,
    at: Timestamp,
}

impl Upstream {
    async fn new() -> Self {
        let asserter = asserter();
        let jwks = asserter.keys(NOW).await.unwrap().jwks().to_string();
        let keys = AssertionKeys::told(jwks.as_bytes()).unwrap();
        Self { asserter, verifier: AssertionVerifier::new(&gateway(), AUDIENCE, keys) }
    }

    async fn verify(&self, arrived: &Arrived) -> Result<Assertion, Code> {
        let view = arrived.request.view(arrived.at);
        self.verifier.verify(&view).await.map_err(|denial| {
            let challenges: Vec<_> =
                denial.challenges().iter().map(crate::denial::Challenge::as_str).collect();
            let expected: &[&str] = match denial.code().status().as_u16() {
                401 => &["Countersign-Assertion"],
                _ => &[],
            };
            assert_eq!(challenges, expected);
            denial.code()
        })
    }

    async fn arrived(&self, case: &Case) -> Arrived {
        let value = case.asserted(&self.asserter, NOW).await.unwrap();
        let request = Request { target: case.target.clone(), ..Request::get("/").by(case.method.clone()) };
        Arrived { request: request.with(ASSERTION, value.to_str().unwrap()), at: NOW }
    }

    /// The default request with an assertion that says something else, signed by the gateway's own key.
    async fn judged(&self, typ: &str, change: impl FnOnce(&mut Value)) -> Result<Assertion, Code> {
        let mut arrived = self.arrived(&Case::default()).await;
        let mut claims = said(&arrived.request.headers[ASSERTION]);
        change(&mut claims);
        let token = self.asserter.keys(NOW).await.unwrap().sign(typ, &claims).unwrap();
        arrived.request.headers.insert(ASSERTION, token.parse().unwrap());
        self.verify(&arrived).await
    }
}

#[tokio::test]
async fn what_was_asserted_is_who_sent_the_request() {
    let upstream = Upstream::new().await;
    let mut principal = alice();
    principal.schemes = vec![Scheme::Signature, Scheme::Bearer];
    principal.permissions = Permissions::Only(["a".into()].into());
    principal.claims = BTreeMap::from([("country".into(), json!("CH"))]);
    let case = Case { principal, ..Case::default() };
    let read = upstream.verify(&upstream.arrived(&case).await).await.unwrap();
    assert_eq!(read.principal.subject, case.principal.subject);
    assert_eq!(read.principal.schemes, case.principal.schemes);
    assert_eq!(read.principal.permissions, case.principal.permissions);
    assert_eq!(read.principal.claims, case.principal.claims);
    assert_eq!(read.principal.expires, Some(NOW.plus(LIFE)));
    assert_eq!((read.issued_at, read.claims_left_out), (NOW, false));
    let plain = upstream.verify(&upstream.arrived(&Case::default()).await).await.unwrap();
    assert_eq!(plain.principal.permissions, Permissions::Unstated);
    assert!(
        upstream
            .judged(TYPE, |claims| claims["claims_left_out"] = json!(true))
            .await
            .unwrap()
            .claims_left_out
    );
}

#[tokio::test]
async fn a_request_without_one_assertion_is_refused() {
    let upstream = Upstream::new().await;
    let mut arrived = upstream.arrived(&Case::default()).await;
    let value = arrived.request.headers.remove(ASSERTION).unwrap();
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::CredentialMissing);
    arrived.request.headers.append(ASSERTION, value.clone());
    arrived.request.headers.append(ASSERTION, value);
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::CredentialAmbiguous);
    arrived.request.headers.insert(ASSERTION, "a.b".parse().unwrap());
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenInvalid);
    arrived.request.headers.insert(ASSERTION, "x".repeat(LONGEST + 1).parse().unwrap());
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenInvalid);
}

#[tokio::test]
async fn a_stolen_assertion_is_about_no_other_request() {
    let upstream = Upstream::new().await;
    let stolen = |change: fn(&mut Arrived)| {
        let upstream = &upstream;
        async move {
            let mut arrived = upstream.arrived(&Case::default()).await;
            change(&mut arrived);
            upstream.verify(&arrived).await.unwrap_err()
        }
    };
    assert_eq!(stolen(|arrived| arrived.request.method = Method::DELETE).await, Code::TokenInvalid);
    assert_eq!(stolen(|arrived| arrived.request.method = Method::HEAD).await, Code::TokenInvalid);
    for path in
        ["/orders/2?page=2", "/orders/1?page=3", "/orders/1", "/orders/1?page=2&", "/orders/%31?page=2"]
    {
        let mut arrived = upstream.arrived(&Case::default()).await;
        arrived.request.target = target(path);
        assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenInvalid, "{path}");
    }
    let elsewhere = |arrived: &mut Arrived| {
        arrived.request.target = "https://carol.example/orders/1?page=2".parse().unwrap();
    };
    assert_eq!(stolen(elsewhere).await, Code::TokenInvalid);
}

#[tokio::test]
async fn an_assertion_is_about_one_body() {
    let upstream = Upstream::new().await;
    let about = async |body| {
        upstream.verify(&upstream.arrived(&Case { body, ..Case::default() }).await).await.unwrap()
    };
    let judged =
        |assertion: &Assertion, body: &[u8]| assertion.is_about(body).map_err(|denial| denial.code());
    let order = about(Some(b"one coffee")).await;
    assert!(order.names_a_body());
    assert_eq!(judged(&order, b"one coffee"), Ok(()));
    assert_eq!(judged(&order, b"two coffees"), Err(Code::ContentDigest));
    assert_eq!(judged(&order, b""), Err(Code::ContentDigest));
    let nothing = about(Some(b"")).await;
    assert_eq!(judged(&nothing, b""), Ok(()));
    assert_eq!(judged(&nothing, b"x"), Err(Code::ContentDigest));
    let streamed = about(None).await;
    assert!(!streamed.names_a_body());
    assert_eq!(judged(&streamed, b"x"), Ok(()));
}

#[tokio::test]
async fn an_assertion_ends_after_its_minute_and_the_skew() {
    let upstream = Upstream::new().await;
    let mut arrived = upstream.arrived(&Case::default()).await;
    arrived.at = NOW.plus(LIFE).plus(SKEW).minus(std::time::Duration::from_millis(1));
    assert!(upstream.verify(&arrived).await.is_ok());
    arrived.at = NOW.plus(LIFE).plus(SKEW);
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenExpired);
    arrived.at = NOW.minus(SKEW);
    assert!(upstream.verify(&arrived).await.is_ok());
    arrived.at = NOW.minus(SKEW).minus(std::time::Duration::from_millis(1));
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::ProofFuture);
}

#[tokio::test]
async fn an_assertion_of_another_type_issuer_or_upstream_is_none() {
    let upstream = Upstream::new().await;
    let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value;
    for typ in ["JWT", "at+jwt", "callback+jwt", ""] {
        assert_eq!(upstream.judged(typ, |_| {}).await.unwrap_err(), Code::TokenType, "{typ}");
    }
    for issuer in ["https://bob.example", "https://eve.example/assertion", "https://bob.example/assertion/"] {
        assert_eq!(upstream.judged(TYPE, set("iss", issuer.into())).await.unwrap_err(), Code::TokenInvalid);
    }
    for audience in [json!("http://127.0.0.1:3001"), json!([]), json!(["http://127.0.0.1:3001"])] {
        let judged = upstream.judged(TYPE, set("aud", audience.clone())).await;
        assert_eq!(judged.unwrap_err(), Code::TokenAudience, "{audience}");
    }
    assert!(upstream.judged(TYPE, set("aud", json!(["http://127.0.0.1:3001", AUDIENCE]))).await.is_ok());
}

#[tokio::test]
async fn every_claim_that_counts_is_there_and_of_its_type() {
    let upstream = Upstream::new().await;
    for name in ["iss", "aud", "sub", "scheme", "htm", "htu", "iat", "exp"] {
        let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(name));
        assert_eq!(upstream.judged(TYPE, without).await.unwrap_err(), Code::TokenClaims, "{name}");
        for odd in [json!(null), json!({}), json!([1]), json!(true)] {
            let judged = upstream.judged(TYPE, |claims| claims[name] = odd.clone()).await;
            assert_eq!(judged.unwrap_err(), Code::TokenClaims, "{name} {odd}");
        }
    }
    let odd = [
        ("permissions", json!("a")),
        ("permissions", json!([1])),
        ("claims", json!([])),
        ("digest", json!(1)),
        ("scheme", json!("unheard-of")),
        ("exp", json!("1800000060")),
    ];
    for (name, value) in odd {
        let judged = upstream.judged(TYPE, |claims| claims[name] = value.clone()).await;
        assert_eq!(judged.unwrap_err(), Code::TokenClaims, "{name} {value}");
    }
}

#[tokio::test]
async fn what_another_key_signed_is_no_assertion() {
    let upstream = Upstream::new().await;
    let mut arrived = upstream.arrived(&Case::default()).await;
    let theirs = Case::default().asserted(&asserter(), NOW).await.unwrap();
    arrived.request.headers.insert(ASSERTION, theirs.clone());
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenInvalid, "a key that is not known");
    // Under the name of a key that is.
    let ours = upstream.arrived(&Case::default()).await.request.headers[ASSERTION].clone();
    let header = ours.to_str().unwrap().split('.').next().unwrap();
    let (_, rest) = theirs.to_str().unwrap().split_once('.').unwrap();
    arrived.request.headers.insert(ASSERTION, format!("{header}.{rest}").parse().unwrap());
    assert_eq!(upstream.verify(&arrived).await.unwrap_err(), Code::TokenInvalid);
}
