//! What the gateway leaves on disk opens nothing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::site::{ANN, Held, PASSWORD, Site};
use crate::support::keep_alive::Connection;

/// Runs of printable characters, as `strings` finds them, and the halves that could be cut from them.
fn strings(bytes: &[u8]) -> Vec<String> {
    let printable = |byte: &u8| byte.is_ascii_graphic();
    let runs = bytes.split(|byte| !printable(byte)).filter(|run| run.len() >= 22);
    runs.map(|run| String::from_utf8_lossy(run).into_owned()).collect()
}

#[test]
fn a_dump_of_all_files_holds_nothing_that_opens_anything() {
    let mut site = Site::new();
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

    // Whatever could be sent is sent, in the place of each half.
    site.gateway.start();
    let mut connection = Connection::to(site.gateway.address).unwrap();
    let mut tried = 0;
    let candidates: std::collections::BTreeSet<String> =
        files.iter().flat_map(|(_, bytes)| strings(bytes)).flat_map(|text| cut(&text)).take(3000).collect();
    let ann = &sessions[0];
    for candidate in candidates {
        for (cookie, token) in [(&candidate, &ann.token), (&ann.cookie, &candidate), (&candidate, &candidate)]
        {
            let answer = connection.exchange(&format!(
                "GET /api/orders HTTP/1.1\r\nHost: x\r\nCookie: session={cookie}\r\nAuthorization: Bearer {token}\r\n\r\n"
            ));
            let status = answer.expect("an answer").status;
            assert!(matches!(status, 400 | 401 | 429), "{candidate} got {status}");
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried} candidates are too few to say anything");
    site.get(ann).is(200, "");
}

/// What of a run of characters has a half's length: its beginning, its end, and itself as bytes.
fn cut(text: &str) -> Vec<String> {
    let half = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let mut halves: Vec<String> = Vec::new();
    for part in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
        if part.len() >= 43 {
            halves.extend([part[..43].to_owned(), part[part.len() - 43..].to_owned()]);
        }
    }
    if text.len() >= 32 {
        halves.push(URL_SAFE_NO_PAD.encode(&text.as_bytes()[..32]));
    }
    halves.retain(|one| half(one) && one.len() == 43);
    halves
}
