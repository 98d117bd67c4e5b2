//! Wallets' message signatures (ERC-8128): the draft's vector, what it lists as refused, and signing.

use countersign::Code;
use countersign::crypto::ethereum::{EthereumKey, encode_hex, personal_message_hash};
use countersign::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, ERC8128, Message, Parameters, SIGNATURE, SIGNATURE_INPUT,
    SignAs, SignError, Signed, cover_floor, sign_erc8128, signature_base, verify_erc8128,
};
use countersign::time::Timestamp;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    erc8128: Vector,
}

#[derive(Deserialize)]
struct Vector {
    key: String,
    method: String,
    target: String,
    body: String,
    content_type: String,
    content_digest: String,
    signature_input: String,
    signature: String,
    hash: String,
}

fn vector() -> Vector {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ethereum.json"));
    serde_json::from_str::<Vectors>(text).unwrap().erc8128
}

/// The vector's request, signed or not.
struct Request {
    method: Method,
    target: Uri,
    headers: HeaderMap,
}

impl Request {
    fn unsigned() -> Self {
        let vector = vector();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, vector.content_type.parse().unwrap());
        headers.insert(CONTENT_DIGEST, vector.content_digest.parse().unwrap());
        Self { method: vector.method.parse().unwrap(), target: vector.target.parse().unwrap(), headers }
    }

    fn signed() -> Self {
        let mut request = Self::unsigned();
        request.headers.insert(SIGNATURE_INPUT, vector().signature_input.parse().unwrap());
        request.headers.insert(SIGNATURE, vector().signature.parse().unwrap());
        request
    }

    /// Components and parameters as given, signed by the vector's key whatever they are.
    fn signed_over(components: &str, parameters: &str) -> Self {
        let mut request = Self::unsigned();
        let input = format!("eth=({components}){parameters}");
        request.headers.insert(SIGNATURE_INPUT, input.parse().unwrap());
        request.headers.insert(SIGNATURE, HeaderValue::from_static("eth=::"));
        let signed = request.read();
        let base = signature_base(&signed.components, signed.signature_params(), &request.message());
        let signature = key().sign_personal_message(base.unwrap().as_bytes());
        request.with_signature(&signature)
    }

    fn with_signature(mut self, signature: &[u8]) -> Self {
        use base64::Engine as _;
        let label = self.read().label;
        let text = base64::engine::general_purpose::STANDARD.encode(signature);
        self.headers.insert(SIGNATURE, format!("{label}=:{text}:").parse().unwrap());
        self
    }

    fn message(&self) -> Message<'_> {
        Message::request(&self.method, &self.target, &self.headers)
    }

    fn read(&self) -> Signed {
        Signed::read(&self.headers, &[ERC8128]).unwrap().remove(0)
    }

    fn verify(&self) -> Result<String, Code> {
        let verified = verify_erc8128(&self.read(), &self.message());
        verified.map(|account| account.address.to_string()).map_err(|denial| denial.code())
    }
}

fn key() -> EthereumKey {
    EthereumKey::from_hex(&vector().key).unwrap()
}

const FLOOR: [&str; 7] = [
    "\"@scheme\"",
    "\"@authority\"",
    "\"@method\"",
    "\"@path\"",
    "\"@query\"",
    "\"content-digest\"",
    "\"content-type\"",
];
const MOMENTS: &str = ";created=1700000000;expires=1700000060";
const NONCE: &str = ";nonce=\"EjRWeJCrze8BI0VniavN7w\"";
const KEYID: &str = ";keyid=\"eip155:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf\"";
const TAG: &str = ";tag=\"erc8128\"";

fn signed_with(parameters: &str) -> Result<String, Code> {
    Request::signed_over(&FLOOR.join(" "), parameters).verify()
}

#[test]
fn the_drafts_vector_verifies_and_its_hash_is_ours() {
    let request = Request::signed();
    assert_eq!(request.verify().as_deref(), Ok("0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"));
    let signed = request.read();
    let base = signature_base(&signed.components, signed.signature_params(), &request.message()).unwrap();
    assert_eq!(base.len(), 449);
    assert_eq!(encode_hex(&personal_message_hash(base.as_bytes())), vector().hash);
    let digest = ContentDigest::of_sha256(vector().body.as_bytes());
    assert_eq!(digest, vector().content_digest);
}

