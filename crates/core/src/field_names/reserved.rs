//! The names that no caller may use: ours, those that frame or forward a message, those that would make an upstream
//! read another request than the one that was judged, and what other proxies call a user. `docs/reference/headers.md`
//! says who believes each of them.

/// What a reserved name means to whoever believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// For the next hop alone (RFC 9110, 7.6.1), or how the message is framed.
    Hop,
    /// Who was proven, as we say it.
    Ours,
    /// For whom, and from where, a request was forwarded: said by whoever forwards, so by us.
    Forwarding,
    /// Another method, path, host or proxy than those that were judged.
    Override,
    /// Who sent a request, or from where, as another proxy would say it. A route may let these pass.
    Claim,
}

use Meaning::{Claim, Forwarding, Hop, Ours, Override};

/// Every reserved name, in the order of its letters. One that ends in `*` is a family: whatever begins so. Those
/// of a family that are listed besides are reserved even where nothing joins their words.
pub const RESERVED: &[(&str, Meaning)] = &[
    ("CF-*", Claim),
    ("Client-Cert*", Claim),
    ("Client-IP", Claim),
    ("CloudFront-*", Claim),
    ("Connection", Hop),
    ("Content-Length", Hop),
    ("Countersign-*", Ours),
    ("Countersign-Assertion", Ours),
    ("Countersign-Decision", Ours),
    ("Countersign-Scheme", Ours),
    ("Countersign-Status", Ours),
    ("Countersign-Subject", Ours),
    ("DO-Connecting-IP", Claim),
    ("Expect", Hop),
    ("Fastly-Client-IP", Claim),
    ("Fly-Client-IP", Claim),
    ("Fly-Forwarded-*", Claim),
    ("Forwarded", Forwarding),
    ("Forwarded-*", Forwarding),
    ("Front-End-Https", Claim),
    ("HTTP2-Settings", Hop),
    ("HTTP-Method-Override", Override),
    ("Impersonate-*", Claim),
    ("Incap-Client-IP", Claim),
    ("IV-Creds", Claim),
    ("IV-Groups", Claim),
    ("IV-User", Claim),
    ("Keep-Alive", Hop),
    ("Method-Override", Override),
    ("OAM-Remote-User", Claim),
    ("OIDC-*", Claim),
    ("Osso-*", Claim),
    ("Proxy", Override),
    ("Proxy-Authenticate", Hop),
    ("Proxy-Authorization", Hop),
    ("Proxy-Client-IP", Claim),
    ("Proxy-Connection", Hop),
    ("Proxy-User", Claim),
    ("Remote-*", Claim),
    ("Remote-User", Claim),
    ("Shib-*", Claim),
    ("SM-UniversalID", Claim),
    ("SM-User", Claim),
    ("SM-User-DN", Claim),
    ("SSL-Client-*", Claim),
    ("Tailscale-*", Claim),
    ("TE", Hop),
    ("Transfer-Encoding", Hop),
    ("True-Client-IP", Claim),
    ("Upgrade", Hop),
    ("WL-Proxy-*", Claim),
    ("$WSCC", Claim),
    ("$WSIS", Claim),
    ("$WSRA", Claim),
    ("$WSRH", Claim),
    ("$WSRU", Claim),
    ("X-Amzn-Lambda-Context", Claim),
    ("X-Amzn-Mtls-*", Claim),
    ("X-Amzn-Oidc-*", Claim),
    ("X-Amzn-Request-Context", Claim),
    ("X-Anonymous-Consumer", Claim),
    ("X-Apigateway-Api-UserInfo", Claim),
    ("X-Appengine-*", Claim),
    ("X-ARR-ClientCert", Claim),
    ("X-Auth-Email", Claim),
    ("X-Authenticated-*", Claim),
    ("X-Authentik-*", Claim),
    ("X-Auth-Groups", Claim),
    ("X-Auth-Name", Claim),
    ("X-Auth-Request-*", Claim),
    ("X-Auth-Roles", Claim),
    ("X-Auth-Subject", Claim),
    ("X-Auth-User", Claim),
    ("X-Auth-User-ID", Claim),
    ("X-Auth-Username", Claim),
    ("X-Azure-ClientIP", Claim),
    ("X-Azure-SocketIP", Claim),
    ("X-Client-Cert*", Claim),
    ("X-Client-DN", Claim),
    ("X-Client-IP", Claim),
    ("X-Client-Verify", Claim),
    ("X-Cluster-Client-IP", Claim),
    ("X-Consumer-*", Claim),
    ("X-Credential-*", Claim),
    ("X-Endpoint-API-UserInfo", Claim),
    ("X-Envoy-*", Claim),
    ("X-Forwarded", Forwarding),
    ("X-Forwarded-*", Forwarding),
    ("X-Forwarded-For", Forwarding),
    ("X-Forwarded-Host", Forwarding),
    ("X-Forwarded-Prefix", Forwarding),
    ("X-Forwarded-Proto", Forwarding),
    ("X-Forwarded-User", Forwarding),
    ("X-Forward-For", Forwarding),
    ("X-Goog-Authenticated-*", Claim),
    ("X-Goog-IAP-*", Claim),
    ("X-Host", Override),
    ("X-Host-Override", Override),
    ("X-HTTP-Host-Override", Override),
    ("X-HTTP-Method", Override),
    ("X-HTTP-Method-Override", Override),
    ("X-Method-Override", Override),
    ("X-MS-Client-Principal*", Claim),
    ("X-MS-Token-*", Claim),
    ("X-NF-Client-Connection-IP", Claim),
    ("X-Original-*", Override),
    ("X-Original-URL", Override),
    ("X-Originating-IP", Claim),
    ("X-Pomerium-*", Claim),
    ("X-Proxy-Remote-User", Claim),
    ("X-Proxy-User", Claim),
    ("X-ProxyUser-IP", Claim),
    ("X-Real-*", Claim),
    ("X-Real-IP", Claim),
    ("X-Remote-*", Claim),
    ("X-Remote-User", Claim),
    ("X-Rewrite-*", Override),
    ("X-Rewrite-URL", Override),
    ("X-RH-Identity", Claim),
    ("X-Scheme", Claim),
    ("X-SSL-*", Claim),
    ("X-TLS-*", Claim),
    ("X-True-Client-IP", Claim),
    ("X-URL-Scheme", Claim),
    ("X-User", Claim),
    ("X-User-Claims", Claim),
    ("X-User-DN", Claim),
    ("X-User-Email", Claim),
    ("X-User-Group", Claim),
    ("X-User-Groups", Claim),
    ("X-User-ID", Claim),
    ("X-User-Info", Claim),
    ("X-User-Login", Claim),
    ("X-User-Name", Claim),
    ("X-User-Permissions", Claim),
    ("X-User-Role", Claim),
    ("X-User-Roles", Claim),
    ("X-User-Scopes", Claim),
    ("X-User-Subject", Claim),
    ("X-Vercel-Forwarded-For", Claim),
    ("X-Vercel-Proxied-For", Claim),
    ("X-Vouch-*", Claim),
    ("X-WebAuth-*", Claim),
];

