//! `key add`: what may be typed, and reading the file, so that nothing travels that should have stayed in it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use countersign::crypto::VerifyingKey;
use countersign::schemes::api_key::MintRights;
use countersign_gateway::management::{Registration, SharedSecret, read_public};
use countersign_gateway::terminal::escape;
use countersign_io::secret_file::read_secret;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// More than any key comes with.
const MAX_BYTES: u64 = 64 * 1024;
/// Room for the largest secret in base64 and everything that is said of it, so that the body is
/// written in one place and wiped there.
const BODY: usize = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct AddFlags {
    /// A public key: Ed25519, ECDSA on P-256 or P-384, RSA of 2048 bits or more; PEM or a JWK.
    #[arg(long, value_name = "FILE", required_unless_present = "hmac_secret_file")]
    pub(super) public: Option<PathBuf>,
    /// How a public key signs, by its name in RFC 9421; only RSA keys leave a choice.
    #[arg(
        long,
        value_name = "NAME",
        requires = "public",
        value_parser = ["ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"]
    )]
    pub(super) algorithm: Option<String>,
    /// A file whose bytes, all 32 to 4096 of them, are the secret of an HMAC-SHA256; mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["public", "algorithm"])]
    pub(super) hmac_secret_file: Option<PathBuf>,
    /// What people call it.
    #[arg(long, value_name = "TEXT")]
    pub(super) label: String,
    /// What it may do; several times for several.
    #[arg(long = "permission", value_name = "NAME")]
    pub(super) permissions: Vec<String>,
    /// Who answers for it.
    #[arg(long, value_name = "TEXT")]
    pub(super) owner: Option<String>,
    /// For how long it is valid, as in 30d. Default: until it is revoked.
    #[arg(long, value_name = "DURATION")]
    pub(super) expires: Option<String>,
    #[command(flatten)]
    pub(super) mint: MintFlags,
}

/// Which callback URLs a key may mint with POST /callbacks.
#[derive(Debug, Args)]
pub(super) struct MintFlags {
    /// It may mint callback URLs for this route, by its template; several times for several.
    #[arg(long = "mint-route", value_name = "TEMPLATE", requires = "users")]
    pub(super) routes: Vec<String>,
    /// It may mint them for this user of the application, `*` for all; several times for several.
    #[arg(long = "mint-user", value_name = "USER", requires = "routes")]
    pub(super) users: Vec<String>,
}

impl From<MintFlags> for MintRights {
    fn from(flags: MintFlags) -> Self {
        Self { routes: flags.routes, users: flags.users }
    }
}

/// The body of a registration.
pub(super) fn registration(flags: AddFlags) -> Result<Bytes, Failure> {
    let AddFlags { public, algorithm, hmac_secret_file, label, permissions, owner, expires, mint } = flags;
    let mut wanted =
        Registration { label, owner, permissions, expires, mint: mint.into(), ..Registration::default() };
    if let Some(path) = public {
        // Read here first: a private key that was meant to be a public one stays in its file.
        let text = public_text(&path)?;
        read_key(&path, &text, algorithm.as_deref())?;
        wanted.algorithm = algorithm;
        wanted.public = Some(key_alone(&text).to_owned());
    } else if let Some(path) = hmac_secret_file {
        wanted.hmac_secret = Some(secret(&path)?);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(BODY));
    serde_json::to_writer(&mut *body, &wanted)?;
    Ok(Bytes::from_owner(body))
}

pub(super) fn public_key(path: &Path, algorithm: Option<&str>) -> Result<VerifyingKey, Failure> {
    read_key(path, &public_text(path)?, algorithm)
}

fn read_key(path: &Path, text: &str, algorithm: Option<&str>) -> Result<VerifyingKey, Failure> {
    let file = escape(&path.display().to_string());
    read_public(text, algorithm).map_err(|why| Failure::said(format!("{file}: {}", escape(&why))))
}

/// A file that was read as a key, without what may stand around the block of a PEM.
fn key_alone(text: &str) -> &str {
    let begins = text.find("-----BEGIN ").unwrap_or(0);
    let ends = text.rfind("-----").map_or(text.len(), |at| at + 5);
    if text.trim_start().starts_with('{') { text.trim() } else { &text[begins..ends] }
}

fn public_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = escape(&path.display().to_string());
    let mut text = Zeroizing::new(String::with_capacity(BODY));
    File::open(path).and_then(|opened| opened.take(MAX_BYTES).read_to_string(&mut text)).map_err(
        |error| match error.kind() {
            std::io::ErrorKind::InvalidData => Failure::said(format!(
                "{file}: this is no text; a key in DER becomes PEM with \
                 `openssl pkey -pubin -inform DER -in {file}`"
            )),
            _ => Failure::said(format!("{file}: {error}")),
        },
    )?;
    Ok(text)
}

fn secret(path: &Path) -> Result<SharedSecret, Failure> {
    let secret = read_secret(path)?;
    let (file, length) = (escape(&path.display().to_string()), secret.expose().len());
    if !(32..=4096).contains(&length) {
        return Err(Failure::said(format!("{file} holds {length} bytes: an HMAC secret has 32 to 4096")));
    }
    Ok(secret.into())
}
