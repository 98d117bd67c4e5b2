//! DPoP proofs (RFC 9449): what holds, and what each check refuses.

mod checks;
mod nonces;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::{Secret, Signer, SigningKey, SystemRandom, sha256};
use countersign::dpop::{DPOP, Dpop, DpopSigner, NoncePolicy, Possession, Proof};
use countersign::testing::{NOW, Request, ed25519};
use countersign::{Code, Denial, Timestamp};
use http::Method;
use serde_json::{Value, json};

const TARGET: &str = "https://bob.example/orders/42";
const TOKEN: &str = "eyJ.access.token";

/// A P-256 key of this test alone.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"9v59tgCNB_o9eBvySNfeswh3UFFq5eKCrvB8VMATVno","y":"9zJV3pSwIzkYPWFXKBe3e2bsx1Tiu_RmBupATD2HkhI","d":"EaVkKlKLrlkpL-rV0OUt-tGAVv8yZ7eUsSNZWIsCn6Q"}"#;

fn signer(key: SigningKey) -> DpopSigner {
    DpopSigner::new(key, Arc::new(SystemRandom)).unwrap()
}

fn dpop(policy: NoncePolicy) -> Dpop {
    Dpop::new(&Secret::new([9; 32]), policy)
}

/// A proof in its parts, each of which may be spoilt before it is signed.
struct Made {
    key: SigningKey,
    header: Value,
    claims: Value,
}

impl Made {
    /// A good proof of `key` for a GET of [`TARGET`] with [`TOKEN`].
    fn by(key: SigningKey, alg: &str) -> Self {
        let jwk: Value = serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap();
        Self {
            key,
            header: json!({ "typ": "dpop+jwt", "alg": alg, "jwk": jwk }),
            claims: json!({
                "jti": "one", "htm": "GET", "htu": TARGET, "iat": NOW.as_secs(),
                "ath": URL_SAFE_NO_PAD.encode(sha256(TOKEN.as_bytes())),
            }),
        }
    }

    fn good() -> Self {
        Self::by(ed25519(1), "EdDSA")
    }

    /// The same with another claim, or without it (null).
    fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.claims, name, value);
        self
    }

    /// The same with another member of the header, or without it (null).
    fn header(mut self, name: &str, value: Value) -> Self {
        set(&mut self.header, name, value);
        self
    }

    fn signed(&self) -> String {
        sign_text(&self.key, &self.header.to_string(), &self.claims.to_string())
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
}

/// A token of these very texts.
fn sign_text(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// What `dpop` says of a proof that comes at `now` with [`TOKEN`].
fn judge(dpop: &Dpop, proof: &str, now: Timestamp) -> Result<Possession, Denial> {
    judge_for(dpop, proof, &Method::GET, TARGET, Some(TOKEN), now)
}

fn judge_for(
    dpop: &Dpop,
    proof: &str,
    method: &Method,
    target: &str,
    token: Option<&str>,
    now: Timestamp,
) -> Result<Possession, Denial> {
    let request = Request::new(method.as_str(), target).with(DPOP, proof);
    let request = request.view(now);
    dpop.verify(Proof::of(&request)?.unwrap(), token, &request)
}

/// The check that refused a proof, as the cause names it. Everything is `dpop_invalid`.
fn check(result: Result<Possession, Denial>) -> Option<String> {
    let denial = result.err()?;
    assert_eq!(denial.code(), Code::DpopInvalid);
    Some(denial.cause().split_once(": ").expect("a check and why").0.to_owned())
}

/// The check that refuses this proof now.
fn refused(made: &Made) -> Option<String> {
    check(judge(&dpop(NoncePolicy::Accepted), &made.signed(), NOW))
}