#[test]
fn any_change_of_what_is_covered_is_seen() {
    let invalid = Err(Code::SignatureInvalid);
    for target in [
        "http://api.example/items?view=full",
        "https://api.example.org/items?view=full",
        "https://api.example/item?view=full",
        "https://api.example/items?view=none",
        "https://api.example/items",
    ] {
        assert_eq!(Request { target: target.parse().unwrap(), ..Request::signed() }.verify(), invalid);
    }
    assert_eq!(Request { method: Method::PUT, ..Request::signed() }.verify(), invalid);
    let mut other = Request::signed();
    other.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    assert_eq!(other.verify(), invalid);
    let mut later = Request::signed();
    let input = vector().signature_input.replace("expires=1700000060", "expires=1700000061");
    later.headers.insert(SIGNATURE_INPUT, input.parse().unwrap());
    assert_eq!(later.verify(), invalid);
}

#[test]
fn each_component_of_a_request_bound_signature_must_be_covered() {
    let parameters = [MOMENTS, NONCE, KEYID, TAG].concat();
    for left_out in FLOOR {
        let less: Vec<_> = FLOOR.into_iter().filter(|name| *name != left_out).collect();
        let request = Request::signed_over(&less.join(" "), &parameters);
        assert_eq!(request.verify(), Err(Code::SignatureCoverage), "{left_out}");
    }
    let whole = "\"@method\" \"@target-uri\" \"content-digest\" \"content-type\"";
    assert_eq!(Request::signed_over(whole, &parameters).verify(), Err(Code::SignatureCoverage));
    let weak = FLOOR.join(" ").replace("\"content-digest\"", "\"content-digest\";bs");
    assert_eq!(Request::signed_over(&weak, &parameters).verify(), Err(Code::SignatureCoverage));
}

#[test]
fn the_account_has_one_spelling() {
    let keyid = |keyid: &str| signed_with(&format!("{MOMENTS}{NONCE};keyid=\"{keyid}\"{TAG}"));
    let address = key().address();
    assert_eq!(keyid(&format!("eip155:8453:{address}")), Ok(address.to_string()), "any chain");
    for wrong in [
        format!("erc8128:1:{address}"),
        format!("eip155:01:{address}"),
        format!("eip155::{address}"),
        format!("eip155:-1:{address}"),
        format!("eip155:{}:{address}", "1".repeat(33)),
        format!("eip155:1:{}", address.checksummed()),
        format!("eip155:1:{}", &address.to_string()[2..]),
        format!("eip155:1:{address}:1"),
        format!("eip155:{address}"),
        address.to_string(),
        "eip155:1:0x0000000000000000000000000000000000000001".to_owned(),
    ] {
        assert_eq!(keyid(&wrong), Err(Code::SignatureInvalid), "{wrong}");
    }
    assert_eq!(signed_with(&[MOMENTS, NONCE, TAG].concat()), Err(Code::SignatureCoverage));
}

#[test]
fn a_nonce_of_1_to_128_characters_is_needed_and_no_alg() {
    let nonce = |length: usize| {
        signed_with(&format!("{MOMENTS};nonce=\"{}\"{KEYID}{TAG}", "n".repeat(length))).map(drop)
    };
    assert_eq!(nonce(128), Ok(()));
    assert_eq!(nonce(129), Err(Code::SignatureCoverage));
    assert_eq!(nonce(0), Err(Code::SignatureCoverage));
    assert_eq!(signed_with(&[MOMENTS, KEYID, TAG].concat()), Err(Code::SignatureCoverage));
    let alg = [MOMENTS, NONCE, KEYID, ";alg=\"ed25519\"", TAG].concat();
    assert_eq!(signed_with(&alg), Err(Code::SignatureInvalid));
    // The order of parameters is the signer's.
    assert!(signed_with(&[TAG, KEYID, NONCE, MOMENTS].concat()).is_ok());
}

