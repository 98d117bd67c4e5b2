use super::*;
use crate::requirement::Requirement;
use crate::testing::{NOW, Request};

const KEY: &str = "cs_Ab0Cd1Ef2Gh3_j6PmtnMsUxEBAHxusYQOtX8FOsr4qXJf4JOcMxDj06s2n1GPo";
const HALF: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq";

/// What is found on a GET with these lines, on a route that accepts `accept`.
fn on(accept: &str, target: &str, lines: &[(&'static str, &str)]) -> Vec<String> {
    found("GET", accept, target, lines)
}

fn found(method: &str, accept: &str, target: &str, lines: &[(&'static str, &str)]) -> Vec<String> {
    let request =
        lines.iter().fold(Request::new(method, target), |request, (name, value)| request.with(name, value));
    let request = request.view(NOW);
    let named = Requirement::parse(accept.split(' ')).unwrap().schemes();
    let found = near_misses(&request, named, SchemeSet::default());
    found.into_iter().map(Cow::into_owned).collect()
}

const TARGET: &str = "https://api.example/orders/1";

fn authorized(accept: &str, value: &str) -> String {
    let found = on(accept, TARGET, &[("authorization", value)]);
    let [one] = &found[..] else { panic!("{value}: {found:?}") };
    assert!(!one.contains("j6PmtnMs") && !one.contains("secret"), "{one}");
    one.clone()
}

#[test]
fn what_authorization_holds_instead_is_named_and_not_repeated() {
    let basic = STANDARD.encode(format!("{KEY}:"));
    for (value, says) in [
        (KEY.to_owned(), "holds an API key without `Bearer` before it"),
        (HALF.to_owned(), "holds the token half of a session without `Bearer`"),
        ("a.b.c".to_owned(), "holds a JWT without `Bearer`"),
        ("secret".to_owned(), "holds one word"),
        ("Bearer".to_owned(), "has the scheme Bearer and no credential"),
        ("bearer secret".to_owned(), "holds a Bearer value that is no key of ours"),
        (format!("Bearer \"{KEY}\""), "an API key with something around it"),
        (format!("Bearer Bearer {KEY}"), "an API key with something around it"),
        (format!("Bearer: {KEY}"), "an API key behind a scheme that is not `Bearer`"),
        (format!("Bearer {HALF}"), "the token half of a session, and the route does not name session"),
        ("Bearer a.b.c".to_owned(), "a JWT, and the route does not name bearer"),
        ("DPoP a.b.c".to_owned(), "a JWT, and the route does not name bearer"),
        ("DPoP secret".to_owned(), "a value of none of our grammars"),
        (format!("Token {KEY}"), "the scheme Token with an API key behind it"),
        (format!("apikey {KEY}"), "the scheme ApiKey with an API key behind it"),
        ("Token secret".to_owned(), "has the scheme Token, which is not read"),
        ("Digest username=\"secret\"".to_owned(), "has the scheme Digest, which is not read"),
        (format!("Basic {basic}"), "is Basic with an API key in it"),
        ("Basic c2VjcmV0OnNlY3JldA==".to_owned(), "is Basic, which is not read"),
        ("Basic secret".to_owned(), "is Basic, which is not read"),
        ("Signature keyId=\"secret\"".to_owned(), "of drafts before RFC 9421"),
        ("Webhook https://alice.example/x $2b$secret".to_owned(), "the route does not name webhook"),
        ("AsymmetricAuthentication {}".to_owned(), "which is a header of its own"),
        ("secret secret".to_owned(), "has a scheme that nobody here knows"),
    ] {
        let said = authorized("api-key", &value);
        assert!(said.starts_with("Authorization ") && said.contains(says), "{value}: {said}");
    }
    assert!(authorized("signature", &format!("Bearer {KEY}")).contains("does not name api-key"));
    assert!(authorized("signature", "Bearer secret").contains("of none of our grammars"));
    assert!(authorized("bearer", &format!("Bearer {KEY}")).contains("does not name api-key"));
}

#[test]
fn keys_in_other_places_are_seen() {
    for name in OTHER_FIELDS {
        let found = on("api-key", TARGET, &[(name, "secret")]);
        let said = format!("{name} is there, and not read: keys go into Authorization or X-API-Key");
        assert_eq!(found, [said]);
    }
    let unnamed = on("signature", TARGET, &[("x-api-key", KEY)]);
    assert_eq!(unnamed, ["X-API-Key is there, and the route does not name api-key"]);
    for name in OTHER_PARAMETERS {
        let found = on("api-key", &format!("{TARGET}?page=2&{name}=secret"), &[]);
        assert_eq!(found, [format!("the query has a parameter `{name}`, which is not read as a key")]);
    }
    let upper = on("api-key", &format!("{TARGET}?API_KEY=secret"), &[]);
    assert_eq!(upper, ["the query has a parameter `api_key`, which is not read as a key"]);
    let other = on("api-key", &format!("{TARGET}?mine={KEY}"), &[]);
    assert_eq!(other, ["the query has an API key as a parameter that is not read"]);
    let ours = on("api-key", &format!("{TARGET}?_key={KEY}"), &[]);
    assert_eq!(ours, ["the query has `_key`, and the route does not say key_in_query = true"]);
    assert!(on("api-key", &format!("{TARGET}?keys=1&tokens=2"), &[("x-request-id", "a")]).is_empty());
}

#[test]
fn what_is_of_schemes_that_the_route_does_not_name_is_said() {
    let cookie = ("cookie", "theme=dark; __Host-session=secret");
    for (line, accept, says) in [
        (("asymmetricauthentication", "{}"), "asymmetric", "AsymmetricAuthentication is there"),
        (("handshake", "secret"), "session", "a Handshake is there"),
        (cookie, "session", "a session's cookie is there"),
        (("sec-websocket-protocol", "a, countersign.half.secret"), "session", "a session's half is among"),
    ] {
        let found = on("signature", TARGET, &[line]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(says), "{found:?}");
        assert!(found[0].ends_with(&format!("the route does not name {accept}")), "{found:?}");
        assert!(on(accept, TARGET, &[line]).is_empty(), "{accept}");
    }
    let signed = ("signature-input", "a=()");
    let found = on("bearer", TARGET, &[signed, ("signature", "a=::")]);
    assert_eq!(found, ["a message signature is there, and the route does not name signature"]);
    let loopback = on("signature", "http://127.0.0.1:1/", &[("cookie", "session=secret")]);
    assert_eq!(loopback, ["a session's cookie is there, and the route does not name session"]);
    assert!(on("signature", TARGET, &[("cookie", "session=secret")]).is_empty(), "it is somebody's own");
    let query = format!("{TARGET}?scheme=AsymmetricAuthentication&nonce=1");
    assert_eq!(on("signature", &query, &[]).len(), 1);
    assert_eq!(on("asymmetric", TARGET, &[("asymmetric-authentication", "{}")]).len(), 1);
}

#[test]
fn halves_of_proofs_are_said() {
    let cavage = on("signature", TARGET, &[("signature", "keyId=\"secret\"")]);
    assert_eq!(cavage, ["Signature is there without Signature-Input, as drafts before RFC 9421 had it"]);
    let proof = on("bearer", TARGET, &[("dpop", "secret")]);
    assert_eq!(proof, ["a DPoP proof is there without `Authorization: DPoP` and its token"]);
}

#[test]
fn a_preflight_is_told_from_a_call() {
    let asks = ("access-control-request-method", "GET");
    let origin = ("origin", "https://shop.example");
    let found = |method, lines: &[_]| found(method, "api-key", TARGET, lines);
    assert_eq!(found("OPTIONS", &[asks, origin]), [PREFLIGHT]);
    for (method, lines) in [("GET", &[asks, origin][..]), ("OPTIONS", &[asks]), ("OPTIONS", &[origin])] {
        assert!(found(method, lines).is_empty());
    }
}

proptest::proptest! {
    /// Whatever a request holds, what is said of it are words from here.
    #[test]
    fn nothing_of_a_value_is_repeated(
        before in "(Bearer|Basic|Token|DPoP|Webhook|Signature|[a-z]{0,4})?[ :=\"]{0,2}",
        secret in "(cs_)?[QXZ0-9]{6,43}(\\.[QXZ]{4}\\.[QXZ]{4})?",
        name in "(key|api_key|_key|token|[QXZ]{5})",
    ) {
        let value = format!("{before}{secret}");
        let lines = [
            ("authorization", &*value),
            ("x-api-key", &secret),
            ("proxy-authorization", &value),
            ("signature", &secret),
            ("dpop", &secret),
            ("handshake", &secret),
        ];
        let target = format!("{TARGET}?{name}={secret}");
        for accept in ["api-key", "signature", "bearer", "session"] {
            for said in on(accept, &target, &lines) {
                let repeats = secret.trim_start_matches("cs_").as_bytes().windows(5);
                for part in repeats.filter_map(|part| std::str::from_utf8(part).ok()) {
                    proptest::prop_assert!(!said.contains(part), "{} repeats {}", said, part);
                }
                proptest::prop_assert!(!said.contains("QX") && !said.contains("ZZ"));
            }
        }
    }
}
