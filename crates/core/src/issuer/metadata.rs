//! The discovery documents (RFC 8414, OpenID Connect Discovery): one text for both.

use serde_json::{Value, json};

use super::grants::{CLIENT_CREDENTIALS, JWT_BEARER, REFRESH_TOKEN, SIWE};
use super::tokens::OPENID;
use crate::crypto::jwt::JwtAlgorithm;
use crate::dpop;

/// Where discovery looks (OpenID Connect Discovery §4).
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
/// Where discovery looks (RFC 8414 §3).
pub const OAUTH_AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
/// Tokens are got here.
pub const TOKEN: &str = "/oauth/token";
/// What a token is worth is asked here (RFC 7662).
pub const INTROSPECT: &str = "/oauth/introspect";
/// Tokens are ended here (RFC 7009).
pub const REVOKE: &str = "/oauth/revoke";
/// Nonces for EIP-4361 are got here.
pub const NONCE: &str = "/oauth/nonce";
/// The keys that verify our tokens.
pub const JWKS: &str = "/oauth/jwks.json";

/// The discovery document of the issuer `issuer`, whose clients may be granted `scopes`.
pub(super) fn document<'a>(issuer: &str, scopes: impl Iterator<Item = &'a str>) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let asymmetric = JwtAlgorithm::ALL.into_iter().filter(|algorithm| *algorithm != JwtAlgorithm::Hs256);
    let asymmetric: Vec<_> = asymmetric.map(JwtAlgorithm::as_str).collect();
    let scopes: Vec<_> = std::iter::once(OPENID).chain(scopes).collect();
    json!({
        "issuer": issuer,
        "token_endpoint": at(TOKEN),
        "jwks_uri": at(JWKS),
        "introspection_endpoint": at(INTROSPECT),
        "revocation_endpoint": at(REVOKE),
        "nonce_endpoint": at(NONCE),
        "grant_types_supported": [CLIENT_CREDENTIALS, JWT_BEARER, SIWE, REFRESH_TOKEN],
        // Nobody is sent to a page: there is no authorization endpoint.
        "response_types_supported": [],
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [JwtAlgorithm::Es256.as_str()],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg_values_supported": asymmetric,
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": asymmetric,
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": asymmetric,
        "dpop_signing_alg_values_supported": dpop::ALGORITHMS.split(' ').collect::<Vec<_>>(),
    })
}
