//! Signatures by wallets, judged as a route judges them: both texts of ERC-8128, each by its own rules, and
//! several on one request.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::crypto::ethereum::EthereumKey;
use countersign::decision::Check;
use countersign::schemes::api_key::{KeyRegistry, KeyTerms, LastUses};
use countersign::schemes::signature::{
    ACCEPT_SIGNATURE, CONTENT_DIGEST, COUNTERSIGN, ContentDigest, ERC8128, Erc8128Form, Message, Parameters,
    RegisteredKeys, SIGNATURE, SIGNATURE_INPUT, SignAs, SignatureVerifier, Signed, Wanted, cover_floor, sign,
    sign_erc8128, signature_base,
};
use countersign::testing::Verdict;
use countersign::testing::{self, NOW, Nobody, Request, ed25519, public_key, rule};
use countersign::{Code, Denial, Rule};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

struct World {
    common: testing::World,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

impl World {
    fn new() -> Self {
        Self { common: testing::World::new() }
    }

    fn rule(&self, wallets: bool, untagged: bool) -> Arc<Rule> {
        let verifier = SignatureVerifier::<_, Nobody> {
            keys: Arc::new(RegisteredKeys::new(self.store.clone(), Arc::new(LastUses::default()), None)),
            wallets,
            bots: None,
            untagged,
            max_signed_body: 1024,
        };
        rule("signature", |rule| rule.verifier(verifier))
    }

    /// What becomes of a request where wallets are let in: who passes, or with which code it is refused.
    async fn judged(&self, request: &Request) -> Result<String, Code> {
        let verdict = self.decide(&self.rule(true, false), request).await;
        match &verdict {
            Verdict::Permit(permit) => Ok(permit.principal().unwrap().subject.to_string()),
            Verdict::Deny(refusal) => Err(refusal.denial().code()),
        }
    }
}

fn post(target: &'static str) -> Request {
    let mut request = Request::post(target, "{\"cups\":2}").with(CONTENT_TYPE, "application/json");
    request.headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(&request.body));
    request
}

trait Signing {
    /// What is written is signed, whatever it is.
    fn signed(self, key: &EthereumKey, label: &str, components: &str, parameters: &str) -> Self;
}

impl Signing for Request {
    fn signed(self, key: &EthereumKey, label: &str, components: &str, parameters: &str) -> Self {
        let input = format!("{label}=({components}){parameters}");
        let alone = HeaderMap::from_iter([
            (SIGNATURE_INPUT, input.parse().unwrap()),
            (SIGNATURE, format!("{label}=::").parse().unwrap()),
        ]);
        let signed = Signed::read_all(&alone).unwrap().remove(0);
        let message = Message::request(&self.method, &self.target, &self.headers);
        let base = signature_base(&signed.components, signed.signature_params(), &message).unwrap();
        let signature = STANDARD.encode(key.sign_personal_message(base.as_bytes()));
        self.with(SIGNATURE_INPUT, &input).with(SIGNATURE, &format!("{label}=:{signature}:"))
    }
}

fn key(seed: u8) -> EthereumKey {
    EthereumKey::from_hex(&format!("{seed:02x}").repeat(32)).unwrap()
}

fn subject(key: &EthereumKey) -> Result<String, Code> {
    Ok(format!("eip155:{}", key.address()))
}

const PLAIN: &str = "https://api.example/orders/1";
const QUERIED: &str = "https://api.example/orders/1?a=b";
const TAGGED: &str = r#""@scheme" "@authority" "@method" "@path" "@query""#;
/// As published libraries cover a GET without a query.
const UNTAGGED: &str = r#""@authority" "@method" "@path""#;
const MOMENTS: &str = ";created=1800000000;expires=1800000060";

fn tagged(chain: &str, nonce: &str, key: &EthereumKey) -> String {
    format!("{MOMENTS};nonce=\"{nonce}\";keyid=\"eip155:{chain}:{}\";tag=\"{ERC8128}\"", key.address())
}

fn untagged(chain: &str, nonce: &str, key: &EthereumKey) -> String {
    format!("{MOMENTS};nonce=\"{nonce}\";keyid=\"erc8128:{chain}:{}\"", key.address())
}