/// Where the names with each first letter begin, and where the last ends.
const STARTS: [usize; 27] = {
    let mut starts = [RESERVED.len(); 27];
    let mut entry = RESERVED.len();
    while entry > 0 {
        entry -= 1;
        let mut letter = first_letter(RESERVED[entry].0) + 1;
        // Letters with which no name begins have the next one's start.
        while letter > 0 {
            letter -= 1;
            starts[letter] = entry;
        }
    }
    starts
};

const fn first_letter(name: &str) -> usize {
    let name = name.as_bytes();
    let mut at = 0;
    while !name[at].is_ascii_alphabetic() {
        at += 1;
    }
    (name[at].to_ascii_lowercase() - b'a') as usize
}

/// The names that begin with a letter or digit, given in lower case.
pub(super) fn beginning_with(letter: u8) -> &'static [(&'static str, Meaning)] {
    match letter {
        b'a'..=b'z' => {
            let letter = usize::from(letter - b'a');
            &RESERVED[STARTS[letter]..STARTS[letter + 1]]
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_the_order_of_their_letters_each_once() {
        let letters = |name: &str| {
            let letters =
                name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
            (letters.collect::<Vec<u8>>(), name.to_owned())
        };
        assert!(RESERVED.is_sorted_by(|(one, _), (other, _)| letters(one) < letters(other)));
    }

    #[test]
    fn each_name_is_found_by_its_first_letter() {
        let found: usize = (b'a'..=b'z').map(|letter| beginning_with(letter).len()).sum();
        assert_eq!(found, RESERVED.len());
        assert!((b'a'..=b'z').all(|letter| {
            beginning_with(letter).iter().all(|(name, _)| first_letter(name) == usize::from(letter - b'a'))
        }));
        assert!(beginning_with(b'1').is_empty());
    }
}
