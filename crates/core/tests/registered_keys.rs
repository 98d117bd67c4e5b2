//! Keys that somebody else made: registering them, finding them by `keyid`, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::KeyId;
use countersign::crypto::{
    Algorithm, Ed25519Key, KeyError, Secret, Signer as _, SigningKey, SystemRandom, VerifyingKey,
};
use countersign::schemes::api_key::{
    ApiKey, ApiKeyVerifier, KEYS, KeyKind, KeyRecord, KeyRegistry, KeyTerms, KeyUnavailable, LastUses,
    RegistryError,
};
use countersign::schemes::signature::{RegisteredKeys, RequestSigner, SignatureVerifier};
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign::store::Inventory;
use countersign::testing::{self, NOW, Nobody, Request, TestStore, ed25519, public_key, seal_key};
use countersign::{Code, Denial, Permissions, Store, Timestamp, Verifier as _};

const SECRET: &[u8; 32] = b"thirty-two bytes that are shared";

struct World {
    store: Arc<TestStore>,
    registry: KeyRegistry<Arc<TestStore>>,
    uses: Arc<LastUses>,
    keys: RegisteredKeys<Arc<TestStore>>,
}

impl World {
    fn new() -> Self {
        let store = testing::World::new().store;
        let uses = Arc::<LastUses>::default();
        let keys = RegisteredKeys::new(store.clone(), uses.clone(), Some(seal_key(1)));
        Self { registry: KeyRegistry::new(store.clone()), store, uses, keys }
    }

    async fn public(&self, seed: u8) -> Result<KeyRecord, RegistryError> {
        self.registry.add_public(&public_key(seed), terms(), NOW, &SystemRandom).await
    }

    async fn hmac(&self, secret: &[u8]) -> Result<KeyRecord, RegistryError> {
        let secret = Secret::new(secret.to_vec());
        self.registry.add_hmac(&secret, &seal_key(1), terms(), NOW, &SystemRandom).await
    }

    async fn api_key(&self) -> ApiKey {
        self.registry.create(terms(), NOW, &SystemRandom).await.unwrap().0
    }

    async fn refused(&self, keyid: &str, now: Timestamp) -> (Code, String) {
        let denial = self.keys.find(keyid, now).await.map(|found| found.id).unwrap_err();
        (denial.code(), denial.cause().to_owned())
    }

    async fn ids(&self) -> Vec<KeyId> {
        self.registry.list().await.unwrap().into_iter().map(|record| record.id).collect()
    }

    fn reads(&self) -> usize {
        self.store.reads()
    }
}

fn terms() -> KeyTerms {
    let permissions = vec!["orders:read".to_owned()];
    KeyTerms { label: "partner".into(), permissions, ..KeyTerms::default() }
}

#[tokio::test]
async fn every_kind_is_found_by_its_name_and_verifies_what_it_signed() {
    let world = World::new();
    let registered = world.public(7).await.unwrap();
    let shared = world.hmac(SECRET).await.unwrap();
    let key = world.api_key().await;
    let (seed, _) =
        countersign::crypto::derive_ed25519(key.secret.expose(), countersign::schemes::api_key::DERIVATION);
    let signers: [(KeyId, SigningKey, bool); 3] = [
        (registered.id, ed25519(7), false),
        (shared.id, SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec())).unwrap(), false),
        (key.id, Ed25519Key::from_seed(seed).into(), true),
    ];
    for (id, signer, is_api_key) in signers {
        let found = world.keys.find(id.as_str(), NOW).await.unwrap();
        let signature = signer.sign(b"message").unwrap();
        assert!(found.key.verify(b"message", &signature) && !found.key.verify(b"massage", &signature));
        assert_eq!((found.id, found.is_api_key, found.expires), (id, is_api_key, None));
        let principal = found.principal();
        assert_eq!(principal.subject.to_string(), format!("key:{id}"));
        assert_eq!(principal.permissions, Permissions::Only(["orders:read".into()].into()));
    }
}

