//! Signed requests through the gate: what each of the verifier's steps is there for.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::KeyId;
use countersign::crypto::ethereum::EthereumKey;
use countersign::crypto::{Ed25519Key, SigningKey, SystemRandom, derive_ed25519};
use countersign::schemes::api_key::{ApiKey, ApiKeyVerifier, DERIVATION, KeyRegistry, KeyTerms, LastUses};
use countersign::schemes::signature::{
    COUNTERSIGN, ContentDigest, Parameters, RegisteredKeys, SignAs, SignatureVerifier, cover_floor, sign,
    sign_erc8128,
};
use countersign::testing::Verdict;
use countersign::testing::{self, NOW, Nobody, Request, TestStore, ed25519, public_key, rule};
use countersign::{Body, Code, Denial, Rule};
use http::{HeaderValue, Method};

const LARGEST: usize = 64;

/// Which signatures count beside those of registered keys.
#[derive(Clone, Copy, Default)]
struct Also {
    wallets: bool,
    untagged: bool,
}

struct World {
    common: testing::World,
    registry: KeyRegistry<Arc<TestStore>>,
    uses: Arc<LastUses>,
}

impl Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.common
    }
}

/// Somebody who signs.
struct Holder {
    id: KeyId,
    key: SigningKey,
}

impl World {
    fn new() -> Self {
        let common = testing::World::new();
        Self { registry: KeyRegistry::new(common.store.clone()), uses: Arc::default(), common }
    }

    fn verifier(&self, also: Also) -> SignatureVerifier<Arc<TestStore>, Nobody> {
        SignatureVerifier {
            keys: Arc::new(RegisteredKeys::new(self.store.clone(), self.uses.clone(), None)),
            wallets: also.wallets,
            bots: None,
            untagged: also.untagged,
            max_signed_body: LARGEST,
        }
    }

    fn rule(&self, accept: &str, also: Also) -> Arc<Rule> {
        let keys = ApiKeyVerifier::new(self.store.clone(), Arc::default());
        rule(accept, |rule| rule.verifier(self.verifier(also)).verifier(keys))
    }

    async fn holder(&self, seed: u8) -> Holder {
        let record = self.registry.add_public(&public_key(seed), terms(), NOW, &SystemRandom).await.unwrap();
        Holder { id: record.id, key: ed25519(seed) }
    }

    async fn api_key(&self) -> (Holder, ApiKey) {
        let key = self.common.api_key(&[]).await;
        let (seed, _) = derive_ed25519(key.secret.expose(), DERIVATION);
        (Holder { id: key.id, key: Ed25519Key::from_seed(seed).into() }, key)
    }

    /// It came in at the beginning, however long it took.
    async fn decide(&self, rule: &Arc<Rule>, request: &Request) -> Verdict {
        self.gate.decide(rule, &request.view(NOW), &mut request.body.clone()).await
    }

    /// What becomes of a request where `signature` is accepted; `None`: it passes.
    async fn judged(&self, request: &Request) -> Option<Code> {
        self.judged_by(&self.rule("signature", Also::default()), request).await
    }

    async fn judged_by(&self, rule: &Arc<Rule>, request: &Request) -> Option<Code> {
        self.decide(rule, request).await.decision().denial().map(Denial::code)
    }
}

fn terms() -> KeyTerms {
    KeyTerms { label: "partner".into(), ..KeyTerms::default() }
}

/// A signature to be.
struct Terms {
    label: &'static str,
    nonce: &'static str,
    life: Duration,
    tag: Option<&'static str>,
    without: &'static str,
}

const USUAL: Terms =
    Terms { label: "sig1", nonce: "n", life: Duration::from_secs(60), tag: Some(COUNTERSIGN), without: "" };

fn get() -> Request {
    Request::get("https://api.example/orders/1?a=b")
}

fn post(body: &'static str) -> Request {
    let mut request = get().by(Method::POST).body(body);
    request.headers.insert("content-digest", ContentDigest::of_sha256(body.as_bytes()));
    request
}

trait Signing: Sized {
    fn signed_on(self, by: &Holder, terms: &Terms) -> Self;