#[tokio::test]
async fn what_published_libraries_sign_passes_once_and_unchanged() {
    let (world, key) = (World::new(), key(1));
    let with_query = format!("{UNTAGGED} \"@query\"");
    for (request, components, other) in [
        (Request::get(PLAIN), UNTAGGED.to_owned(), QUERIED),
        (Request::get(QUERIED), with_query.clone(), PLAIN),
        (post(PLAIN), format!("{UNTAGGED} \"content-digest\""), "https://api.example/orders/2"),
        (post(QUERIED), format!("{with_query} \"content-digest\" \"content-type\""), PLAIN),
    ] {
        let nonce = components.replace(['"', ' '], "");
        let signed = request.signed(&key, "eth", &components, &untagged("1", &nonce, &key));
        let changed = world.judged(&signed.clone().to(other)).await;
        assert!(matches!(changed, Err(Code::SignatureInvalid | Code::SignatureCoverage)), "{changed:?}");
        let mut method = signed.clone();
        method.method = Method::PUT;
        assert_eq!(world.judged(&method).await, Err(Code::SignatureInvalid));
        let host = signed.clone().to("https://other.example/orders/1?a=b");
        assert!(world.judged(&host).await.is_err());
        if !signed.body.is_empty() {
            let mut body = signed.clone();
            body.body = Bytes::from_static(b"{\"cups\":9}");
            assert_eq!(world.judged(&body).await, Err(Code::ContentDigest));
        }
        assert_eq!(world.judged(&signed).await, subject(&key), "{components}");
        assert_eq!(world.judged(&signed).await, Err(Code::SignatureReplayed));
    }
}

#[tokio::test]
async fn each_text_of_the_draft_wants_its_own_components_covered() {
    let (world, key) = (World::new(), key(1));
    let judged = async |request: Request, all: &str, left_out: &str, parameters: &str| {
        let some: Vec<_> = all.split(' ').filter(|name| *name != left_out).collect();
        world.judged(&request.signed(&key, "eth", &some.join(" "), parameters)).await
    };
    let all = format!("{UNTAGGED} \"@query\" \"content-digest\"");
    for left_out in all.split(' ') {
        let judged = judged(post(QUERIED), &all, left_out, &untagged("1", "n", &key)).await;
        assert_eq!(judged, Err(Code::SignatureCoverage), "untagged without {left_out}");
    }
    let all = format!("{TAGGED} \"content-digest\" \"content-type\"");
    for left_out in all.split(' ') {
        let judged = judged(post(QUERIED), &all, left_out, &tagged("1", "n", &key)).await;
        assert_eq!(judged, Err(Code::SignatureCoverage), "tagged without {left_out}");
    }
    // What one text leaves out the other does not.
    let swapped = Request::get(PLAIN).signed(&key, "eth", UNTAGGED, &tagged("1", "n", &key));
    assert_eq!(world.judged(&swapped).await, Err(Code::SignatureCoverage));
    // An empty query is one.
    let emptied = Request::get(PLAIN).signed(&key, "eth", UNTAGGED, &untagged("1", "n", &key));
    let emptied = emptied.to("https://api.example/orders/1?");
    assert_eq!(world.judged(&emptied).await, Err(Code::SignatureCoverage));
    // A digest that is there is covered, with a body or without.
    let mut digest = Request::get(PLAIN);
    digest.headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(b""));
    let digest = digest.signed(&key, "eth", UNTAGGED, &untagged("1", "n", &key));
    assert_eq!(world.judged(&digest).await, Err(Code::SignatureCoverage));
    let weak = UNTAGGED.replace("\"@path\"", "\"@path\";req");
    let weak = Request::get(PLAIN)
        .with(SIGNATURE_INPUT, &format!("eth=({weak}){}", untagged("1", "n", &key)))
        .with(SIGNATURE, "eth=:AA==:");
    assert_eq!(world.judged(&weak).await, Err(Code::SignatureCoverage));
}

