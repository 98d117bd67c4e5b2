//! Signed requests through the gateway, beside the same requests through a route of its own that is public.
//!
//! A nonce passes once, so every request is signed beforehand and sent once.

use std::ffi::OsStr;
use std::io::Write as _;
use std::sync::Arc;

use countersign::Clock as _;
use countersign::crypto::{Ed25519Key, Secret, SigningKey, SystemRandom, VerifyingKey};
use countersign::schemes::signature::{RequestSigner, SIGNATURE, SIGNATURE_INPUT};
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign_io::SystemClock;
use http::{HeaderMap, Method, Uri};

use crate::gateway::{Gateway, PUBLIC, secret_file};
use crate::load::{self, Sample};
use crate::report::Row;
use crate::script::{Script, Turns};
use crate::{Failure, machine, report};

/// More than pass in a second.
const MOST: u64 = 50_000;
const SECRET: [u8; 32] = [7; 32];

/// A path, its row in the table, and who signs.
struct Contender {
    path: &'static str,
    row: Row,
    signer: RequestSigner,
}

/// Measures each contender once a round, and prints Markdown.
pub(crate) fn measure(rounds: usize, seconds: u64) -> Result<(), Failure> {
    let gateway = Gateway::start(|_, upstream| {
        Ok(format!(
            "[limits]\nnonces = \"1000000000/min\"\n\
             [[route]]\npath = \"/open/*\"\nupstream = \"{upstream}\"\npublic = true\n\
             [[route]]\npath = \"/signed/*\"\nupstream = \"{upstream}\"\naccept = [\"signature\"]\nassertion = false\n"
        ))
    })?;
    let contenders = contenders(&gateway)?;
    let samples = load::rounds(rounds, contenders.len(), |index| {
        let contender = &contenders[index];
        contender
            .load(&gateway, seconds.max(1))
            .map_err(|error| format!("{}: {error}", contender.row.name).into())
    })?;
    let rows: Vec<Row> = contenders.iter().map(|contender| contender.row).collect();
    let text = format!("{}.\n\n{}", machine::machine(), report::beside(&rows, &samples)?);
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn contenders(gateway: &Gateway) -> Result<[Contender; 4], Failure> {
    let ed25519 = || Ed25519Key::from_seed(Secret::new(SECRET));
    let jwk = VerifyingKey::from_ed25519(ed25519().public())?.to_jwk().ok_or("no JWK")?;
    let public = registered(gateway, "--public", jwk.as_bytes())?;
    let shared = registered(gateway, "--hmac-secret-file", &SECRET)?;
    let hmac = || SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec()));
    let contender = |path, name, against, key: SigningKey, id: &str| Contender {
        path,
        row: Row { name, against },
        signer: RequestSigner::new(key, id, Arc::new(SystemRandom)),
    };
    Ok([
        contender("/open/1", "HMAC-SHA256, public route", 0, hmac()?, &shared),
        contender("/signed/1", "HMAC-SHA256", 0, hmac()?, &shared),
        contender("/open/1", "Ed25519, public route", 2, ed25519().into(), &public),
        contender("/signed/1", "Ed25519", 2, ed25519().into(), &public),
    ])
}

/// The name under which the gateway knows a key from now on.
fn registered(gateway: &Gateway, flag: &str, key: &[u8]) -> Result<String, Failure> {
    let file = secret_file(gateway.folder.path(), "key", key)?;
    let arguments = ["key", "add", "--label", "bench", "--json", flag].map(OsStr::new);
    let text = gateway.run(&[&arguments[..], &[file.as_os_str()]].concat())?;
    let key: serde_json::Value = serde_json::from_str(&text)?;
    Ok(key["id"].as_str().ok_or(text)?.to_owned())
}

impl Contender {
    fn load(&self, gateway: &Gateway, seconds: u64) -> Result<Sample, Failure> {
        gateway.load(Turns::Once, seconds, |script, seconds| self.write(script, seconds * MOST))
    }

    /// Signs so many requests.
    fn write(&self, script: &mut Script, count: u64) -> Result<(), Failure> {
        let target = Uri::try_from(format!("{PUBLIC}{}", self.path))?;
        let now = SystemClock.now();
        for _ in 0..count {
            let mut headers = HeaderMap::new();
            self.signer.sign_request(&Method::GET, &target, &mut headers, OutgoingBody::Absent, now)?;
            let [input, signature] = [SIGNATURE_INPUT, SIGNATURE].map(|name| headers[name].to_str());
            script.add("GET", self.path, &[("Signature-Input", input?), ("Signature", signature?)], "")?;
        }
        Ok(())
    }
}
