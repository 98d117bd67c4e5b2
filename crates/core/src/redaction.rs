//! What may be shown of a request: whatever could be one of our API keys is cut out.
//!
//! Keys end up in paths and methods by mistake: pasted into the wrong place, mistyped, or escaped
//! by a library. Telling them apart exactly would need a key that parses; these rules only need one
//! that somebody meant.

use std::ops::Range;

use http::Method;

/// Shown instead of a key.
const KEY: &str = "cs_…";
/// Shown instead of what could be the secret part of one, or a token.
const SECRET: &str = "…";
/// How every token's header begins in base64url: `{"`.
const TOKEN: &[u8] = b"eyJ";
/// So many letters and digits in a row are no word: a key's secret and check have 49.
const LONG: usize = 32;
/// So many behind `cs_` are no word either: a key's id has 12.
const ID: usize = 12;

/// A path that may be shown: without API keys, whole, mistyped or escaped.
#[must_use]
pub fn redact_path(path: &str) -> String {
    if is_harmless(path) {
        return path.to_owned();
    }
    let units = decode(path);
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
    let mut run = 0;
    for byte in path.bytes() {
        run = if byte.is_ascii_alphanumeric() { run + 1 } else { 0 };
        // `eyJ` has a capital behind two small letters, which is rare enough to look closer.
        if byte == b'%' || byte == b'_' || byte == b'J' || run >= LONG {
            return false;
        }
    }
    true
}

/// A byte as whoever decodes the path reads it, and where that is written.
struct Unit {
    byte: u8,
    start: usize,
    end: usize,
}

/// Decodes escapes, and escapes of escapes, in one walk.
fn decode(path: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(path.len());
    for (start, byte) in path.bytes().enumerate() {
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
        if begins_key(units, at) {
            // To the end of the segment: a typing error may have put anything into the key.
            let end = units[at..].iter().position(|unit| unit.byte == b'/' && unit.end == unit.start + 1);
            let end = end.map_or(units.len(), |length| at + length);
            hidden.push((at..end, KEY));
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
        // Only where a run begins, so that the walk stays linear.
        let begins = at == 0 || !units[at - 1].byte.is_ascii_alphanumeric();
        let run = if begins { run(&units[at..]) } else { 0 };
        if run >= LONG && is_mixed(&units[at..at + run]) {
            hidden.push((at..at + run, SECRET));
            at += run;
        } else {
            at += 1;
        }
    }
    hidden
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
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=')
}

fn begins_key(units: &[Unit], at: usize) -> bool {
    let [c, s, underscore, rest @ ..] = &units[at..] else { return false };
    if !(c.byte.eq_ignore_ascii_case(&b'c') && s.byte.eq_ignore_ascii_case(&b's') && underscore.byte == b'_')
    {
        return false;
    }
    // `/topics_list` is no key.
    at == 0 || !units[at - 1].byte.is_ascii_alphanumeric() || run(rest) >= ID
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
        assert_eq!(redact_path(&format!("/a/x{WHOLE}/b")), "/a/xcs_…/b");
        assert_eq!(redact_path(&format!("/a/{}/b", &WHOLE[1..])), "/a/s_0123456789AB_…/b");
        assert_eq!(redact_path(&format!("/a/{TAIL}/b")), "/a/…/b");
        assert_eq!(redact_path(&format!("/a/{}/b", WHOLE.replace('_', "-"))), "/a/cs-0123456789AB-…/b");
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
    fn what_is_no_key_is_shown() {
        let digest = "0f".repeat(32);
        for path in [
            "/",
            "/a/b",
            "/topics_list/metrics_v2",
            "/orders/%20x/%zz/%",
            "/01890a5d-ac96-774b-bcce-b302099a8057",
            "/pi_3MtwBwLkdIwHu7ix28a3tqPa",
            "/ünïcödé_/x",
            &digest,
        ] {
            assert_eq!(redact_path(path), path);
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