#[tokio::test]
async fn accounts_tags_and_names_belong_together_and_nothing_falls_through() {
    let (world, key) = (World::new(), key(1));
    let address = key.address();
    let with = |keyid: &str, more: &str| format!("{MOMENTS};nonce=\"n{keyid}\";keyid=\"{keyid}\"{more}");
    let all = TAGGED;
    for (parameters, expected) in [
        (with(&format!("erc8128:8453:{address}"), ""), subject(&key)),
        (with(&format!("erc8128:1:{}", address.checksummed()), ""), subject(&key)),
        (
            with(&format!("erc8128:1:{}", address.to_string().to_uppercase().replace("0X", "0x")), ""),
            subject(&key),
        ),
        (with(&format!("eip155:1:{address}"), ";tag=\"erc8128\""), subject(&key)),
        // The one text's name with the other's tag, or with another.
        (with(&format!("erc8128:1:{address}"), ";tag=\"erc8128\""), Err(Code::SignatureInvalid)),
        (with(&format!("eip155:1:{address}"), ""), Err(Code::CredentialMissing)),
        (with(&format!("erc8128:1:{address}"), ";tag=\"\""), Err(Code::CredentialMissing)),
        (with(&format!("erc8128:1:{address}"), ";tag=\"app\""), Err(Code::CredentialMissing)),
        (with(&format!("erc8128:1:{address}"), ";tag=\"countersign\""), Err(Code::SignatureInvalid)),
        (with("somebody", ""), Err(Code::CredentialMissing)),
        // Not of the one spelling.
        (with(&format!("erc8128:01:{address}"), ""), Err(Code::SignatureInvalid)),
        (with(&format!("erc8128::{address}"), ""), Err(Code::SignatureInvalid)),
        (with(&format!("erc8128:x:{address}"), ""), Err(Code::SignatureInvalid)),
        (with(&format!("erc8128:{address}"), ""), Err(Code::SignatureInvalid)),
        (with(&format!("erc8128:1:{}", &address.to_string()[2..]), ""), Err(Code::SignatureInvalid)),
        (
            with(&format!("erc8128:1:{}", address.to_string().replace("0x", "0X")), ""),
            Err(Code::SignatureInvalid),
        ),
        (with(&format!("erc8128:1:{address}:1"), ""), Err(Code::SignatureInvalid)),
        (with("erc8128:", ""), Err(Code::SignatureInvalid)),
        (with(&format!("eip8128:1:{address}"), ""), Err(Code::CredentialMissing)),
        (
            with(&format!("eip155:1:{}", address.checksummed()), ";tag=\"erc8128\""),
            Err(Code::SignatureInvalid),
        ),
        (with(&format!("erc8128:1:{address}"), ";alg=\"ed25519\""), Err(Code::SignatureInvalid)),
    ] {
        let request = Request::get(QUERIED).signed(&key, "eth", all, &parameters);
        assert_eq!(world.judged(&request).await, expected, "{parameters}");
    }
}

#[tokio::test]
async fn a_wallet_that_is_not_let_in_is_no_registered_key_either() {
    let (world, key) = (World::new(), key(1));
    let all = format!("{UNTAGGED} \"@scheme\" \"@query\"");
    let request = Request::get(PLAIN).signed(&key, "eth", &all, &untagged("1", "n", &key));
    for (wallets, keys, expected) in [
        (false, false, Some(Code::CredentialMissing)),
        (false, true, Some(Code::SignatureInvalid)),
        (true, true, None),
    ] {
        let verdict = world.decide(&world.rule(wallets, keys), &request).await;
        assert_eq!(verdict.decision().denial().map(Denial::code), expected, "{wallets} {keys}");
    }
}

#[tokio::test]
async fn nonces_are_per_chain_and_address_in_whichever_form() {
    let (world, one, other) = (World::new(), key(1), key(2));
    let by = |key: &EthereumKey, tag: bool, chain: &str| match tag {
        true => Request::get(QUERIED).signed(key, "eth", TAGGED, &tagged(chain, "n", key)),
        false => {
            let components = format!("{UNTAGGED} \"@query\"");
            Request::get(QUERIED).signed(key, "eth", &components, &untagged(chain, "n", key))
        }
    };
    assert_eq!(world.judged(&by(&one, true, "1")).await, subject(&one));
    assert_eq!(world.judged(&by(&one, true, "8453")).await, subject(&one), "another chain");
    assert_eq!(world.judged(&by(&other, true, "1")).await, subject(&other), "another address");
    for (chain, tag) in [("1", true), ("1", false), ("8453", false)] {
        assert_eq!(world.judged(&by(&one, tag, chain)).await, Err(Code::SignatureReplayed), "{chain} {tag}");
    }
    assert_eq!(world.judged(&by(&one, false, "10")).await, subject(&one));
    assert_eq!(world.judged(&by(&one, true, "10")).await, Err(Code::SignatureReplayed));
}

