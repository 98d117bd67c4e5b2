//! `Accept-Signature`: what is asked for is read back, and followed without signing less than one's own.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::algorithms::parameters;
use crate::crypto::Algorithm;
use crate::request::{Body, RequestView};
use crate::schemes::signature::*;
use crate::testing::{NOW, Request};

fn wanted(label: &str) -> Wanted {
    let text = |text: &str| Some(text.to_owned());
    Wanted {
        label: label.to_owned(),
        components: ["\"@method\"", "\"x\";key=\"a\""].map(|text| Component::parse(text).unwrap()).to_vec(),
        created: true,
        expires: false,
        nonce: text("a \"nonce\\"),
        alg: text("ed25519"),
        keyid: text("k"),
        tag: text("t"),
    }
}

fn read(lines: &[&str]) -> Result<Vec<Wanted>, AcceptError> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(ACCEPT_SIGNATURE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    Wanted::read(&headers)
}

#[test]
fn what_is_asked_for_is_read_back() {
    let all = [wanted("a"), Wanted { nonce: None, created: false, expires: true, ..wanted("b") }];
    let header = Wanted::header(&all).unwrap();
    assert_eq!(
        header,
        r#"a=("@method" "x";key="a");created;nonce="a \"nonce\\";alg="ed25519";keyid="k";tag="t", b=("@method" "x";key="a");expires;alg="ed25519";keyid="k";tag="t""#
    );
    assert_eq!(read(&[header.to_str().unwrap()]), Ok(all.to_vec()));
    let (one, two) = header.to_str().unwrap().split_once(", ").unwrap();
    assert_eq!(read(&[one, two]), Ok(all.to_vec()));
    assert_eq!(read(&[]), Ok(vec![]));
}

/// RFC 9421 §5.1 and §5.2.
#[test]
fn the_examples_of_the_rfc_are_read() {
    let example = r#"sig1=("@method" "@target-uri" "@authority" "content-digest" "cache-control");keyid="test-key-rsa-pss";created;tag="app-123""#;
    let read = read(&[example]).unwrap().remove(0);
    assert_eq!((read.label.as_str(), read.components.len()), ("sig1", 5));
    assert_eq!((read.created, read.expires, read.nonce.as_deref()), (true, false, None));
    assert_eq!((read.keyid.as_deref(), read.tag.as_deref()), (Some("test-key-rsa-pss"), Some("app-123")));
}

#[test]
fn what_nobody_knows_is_passed_over_and_what_is_no_list_refused() {
    for member in [r#"("@new")"#, r#"("x";new)"#, "(1)", "();created=1", "();tag=1", "();nonce", "();alg=a"] {
        let line = format!("a={member}, b=();new=1");
        let labels: Vec<_> = read(&[&line]).unwrap().into_iter().map(|one| one.label).collect();
        assert_eq!(labels, ["b"], "{line}");
    }
    for line in ["a", "a=1", "(", "a=()b", "caf\u{e9}=()"] {
        assert_eq!(read(&[line]), Err(AcceptError::Read), "{line}");
    }
    let many = |count: usize| (0..count).map(|index| format!("a{index}=()")).collect::<Vec<_>>().join(", ");
    assert_eq!(read(&[&many(32)]).unwrap().len(), 32);
    assert_eq!(read(&[&many(33)]), Err(AcceptError::Read));
    let covering = |count: usize| {
        let names: Vec<_> = (0..count).map(|index| format!("\"x{index}\"")).collect();
        format!("a=({})", names.join(" "))
    };
    assert_eq!(read(&[&covering(64)]).unwrap().len(), 1);
    assert_eq!(read(&[&covering(65)]), Err(AcceptError::Read));
    let long = format!("a=();nonce=\"{}\"", "n".repeat(16 * 1024));
    assert_eq!(read(&[&long]), Err(AcceptError::Read));
}

#[test]
fn what_cannot_be_written_is_refused() {
    assert_eq!(Wanted::header(&[wanted("A")]), Err(AcceptError::Write("label")));
    let broken = Wanted { tag: Some("\n".to_owned()), ..wanted("a") };
    assert_eq!(Wanted::header(&[broken]), Err(AcceptError::Write("tag")));
}

#[test]
fn a_challenge_asks_for_what_is_required_of_this_request() {
    let request = Request::get("/").with("content-type", "text/plain");
    let asked = |request: &RequestView<'_>| {
        let also = [HeaderName::from_static("x-thing"), HeaderName::from_static("content-type")];
        let wanted = Wanted::of_request(request, "sig1", "countersign", &also);
        Wanted::header(&[wanted]).unwrap().to_str().unwrap().to_owned()
    };
    let parts = r#"sig1=("@method" "@scheme" "@authority" "@path" "@query" "content-type""#;
    let rest = r#" "x-thing");created;expires;tag="countersign""#;
    assert_eq!(asked(&request.view(NOW)), format!("{parts}{rest}"));
    for body in [Body::Announced, Body::Withheld] {
        assert_eq!(
            asked(&request.clone().announcing(body).view(NOW)),
            format!("{parts} \"content-digest\"{rest}")
        );
    }
}

#[test]
fn a_claimant_signs_what_is_asked_for_and_never_less_than_its_floor() {
    let floor = ["\"@method\"", "\"@path\""].map(|text| Component::parse(text).unwrap());
    let (components, own) = wanted("a").follow(&floor, parameters(), Algorithm::Ed25519).unwrap();
    let names: Vec<_> = components.iter().map(Component::as_str).collect();
    assert_eq!(names, ["\"@method\"", "\"@path\"", "\"x\";key=\"a\""]);
    assert_eq!(own.nonce, wanted("a").nonce);
    assert_eq!(Parameters { nonce: None, ..own }, Parameters { nonce: None, ..parameters() });
    let free = Wanted { nonce: None, alg: None, keyid: None, tag: None, ..wanted("a") };
    assert_eq!(free.follow(&floor, parameters(), Algorithm::HmacSha256).unwrap().1, parameters());
}

#[test]
fn a_claimant_does_not_follow_to_another_key_algorithm_or_tag() {
    let followed = |wanted: Wanted, own: Parameters| wanted.follow(&[], own, Algorithm::Ed25519).is_some();
    assert!(followed(wanted("a"), parameters()));
    let text = |text: &str| Some(text.to_owned());
    assert!(!followed(Wanted { alg: text("hmac-sha256"), ..wanted("a") }, parameters()));
    assert!(!followed(Wanted { keyid: text("other"), ..wanted("a") }, parameters()));
    assert!(!followed(Wanted { tag: text("other"), ..wanted("a") }, parameters()));
    assert!(!followed(wanted("a"), Parameters { tag: None, ..parameters() }));
    assert!(!followed(wanted("a"), Parameters { created: None, ..parameters() }));
    let expiring = Wanted { expires: true, ..wanted("a") };
    assert!(followed(expiring.clone(), parameters()));
    assert!(!followed(expiring, Parameters { expires: None, ..parameters() }));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_reading_panic(text in "\\PC{0,40}", list in "a=\\([\"@a-z; ?=:1]{0,20}\\)(;[a-z]{1,7}(=[\"a1?]{0,4})?){0,3}") {
        for text in [text, list] {
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                let read = Wanted::read(&HeaderMap::from_iter([(ACCEPT_SIGNATURE, value)]));
                if let Ok(all) = read {
                    proptest::prop_assert_eq!(self::read(&[Wanted::header(&all).unwrap().to_str().unwrap()]), Ok(all));
                }
            }
        }
    }
}
