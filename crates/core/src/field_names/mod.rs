//! Names of header fields as whoever stands behind us may read them, and those of them that no caller may use.
//!
//! A field's name is a token (RFC 9110, 5.6.2): `Countersign.Subject`, `X~Forwarded~For` and `Remote|User` are
//! names. CGI, FastCGI and WSGI make a variable of each, and some of them put `_` in the place of *every* byte
//! that is no letter or digit, so that all of these become one. Here is the one place that says when two names
//! could be one.

mod reserved;

pub use reserved::{Meaning, RESERVED};

/// Whether `name` is `known` to whoever leaves out what is no letter or digit, or puts another byte in its place.
#[must_use]
pub fn is_look_alike(name: &[u8], known: &str) -> bool {
    letters(name).eq(letters(known.as_bytes()))
}

/// The same, for names of as many bytes: only the bytes between letters differ.
#[must_use]
pub fn folds_to(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins_with(name, known)
}

/// What a name means to whoever believes it; `None` for a caller's own.
#[must_use]
pub fn meaning(name: &[u8]) -> Option<Meaning> {
    let matches = |(known, _): &&(&str, Meaning)| match known.strip_suffix('*') {
        Some(family) => begins_with(name, family),
        None => is_look_alike(name, known),
    };
    let first = letters(name).next()?;
    reserved::beginning_with(first).iter().find(matches).map(|(_, meaning)| *meaning)
}

/// Whether `name` begins as `family` does, once both have `-` wherever there is no letter or digit.
fn begins_with(name: &[u8], family: &str) -> bool {
    name.len() >= family.len()
        && name.iter().zip(family.as_bytes()).all(|(one, other)| fold(*one) == fold(*other))
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte that a token may hold between letters and digits.
    const BETWEEN: &[u8] = b"!#$%&'*+-.^_`|~";

    #[test]
    fn a_name_is_reserved_however_its_words_are_joined() {
        for (known, meaning_of_it) in RESERVED {
            for between in BETWEEN {
                let name: Vec<u8> = known
                    .replace('*', "x")
                    .bytes()
                    .map(|byte| if byte.is_ascii_alphanumeric() { byte } else { *between })
                    .collect();
                for name in [name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                    assert_eq!(meaning(&name), Some(*meaning_of_it), "{}", String::from_utf8_lossy(&name));
                }
            }
        }
    }

    #[test]
    fn an_exact_name_is_reserved_also_with_bytes_that_are_left_out_or_doubled() {
        for name in [
            "countersignsubject",
            "Countersign--Subject",
            "-Countersign-Subject",
            "C.o.u.n.t.e.r.s.i.g.n_Subject",
            "xforwardedfor",
            "X-HTTP-Method-Override~",
            "RemoteUser",
        ] {
            assert!(meaning(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn what_callers_use_for_themselves_is_not_reserved() {
        for name in [
            "countersign",
            "countersigned-by",
            "accept",
            "content-type",
            "cookie",
            "forwarding-agent",
            "idempotency-key",
            "referer",
            "traceparent",
            "user-agent",
            "x",
            "x-access-token",
            "x-amz-date",
            "x-amzn-trace-id",
            "x-api-key",
            "x-auth-token",
            "x-client-id",
            "x-client-version",
            "x-csrf-token",
            "x-goog-api-key",
            "x-request-id",
            "x-requested-with",
            "x-user-agent",
            "",
            "-",
        ] {
            assert_eq!(meaning(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn names_of_as_many_bytes_are_told_from_longer_ones() {
        assert!(folds_to(b"Content.Length", "content-length"));
        assert!(!folds_to(b"ContentLength", "content-length"));
        assert!(!folds_to(b"Content-Lengths", "content-length"));
        assert!(is_look_alike(b"ContentLength", "content-length"));
        assert!(!is_look_alike(b"Content-Lengths", "content-length"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_folds_to_a_name_is_a_look_alike_of_it(name in "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", between in 0..15_usize) {
            let between = BETWEEN[between];
            let other: Vec<u8> =
                name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte } else { between }).collect();
            proptest::prop_assert!(folds_to(&other, &name) && is_look_alike(&other, &name));
            proptest::prop_assert_eq!(meaning(&other), meaning(name.as_bytes()));
        }
    }
}