    fn signed(self, by: &Holder) -> Self {
        self.signed_on(by, &USUAL)
    }
}

impl Signing for Request {
    fn signed_on(mut self, by: &Holder, terms: &Terms) -> Self {
        let mut components = cover_floor(&self.headers, !self.body.is_empty());
        components.retain(|component| component.as_str() != terms.without);
        let parameters = Parameters {
            created: Some(NOW),
            expires: Some(NOW.plus(terms.life)),
            nonce: Some(terms.nonce.to_owned()),
            alg: None,
            keyid: Some(by.id.as_str().to_owned()),
            tag: terms.tag.map(str::to_owned),
        };
        let Self { method, target, headers, .. } = &mut self;
        sign(headers, method, target, terms.label, &components, &parameters, &by.key).unwrap();
        self
    }
}

#[tokio::test]
async fn a_signed_request_passes_once_and_its_key_was_used() {
    let world = World::new();
    let holder = world.holder(1).await;
    let request = get().signed(&holder);
    assert_eq!(world.judged(&request).await, None);
    assert_eq!(world.uses.take().get(&holder.id), Some(&NOW));
    assert_eq!(world.judged(&request).await, Some(Code::SignatureReplayed));
}

#[tokio::test]
async fn a_signature_that_covers_less_or_is_anothers_is_refused_and_burns_nothing() {
    let world = World::new();
    let (holder, other) = (world.holder(1).await, world.holder(2).await);
    for (without, code) in [("\"@path\"", Code::SignatureCoverage), ("\"@method\"", Code::SignatureCoverage)]
    {
        let request = get().signed_on(&holder, &Terms { without, ..USUAL });
        assert_eq!(world.judged(&request).await, Some(code));
    }
    let by_other = Holder { id: holder.id, key: other.key };
    assert_eq!(world.judged(&get().signed(&by_other)).await, Some(Code::SignatureInvalid));
    assert_eq!(world.uses.take().len(), 0, "whoever names a key has not used it");
    assert_eq!(world.judged(&get().signed(&holder)).await, None);
}