#[tokio::test]
async fn a_signature_without_a_nonce_is_refused() {
    let (world, key) = (World::new(), key(1));
    let address = key.address();
    for (components, keyid) in [
        (UNTAGGED, format!(";keyid=\"erc8128:1:{address}\"")),
        (TAGGED, format!(";keyid=\"eip155:1:{address}\";tag=\"erc8128\"")),
    ] {
        for nonce in ["", ";nonce=\"\"", &format!(";nonce=\"{}\"", "n".repeat(129))] {
            let parameters = format!("{MOMENTS}{nonce}{keyid}");
            let request = Request::get(PLAIN).signed(&key, "eth", components, &parameters);
            assert_eq!(world.judged(&request).await, Err(Code::SignatureCoverage), "{parameters}");
        }
    }
}

#[tokio::test]
async fn the_last_moment_with_its_skew_counts_and_is_remembered() {
    for tag in [true, false] {
        let (world, key) = (World::new(), key(1));
        let by = |nonce: &str| match tag {
            true => Request::get(PLAIN).signed(&key, "eth", TAGGED, &tagged("1", nonce, &key)),
            false => Request::get(PLAIN).signed(&key, "eth", UNTAGGED, &untagged("1", nonce, &key)),
        };
        world.clock.set(NOW.minus(Duration::from_millis(30_001)));
        assert_eq!(world.judged(&by("n")).await, Err(Code::ProofFuture));
        world.clock.set(NOW.minus(Duration::from_secs(30)));
        assert_eq!(world.judged(&by("n")).await, subject(&key));
        world.clock.set(NOW.plus(Duration::from_secs(90)));
        assert_eq!(world.judged(&by("m")).await, subject(&key), "expires and its skew");
        assert_eq!(world.judged(&by("n")).await, Err(Code::SignatureReplayed));
        assert_eq!(world.judged(&by("m")).await, Err(Code::SignatureReplayed));
        world.clock.set(NOW.plus(Duration::from_millis(90_001)));
        assert_eq!(world.judged(&by("o")).await, Err(Code::ProofExpired));
    }
    let (world, key) = (World::new(), key(1));
    let long = tagged("1", "n", &key).replace("1800000060", "1800000061");
    let request = Request::get(PLAIN).signed(&key, "eth", TAGGED, &long);
    assert_eq!(world.judged(&request).await, Err(Code::ProofExpired), "a life of 61 s");
}

/// Signatures that fail, each in another way.
fn failing(request: Request, key: &EthereumKey, number: usize) -> Request {
    let label = format!("bad{number}");
    let more = tagged("1", &format!("bad{number}"), key);
    match number {
        0 => request.signed(key, &label, &TAGGED.replace("\"@query\"", ""), &more),
        1 => request.signed(key, &label, TAGGED, &more.replace(";nonce=\"bad1\"", "")),
        2 => request.signed(key, &label, TAGGED, &more.replace("1800000060", "1700000060")),
        // By another key than it names.
        3 => request.signed(&self::key(9), &label, TAGGED, &more),
        // Nothing of it is there but its name.
        4 => request.with(SIGNATURE_INPUT, &format!("{label}=({TAGGED}){more}")),
        5 => {
            let input = format!("{label}=(\"@unheard-of\"){more}");
            request.with(SIGNATURE_INPUT, &input).with(SIGNATURE, &format!("{label}=:AA==:"))
        }
        6 => {
            let input = format!("{label}=({TAGGED}){}", more.replace("=1800000060", "=\"soon\""));
            request.with(SIGNATURE_INPUT, &input).with(SIGNATURE, &format!("{label}=:AA==:"))
        }
        _ => {
            let input = format!("{label}=({UNTAGGED})");
            let more = untagged("1", "u", key).replace("erc8128:1", "erc8128:01");
            request
                .with(SIGNATURE_INPUT, &format!("{input}{more}"))
                .with(SIGNATURE, &format!("{label}=:AA==:"))
        }
    }
}

