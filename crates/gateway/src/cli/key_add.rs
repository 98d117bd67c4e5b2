//! `key add`: reading the file, so that nothing travels that should have stayed in it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::arguments::AddFlags;
use super::{Failure, complain, escape};
use crate::management::registered::{Registration, SharedSecret, read_public};
use crate::seal::read_secret;

/// More than any key comes with.
const MAX_BYTES: u64 = 64 * 1024;
/// Room for the largest secret in base64 and everything that is said of it, so that the body is
/// written in one place and wiped there.
const BODY: usize = 64 * 1024;

/// The body of a registration.
pub(super) fn registration(flags: AddFlags) -> Result<Bytes, Failure> {
    let AddFlags { public, algorithm, hmac_secret_file, label, permissions, owner, expires } = flags;
    let mut wanted = Registration { label, owner, permissions, expires, ..Registration::default() };
    if let Some(path) = public {
        // Read here first: a private key that was meant to be a public one stays in its file.
        let key = public_key(&path, algorithm.as_deref())?;
        wanted.algorithm = Some(key.algorithm().as_str().to_owned());
        wanted.public = key.to_jwk();
    } else if let Some(path) = hmac_secret_file {
        wanted.hmac_secret = Some(secret(&path)?);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(BODY));
    serde_json::to_writer(&mut *body, &wanted)?;
    Ok(Bytes::from_owner(body))
}

pub(super) fn public_key(
    path: &Path,
    algorithm: Option<&str>,
) -> Result<countersign::crypto::VerifyingKey, Failure> {
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
    read_public(&text, algorithm).map_err(|why| Failure::said(format!("{file}: {}", escape(&why))))
}

fn secret(path: &Path) -> Result<SharedSecret, Failure> {
    let secret = read_secret(path)?;
    let (file, length) = (escape(&path.display().to_string()), secret.expose().len());
    if !(32..=4096).contains(&length) {
        return Err(Failure::said(format!("{file} holds {length} bytes: an HMAC secret has 32 to 4096")));
    }
    if secret.expose().ends_with(b"\n") {
        complain(&format!(
            "note: {file} ends with a line break, which is a part of the secret like all else"
        ));
    }
    Ok(secret.into())
}
