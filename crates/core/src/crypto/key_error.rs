//! Why something is no key: said so that whoever handed it in can mend it, without the key in it.

use super::Algorithm;

/// Why something is not a key that this service takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not one PEM block (RFC 7468), or larger than 64 KiB.
    #[error("this is not PEM: {0}")]
    Pem(&'static str),
    /// A certificate says more than a key, and nobody here would check the rest.
    #[error(
        "this is a certificate: give its public key alone (openssl x509 -pubkey -noout -in certificate.pem)"
    )]
    Certificate,
    /// A private key where a public one is wanted.
    #[error("this is a private key: keep it, and give its public key (openssl pkey -pubout -in key.pem)")]
    Private,
    /// A public key where a private one is wanted.
    #[error("this is a public key: signing needs the private one")]
    Public,
    /// A private key under a password.
    #[error("this private key is encrypted: decrypt it first (openssl pkey -in key.pem -out plain.pem)")]
    Encrypted,
    /// A kind of key that cannot be used here.
    #[error("this is a key of a kind that is not taken here: {0}")]
    Kind(String),
    /// Not the structure that its kind has.
    #[error("this is not a well-formed key: {0}")]
    Malformed(&'static str),
    /// Not a JSON object with the members of a JWK (RFC 7517), each once.
    #[error("this is not a JWK: {0}")]
    Jwk(&'static str),
    /// A JWK's `use` or `key_ops` is for something else (RFC 7517 §4.2, §4.3).
    #[error("this JWK is not for signatures")]
    Use,
    /// The key is of another algorithm than was asked for.
    #[error("this key is not for {0}")]
    Algorithm(Algorithm),
    /// RSA moduli have 2048 to 8192 bits.
    #[error("this RSA key has {0} bits: 2048 to 8192 are taken")]
    RsaSize(usize),
    /// A point that is not on its curve, of small order, or spelled in another way than its own.
    #[error("this is no point that can be a public key on its curve")]
    Point,
    /// The private half does not belong to the public half.
    #[error("the private and the public half of this key do not belong together")]
    Halves,
    /// HMAC secrets have 32 to 4096 bytes.
    #[error("this secret has {0} bytes: 32 to 4096 are taken")]
    SecretLength(usize),
    /// Not what [`VerifyingKey::encode`](super::VerifyingKey::encode) writes.
    #[error("the stored key cannot be read")]
    Stored,
}