#[tokio::test]
async fn what_is_kept_of_a_secret_is_sealed_for_its_name() {
    let world = World::new();
    let record = world.hmac(SECRET).await.unwrap();
    for (_, bytes) in world.store.list(KEYS, None, 10).await.unwrap() {
        assert!(!bytes.windows(16).any(|window| SECRET.windows(16).any(|part| part == window)));
    }
    assert!(!format!("{record:?} {:?}", record.verifying_key(Some(&seal_key(1)))).contains("thirty"));
    let id = record.id;
    assert_eq!(record.verifying_key(None).unwrap_err(), KeyUnavailable::NoSealKey(id));
    assert_eq!(record.verifying_key(Some(&seal_key(2))).unwrap_err(), KeyUnavailable::Sealed(id));
    let other = world.hmac(&[9; 32]).await.unwrap();
    let moved = KeyRecord { kind: other.kind, ..record };
    assert_eq!(moved.verifying_key(Some(&seal_key(1))).unwrap_err(), KeyUnavailable::Sealed(id));
}

#[tokio::test]
async fn a_sealing_key_that_is_missing_or_wrong_is_not_the_callers_fault() {
    let world = World::new();
    let (shared, registered) = (world.hmac(SECRET).await.unwrap(), world.public(7).await.unwrap());
    for seal in [None, Some(seal_key(2))] {
        let keys = RegisteredKeys::new(world.store.clone(), Arc::default(), seal);
        let denial = keys.find(shared.id.as_str(), NOW).await.map(|found| found.id).unwrap_err();
        assert_eq!((denial.code(), denial.code().status().as_u16()), (Code::KeysUnavailable, 503));
        assert!(denial.retry().is_some());
        assert!(keys.find(registered.id.as_str(), NOW).await.is_ok(), "what is not sealed needs no seal");
    }
    let broken = KeyRecord { kind: KeyKind::Public { key: vec![1, 1, 0] }, ..registered };
    let denial = Denial::from(broken.verifying_key(None).unwrap_err());
    assert_eq!(denial.code(), Code::KeysUnavailable);
}

#[tokio::test]
async fn a_key_that_is_unknown_or_lapsed_looks_the_same_from_outside() {
    let world = World::new();
    let end = NOW.plus(Duration::from_secs(60));
    let ending = KeyTerms { expires: Some(end), ..terms() };
    let ending = world.registry.add_public(&public_key(8), ending, NOW, &SystemRandom).await.unwrap();
    let found = world.keys.find(ending.id.as_str(), NOW).await.unwrap();
    assert_eq!((found.expires, found.principal().expires), (Some(end), Some(end)));
    let revoked = world.public(7).await.unwrap().id;
    assert!(world.keys.find(revoked.as_str(), NOW).await.is_ok());
    world.registry.revoke(revoked, NOW).await.unwrap();
    world.reads();

    let invalid = |cause: String| (Code::SignatureInvalid, cause);
    assert_eq!(world.refused("AAAAAAAAAAAA", NOW).await, invalid("no key is called AAAAAAAAAAAA".into()));
    assert_eq!(world.refused(revoked.as_str(), NOW).await, invalid(format!("{revoked} is revoked")));
    let id = ending.id;
    assert_eq!(world.refused(id.as_str(), end).await, invalid(format!("{id} is expired")));
    assert_eq!(world.reads(), 3, "one read each");
    for malformed in ["", "AAAAAAAAAAA", "AAAAAAAAAAAAA", "AAAAAAAAAAA_", "AAAAAAAAAA\u{e9}"] {
        let (code, cause) = world.refused(malformed, NOW).await;
        assert_eq!(code, Code::SignatureInvalid);
        assert!(cause.starts_with("keyid is not 12 letters and digits"), "{cause}");
    }
    assert_eq!(world.reads(), 0, "what is no name is not looked for");
}

