//! What the gateway leaves on disk opens nothing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::site::{ANN, Held, PASSWORD, Site};
use countersign_testing::keep_alive::Connection;

/// Runs of printable characters, as `strings` finds them.
fn strings(bytes: &[u8]) -> Vec<String> {
    let printable = |byte: &u8| byte.is_ascii_graphic();
    let runs = bytes.split(|byte| !printable(byte)).filter(|run| run.len() >= 22);
    runs.map(|run| String::from_utf8_lossy(run).into_owned()).collect()
}

#[test]
fn a_dump_of_all_files_holds_nothing_that_opens_anything() {
    let mut site = Site::with("signup = true", "[limits]\nunproven = \"100000000/min\"");
    let sessions: Vec<Held> = (0..3).map(|number| site.somebody(&format!("u{number}@example.org"))).collect();
    let handshakes: Vec<String> = sessions.iter().map(|held| site.handshake(held)).collect();
    site.get(&sessions[0]).is(200, "");
    site.try_sign_in(ANN, "a password nobody has").is(401, "sign_in_refused");
    site.gateway.stop();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(site.gateway.folder.path()).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() && entry.file_name() != "countersign.toml" {
            files.push((entry.file_name(), std::fs::read(entry.path()).unwrap()));
        }
    }
    let names: Vec<_> = files.iter().map(|(name, _)| name.to_string_lossy()).collect();
    for expected in ["countersign.redb", "audit.jsonl", "log"] {
        assert!(names.iter().any(|name| name == expected), "{names:?}");
    }

    let halves = sessions.iter().flat_map(|held| [&held.cookie, &held.token]).chain(&handshakes);
    let mut needles: Vec<Vec<u8>> = vec![PASSWORD.into(), "a password nobody has".into()];
    for half in halves {
        let bytes = URL_SAFE_NO_PAD.decode(half).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // Halves of halves as well: what is cut in two is still a secret.
        needles.extend([half[..20].into(), half[22..].into(), hex[..24].into(), bytes[..16].into()]);
        needles.extend([bytes[16..].to_vec(), STANDARD.encode(&bytes)[..20].into()]);
    }
    for (name, bytes) in &files {
        for needle in &needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{}: {}", name.to_string_lossy(), String::from_utf8_lossy(needle));
        }
    }

    // Whatever could be sent is sent, in the place of each half, of both, and of a handshake.
    site.gateway.start();
    let mut connection = Connection::to(site.gateway.address).unwrap();
    let mut candidates: BTreeSet<String> = BTreeSet::new();
    for (_, bytes) in &files {
        candidates.extend(strings(bytes).iter().flat_map(|text| cut(text)));
        candidates.extend(random_looking(bytes).map(|value| URL_SAFE_NO_PAD.encode(value)));
    }
    assert!(candidates.len() > 300, "{} candidates are too few to say anything", candidates.len());
    let (ann, fresh) = (&sessions[0], site.handshake(&sessions[0]));
    let mut tried = |cookie: &str, token: &str, handshake: &str| {
        let answer = connection.exchange(&format!(
            "POST /api/orders HTTP/1.1\r\nHost: x\r\nCookie: session={cookie}\r\n\
             Authorization: Bearer {token}\r\nHandshake: {handshake}\r\nContent-Length: 0\r\n\r\n"
        ));
        answer.expect("an answer")
    };
    for candidate in &candidates {
        for (cookie, token) in [(candidate, &ann.token), (&ann.cookie, candidate), (candidate, candidate)] {
            tried(cookie, token, &fresh).is(401, "proof_mismatch");
        }
        tried(&ann.cookie, &ann.token, candidate).is(401, "handshake_used");
    }
    // A handshake lives for a minute, and all of this may have taken longer.
    let fresh = site.handshake(ann);
    tried(&ann.cookie, &ann.token, &fresh).is(200, "");
}

/// Whatever 32 bytes look random: a digest that is kept, at any place, and what begins or ends in one.
fn random_looking(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.windows(32).filter(|window| window.iter().collect::<BTreeSet<_>>().len() >= 27)
}

/// What of a run of characters has a half's length: its beginning, its end, and what it is the hex or base64 of.
fn cut(text: &str) -> Vec<String> {
    let mut halves: Vec<String> = Vec::new();
    for part in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
        if part.len() >= 43 {
            halves.extend([part[..43].to_owned(), part[part.len() - 43..].to_owned()]);
        }
        let pairs: Option<Vec<u8>> = (part.len() >= 64)
            .then(|| (0..64).step_by(2).map(|at| u8::from_str_radix(&part[at..at + 2], 16).ok()).collect())
            .flatten();
        halves.extend(pairs.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    for part in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '/')) {
        let bytes = part.get(..43).and_then(|part| STANDARD_NO_PAD.decode(part).ok());
        halves.extend(bytes.map(|bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    if text.len() >= 32 {
        halves.push(URL_SAFE_NO_PAD.encode(&text.as_bytes()[..32]));
    }
    // What is no half at all is refused before anything is looked up.
    halves.retain(|half| URL_SAFE_NO_PAD.decode(half).is_ok_and(|bytes| bytes.len() == 32));
    halves
}