#[tokio::test]
async fn a_good_signature_by_a_wallet_counts_before_and_behind_those_that_fail() {
    let key = key(1);
    let codes = [
        Code::SignatureCoverage,
        Code::SignatureCoverage,
        Code::ProofExpired,
        Code::SignatureInvalid,
        Code::CredentialMalformed,
        Code::CredentialMalformed,
        Code::CredentialMalformed,
        Code::SignatureInvalid,
    ];
    for (number, code) in codes.into_iter().enumerate() {
        for good in [
            |request: Request, key: &EthereumKey| request.signed(key, "good", TAGGED, &tagged("1", "n", key)),
            |request: Request, key: &EthereumKey| {
                let components = format!("{UNTAGGED} \"@query\"");
                request.signed(key, "good", &components, &untagged("1", "n", key))
            },
        ] {
            let world = World::new();
            let alone = failing(Request::get(QUERIED), &key, number);
            let verdict = world.decide(&world.rule(true, false), &alone).await;
            let decision = verdict.decision();
            assert_eq!(decision.denial().map(Denial::code), Some(code), "{number}");
            // What cannot be read is refused before anything is verified.
            let malformed = code == Code::CredentialMalformed;
            let step = if malformed { Check::Extract } else { Check::Verify };
            assert_eq!(decision.steps.last().unwrap().check, step, "{number}");
            let behind = good(alone, &key);
            assert_eq!(world.judged(&behind).await, subject(&key), "{number}");
            assert_eq!(world.judged(&behind).await, Err(Code::SignatureReplayed), "{number}");
            let before = failing(good(Request::get(QUERIED), &key), &key, number);
            assert_eq!(World::new().judged(&before).await, subject(&key), "{number}");
        }
    }
    let mut many = Request::get(QUERIED);
    for number in 0..3 {
        many = failing(many, &key, number);
    }
    let fourth = many.clone().signed(&key, "good", TAGGED, &tagged("1", "n", &key));
    assert_eq!(World::new().judged(&fourth).await, subject(&key));
    let fifth = failing(many, &key, 3).signed(&key, "good", TAGGED, &tagged("1", "n", &key));
    assert_eq!(World::new().judged(&fifth).await, Err(Code::CredentialMalformed), "at most 4");
}

#[tokio::test]
async fn the_first_good_one_is_who_sent_it_and_no_other_nonce_is_spent() {
    let (world, one, other) = (World::new(), key(1), key(2));
    let first = Request::get(QUERIED).signed(&one, "a", TAGGED, &tagged("1", "n", &one));
    let both = first.signed(&other, "b", TAGGED, &tagged("1", "n", &other));
    assert_eq!(world.judged(&both).await, subject(&one));
    let second = Request::get(QUERIED).signed(&other, "b", TAGGED, &tagged("1", "n", &other));
    assert_eq!(world.judged(&second).await, subject(&other), "its nonce was not spent");
}

#[tokio::test]
async fn a_registered_keys_signature_beside_a_wallets_is_never_skipped() {
    let (world, wallet) = (World::new(), key(1));
    let registry = KeyRegistry::new(world.store.clone());
    let terms = KeyTerms { label: "partner".into(), ..KeyTerms::default() };
    let record = registry.add_public(&public_key(3), terms, NOW, &SystemRandom).await.unwrap();
    let mut request = Request::get(QUERIED);
    let parameters = Parameters {
        keyid: Some(record.id.as_str().to_owned()),
        tag: Some(COUNTERSIGN.to_owned()),
        ..Parameters::fresh(NOW, &SystemRandom)
    };
    let floor = cover_floor(&request.headers, false);
    let Request { method, target, headers, .. } = &mut request;
    sign(headers, method, target, "own", &floor, &parameters, &ed25519(3)).unwrap();
    let both = request.clone().signed(&wallet, "eth", TAGGED, &tagged("1", "n", &wallet));
    assert_eq!(world.judged(&both).await, Err(Code::SubjectMismatch));
    // A wallet's that fails is not skipped where it is the only one.
    let failed = failing(request.clone(), &wallet, 3);
    assert_eq!(world.judged(&failed).await, Err(Code::SignatureInvalid));
    let unreadable = failing(request.clone(), &wallet, 4);
    assert_eq!(world.judged(&unreadable).await, Err(Code::CredentialMalformed));
    assert_eq!(world.judged(&request).await, Ok(format!("key:{}", record.id.as_str())));
}

