//! Keys of ours on file, and what they prove: for `[[outbound]]`, `call` and `sign`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::crypto::ethereum::{EthereumKey, Wallet};
use countersign::crypto::{Random, Secret, SigningKey};
use countersign::dpop::DpopSigner;
use countersign::schemes::api_key::ApiKey;
use countersign::schemes::bearer::signer::BearerSigner;
use countersign::schemes::proof::Proof;
use countersign::schemes::signature::{Erc8128Form, RequestSigner, SignAs};

use crate::secret_file::{SecretFileError, read_secret};

/// Where a key of ours is, and how it proves requests. The file is read when a proof is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A `cs_…` key, which signs, or with `bearer` is sent as itself.
    ApiKey {
        /// The file.
        file: PathBuf,
        /// Whether it is sent as itself.
        bearer: bool,
    },
    /// A private key, PEM or a JWK.
    Private {
        /// The file.
        file: PathBuf,
        /// What the receiver calls it.
        id: String,
    },
    /// The secret of an HMAC-SHA256: all bytes of the file.
    Hmac {
        /// The file.
        file: PathBuf,
        /// What the receiver calls it.
        id: String,
    },
    /// A wallet: a version 3 key file, or a private key in hexadecimal digits.
    Wallet {
        /// The file.
        file: PathBuf,
        /// What it makes.
        form: WalletForm,
        /// The file that holds the key file's password.
        password_file: Option<PathBuf>,
    },
    /// An access token.
    Token {
        /// The file.
        file: PathBuf,
        /// The private key that it is bound to.
        dpop_key: Option<PathBuf>,
    },
}

/// What a wallet makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalletForm {
    /// The header AsymmetricAuthentication.
    #[default]
    Asymmetric,
    /// A message signature, ERC-8128: an account of `eip155:…`, and a tag.
    Erc8128,
    /// The same as an earlier text has it: an account of `erc8128:…`, and no tag. npm's `@slicekit/erc8128` 0.2 and the
    /// crate `erc8128` 0.3 take this one alone.
    Erc8128Untagged,
}

impl WalletForm {
    /// Reads its name.
    ///
    /// # Errors
    /// It is the name of none; the sentence says which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "asymmetric" => Ok(Self::Asymmetric),
            "erc8128" => Ok(Self::Erc8128),
            "erc8128-untagged" => Ok(Self::Erc8128Untagged),
            _ => Err(format!("`{text}` is no form: write asymmetric, erc8128 or erc8128-untagged")),
        }
    }
}

/// Why there is no proof. What a file holds is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or others may read it.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// It holds something else.
    #[error("{file}: {wrong}")]
    Content {
        /// Which.
        file: String,
        /// What is wrong, and what to do.
        wrong: String,
    },
}

impl KeyFile {
    /// Reads the file and makes what proves requests.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(&self, random: Arc<dyn Random>, base_digests: bool) -> Result<Proof, KeyFileError> {
        match self {
            Self::ApiKey { file, bearer } => {
                let key = ApiKey::parse(text(file)?.expose().trim());
                let wrong = |error| format!("this is no API key: {error}");
                let key = key.map_err(|error| content(file, wrong(error)))?;
                Ok(of_api_key(key, *bearer, random, base_digests))
            }
            Self::Private { file, id } => Ok(signing(private_key(file)?, id, random, base_digests)),
            Self::Hmac { file, id } => {
                let key = SigningKey::from_hmac_secret(&read_secret(file)?);
                let key = key.map_err(|error| content(file, error.to_string()))?;
                Ok(signing(key, id, random, base_digests))
            }
            Self::Token { file, dpop_key } => {
                let token = Secret::new(text(file)?.expose().trim().to_owned());
                let signer = |path: &PathBuf| {
                    let signer = DpopSigner::new(private_key(path)?, random.clone());
                    signer.map_err(|error| content(path, error.to_string()))
                };
                let dpop = dpop_key.as_ref().map(signer).transpose()?;
                Ok(Proof::Token(Box::new(BearerSigner::new(token, dpop))))
            }
            Self::Wallet { file, form, password_file } => {
                let key = wallet(file, password_file.as_deref())?;
                let form = match form {
                    WalletForm::Asymmetric => return Ok(Proof::asymmetric(key)),
                    WalletForm::Erc8128 => Erc8128Form::Tagged,
                    WalletForm::Erc8128Untagged => Erc8128Form::Untagged,
                };
                let sign_as = SignAs { form, ..SignAs::default() };
                Ok(Proof::Signature(Box::new(RequestSigner::of_wallet(key, sign_as, random))))
            }
        }
    }
}

/// What an API key proves: by signing, unless it is to be sent as itself.
pub fn of_api_key(key: ApiKey, bearer: bool, random: Arc<dyn Random>, base_digests: bool) -> Proof {
    match bearer {
        true => Proof::Bearer(key),
        false => {
            let signer = RequestSigner::of_api_key(&key, random).with_base_digests(base_digests);
            Proof::Signature(Box::new(signer))
        }
    }
}

fn signing(key: SigningKey, id: &str, random: Arc<dyn Random>, base_digests: bool) -> Proof {
    Proof::Signature(Box::new(RequestSigner::new(key, id, random).with_base_digests(base_digests)))
}

fn private_key(file: &Path) -> Result<SigningKey, KeyFileError> {
    let text = text(file)?;
    let text = text.expose();
    let read = match text.trim_start().starts_with('{') {
        true => SigningKey::from_jwk(text, None),
        false if text.contains("-----BEGIN ") => SigningKey::from_pem(text, None),
        false => {
            let neither = "this is neither PEM (-----BEGIN PRIVATE KEY-----) nor a JWK ({\"kty\": …})";
            return Err(content(file, neither));
        }
    };
    read.map_err(|error| content(file, error.to_string()))
}

fn wallet(file: &Path, password_file: Option<&Path>) -> Result<EthereumKey, KeyFileError> {
    let wallet = Wallet::parse(text(file)?.expose()).map_err(|error| content(file, error.to_string()))?;
    match (wallet, password_file) {
        (Wallet::Key(key), _) => Ok(key),
        (Wallet::Locked(locked), Some(password)) => {
            let password = read_secret(password)?;
            locked.unlock(password.expose()).map_err(|error| content(file, error.to_string()))
        }
        (Wallet::Locked(_), None) => Err(content(
            file,
            "this wallet has a password: put it into a file, mode 0600, and name it as the password file",
        )),
    }
}

fn text(file: &Path) -> Result<Secret<String>, KeyFileError> {
    let bytes = read_secret(file)?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| content(file, "this is no text"))?;
    Ok(Secret::new(text.to_owned()))
}

fn content(file: &Path, wrong: impl Into<String>) -> KeyFileError {
    KeyFileError::Content { file: file.display().to_string(), wrong: wrong.into() }
}
