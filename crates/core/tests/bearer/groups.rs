//! A token and a signature on one request: about one subject, or about nothing.

use countersign::crypto::ethereum::EthereumKey;
use countersign::crypto::{VerifyingKey, derive_ed25519};
use countersign::schemes::api_key::{ApiKeyVerifier, DERIVATION, KeyRegistry, KeyTerms};
use countersign::schemes::asymmetric::AsymmetricVerifier;
use countersign::schemes::asymmetric::signer::sign_header;
use countersign::schemes::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use countersign::schemes::signature::{RegisteredKeys, RequestSigner, SignatureVerifier};
use countersign::schemes::webhook::signer::OutgoingBody;
use serde_json::json;

use super::*;

/// A gate that wants a token and a signature, with an issuer that names keys.
struct Both {
    world: World,
    rule: Arc<Rule>,
}

impl Both {
    fn new(group: &str) -> Self {
        let world = World::with(IssuerTerms { names_keys: true, ..terms() }, KeySource::Discovered);
        let store = world.store.clone();
        let signatures = SignatureVerifier {
            keys: Arc::new(RegisteredKeys::new(store.clone(), Arc::default(), None)),
            wallets: false,
            bots: None::<countersign::schemes::signature::WebBots<Arc<Table>>>,
            untagged: false,
            max_signed_body: 1024,
        };
        let tokens = BearerVerifier {
            issuers: world.issuers.clone(),
            dpop: Arc::new(dpop(NoncePolicy::Accepted)),
            fetch: world.network.clone(),
            longest_token: LONGEST_TOKEN,
        };
        let keys = ApiKeyVerifier::new(store, Arc::default());
        let asymmetric = AsymmetricVerifier::default();
        let rule = rule(group, |rule| {
            rule.verifier(signatures).verifier(tokens).verifier(keys).verifier(asymmetric)
        });
        Self { world, rule }
    }

    async fn decide(&self, request: &Request) -> Result<Principal, Code> {
        match self.world.common.decide(&self.rule, request).await {
            Verdict::Permit(permit) => Ok(permit.principal().unwrap().clone()),
            Verdict::Deny(refusal) => Err(refusal.denial().code()),
        }
    }
}

fn naming(sub: &str) -> Request {
    bearing(&signed(&with(json!({ "sub": sub }))))
}

fn sign_with(signer: &RequestSigner, mut request: Request) -> Request {
    let Request { method, target, headers, .. } = &mut request;
    signer.sign_request(method, target, headers, OutgoingBody::Absent, NOW).unwrap();
    request
}

#[tokio::test]
async fn a_token_names_the_key_that_signs_the_request() {
    let both = Both::new("bearer+signature");
    let registry = KeyRegistry::new(both.world.store.clone());
    let key = ed25519(7);
    let key_terms = KeyTerms { label: "x".into(), ..KeyTerms::default() };
    let record = registry.add_public(key.verifying_key(), key_terms, NOW, &SystemRandom).await.unwrap();
    let signer = RequestSigner::new(key, record.id.as_str(), Arc::new(SystemRandom));

    let proven = both.decide(&sign_with(&signer, naming(&thumbprint(7)))).await.unwrap();
    assert_eq!(proven.subject.to_string(), format!("key:{}", record.id), "the subject is the key's");
    assert_eq!(proven.scheme_names(), "signature+bearer");
    assert_eq!(proven.claims["client_id"], json!("shop"), "and the claims are the token's");

    let mixed_up = both.decide(&sign_with(&signer, naming(&thumbprint(8)))).await;
    assert_eq!(mixed_up.unwrap_err(), Code::SubjectMismatch);
    assert_eq!(both.decide(&naming(&thumbprint(7))).await.unwrap_err(), Code::CredentialMissing);
}

#[tokio::test]
async fn a_token_may_name_an_api_key_that_signs() {
    for group in ["bearer+signature", "bearer+api-key"] {
        let both = Both::new(group);
        let registry = KeyRegistry::new(both.world.store.clone());
        let key_terms = KeyTerms { label: "x".into(), ..KeyTerms::default() };
        let (key, _) = registry.create(key_terms, NOW, &SystemRandom).await.unwrap();
        let signer = RequestSigner::of_api_key(&key, Arc::new(SystemRandom));
        let (_, public) = derive_ed25519(key.secret.expose(), DERIVATION);
        let print = VerifyingKey::from_ed25519(public).unwrap().thumbprint().unwrap();
        let proven = both.decide(&sign_with(&signer, naming(&print))).await.unwrap();
        assert_eq!(proven.subject.to_string(), format!("key:{}", key.id), "{group}");
    }
}

#[tokio::test]
async fn a_token_names_the_wallet_that_signs_the_request() {
    let both = Both::new("bearer+asymmetric");
    let wallet = EthereumKey::from_bytes(Secret::new([7; 32])).unwrap();
    let signed_by_wallet = |mut request: Request| {
        let header = sign_header(&wallet, &request.method, &request.target, b"", NOW).unwrap();
        request.headers.insert(ASYMMETRIC_AUTHENTICATION, header);
        request
    };
    let address = wallet.address();
    let request = signed_by_wallet(naming(&address.checksummed()));
    let proven = both.decide(&request).await.unwrap();
    assert_eq!(proven.subject.to_string(), format!("eip155:{address}"));
    assert_eq!(proven.permissions, only(&["orders:read", "orders:write"]), "they are the token's");
    assert_eq!(both.decide(&request).await.unwrap_err(), Code::SignatureReplayed);
    let other = signed_by_wallet(naming("0x52908400098527886e0f7030069857d2e4169ee7"));
    assert_eq!(both.decide(&other).await.unwrap_err(), Code::SubjectMismatch);
}
