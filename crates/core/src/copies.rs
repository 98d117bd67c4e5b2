//! Copies of our credentials: wherever one stands whole in what is about to be forwarded, it is found by its own
//! grammar. A browser's `Referer` has the query in which a key was sent; a log shipper's own header has the whole
//! request. What has no grammar of its own, such as the 43 characters of a session's half alone, is found by the
//! place where it is sent.

use std::sync::LazyLock;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, Engine as _};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memchr3};

use crate::crypto::is_of_base64url;
use crate::issuer::REFRESH_CHARACTERS;
use crate::redaction::decode;
use crate::schemes::api_key::wire::begins_as_key;
use crate::schemes::callback_url;
use crate::schemes::session::SessionCookie;
use crate::schemes::session::wire::{HALF_SUBPROTOCOL, HANDSHAKE_SUBPROTOCOL};

/// Base64 as lenient servers read it: with its padding or without, and whatever the last bits are.
const AS_LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, AS_LENIENT);
const LENIENT_FOR_URLS: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, AS_LENIENT);

/// How many base64url characters a session's half or handshake has.
const HALF: usize = 43;

/// No callback's header is longer, in base64url.
const LONGEST_HEADER: usize = 512;

/// Whether `text` holds a whole credential of ours, as it is or escaped for a URL, however often: an API key, a
/// refresh token, a callback's JWT, or a session's half or handshake with the name under which it is sent.
#[must_use]
pub fn holds_credential(text: &[u8]) -> bool {
    // Nearly nothing of what is sent has one of these.
    if memchr3(b'_', b'J', b'%', text).is_none() && subprotocols().all(|finder| finder.find(text).is_none()) {
        return false;
    }
    stands_in(text) || unescaped(text).is_some_and(|text| stands_in(&text))
}

/// Whether `text` is written as a session's half and a handshake are, which says so only where they are sent.
#[must_use]
pub fn is_half(text: &[u8]) -> bool {
    text.len() == HALF && run(text) == HALF
}

/// Whether `Basic` credentials (RFC 7617) hold one of ours: as a user's name, or as a password.
#[must_use]
pub fn basic_holds_credential(authorization: &[u8]) -> bool {
    let Some((scheme, rest)) = authorization.split_at_checked(6) else { return false };
    let holds =
        |engine: &GeneralPurpose| engine.decode(rest.trim_ascii()).is_ok_and(|pair| holds_credential(&pair));
    scheme.eq_ignore_ascii_case(b"basic ") && (holds(&LENIENT) || holds(&LENIENT_FOR_URLS))
}

/// What `text` is once its escapes are read, and those that they make; `None` if there are none.
#[must_use]
pub fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    memchr(b'%', text)?;
    Some(decode(text.iter().copied()).iter().map(|unit| unit.byte).collect())
}

fn subprotocols() -> impl Iterator<Item = &'static Finder<'static>> {
    static FINDERS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new(HALF_SUBPROTOCOL), Finder::new(HANDSHAKE_SUBPROTOCOL)]);
    FINDERS.iter()
}

fn stands_in(text: &[u8]) -> bool {
    memchr_iter(b'_', text).any(|at| {
        let (before, from) = text.split_at(at);
        let key = before.ends_with(b"cs") && text.get(at - 2..).is_some_and(begins_as_key);
        let refresh = before.ends_with(b"csr") && run(&from[1..]) >= REFRESH_CHARACTERS;
        let cookie = from.strip_prefix(SessionCookie::Host.name().as_bytes());
        key || refresh
            || cookie.and_then(|rest| rest.strip_prefix(b"=")).is_some_and(|rest| run(rest) == HALF)
    }) || memchr_iter(b'J', text).any(|at| text[..at].ends_with(b"ey") && begins_callback(text, at - 2))
        || subprotocols().any(|finder| {
            let ends = finder.find_iter(text).map(|at| at + finder.needle().len());
            ends.into_iter().any(|end| run(&text[end..]) == HALF)
        })
}

fn run(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_of_base64url(*byte)).unwrap_or(text.len())
}

