//! What may be shown of a request: whatever could be one of our API keys, or a token of any kind, is cut out.
//!
//! Keys end up in paths and methods by mistake: pasted into the wrong place, mistyped, or escaped
//! by a library. Telling them apart exactly would need a key that parses; these rules only need one
//! that somebody meant.

use std::ops::Range;

use http::Method;

use crate::crypto::is_of_base64url;

/// Shown instead of a key.
const KEY: &str = "cs_…";
/// Shown instead of what could be the secret part of one, or a token.
const SECRET: &str = "…";
/// How a refresh token begins, and what is shown instead of one.
const REFRESH: (&[u8], &str) = (b"csr_", "csr_…");
/// How every token's header begins in base64url: `{"`.
const TOKEN: &[u8] = b"eyJ";
/// So many letters and digits in a row are no word: a key's secret and check have 49.
const LONG: usize = 32;
/// So many changes between small letters, capitals and digits among [`LONG`] characters of base64url are no words
/// with hyphens, which change once a word: 32 random ones have 18 in the middle, and hardly ever below 8.
const CHANGES: usize = 8;
/// So many behind `cs_` are no word either: a key's id has 12.
const ID: usize = 12;

/// A path that may be shown: without API keys and tokens, whole, mistyped or escaped.
#[must_use]
pub fn redact_path(path: &str) -> String {
    if is_harmless(path) {
        return path.to_owned();
    }
    let units = decode(path.bytes());
    let mut shown = String::with_capacity(path.len());
    let mut copied = 0;
    for (hidden, instead) in hidden(&units) {
        let (start, end) = (units[hidden.start].start, units[hidden.end - 1].end);
        shown.push_str(&path[copied..start]);
        shown.push_str(instead);
        copied = end;
    }
    shown.push_str(&path[copied..]);
    shown
}

/// A method that may be shown: one that holds a key, which HTTP would allow, becomes `REDACTED`.
#[must_use]
pub fn redact_method(method: &Method) -> Method {
    if redact_path(method.as_str()) == method.as_str() {
        return method.clone();
    }
    Method::from_bytes(b"REDACTED").unwrap_or_default()
}

/// Whether a look at each byte shows that nothing has to be cut out: nearly every path.
fn is_harmless(path: &str) -> bool {
    let (mut run, mut small, mut capital) = (0, false, false);
    for byte in path.bytes() {
        if is_of_base64url(byte) {
            run += 1;
            small |= byte.is_ascii_lowercase();
            capital |= byte.is_ascii_uppercase();
        } else {
            (run, small, capital) = (0, false, false);
        }
        // `eyJ` has a capital behind two small letters, which is rare enough to look closer.
        if byte == b'%' || byte == b'_' || byte == b'J' || (run >= LONG && small && capital) {
            return false;
        }
    }
    true
}

/// A byte as whoever decodes the path reads it, and where that is written.
pub(crate) struct Unit {
    pub(crate) byte: u8,
    start: usize,
    end: usize,
}

/// Decodes escapes, and escapes of escapes, in one walk.
pub(crate) fn decode(bytes: impl Iterator<Item = u8>) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(bytes.size_hint().0);
    for (start, byte) in bytes.enumerate() {
        units.push(Unit { byte, start, end: start + 1 });
        while let [.., percent, high, low] = &units[..] {
            let digit = |unit: &Unit| char::from(unit.byte).to_digit(16);
            let (b'%', Some(high), Some(value)) = (percent.byte, digit(high), digit(low)) else { break };
            let unit = Unit { byte: (high * 16 + value) as u8, start: percent.start, end: low.end };
            units.truncate(units.len() - 3);
            units.push(unit);
        }
    }
    units
}

/// What must not be shown, in order, and what is shown instead.
fn hidden(units: &[Unit]) -> Vec<(Range<usize>, &'static str)> {
    let mut hidden = Vec::new();
    let mut at = 0;
    while at < units.len() {
        if let Some(instead) = begins_key(units, at) {
            // To the end of the segment: a typing error may have put anything into the key.
            let end = units[at..].iter().position(|unit| unit.byte == b'/' && unit.end == unit.start + 1);
            let end = end.map_or(units.len(), |length| at + length);
            hidden.push((at..end, instead));
            at = end;
            continue;
        }
        if begins_token(units, at) {
            let end = units[at..].iter().position(|unit| !is_of_tokens(unit.byte));
            let end = end.map_or(units.len(), |length| at + length);
            hidden.push((at..end, SECRET));
            at = end;
            continue;
        }
        let run = secret_run(units, at);
        if run > 0 {
            hidden.push((at..at + run, SECRET));
        }
        at += run.max(1);
    }
    hidden
}

