//! One reading of a path: what two parsers could read differently is refused, never repaired.

use crate::denial::{Code, Denial};

/// Refuses a raw path that could be read in more than one way: dot segments (plain or encoded), `//`,
/// `\`, encoded slashes, backslashes and NUL, broken percent-encodings, and what is not a path at all.
///
/// # Errors
/// `path_ambiguous`; the cause names what was found.
pub fn check_path(path: &str) -> Result<(), Denial> {
    match ambiguity(path.as_bytes()) {
        None => Ok(()),
        Some(found) => Err(Denial::new(Code::PathAmbiguous, found)),
    }
}

fn ambiguity(path: &[u8]) -> Option<&'static str> {
    if path.first() != Some(&b'/') {
        return Some("the path does not begin with a slash");
    }
    let mut dots = 0;
    let mut others = false;
    let mut rest = path[1..].iter();
    loop {
        let byte = rest.next().copied();
        match byte {
            Some(b'/') | None => {
                if !others && (dots == 1 || dots == 2) {
                    return Some("a dot segment");
                }
                let empty = !others && dots == 0;
                (dots, others) = (0, false);
                match byte {
                    None => return None,
                    Some(_) if empty => return Some("an empty segment"),
                    Some(_) => {}
                }
            }
            Some(b'%') => {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Some("a broken percent-encoding");
                };
                match high * 16 + low {
                    0x2e => dots += 1,
                    0x2f => return Some("an encoded slash"),
                    0x5c => return Some("an encoded backslash"),
                    0x00 => return Some("an encoded NUL"),
                    _ => others = true,
                }
            }
            Some(b'\\') => return Some("a backslash"),
            Some(b'.') => dots += 1,
            Some(0..=0x20 | 0x7f..) => return Some("a character that is not visible ASCII"),
            Some(_) => others = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_reading_passes() {
        for path in
            ["/", "/a", "/a/", "/a/b.c", "/...", "/a%20b", "/.well-known/x", "/a..b", "/%2e%2e%2e", "/a;v=1"]
        {
            assert_eq!(ambiguity(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn what_has_two_is_refused() {
        for path in [
            "",
            "*",
            "a/b",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/.",
            "/..",
            "/./",
            "/a/..",
            "/a/../b",
            "/%2e",
            "/%2E%2e/a",
            "/.%2e",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0",
            "/a%",
            "/a%zz",
            "/a\u{e9}",
        ] {
            let denial = check_path(path).expect_err(path);
            assert_eq!(denial.code(), Code::PathAmbiguous, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_path_decodes_to_the_same_segments(path in "/[a-c./%2eEfF5\\\\]{0,12}") {
            if check_path(&path).is_ok() {
                let mut decoded = Vec::new();
                let mut bytes = path.bytes();
                while let Some(byte) = bytes.next() {
                    decoded.push(match byte {
                        b'%' => {
                            let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
                            u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
                        }
                        byte => byte,
                    });
                }
                let raw = path.split('/').count();
                proptest::prop_assert_eq!(decoded.split(|byte| *byte == b'/').count(), raw);
                for segment in decoded.split(|byte| *byte == b'/') {
                    proptest::prop_assert!(segment != b"." && segment != b"..");
                }
            }
        }
    }
}