/// Whether a callback's JWT begins here, also behind something that was glued to it.
fn begins_callback(text: &[u8], at: usize) -> bool {
    let text = &text[at..];
    // Only so far, so that many beginnings cost no more than a few.
    let Some(dot) = memchr(b'.', &text[..text.len().min(LONGEST_HEADER)]) else { return false };
    let (header, rest) = (&text[..dot], &text[dot + 1..]);
    // Last, for it has no bound.
    let marked = || {
        let claims = run(rest);
        rest.get(claims) == Some(&b'.') && rest.get(claims + 1).is_some_and(|byte| is_of_base64url(*byte))
    };
    let read = || serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(header).ok()?).ok();
    let is_callback = |header: serde_json::Value| {
        header["typ"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(callback_url::wire::TYPE))
    };
    run(header) == header.len() && read().is_some_and(is_callback) && marked()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use crate::schemes::api_key::ApiKey;
    use crate::schemes::session::Half;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    fn secrets() -> Vec<String> {
        let key = ApiKey::generate(&SystemRandom).reveal().expose().clone();
        let half = || Half::generate(&SystemRandom).reveal().expose().clone();
        let jwt = |header: &str| {
            format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), half())
        };
        vec![
            key,
            format!("csr_{}", URL_SAFE_NO_PAD.encode([7; 64])),
            jwt("{\"typ\":\"callback+jwt\",\"alg\":\"EdDSA\"}"),
            jwt("{\"alg\":\"HS256\", \"typ\":\"CALLBACK+JWT\"}"),
            format!("__Host-session={}", half()),
            format!("{HALF_SUBPROTOCOL}{}", half()),
            format!("{HANDSHAKE_SUBPROTOCOL}{}", half()),
        ]
    }

    #[test]
    fn a_whole_credential_is_found_wherever_it_stands_and_however_it_is_escaped() {
        for secret in secrets() {
            let escaped: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let twice = escaped.replace('%', "%25");
            let once = secret.replace('_', "%5F").replacen('c', "%63", 1);
            for secret in [&secret, &escaped, &twice, &once] {
                for around in
                    ["X", "https://h/p?_key=X&a=%20", "a%3DX", "{\"k\":\"X\"}", "a, X ;b", "_X", "cs_X"]
                {
                    let text = around.replace('X', secret);
                    assert!(holds_credential(text.as_bytes()), "{text}");
                }
            }
            let basic = format!("Basic {}", STANDARD.encode(format!("{secret}:")));
            assert!(basic_holds_credential(basic.as_bytes()));
            // The last is written differently in the two alphabets.
            for user in ["u", "us", "use", "???"] {
                for encoded in [
                    STANDARD_NO_PAD.encode(format!("{user}:{secret}")),
                    URL_SAFE_NO_PAD.encode(format!("{user}:{secret}")),
                ] {
                    assert!(basic_holds_credential(format!("Basic {encoded}").as_bytes()), "{encoded}");
                }
            }
            let basic = format!("BASIC {}", STANDARD.encode(format!("user:{secret}")));
            assert!(basic_holds_credential(basic.as_bytes()));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_left_alone() {
        let half = Half::generate(&SystemRandom).reveal().expose().clone();
        let key = ApiKey::generate(&SystemRandom).reveal();
        let jwt = format!("{}.e30.{half}", URL_SAFE_NO_PAD.encode("{\"typ\":\"JWT\"}"));
        for text in [
            "",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
            "https://host/page?cs_id=1&csr_=2&_key=cs_x",
            "https://host/%zz%",
            "__Host-session=short",
            &half,
            &jwt,
            &format!("countersign.half.{half}x"),
            &key.expose()[..64],
            &key.expose()[1..],
        ] {
            assert!(!holds_credential(text.as_bytes()), "{text}");
        }
        assert!(!basic_holds_credential(b"Basic YTpi"));
        assert!(!basic_holds_credential(b"Basic"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), text in "(cs_|csr_|eyJ|\\.|%|__Host-session=|[A-Za-z0-9]{1,9}){0,12}") {
            let _ = (holds_credential(&bytes), holds_credential(text.as_bytes()), basic_holds_credential(&bytes));
        }
    }
}
