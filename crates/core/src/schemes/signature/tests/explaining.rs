//! Why a signature does not hold: for the operator without secrets, for the caller without anything new.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::algorithms::parameters;
use super::fields;
use crate::crypto::{Ed25519Key, Secret};
use crate::schemes::signature::*;

const TARGET: &str = "https://example.com/a?b=c";

fn components(names: &[&str]) -> Vec<Component> {
    names.iter().map(|name| Component::parse(name).unwrap()).collect()
}

/// A signature that says it covers these, and whose bytes do not matter.
fn signed(names: &[&str], more: &str) -> Signed {
    let headers = HeaderMap::from_iter([
        (SIGNATURE_INPUT, format!("s=({}){more};tag=\"t\"", names.join(" ")).parse().unwrap()),
        (SIGNATURE, HeaderValue::from_static("s=::")),
    ]);
    Signed::read(&headers, &["t"]).unwrap().remove(0)
}

fn shown(name: &str, headers: &HeaderMap, target: &str) -> Line {
    let target: Uri = target.parse().unwrap();
    let message = Message::request(&Method::GET, &target, headers);
    explain(&signed(&[name], ""), &message).lines.remove(0)
}

#[test]
fn the_base_is_shown_as_it_was_built() {
    let headers = fields(&[("content-type", "text/plain"), ("x", "caf\u{e9}")]);
    let target = Uri::from_static(TARGET);
    let message = Message::request(&Method::GET, &target, &headers);
    let names = ["\"@method\"", "\"@path\"", "\"@query\"", "\"content-type\""];
    let signed_all = signed(&names, ";created=1");
    let base = signature_base(&signed_all.components, signed_all.signature_params(), &message).unwrap();
    assert_eq!(explain(&signed_all, &message).to_string(), base);
    let explained = explain(&signed(&["\"@method\"", "\"y\"", "\"x\""], ""), &message);
    assert_eq!(
        explained.to_string(),
        "\"@method\": GET\n\"y\"  <- \"y\" is covered and not there\n\"x\"  <- \"x\" has a value that cannot be \
         signed\n\"@signature-params\": (\"@method\" \"y\" \"x\");tag=\"t\""
    );
    assert!(explained.lines.iter().all(|line| !line.redacted));
}

