//! Signatures that are made here, and verified as they were made or changed.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::fields;
use crate::crypto::{Ed25519Key, Secret};
use crate::denial::Code;
use crate::schemes::signature::*;
use crate::time::Timestamp;

const TAGS: &[&str] = &["t"];

fn key() -> Ed25519Key {
    Ed25519Key::from_seed(Secret::new([7; 32]))
}

/// A request with a signature of `label` over the floor and `also`.
fn signed(headers: &mut HeaderMap, label: &str, also: &[&str], alg: Option<&str>) -> Result<(), SignError> {
    let mut components = cover_floor(headers, headers.contains_key("content-digest"));
    components.extend(also.iter().map(|text| Component::parse(text).unwrap()));
    let text = |text: &str| Some(text.to_owned());
    let parameters = Parameters {
        created: Some(Timestamp::from_secs(1000)),
        expires: Some(Timestamp::from_secs(1060)),
        nonce: text("a \"nonce\\\""),
        alg: alg.map(ToOwned::to_owned),
        keyid: text("k"),
        tag: text("t"),
    };
    sign(
        headers,
        &Method::POST,
        &Uri::from_static("https://example.com/a?b=c"),
        label,
        &components,
        &parameters,
        &key(),
    )
}

fn verified(headers: &HeaderMap, method: &str, target: &str) -> Result<(), Code> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let target = target.parse().unwrap();
    let message = Message::request(&method, &target, headers);
    let found = Signed::read(headers, TAGS).map_err(|denial| denial.code())?;
    assert!(!found.is_empty());
    found
        .iter()
        .try_for_each(|signed| verify_ed25519(signed, &message, &key().public()))
        .map_err(|denial| denial.code())
}

const TARGET: &str = "https://example.com/a?b=c";

#[test]
fn a_signed_request_verifies_as_it_was_and_under_its_key_alone() {
    let mut headers = fields(&[("content-type", "text/plain"), ("content-digest", "sha-256=:AQ==:")]);
    signed(&mut headers, "s", &[], None).unwrap();
    assert_eq!(verified(&headers, "POST", TARGET), Ok(()));
    for (method, target) in [
        ("PUT", TARGET),
        ("post", TARGET),
        ("POST", "http://example.com/a?b=c"),
        ("POST", "https://example.net/a?b=c"),
        ("POST", "https://example.com:8443/a?b=c"),
        ("POST", "https://example.com/A?b=c"),
        ("POST", "https://example.com/a?b=d"),
        ("POST", "https://example.com/a"),
    ] {
        assert_eq!(verified(&headers, method, target), Err(Code::SignatureInvalid), "{method} {target}");
    }
    let found = Signed::read(&headers, TAGS).unwrap().remove(0);
    let target = Uri::from_static(TARGET);
    let message = Message::request(&Method::POST, &target, &headers);
    let other = Ed25519Key::from_seed(Secret::new([8; 32])).public();
    assert_eq!(verify_ed25519(&found, &message, &other).unwrap_err().code(), Code::SignatureInvalid);
    let mut longer = found;
    longer.signature.push(0);
    assert_eq!(
        verify_ed25519(&longer, &message, &key().public()).unwrap_err().code(),
        Code::SignatureInvalid
    );
}

/// `httpsig-hyper` writes the parameters anew before it verifies, in this order and no other.
#[test]
fn parameters_are_written_in_the_order_that_verifiers_which_write_them_anew_expect() {
    let mut headers = HeaderMap::new();
    signed(&mut headers, "s", &[], Some("ed25519")).unwrap();
    let input = headers["signature-input"].to_str().unwrap();
    let (_, parameters) = input.split_once(')').unwrap();
    let expected = r#";created=1000;expires=1060;nonce="a \"nonce\\\"";alg="ed25519";keyid="k";tag="t""#;
    assert_eq!(parameters, expected);
}

#[test]
fn a_covered_field_can_be_neither_changed_nor_dropped_nor_doubled() {
    let mut headers = fields(&[("content-type", "text/plain")]);
    signed(&mut headers, "s", &[], None).unwrap();
    let mut changed = headers.clone();
    changed.insert("content-type", HeaderValue::from_static("text/html"));
    let mut doubled = headers.clone();
    doubled.append("content-type", HeaderValue::from_static("text/plain"));
    let mut dropped = headers.clone();
    dropped.remove("content-type");
    for headers in [changed, doubled, dropped] {
        assert_eq!(verified(&headers, "POST", TARGET), Err(Code::SignatureInvalid), "{headers:?}");
    }
}

#[test]
fn an_algorithm_that_is_named_must_be_the_keys() {
    for (alg, expected) in [("ed25519", Ok(())), ("hmac-sha256", Err(Code::SignatureInvalid))] {
        let mut headers = HeaderMap::new();
        signed(&mut headers, "s", &[], Some(alg)).unwrap();
        assert_eq!(verified(&headers, "POST", TARGET), expected, "{alg}");
    }
}

