//! What is asked of an issuer: where its keys are (OpenID Connect Discovery §4, RFC 8414 §3), and the keys.

use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use super::key_set::KeySet;
use crate::fetch::{ChosenBy, Fetch, FetchResponse};
use crate::remote_keys::{NoKeys, ask, life};

/// What metadata and keys are written in.
const JSON: &str = "application/json";
/// How large an answer may be, in bytes: up to 256 keys.
const LARGEST: usize = 256 * 1024;

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the keys of `issuer` are, as its own metadata says.
///
/// # Errors
/// Why that cannot be had, for the operator.
pub(super) async fn discover(issuer: &str, fetch: &impl Fetch) -> Result<Uri, NoKeys> {
    let mut why = NoKeys::NotAsked;
    for url in well_known(issuer) {
        let answer = ask(&url, JSON, ChosenBy::Configuration, LARGEST, fetch).await;
        match answer.and_then(|answer| Ok(read(&answer, issuer)?)) {
            Ok(keys) => return Ok(keys),
            Err(wrong) => why = wrong.at(&url),
        }
    }
    Err(why)
}

/// The keys at `url`, and how long they are fresh. `issuer` names it: at another origin than its own it may
/// lead to public addresses alone, unless the operator wrote the URL (`by_operator`).
///
/// # Errors
/// Why they cannot be had, for the operator.
pub(super) async fn keys(
    url: &Uri,
    issuer: &str,
    by_operator: bool,
    fetch: &impl Fetch,
) -> Result<(KeySet, Duration), NoKeys> {
    let own = by_operator || issuer.parse().is_ok_and(|issuer: Uri| same_origin(&issuer, url));
    let chosen_by = if own { ChosenBy::Configuration } else { ChosenBy::Request };
    let answer = ask(url, JSON, chosen_by, LARGEST, fetch).await.map_err(|why| why.at(url))?;
    let keys = KeySet::read(&answer.body).map_err(|why| format!("{url}: {why}"))?;
    Ok((keys, life(&answer.headers)))
}

/// OpenID Connect appends to the issuer, RFC 8414 §3.1 inserts before its path.
fn well_known(issuer: &str) -> [Uri; 2] {
    let issuer = issuer.trim_end_matches('/');
    let appended = format!("{issuer}/.well-known/openid-configuration");
    let path_at = issuer.find("://").and_then(|at| issuer[at + 3..].find('/').map(|path| at + 3 + path));
    let (origin, path) = issuer.split_at(path_at.unwrap_or(issuer.len()));
    let inserted = format!("{origin}/.well-known/oauth-authorization-server{path}");
    // An issuer was parsed as a URL when it was configured.
    [appended, inserted].map(|url| url.parse().unwrap_or_default())
}

fn read(answer: &FetchResponse, issuer: &str) -> Result<Uri, String> {
    let metadata: Metadata =
        serde_json::from_slice(&answer.body).map_err(|_| "it is no metadata with issuer and jwks_uri")?;
    // RFC 8414 §3.3: otherwise one issuer could speak for another.
    if metadata.issuer != issuer {
        return Err("it is the metadata of another issuer".to_owned());
    }
    let url: Uri = metadata.jwks_uri.parse().map_err(|_| "its jwks_uri is no URL")?;
    match url.authority() {
        Some(authority) if url.scheme().is_some() && !authority.as_str().contains('@') => Ok(url),
        _ => Err("its jwks_uri is no absolute URL".to_owned()),
    }
}

fn same_origin(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_as_each_standard_says() {
        for (issuer, appended, inserted) in [
            (
                "https://login.example",
                "https://login.example/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://login.example:8443/realms/a/",
                "https://login.example:8443/realms/a/.well-known/openid-configuration",
                "https://login.example:8443/.well-known/oauth-authorization-server/realms/a",
            ),
        ] {
            assert_eq!(well_known(issuer).map(|url| url.to_string()), [appended, inserted]);
        }
    }
}
