//! Wallets as files: a key under a password (Web3 Secret Storage, version 3), or the bare key.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::hex::decode_hex;
use super::{Address, EthereumKey, KeyError, keccak256};
use crate::crypto::{Secret, equal};

/// How large a wallet file may be, in bytes.
pub const LONGEST_WALLET: usize = 64 * 1024;
/// How much memory a file may make scrypt use, in bytes. The files of geth ask for half of it.
pub const MOST_MEMORY: u64 = 512 << 20;
/// How much memory a file may make scrypt go through, in bytes: its memory times `p`.
pub const MOST_WORK: u64 = 2 << 30;
/// How many rounds a file may ask of PBKDF2.
pub const MOST_ITERATIONS: u32 = 10_000_000;
/// How long a salt may be, in bytes.
const LONGEST_SALT: usize = 1024;

/// Why a wallet file gives no key. None repeats what the file or the password says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not JSON of the right members; which, and where.
    #[error("this is no version 3 key file: {0}")]
    Form(String),
    /// Another version, cipher, derivation or pseudo-random function than is read here.
    #[error("the key file says {0}, which is not read here")]
    Unknown(&'static str),
    /// Hexadecimal digits of the wrong number, or none.
    #[error("{0} in the key file is not the hexadecimal digits that it must be")]
    Digits(&'static str),
    /// The derivation would cost more than is spent here, or its parameters are no parameters.
    #[error("the key file asks for more work than is done here, or for none: {0}")]
    Cost(&'static str),
    /// The password is another, or the file was changed.
    #[error("the password is wrong, or the key file has been changed")]
    Password,
    /// What was locked in is no key, or the bare key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file says whose key it is, and it is another's.
    #[error("the key is of another address than the key file says")]
    Address,
}

/// A wallet file, read.
#[derive(Debug)]
pub enum Wallet {
    /// The key as it is.
    Key(EthereumKey),
    /// The key under a password: ask for it, then [`Keystore::unlock`].
    Locked(Box<Keystore>),
}

impl Wallet {
    /// Reads a wallet file: JSON of version 3, or 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`KeystoreError`].
    pub fn parse(text: &str) -> Result<Self, KeystoreError> {
        if text.trim_start().starts_with('{') {
            return Keystore::parse(text).map(|keystore| Self::Locked(Box::new(keystore)));
        }
        Ok(Self::Key(EthereumKey::from_hex(text)?))
    }
}

/// A key under a password, with a derivation whose cost was seen to be within the bounds.
pub struct Keystore {
    address: Option<Address>,
    derivation: Derivation,
    salt: Vec<u8>,
    iv: [u8; 16],
    ciphertext: [u8; 32],
    mac: [u8; 32],
}

/// The address alone: the rest is what somebody who guesses the password needs.
impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "Keystore({address})"),
            None => f.write_str("Keystore(of an unnamed account)"),
        }
    }
}

/// How the password becomes a key.
enum Derivation {
    Scrypt(scrypt::Params),
    /// HMAC-SHA256, so many times.
    Pbkdf2(NonZeroU32),
}

impl Keystore {
    /// Reads a key file. Nothing is derived yet.
    ///
    /// # Errors
    /// [`KeystoreError`]; [`KeystoreError::Cost`] if it asks for more than [`MOST_MEMORY`],
    /// [`MOST_WORK`] or [`MOST_ITERATIONS`].
    pub fn parse(text: &str) -> Result<Self, KeystoreError> {
        if text.len() > LONGEST_WALLET {
            return Err(KeystoreError::Form(format!("it has more than {LONGEST_WALLET} bytes")));
        }
        let file: File = serde_json::from_str(text).map_err(|error| KeystoreError::Form(place(&error)))?;
        if file.version != 3 {
            return Err(KeystoreError::Unknown("another version than 3"));
        }
        let crypto = file.crypto;
        if crypto.cipher != "aes-128-ctr" {
            return Err(KeystoreError::Unknown("another cipher than aes-128-ctr"));
        }
        let address = file.address.filter(|address| !address.is_empty());
        let address = address.map(|address| {
            let digits = address.strip_prefix("0x").unwrap_or(&address);
            decode_hex(digits).map(Address::from_bytes).ok_or(KeystoreError::Digits("address"))
        });
        Ok(Self {
            address: address.transpose()?,
            derivation: derivation(&crypto.kdf, &crypto.kdfparams)?,
            salt: salt(&crypto.kdfparams.salt)?,
            iv: digits("iv", &crypto.cipherparams.iv)?,
            ciphertext: digits("ciphertext", &crypto.ciphertext)?,
            mac: digits("mac", &crypto.mac)?,
        })
    }

    /// Whose key the file says it holds; believed only after [`Keystore::unlock`].
    #[must_use]
    pub const fn address(&self) -> Option<Address> {
        self.address
    }