#[test]
fn a_signature_goes_beside_those_that_are_there() {
    let mut headers = fields(&[
        ("signature-input", "a=()"),
        ("signature", "a=::"),
        ("signature-input", "b=()"),
        ("signature", "b=::"),
    ]);
    signed(&mut headers, "s", &["\"signature\";key=\"a\""], None).unwrap();
    signed(&mut headers, "t", &["\"signature\";key=\"s\""], None).unwrap();
    assert_eq!(verified(&headers, "POST", TARGET), Ok(()));
    assert!(headers["signature-input"].to_str().unwrap().starts_with("a=(), b=(), s=("));
    assert_eq!(headers.get_all("signature").iter().count(), 1);
    assert_eq!(Signed::read(&headers, TAGS).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_signed_leaves_the_headers_as_they_are() {
    let mut taken = fields(&[("signature-input", "s=()")]);
    assert_eq!(signed(&mut taken, "s", &[], None), Err(SignError::LabelTaken("s".to_owned())));
    let mut taken = fields(&[("signature", "s=::")]);
    assert_eq!(signed(&mut taken, "s", &[], None), Err(SignError::LabelTaken("s".to_owned())));
    let mut broken = fields(&[("signature-input", "(")]);
    assert_eq!(signed(&mut broken, "s", &[], None), Err(SignError::Header("Signature-Input")));

    let mut headers = HeaderMap::new();
    assert_eq!(signed(&mut headers, "S", &[], None), Err(SignError::Label("S".to_owned())));
    assert_eq!(signed(&mut headers, "s", &[], Some("\u{e9}")), Err(SignError::Parameter("alg")));
    let missing = BaseError::Missing("\"date\"".to_owned());
    assert_eq!(signed(&mut headers, "s", &["\"date\""], None), Err(SignError::Base(missing)));
    let far = Parameters { created: Some(Timestamp::from_millis(u64::MAX)), ..Parameters::default() };
    let uri = Uri::from_static(TARGET);
    let refused = sign(&mut headers, &Method::GET, &uri, "s", &[], &far, &key());
    assert_eq!(refused, Err(SignError::Parameter("created")));
    assert!(headers.is_empty());
}

#[test]
fn the_floor_names_what_covers_asks_for() {
    let text = |headers: &HeaderMap, has_body| {
        let floor = cover_floor(headers, has_body);
        floor.iter().map(Component::as_str).collect::<Vec<_>>().join(" ")
    };
    let parts = r#""@method" "@scheme" "@authority" "@path" "@query""#;
    assert_eq!(text(&HeaderMap::new(), false), parts);
    assert_eq!(text(&HeaderMap::new(), true), format!("{parts} \"content-digest\""));
    let both = fields(&[("content-type", "a/b"), ("content-digest", "sha-256=::")]);
    assert_eq!(text(&both, false), format!("{parts} \"content-type\" \"content-digest\""));
}

/// `text` with the character at `position` replaced by another of the same kind.
fn with_another(text: &str, position: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let position = position % bytes.len();
    bytes[position] = if bytes[position] == b'q' { b'z' } else { b'q' };
    String::from_utf8(bytes).unwrap()
}

proptest::proptest! {
    #[test]
    fn any_single_changed_character_makes_it_fail(
        method in "[A-Z]{1,8}",
        path in "[a-z0-9%._~-]{1,12}",
        query in "[a-z0-9&=%+]{1,12}",
        field in "[!-~]([ -~]{0,10}[!-~])?",
        position: usize,
    ) {
        let target = |path: &str, query: &str| format!("https://example.com/{path}?{query}");
        let method_of = |text: &str| Method::from_bytes(text.as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-thing", field.parse().unwrap());
        let mut components = cover_floor(&headers, false);
        components.push(Component::field(HeaderName::from_static("x-thing")));
        let parameters = Parameters { tag: Some("t".to_owned()), ..Parameters::default() };
        let uri = target(&path, &query).parse().unwrap();
        sign(&mut headers, &method_of(&method), &uri, "s", &components, &parameters, &key()).unwrap();

        proptest::prop_assert_eq!(verified(&headers, &method, &target(&path, &query)), Ok(()));
        let refused = Err(Code::SignatureInvalid);
        let changed = with_another(&method, position);
        proptest::prop_assert_eq!(verified(&headers, &changed, &target(&path, &query)), refused);
        let changed = target(&with_another(&path, position), &query);
        proptest::prop_assert_eq!(verified(&headers, &method, &changed), refused);
        let changed = target(&path, &with_another(&query, position));
        proptest::prop_assert_eq!(verified(&headers, &method, &changed), refused);
        headers.insert("x-thing", with_another(&field, position).parse().unwrap());
        proptest::prop_assert_eq!(verified(&headers, &method, &target(&path, &query)), refused);
    }

    #[test]
    fn what_is_signed_reads_back(
        label in "[a-z*][a-z0-9_.*-]{0,8}",
        nonce in "[ -~]{0,20}",
        keyid in "[ -~]{0,20}",
        created in 0_u64..=999_999_999_999_999,
    ) {
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(created)),
            nonce: Some(nonce),
            keyid: Some(keyid),
            tag: Some("t".to_owned()),
            ..Parameters::default()
        };
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static(TARGET);
        let components = cover_floor(&headers, false);
        sign(&mut headers, &Method::GET, &uri, &label, &components, &parameters, &key()).unwrap();
        let read = Signed::read(&headers, TAGS).unwrap().remove(0);
        proptest::prop_assert_eq!(read.label, label);
        proptest::prop_assert_eq!(read.parameters, parameters);
        proptest::prop_assert_eq!(read.components, components);
        proptest::prop_assert_eq!(verified(&headers, "GET", TARGET), Ok(()));
    }
}