/// How long what begins here and could be a secret is: letters and digits alone, or base64url. Runs are judged
/// only where they begin, so that the walk stays linear.
fn secret_run(units: &[Unit], at: usize) -> usize {
    let of = |is_of_it: fn(u8) -> bool| {
        // Before the run is walked: else each of its characters would walk the rest of it.
        if at > 0 && is_of_it(units[at - 1].byte) {
            return &units[at..at];
        }
        let run = units[at..].iter().position(|unit| !is_of_it(unit.byte)).unwrap_or(units.len() - at);
        &units[at..at + run]
    };
    let base64url = of(is_of_base64url);
    if base64url.len() >= LONG && is_mixed(base64url) && changes_often(base64url) {
        // A key that begins within is cut out as a key, to the end of its segment.
        let key = (1..base64url.len()).find(|ahead| begins_key(units, at + ahead).is_some());
        return key.unwrap_or(base64url.len());
    }
    let plain = of(|byte| byte.is_ascii_alphanumeric());
    if plain.len() >= LONG && is_mixed(plain) { plain.len() } else { 0 }
}

/// Whether so many characters in a row somewhere change so often that they are no words.
fn changes_often(run: &[Unit]) -> bool {
    let kind = |byte: u8| (byte.is_ascii_lowercase(), byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let changes = |at: usize| {
        let [one, other] = [run[at - 1].byte, run[at].byte];
        let both = one.is_ascii_alphanumeric() && other.is_ascii_alphanumeric();
        usize::from(both && kind(one) != kind(other))
    };
    let mut among = 0;
    (1..run.len()).any(|at| {
        among += changes(at);
        among -= if at >= LONG { changes(at + 1 - LONG) } else { 0 };
        among >= CHANGES
    })
}

/// `eyJ` where a word begins, as base64url of a JSON object does; inside one where so much follows that it is
/// a token to which something was glued.
fn begins_token(units: &[Unit], at: usize) -> bool {
    let is_it = units.len() - at > TOKEN.len()
        && units[at..].iter().zip(TOKEN).all(|(unit, byte)| unit.byte == *byte);
    let begins = at == 0 || !units[at - 1].byte.is_ascii_alphanumeric();
    let follows = || units[at..].iter().take_while(|unit| is_of_tokens(unit.byte)).count();
    is_it && (begins || follows() >= LONG)
}

/// base64url, and the dots between a token's parts.
fn is_of_tokens(byte: u8) -> bool {
    is_of_base64url(byte) || matches!(byte, b'.' | b'=')
}

/// What is shown instead of the key or the refresh token that begins here, if one does.
fn begins_key(units: &[Unit], at: usize) -> Option<&'static str> {
    [(&b"cs_"[..], KEY), REFRESH].into_iter().find_map(|(prefix, instead)| {
        let (head, rest) = units[at..].split_at_checked(prefix.len())?;
        let is_it = head.iter().zip(prefix).all(|(unit, byte)| unit.byte.eq_ignore_ascii_case(byte));
        // `/topics_list` is no key. What follows is walked only where it may matter.
        let begins = || at == 0 || !units[at - 1].byte.is_ascii_alphanumeric() || run(rest) >= ID;
        (is_it && begins()).then_some(instead)
    })
}

fn run(units: &[Unit]) -> usize {
    units.iter().position(|unit| !unit.byte.is_ascii_alphanumeric()).unwrap_or(units.len())
}