#[tokio::test]
async fn a_key_is_read_for_each_request_and_parsed_once() {
    let world = World::new();
    let id = world.hmac(SECRET).await.unwrap().id;
    world.reads();
    let first = world.keys.find(id.as_str(), NOW).await.unwrap();
    let second = world.keys.find(id.as_str(), NOW).await.unwrap();
    assert!(Arc::ptr_eq(&first.key, &second.key));
    assert_eq!(world.reads(), 2);
    // Another record in its place is another key.
    let place = KeyRecord::place(id);
    let old = world.store.get(KEYS, place).await.unwrap().unwrap();
    let kind = KeyKind::Public { key: public_key(3).encode().unwrap() };
    let new = KeyRecord { kind, ..KeyRecord::decode(&old).unwrap() }.encode().unwrap();
    assert!(world.store.replace(KEYS, place, old, new, None).await.unwrap());
    assert_eq!(*world.keys.find(id.as_str(), NOW).await.unwrap().key, public_key(3));
}

#[tokio::test]
async fn a_use_is_noted_when_a_signature_held_and_not_for_an_explanation() {
    let world = World::new();
    let id = world.public(7).await.unwrap().id;
    let found = world.keys.find(id.as_str(), NOW).await.unwrap();
    assert!(world.uses.take().is_empty(), "whoever names a key has not used it");
    drop(world.keys.use_of(&found, &Request::get("/orders").view(NOW)));
    assert!(world.uses.take().is_empty(), "nor has whoever signed what does not pass");

    let gate = testing::World::new();
    let verifier = SignatureVerifier::<_, Nobody> {
        keys: Arc::new(RegisteredKeys::new(world.store.clone(), world.uses.clone(), None)),
        wallets: false,
        bots: None,
        untagged: false,
        max_signed_body: 0,
    };
    let rule = testing::rule("signature", |rule| rule.verifier(verifier));
    let signer = RequestSigner::new(ed25519(7), id.to_string(), Arc::new(SystemRandom));
    let mut request = Request::get("/orders");
    let body = OutgoingBody::Absent;
    signer.sign_request(&request.method, &request.target, &mut request.headers, body, NOW).unwrap();
    let forged = Request { target: "https://bob.example/other".parse().unwrap(), ..request.clone() };
    assert_eq!(gate.code(&rule, &forged).await, Some(Code::SignatureInvalid));
    assert_eq!(gate.code(&rule, &request.clone().explained()).await, None);
    assert!(world.uses.take().is_empty());
    assert_eq!(gate.code(&rule, &request).await, None);
    assert_eq!(world.uses.take().into_iter().collect::<Vec<_>>(), [(id, NOW)]);
    assert_eq!(gate.code(&rule, &request).await, Some(Code::SignatureReplayed));
    assert!(world.uses.take().is_empty(), "nor has whoever replays what somebody signed");
}

#[tokio::test]
async fn a_proof_holds_no_longer_than_its_key() {
    let world = World::new();
    let id = world.public(7).await.unwrap().id;
    let found = world.keys.find(id.as_str(), NOW).await.unwrap();
    assert!(world.keys.still_holds(found.id, NOW).await.unwrap());
    world.registry.revoke(id, NOW).await.unwrap();
    assert!(!world.keys.still_holds(found.id, NOW).await.unwrap());
    let nobody = KeyId::parse("AAAAAAAAAAAA").unwrap();
    assert!(!world.keys.still_holds(nobody, NOW).await.unwrap());
}

#[tokio::test]
async fn a_registered_key_is_no_api_key() {
    let world = World::new();
    let verifier = ApiKeyVerifier::new(world.store.clone(), world.uses.clone());
    let record = world.hmac(&[0; 32]).await.unwrap();
    assert!(record.terms.signed_only && !record.is_bearer_class());
    // Not even if its terms said otherwise.
    assert!(!KeyRecord { terms: terms(), ..record.clone() }.is_bearer_class());
    for (id, cause) in [
        (record.id, format!("{} is an HMAC secret, which is never sent", record.id)),
        (KeyId::parse("AAAAAAAAAAAA").unwrap(), "no key is called AAAAAAAAAAAA".to_owned()),
    ] {
        let sent = ApiKey { id, secret: Secret::new([0; 32]) };
        let request = Request::get("/");
        let denial = verifier.verify(sent, &request.view(NOW), &mut Bytes::new()).await.err().unwrap();
        assert_eq!((denial.code(), denial.cause()), (Code::KeyInvalid, &*cause));
    }
}