#[test]
fn values_that_are_secrets_by_their_names_are_hidden() {
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "handshake",
        "dpop",
        "x-auth-token",
        "x-secret",
        "signature",
        "x-session-id",
        "x-csrf-token",
        "password",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("a=hunter2"));
        for form in ["", ";bs", ";key=\"a\""] {
            let line = shown(&format!("\"{name}\"{form}"), &headers, TARGET);
            assert_eq!(line.value.as_deref(), Ok("[redacted]"), "{name}{form}");
            assert!(line.redacted);
        }
    }
    let headers = fields(&[("x-thing", "a=hunter2, token=hunter2")]);
    assert_eq!(shown("\"x-thing\";key=\"token\"", &headers, TARGET).value.as_deref(), Ok("[redacted]"));
    assert_eq!(shown("\"x-thing\";bs", &headers, TARGET).value.as_deref(), Ok("[redacted]"));
    let digest = fields(&[("content-digest", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:")]);
    assert!(!shown("\"content-digest\"", &digest, TARGET).redacted);
}

#[test]
fn what_looks_like_a_token_is_cut_out_of_the_rest() {
    let key = "cs_0123456789AB_aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3a";
    let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-X_";
    let value = |name: &str, target: &str| {
        let headers = fields(&[]);
        let line = shown(name, &headers, target);
        (line.value.unwrap(), line.redacted)
    };
    for secret in [key, token] {
        let target = format!("https://example.com/v1/{secret}/x?a={secret}&_key=short&b=1&{secret}");
        let query = |start: &str| {
            let cut = if secret == key { "cs_…" } else { "…" };
            format!("{start}?a={cut}&_key=[redacted]&b=1&{cut}")
        };
        let cut = if secret == key { "cs_…" } else { "…" };
        assert_eq!(value("\"@path\"", &target).0, format!("/v1/{cut}/x"));
        assert_eq!(value("\"@query\"", &target).0, query(""));
        assert_eq!(value("\"@request-target\"", &target).0, query(&format!("/v1/{cut}/x")));
        assert_eq!(value("\"@target-uri\"", &target).0, query(&format!("https://example.com/v1/{cut}/x")));
        assert_eq!(value("\"@query-param\";name=\"_key\"", &target).0, "[redacted]");
        assert_eq!(value("\"@query-param\";name=\"a\"", &target), (cut.to_owned(), true));
    }
    let target = Uri::from_static(TARGET);
    let headers = HeaderMap::new();
    let message = Message::request(&Method::GET, &target, &headers);
    let explained = explain(&signed(&[], &format!(";keyid=\"{key}\"")), &message);
    assert!(!explained.to_string().contains("aB3"), "{explained}");
    assert!(explained.lines[0].redacted);
}

/// The header that a claimant sends for its signature over `names`.
fn digests(names: &[&str], headers: &HeaderMap) -> HeaderValue {
    let target = Uri::from_static(TARGET);
    let message = Message::request(&Method::POST, &target, headers);
    base_digests(&message, "s", &components(names), &parameters()).unwrap()
}

fn compared(
    header: &[&HeaderValue],
    signed: &Signed,
    headers: &HeaderMap,
    target: &str,
) -> Option<Difference> {
    let target: Uri = target.parse().unwrap();
    let mut with = headers.clone();
    for header in header {
        with.append(BASE_DIGESTS, (*header).clone());
    }
    difference(&with, signed, &Message::request(&Method::POST, &target, headers))
}

const NAMES: [&str; 4] = ["\"@method\"", "\"@path\"", "\"x\";key=\"a\"", "\"y\""];
const PARAMETERS: &str = r#";created=1000;expires=1060;nonce="n";keyid="k""#;

#[test]
fn the_first_line_that_differs_is_named() {
    let headers = fields(&[("x", "a=1"), ("y", "2")]);
    let header = digests(&NAMES, &headers);
    let signed_here = signed(&NAMES, PARAMETERS);
    assert_eq!(compared(&[&header], &signed_here, &headers, TARGET), Some(Difference::Nowhere));
    let at = |name: &str| Some(Difference::At(name.to_owned()));
    assert_eq!(compared(&[&header], &signed_here, &headers, "https://example.com/b"), at("\"@path\""));
    let changed = fields(&[("x", "a=2"), ("y", "3")]);
    assert_eq!(compared(&[&header], &signed_here, &changed, TARGET), at("\"x\";key=\"a\""));
    let missing = fields(&[("x", "a=1")]);
    assert_eq!(compared(&[&header], &signed_here, &missing, TARGET), at("\"y\""));
    let other = signed(&NAMES, ";created=1001");
    assert_eq!(compared(&[&header], &other, &headers, TARGET), at("\"@signature-params\""));
    assert_eq!(at("\"y\"").unwrap().to_string(), "\"y\" is not what was signed");
}

#[test]
fn digests_that_are_not_of_this_signature_say_nothing() {
    let headers = fields(&[("x", "a=1"), ("y", "2")]);
    let good = digests(&NAMES, &headers);
    let signed_here = signed(&NAMES, PARAMETERS);
    assert_eq!(compared(&[], &signed_here, &headers, TARGET), None);
    assert_eq!(compared(&[&good, &good], &signed_here, &headers, TARGET), None);
    let text = good.to_str().unwrap();
    let first = text.find(";d=:").unwrap() + 4;
    for other in [
        text.replacen("s=", "t=", 1),
        text.replacen(";d=", ";e=", 1),
        text.replacen("@method", "@scheme", 1),
        text.replacen("\"@signature-params\"", "\"@params\"", 1),
        text.replacen("\"y\"", "\"y\";bs", 1),
        format!("{}AA{}", &text[..first], &text[first..]),
        text.replacen("\"@method\"", "\"@method\" \"@method\"", 1),
        "s=()".to_owned(),
        "s=1".to_owned(),
        "(".to_owned(),
        format!("{text}, {}=()", "t".repeat(4096)),
    ] {
        let header = other.parse().unwrap();
        assert_eq!(compared(&[&header], &signed_here, &headers, TARGET), None, "{other}");
    }
    let more = signed(&["\"@method\""], PARAMETERS);
    assert_eq!(compared(&[&good], &more, &headers, TARGET), None);
}

/// A digest of 8 bytes for each line, each of the line alone.
#[test]
fn the_header_is_as_documented_and_has_an_end() {
    let headers = fields(&[("x", "1")]);
    let header = digests(&["\"@method\""], &headers);
    let expected = r#"s=("@method";d=:"#;
    assert!(header.to_str().unwrap().starts_with(expected));
    let line = crate::crypto::sha256(b"\"@method\": POST");
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(&line[..8]);
    assert!(header.to_str().unwrap().contains(&format!("\"@method\";d=:{digest}: ")));

    let target = Uri::from_static(TARGET);
    let mut many = HeaderMap::new();
    let names: Vec<_> = (0..64).map(|index| format!("x{index:060}")).collect();
    for name in &names {
        many.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("1"));
    }
    let all: Vec<_> = names.iter().map(|name| Component::parse(&format!("\"{name}\"")).unwrap()).collect();
    let message = Message::request(&Method::POST, &target, &many);
    let refused = base_digests(&message, "s", &all, &parameters());
    assert_eq!(refused, Err(SignError::Header("Countersign-Base-Digests")));
    let label = base_digests(&message, "S", &[], &parameters());
    assert_eq!(label, Err(SignError::Label("S".to_owned())));
}

#[test]
fn a_claimant_that_signs_and_sends_digests_learns_what_was_changed_on_the_way() {
    let key = Ed25519Key::from_seed(Secret::new([7; 32]));
    let target = Uri::from_static(TARGET);
    let mut headers = fields(&[("x", "a=1"), ("y", "2")]);
    headers.insert(BASE_DIGESTS, digests(&NAMES, &headers));
    sign(&mut headers, &Method::POST, &target, "s", &components(&NAMES), &parameters(), &key).unwrap();
    headers.insert("y", HeaderValue::from_static("3"));
    let message = Message::request(&Method::POST, &target, &headers);
    let signed = Signed::read(&headers, &["t"]).unwrap().remove(0);
    assert!(verify_ed25519(&signed, &message, &key.public()).is_err());
    assert_eq!(difference(&headers, &signed, &message), Some(Difference::At("\"y\"".to_owned())));
}

proptest::proptest! {
    #[test]
    fn no_message_makes_explaining_panic(
        value in "\\PC{0,80}",
        query in "[a-zA-Z=&%0-9+?_.]{0,80}",
        header in "s=\\((\"@?[a-z]{1,3}\"(;d(=:[A-Za-z=]{0,13}:)?)? ?){0,5}\\)",
        noise in "\\PC{0,30}",
    ) {
        let mut headers = HeaderMap::new();
        for (name, text) in [("x", &value), ("y", &header)] {
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                headers.insert(name, value);
            }
        }
        let target: Uri = format!("https://example.com/?{query}").parse().unwrap();
        let message = Message::request(&Method::GET, &target, &headers);
        let signed = signed(&["\"@query\"", "\"@target-uri\"", "\"x\"", "\"x\";bs", "\"y\""], "");
        let _ = explain(&signed, &message).to_string();
        for text in [header, noise] {
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                let _ = difference(&HeaderMap::from_iter([(BASE_DIGESTS, value)]), &signed, &message);
            }
        }
    }
}