    /// Derives the file's key from `password` and takes the account's key out. Takes up to a few
    /// seconds, and up to [`MOST_MEMORY`].
    ///
    /// # Errors
    /// [`KeystoreError::Password`], [`KeystoreError::Key`], [`KeystoreError::Address`].
    pub fn unlock(&self, password: &[u8]) -> Result<EthereumKey, KeystoreError> {
        let mut derived = Zeroizing::new([0; 32]);
        match &self.derivation {
            Derivation::Scrypt(params) => {
                let done = scrypt::scrypt(password, &self.salt, params, &mut *derived);
                done.map_err(|_| KeystoreError::Cost("scrypt"))?;
            }
            Derivation::Pbkdf2(rounds) => {
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
                pbkdf2::derive(algorithm, *rounds, &self.salt, password, &mut *derived);
            }
        }
        let mut judged = Zeroizing::new([0; 48]);
        judged[..16].copy_from_slice(&derived[16..]);
        judged[16..].copy_from_slice(&self.ciphertext);
        if !equal(&keccak256(&*judged), &self.mac) {
            return Err(KeystoreError::Password);
        }
        let mut bytes = Zeroizing::new(self.ciphertext);
        let key = UnboundCipherKey::new(&AES_128, &derived[..16]).and_then(DecryptingKey::ctr);
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        let opened = key.and_then(|key| key.decrypt(&mut *bytes, context).map(|_| ()));
        opened.map_err(|_| KeystoreError::Password)?;
        let key = EthereumKey::from_bytes(Secret::new(*bytes))?;
        match self.address {
            Some(address) if address != key.address() => Err(KeystoreError::Address),
            _ => Ok(key),
        }
    }
}

/// What `serde_json` says, without the piece of the file that it may repeat.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

fn digits<const LENGTH: usize>(name: &'static str, text: &str) -> Result<[u8; LENGTH], KeystoreError> {
    decode_hex(text.strip_prefix("0x").unwrap_or(text)).ok_or(KeystoreError::Digits(name))
}

fn salt(text: &str) -> Result<Vec<u8>, KeystoreError> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() > LONGEST_SALT || !rest.is_empty() {
        return Err(KeystoreError::Digits("salt"));
    }
    let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(decode_hex::<1>);
    let bytes: Option<Vec<[u8; 1]>> = pairs.iter().map(byte).collect();
    bytes.map(|bytes| bytes.concat()).ok_or(KeystoreError::Digits("salt"))
}

/// Judges the cost before anything is spent: a file comes from anywhere.
fn derivation(name: &str, parameters: &Parameters) -> Result<Derivation, KeystoreError> {
    // The 32 bytes that are used are the first of any longer output, which is not made.
    if parameters.dklen < 32 {
        return Err(KeystoreError::Cost("dklen is at least 32"));
    }
    match name {
        "scrypt" => {
            let (Some(n), Some(r), Some(p)) = (parameters.n, parameters.r, parameters.p) else {
                return Err(KeystoreError::Cost("scrypt takes n, r and p"));
            };
            if n < 2 || !n.is_power_of_two() {
                return Err(KeystoreError::Cost("n is a power of two, above one"));
            }
            let block = u64::from(r).saturating_mul(128);
            let memory = block.saturating_mul(n.saturating_add(u64::from(p)));
            if memory > MOST_MEMORY {
                return Err(KeystoreError::Cost("scrypt's memory"));
            }
            if block.saturating_mul(n).saturating_mul(u64::from(p)) > MOST_WORK {
                return Err(KeystoreError::Cost("scrypt's p"));
            }
            let exponent = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
            let params = scrypt::Params::new(exponent, r, p);
            params.map(Derivation::Scrypt).map_err(|_| KeystoreError::Cost("scrypt's parameters"))
        }
        "pbkdf2" => {
            if parameters.prf.as_deref() != Some("hmac-sha256") {
                return Err(KeystoreError::Unknown("another prf than hmac-sha256"));
            }
            let rounds = parameters.c.filter(|rounds| *rounds <= MOST_ITERATIONS);
            let rounds = rounds.and_then(NonZeroU32::new).ok_or(KeystoreError::Cost("c"))?;
            Ok(Derivation::Pbkdf2(rounds))
        }
        _ => Err(KeystoreError::Unknown("another kdf than scrypt and pbkdf2")),
    }
}

/// The file. Members that are not named here are other programs' affair.
#[derive(Deserialize)]
struct File {
    version: u64,
    /// Capitalised by some early programs.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParameters,
    ciphertext: String,
    kdf: String,
    kdfparams: Parameters,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParameters {
    iv: String,
}

#[derive(Deserialize)]
struct Parameters {
    dklen: u64,
    salt: String,
    n: Option<u64>,
    r: Option<u32>,
    p: Option<u32>,
    c: Option<u32>,
    prf: Option<String>,
}