#[test]
fn another_tag_is_another_familys() {
    let mut request = Request::signed_over(&FLOOR.join(" "), &[MOMENTS, NONCE, KEYID, TAG].concat());
    let input = request.headers[SIGNATURE_INPUT].to_str().unwrap().replace("erc8128", "countersign");
    request.headers.insert(SIGNATURE_INPUT, input.parse().unwrap());
    let mut signed = Signed::read(&request.headers, &["countersign"]).unwrap().remove(0);
    let base = signature_base(&signed.components, signed.signature_params(), &request.message()).unwrap();
    signed.signature = key().sign_personal_message(base.as_bytes()).to_vec();
    let code = verify_erc8128(&signed, &request.message()).unwrap_err().code();
    assert_eq!(code, Code::SignatureInvalid);
}

#[test]
fn a_signature_has_65_bytes_and_v_27_or_28() {
    let good = Request::signed().read().signature;
    let verify = |signature: &[u8]| Request::signed().with_signature(signature).verify().map(drop);
    assert_eq!(verify(&good), Ok(()));
    for v in [0, 1, 2, 26, 29, 37, 55 - good[64]] {
        let signature = [&good[..64], &[v]].concat();
        assert_eq!(verify(&signature), Err(Code::SignatureInvalid), "{v}");
    }
    let (short, long) = (&good[..64], [&good[..], &[0]].concat());
    for signature in [short, &long, b""] {
        assert_eq!(verify(signature), Err(Code::SignatureInvalid));
    }
}

fn parameters() -> Parameters {
    Parameters {
        created: Some(Timestamp::from_secs(1_700_000_000)),
        expires: Some(Timestamp::from_secs(1_700_000_060)),
        nonce: Some("EjRWeJCrze8BI0VniavN7w".to_owned()),
        ..Parameters::default()
    }
}

fn sign(request: &mut Request, label: &str, parameters: &Parameters) -> Result<(), SignError> {
    let Request { method, target, headers } = request;
    sign_erc8128(headers, method, target, true, label, SignAs::default(), parameters, &key())
}

#[test]
fn what_is_signed_here_is_verified_here_beside_other_signatures() {
    let mut request = Request::unsigned();
    request.headers.insert(SIGNATURE_INPUT, HeaderValue::from_static("own=(\"@path\");tag=\"x\""));
    request.headers.insert(SIGNATURE, HeaderValue::from_static("own=:AA==:"));
    sign(&mut request, "eth", &parameters()).unwrap();
    assert_eq!(request.verify(), Ok(key().address().to_string()));
    let signed = request.read();
    assert_eq!(signed.components, cover_floor(&request.headers, true));
    assert_eq!(signed.parameters.nonce, parameters().nonce);
    assert_eq!(signed.parameters.created, parameters().created);
    assert_eq!(signed.parameters.expires, parameters().expires);
    let names: Vec<_> = signed.components.iter().map(Component::as_str).collect();
    assert_eq!(names[4..], ["\"@query\"", "\"content-type\"", "\"content-digest\""]);
    assert_eq!(sign(&mut request, "eth", &parameters()), Err(SignError::LabelTaken("eth".to_owned())));
    assert_eq!(sign(&mut request, "own", &parameters()), Err(SignError::LabelTaken("own".to_owned())));
}

#[test]
fn what_cannot_be_signed_leaves_the_headers_alone() {
    let refused = |label: &str, parameters: Parameters| {
        let mut request = Request::unsigned();
        let error = sign(&mut request, label, &parameters).unwrap_err();
        assert_eq!(request.headers, Request::unsigned().headers);
        error
    };
    assert_eq!(refused("Eth", parameters()), SignError::Label("Eth".to_owned()));
    let without = |change: fn(&mut Parameters)| {
        let mut parameters = parameters();
        change(&mut parameters);
        refused("eth", parameters)
    };
    assert_eq!(without(|some| some.created = None), SignError::Parameter("created"));
    assert_eq!(without(|some| some.expires = None), SignError::Parameter("expires"));
    for nonce in ["", "a\"b", "a\\b", "a\nb", "é", &"n".repeat(129)] {
        let parameters = Parameters { nonce: Some(nonce.to_owned()), ..parameters() };
        assert_eq!(refused("eth", parameters), SignError::Parameter("nonce"), "{nonce}");
    }
    let mut request = Request::unsigned();
    request.headers.remove(CONTENT_DIGEST);
    assert!(matches!(sign(&mut request, "eth", &parameters()), Err(SignError::Base(_))));
}