#[tokio::test]
async fn a_refusal_asks_in_a_way_that_a_wallet_can_follow() {
    let (world, key) = (World::new(), key(1));
    let mut request = post(QUERIED);
    for (wallets, schemes) in [(true, &["Signature", "ERC8128"][..]), (false, &["Signature"])] {
        let verdict = world.decide(&world.rule(wallets, false), &request).await;
        let denial = verdict.decision().denial().unwrap().clone();
        assert_eq!(denial.code(), Code::CredentialMissing);
        let challenges: Vec<_> = denial.challenges().iter().map(countersign::Challenge::as_str).collect();
        assert_eq!(challenges, schemes);
        let asked = HeaderMap::from_iter(denial.asks().iter().cloned());
        let wanted = Wanted::read(&asked).unwrap();
        let tags: Vec<_> = wanted.iter().map(|wanted| wanted.tag.as_deref().unwrap()).collect();
        assert_eq!(tags, if wallets { &[COUNTERSIGN, ERC8128][..] } else { &[COUNTERSIGN] });
        if !wallets {
            continue;
        }
        let line = asked[ACCEPT_SIGNATURE].to_str().unwrap();
        assert!(line.ends_with(
            r#", eth=("@method" "@scheme" "@authority" "@path" "@query" "content-type" "content-digest");created;expires;tag="erc8128""#
        ));
        // A wallet that does exactly what is asked passes.
        let [_, asked] = &wanted[..] else { panic!("two are asked for") };
        let names: Vec<_> =
            asked.components.iter().map(countersign::schemes::signature::Component::as_str).collect();
        request = request.signed(&key, &asked.label, &names.join(" "), &tagged("1", "n", &key));
        assert_eq!(world.judged(&request).await, subject(&key));
        request = post(QUERIED);
    }
}

#[tokio::test]
async fn our_own_half_writes_either_form_and_each_passes() {
    let (world, key) = (World::new(), key(1));
    for (form, base, covered) in [
        (Erc8128Form::Tagged, Request::get(PLAIN), 5),
        (Erc8128Form::Untagged, Request::get(PLAIN), 3),
        (Erc8128Form::Untagged, Request::get(QUERIED), 4),
        (Erc8128Form::Tagged, post(QUERIED), 7),
        (Erc8128Form::Untagged, post(QUERIED), 6),
    ] {
        let mut request = base;
        let parameters = Parameters::fresh(NOW, &SystemRandom);
        let Request { method, target, headers, body, .. } = &mut request;
        let sign_as = SignAs { chain: 10, form };
        sign_erc8128(headers, method, target, !body.is_empty(), "eth", sign_as, &parameters, &key).unwrap();
        let signed = Signed::read_all(headers).unwrap().remove(0);
        assert_eq!(Erc8128Form::of(&signed.parameters), Some(form));
        assert_eq!(signed.components.len(), covered, "{:?}", signed.components);
        assert_eq!(world.judged(&request).await, subject(&key));
    }
}

#[tokio::test]
async fn of_a_body_nothing_is_told_to_whoever_has_not_signed_it() {
    let (world, one, other) = (World::new(), key(1), key(2));
    let components = format!("{TAGGED} \"content-digest\" \"content-type\"");
    let unreadable = |nonce, claimed: &EthereumKey| {
        let mut request = post(QUERIED);
        request.headers.insert(CONTENT_DIGEST, http::HeaderValue::from_static("md5=:AAAA:"));
        request.signed(&one, "eth", &components, &tagged("1", nonce, claimed))
    };
    assert_eq!(world.judged(&unreadable("forged", &other)).await, Err(Code::SignatureInvalid));
    assert_eq!(world.judged(&unreadable("signed", &one)).await, Err(Code::ContentDigest));
    world.pass_seconds(600);
    assert_eq!(world.judged(&unreadable("old", &one)).await, Err(Code::ProofExpired));
}