#[tokio::test]
async fn a_public_key_has_one_name_at_a_time() {
    let world = World::new();
    let first = world.public(7).await.unwrap().id;
    let error = world.public(7).await.unwrap_err();
    assert!(matches!(error, RegistryError::AlreadyRegistered(id) if id == first), "{error}");
    assert_eq!(world.ids().await, [first], "nothing is left of the second");
    world.public(8).await.unwrap();
    // Only its holder could use it, and the operator says that it is good again.
    world.registry.revoke(first, NOW).await.unwrap();
    let second = world.public(7).await.unwrap().id;
    assert!(matches!(world.public(7).await, Err(RegistryError::AlreadyRegistered(id)) if id == second));
    assert!(world.keys.find(first.as_str(), NOW).await.is_err(), "the old name stays revoked");
    assert!(world.keys.find(second.as_str(), NOW).await.is_ok());
}

#[tokio::test]
async fn what_is_no_key_to_register_is_refused() {
    let world = World::new();
    for length in [0, 31, 4097] {
        let error = world.hmac(&vec![1; length]).await.unwrap_err();
        assert!(matches!(error, RegistryError::Key(KeyError::SecretLength(n)) if n == length), "{error}");
    }
    let secret = VerifyingKey::from_hmac_secret(&Secret::new(SECRET.to_vec())).unwrap();
    let error = world.registry.add_public(&secret, terms(), NOW, &SystemRandom).await.unwrap_err();
    assert!(matches!(error, RegistryError::Terms("an HMAC secret is no public key")), "{error}");
    let nameless = KeyTerms::default();
    let error = world.registry.add_public(&public_key(7), nameless, NOW, &SystemRandom).await.unwrap_err();
    assert!(matches!(error, RegistryError::Terms(_)), "{error}");
    let past = KeyTerms { expires: Some(NOW), ..terms() };
    let secret = Secret::new(SECRET.to_vec());
    let error = world.registry.add_hmac(&secret, &seal_key(1), past, NOW, &SystemRandom).await.unwrap_err();
    assert!(matches!(error, RegistryError::Terms("the expiry is not in the future")), "{error}");
    assert_eq!(world.ids().await, []);
}

#[tokio::test]
async fn only_api_keys_rotate() {
    let world = World::new();
    let day = Duration::from_secs(86_400);
    for (record, kind) in [
        (world.public(7).await.unwrap(), "a registered public key"),
        (world.hmac(SECRET).await.unwrap(), "an HMAC secret"),
    ] {
        let id = record.id;
        let error = world.registry.rotate(id, day, NOW, &SystemRandom).await.unwrap_err();
        let said = "which only its holder can replace: add the new key and revoke the old one";
        assert_eq!(error.to_string(), format!("{id} is {kind}, {said}"));
        let successor = world.api_key().await.id;
        let error = world.registry.retire(id, successor, day, NOW).await.unwrap_err();
        assert!(matches!(error, RegistryError::OnlyItsHolder(..)), "{error}");
        assert_eq!(world.registry.get(id).await.unwrap(), record);
    }
}

#[tokio::test]
async fn a_list_says_of_each_key_what_it_is() {
    let world = World::new();
    let described = |record: &KeyRecord| (record.kind.as_str(), record.kind.described().unwrap());
    let registered = world.public(7).await.unwrap();
    assert_eq!(described(&registered), ("public", (Algorithm::Ed25519, public_key(7).thumbprint())));
    let shared = world.hmac(SECRET).await.unwrap();
    assert_eq!(described(&shared), ("hmac", (Algorithm::HmacSha256, None)));
    let key = world.api_key().await;
    let key = world.registry.get(key.id).await.unwrap();
    let (kind, (algorithm, thumbprint)) = described(&key);
    assert_eq!((kind, algorithm, thumbprint.is_some()), ("api-key", Algorithm::Ed25519, true));
    assert!(key.is_bearer_class());
}