/// Digests in hex and numbers have letters of one case; a secret in base62 has both.
fn is_mixed(units: &[Unit]) -> bool {
    units.iter().any(|unit| unit.byte.is_ascii_uppercase())
        && units.iter().any(|unit| unit.byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const WHOLE: &str = "cs_0123456789AB_aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3a";
    const TAIL: &str = "aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3a";

    #[test]
    fn a_key_in_a_path_is_cut_out() {
        assert_eq!(redact_path("/a/cs_0123456789AB_secret/b"), "/a/cs_…/b");
        assert_eq!(redact_path(&format!("/a/{WHOLE}")), "/a/cs_…");
        assert_eq!(redact_path(&format!("/key={WHOLE};x/b")), "/key=cs_…/b");
        assert_eq!(redact_path("cs_cs_x"), "cs_…");
    }

    #[test]
    fn an_escaped_key_is_cut_out() {
        let escaped: String = WHOLE.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let twice = escaped.replace('%', "%25");
        let underscores = WHOLE.replace('_', "%5F");
        let thrice = WHOLE.replace('_', "%25255f");
        for key in [&escaped, &twice, &underscores, &thrice] {
            assert_eq!(redact_path(&format!("/a/{key}/b")), "/a/cs_…/b");
        }
    }

    #[test]
    fn a_mistyped_key_is_cut_out() {
        let broken = format!("{} {}", &WHOLE[..40], &WHOLE[40..]).replace(' ', "%20");
        assert_eq!(redact_path(&format!("/a/{broken}/b")), "/a/cs_…/b");
        assert_eq!(redact_path(&format!("/a/{}/b", WHOLE.to_uppercase())), "/a/cs_…/b");
        assert_eq!(redact_path(&format!("/a/x{WHOLE}/b")), "/a/…cs_…/b");
        assert_eq!(redact_path(&format!("/a/x{broken}/b")), "/a/…cs_…/b");
        assert_eq!(redact_path(&format!("/a/{TAIL}-{broken}/b")), "/a/…cs_…/b");
        assert_eq!(redact_path(&format!("/a/{}/b", &WHOLE[1..])), "/a/…/b");
        assert_eq!(redact_path(&format!("/a/{TAIL}/b")), "/a/…/b");
        assert_eq!(redact_path(&format!("/a/{}/b", WHOLE.replace('_', "-"))), "/a/…/b");
    }

    #[test]
    fn a_token_in_a_path_is_cut_out_whatever_it_is_for() {
        assert_eq!(
            redact_path("/v1/results/42/eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln-_"),
            "/v1/results/42/…"
        );
        assert_eq!(redact_path("/a/eyJh%62GciOi.x/b"), "/a/…/b");
        assert_eq!(redact_path("/a/t=eyJhbGciOi;b"), "/a/t=…;b");
        assert_eq!(redact_path("/a/they-Jump/eyJ"), "/a/they-Jump/eyJ");
        assert_eq!(redact_path("/results/42eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln"), "/results/42…");
        assert_eq!(redact_path("/a/greyJay"), "/a/greyJay");
    }

    #[test]
    fn what_is_random_in_base64url_is_cut_out() {
        use crate::crypto::{Random as _, SystemRandom};
        for _ in 0..1000 {
            let mut secret = [0; 48];
            SystemRandom.fill(&mut secret);
            let text = URL_SAFE_NO_PAD.encode(secret);
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            assert_eq!(redact_path(&format!("/a/csr_{text}/b")), "/a/csr_…/b");
            // By chance it may have what looks like the beginning of a key.
            let shown =
                |path: String| redact_path(&path).replace("csr_…", "").replace("cs_…", "").replace('…', "");
            assert_eq!(shown(format!("/a/{text}/b")), "/a//b", "{text}");
            assert_eq!(shown(format!("/a/some-words-and-{text}")), "/a/", "{text}");
            assert_eq!(shown(format!("/a/{escaped}/x")), "/a//x", "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_shown() {
        let digest = "0f".repeat(32);
        for path in [
            "/",
            "/a/b",
            "/topics_list/metrics_v2",
            "/orders/%20x/%zz/%",
            "/01890a5d-ac96-774b-bcce-b302099a8057",
            "/pi_3MtwBwLkdIwHu7ix28a3tqPa",
            "/Why-We-Wrote-A-Gateway-And-What-It-Taught-Us-In-2026",
            "/ünïcödé_/x",
            &digest,
        ] {
            assert_eq!(redact_path(path), path);
        }
    }

    /// If each character walked the rest, this would take the better part of an hour.
    #[test]
    fn a_path_of_a_million_letters_is_walked_once() {
        for path in [format!("/_{}", "a".repeat(1_000_000)), format!("/_{}", "a_".repeat(500_000))] {
            assert_eq!(redact_path(&path), path);
        }
    }

    #[test]
    fn a_method_that_holds_a_key_has_another_name() {
        assert_eq!(redact_method(&Method::GET), Method::GET);
        assert_eq!(redact_method(&Method::from_bytes(b"M-SEARCH").unwrap()).as_str(), "M-SEARCH");
        assert_eq!(redact_method(&Method::from_bytes(WHOLE.as_bytes()).unwrap()).as_str(), "REDACTED");
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "\\PC{0,60}", escaped in "(%|2|5|c|s|_|é|/){0,40}") {
            let _ = (redact_path(&path), redact_path(&escaped));
        }
    }
}