#[tokio::test]
async fn what_has_no_time_or_too_much_of_it_is_refused() {
    let world = World::new();
    let holder = world.holder(1).await;
    let life = Duration::from_secs(61);
    let request = get().signed_on(&holder, &Terms { life, ..USUAL });
    assert_eq!(world.judged(&request).await, Some(Code::ProofExpired));
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_one_are_told_the_same() {
    let world = World::new();
    let (holder, other) = (world.holder(1).await, world.holder(2).await);
    let unknown = Holder { id: KeyId::parse("0123456789AB").unwrap(), key: other.key };
    let rule = world.rule("signature", Also::default());
    let told = async |by: &Holder| {
        let verdict = world.decide(&rule, &get().signed(by)).await;
        let denial = verdict.decision().denial().unwrap().clone();
        (denial.code(), denial.covered().map(|covered| covered.components.clone()), denial.asks().to_vec())
    };
    let (code, covered, asks) = told(&unknown).await;
    assert_eq!((code, covered.map(|covered| covered.len())), (Code::SignatureInvalid, Some(5)));
    assert!(asks.iter().any(|(name, _)| name == "accept-signature"), "{asks:?}");
    let wrong = Holder { id: holder.id, key: unknown.key };
    assert_eq!(told(&wrong).await.0, Code::SignatureInvalid);
    assert!(told(&wrong).await.1.is_some());
}

#[tokio::test]
async fn the_body_is_the_one_that_was_signed_and_no_larger_than_is_read() {
    let world = World::new();
    let holder = world.holder(1).await;
    let good = post("{}").signed(&holder);
    for (body, kind, code) in [
        (&b"{ }"[..], Body::Announced, Code::ContentDigest),
        (b"", Body::Announced, Code::ContentDigest),
        (&[b'x'; LARGEST + 1], Body::Announced, Code::BodyTooLarge),
        (b"{}", Body::Withheld, Code::SignatureCoverage),
    ] {
        let request = Request { body: Bytes::copy_from_slice(body), announced: Some(kind), ..good.clone() };
        assert_eq!(world.judged(&request).await, Some(code), "{body:?}");
    }
    assert_eq!(world.judged(&good).await, None);
    // The same where the body was taken away, and nothing announces one.
    let digest = ContentDigest::of_sha256(b"{}");
    let mut bare = get();
    bare.headers.insert("content-digest", digest);
    let bare = bare.signed_on(&holder, &Terms { nonce: "other", ..USUAL });
    assert_eq!(world.judged(&bare).await, Some(Code::ContentDigest));
}

#[tokio::test]
async fn an_api_key_that_signs_satisfies_either_scheme_and_a_registered_key_one() {
    let world = World::new();
    let (registered, (derived, whole)) = (world.holder(1).await, world.api_key().await);
    for (accept, nonce, by_registered, by_derived) in [
        ("signature", "1", None, None),
        ("api-key", "2", Some(Code::CredentialMissing), None),
        ("api-key signature", "3", None, None),
    ] {
        let rule = world.rule(accept, Also::default());
        let terms = Terms { nonce, ..USUAL };
        let request = get().signed_on(&registered, &terms);
        assert_eq!(world.judged_by(&rule, &request).await, by_registered, "{accept}");
        let request = get().signed_on(&derived, &terms);
        assert_eq!(world.judged_by(&rule, &request).await, by_derived, "{accept}");
    }
    // A scheme that the route does not name is not read, even where its verifier is at hand.
    let mut both = get().signed_on(&registered, &Terms { nonce: "4", ..USUAL });
    both.headers.insert(
        "authorization",
        HeaderValue::try_from(format!("Bearer {}", whole.reveal().expose())).unwrap(),
    );
    assert_eq!(world.judged(&both).await, None);
}

#[tokio::test]
async fn wallets_and_signatures_without_a_tag_count_where_that_is_said_alone() {
    let world = World::new();
    let holder = world.holder(1).await;
    let untagged = get().signed_on(&holder, &Terms { tag: None, ..USUAL });
    let wallet = EthereumKey::generate(&SystemRandom);
    let mut by_wallet = get();
    let parameters = Parameters {
        created: Some(NOW),
        expires: Some(NOW.plus(Duration::from_secs(60))),
        nonce: Some("n".to_owned()),
        ..Parameters::default()
    };
    let Request { headers, target, .. } = &mut by_wallet;
    sign_erc8128(headers, &Method::GET, target, false, "eth", SignAs::default(), &parameters, &wallet)
        .unwrap();
    for (wallets, untagged_too) in [(false, false), (true, false), (false, true)] {
        let rule = world.rule("signature", Also { wallets, untagged: untagged_too });
        let missing = |passes: bool| (!passes).then_some(Code::CredentialMissing);
        assert_eq!(world.judged_by(&rule, &by_wallet).await, missing(wallets));
        assert_eq!(world.judged_by(&rule, &untagged).await, missing(untagged_too));
    }
    let keys = world.rule("api-key", Also { wallets: true, untagged: true });
    assert_eq!(world.judged_by(&keys, &by_wallet).await, Some(Code::CredentialMissing));
}

#[tokio::test]
async fn a_signature_that_is_passed_over_is_told_to_the_operator() {
    let world = World::new();
    let holder = world.holder(1).await;
    let wallet = EthereumKey::generate(&SystemRandom);
    let mut by_wallet = get();
    let Request { headers, target, .. } = &mut by_wallet;
    let own = Parameters::fresh(NOW, &SystemRandom);
    sign_erc8128(headers, &Method::GET, target, false, "eth", SignAs::default(), &own, &wallet).unwrap();
    let tagged = |tag| get().signed_on(&holder, &Terms { tag, ..USUAL });
    for (request, says) in [
        (tagged(None), "a signature without a tag is there: it needs tag=\"countersign\""),
        (tagged(Some("app-1")), "for something else is there, tag=\"app-1\": \"countersign\" is what counts"),
        (tagged(Some("cs_Ab0Cd1Ef2Gh3_j6PmtnMsUxEBAHxusYQOtX8FOsr4qXJf4JOcMxDj06s2n1GPo")), "tag=\"cs_…"),
        (tagged(Some("webhook-key")), "a signature of the scheme webhook is there"),
        (tagged(Some("web-bot-auth")), "no agent is listed: [signature] web_bot_auth"),
        (by_wallet, "wallets are not let in here: [signature] wallets"),
    ] {
        for accept in ["signature", "api-key"] {
            let rule = world.rule(accept, Also::default());
            let verdict = world.decide(&rule, &request).await;
            let denial = verdict.decision().denial().unwrap();
            assert_eq!(denial.code(), Code::CredentialMissing);
            let cause = denial.cause();
            assert!(cause.starts_with("nothing was presented where ") && cause.contains(says), "{cause}");
            assert!(!cause.contains("j6Pmtn"), "{cause}");
            let last = verdict.decision().steps.last().unwrap();
            assert_eq!(last.note, cause, "explain prints it with the check");
        }
    }
    // What counts is not told as if it did not.
    let beside = tagged(None).signed_on(&holder, &Terms { label: "sig2", nonce: "m", ..USUAL });
    assert_eq!(world.judged(&beside).await, None);
}

#[tokio::test]
async fn several_signatures_are_about_one_subject_and_each_is_spent() {
    let world = World::new();
    let (holder, other) = (world.holder(1).await, world.holder(2).await);
    let second = |nonce| Terms { label: "sig2", nonce, ..USUAL };
    let by_two = get().signed(&holder).signed_on(&other, &second("n"));
    assert_eq!(world.judged(&by_two).await, Some(Code::SubjectMismatch));
    let twice = get().signed(&holder).signed_on(&holder, &second("m"));
    assert_eq!(world.judged(&twice).await, None);
    for nonce in ["n", "m"] {
        let alone = get().signed_on(&holder, &Terms { nonce, ..USUAL });
        assert_eq!(world.judged(&alone).await, Some(Code::SignatureReplayed), "{nonce}");
    }
}

#[tokio::test]
async fn whatever_ends_first_ends_a_request_that_takes_long() {
    let world = World::new();
    let holder = world.holder(1).await;
    let short = Terms { life: Duration::from_secs(1), ..USUAL };
    let long = Terms { label: "sig2", nonce: "m", ..USUAL };
    let alone = get().signed_on(&holder, &short);
    let first = get().signed_on(&holder, &short).signed_on(&holder, &long);
    let last = get()
        .signed_on(&holder, &Terms { label: "sig1", ..long })
        .signed_on(&holder, &Terms { label: "sig2", ..short });
    // While the request came in, 31 s went by: its second, and the skew.
    world.clock.advance(Duration::from_secs(31));
    for request in [alone, first, last] {
        assert_eq!(world.judged(&request).await, Some(Code::ProofExpired));
    }
    let long = get().signed_on(&holder, &Terms { nonce: "o", ..USUAL });
    assert_eq!(world.judged(&long).await, None);
}

#[tokio::test]
async fn what_was_proven_holds_until_its_key_is_revoked() {
    let world = World::new();
    let holder = world.holder(1).await;
    let rule = world.rule("signature", Also { wallets: true, untagged: false });
    let wallet = EthereumKey::generate(&SystemRandom);
    let mut by_wallet = get();
    let parameters = Parameters::fresh(NOW, &SystemRandom);
    let Request { headers, target, .. } = &mut by_wallet;
    sign_erc8128(headers, &Method::GET, target, false, "eth", SignAs::default(), &parameters, &wallet)
        .unwrap();
    let mut standing = Vec::new();
    for request in [get().signed(&holder), by_wallet] {
        let Verdict::Permit(permit) = world.decide(&rule, &request).await else { panic!("it passes") };
        standing.push(permit.consumed().await.unwrap().spend());
    }
    assert!(standing[0].still_holds(NOW).await.unwrap() && standing[1].still_holds(NOW).await.unwrap());
    world.registry.revoke(holder.id, NOW).await.unwrap();
    assert!(!standing[0].still_holds(NOW).await.unwrap(), "its key is revoked");
    assert!(standing[1].still_holds(NOW).await.unwrap(), "a wallet is nobody's to revoke");
}
