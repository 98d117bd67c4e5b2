//! What a proof says of the URL that it is for (`htu`), and which spellings of it mean one URL.

use std::borrow::Cow;

use http::Uri;
use http::uri::{Authority, Scheme};

/// What `htu` says of a target: no query and no fragment (RFC 9449 §4.2).
#[must_use]
pub fn htu(target: &Uri) -> String {
    let scheme = target.scheme_str().unwrap_or_default();
    let authority = target.authority().map_or("", Authority::as_str);
    format!("{scheme}://{authority}{}", target.path())
}

/// Whether `htu` means `target`: without query and fragment, after syntax-based and scheme-based normalisation
/// (RFC 9449 §4.3, item 9; RFC 3986 §6.2.2 and §6.2.3).
///
/// What is reserved is never decoded, so that `%2F` stays apart from `/`. Dot segments are removed from `htu`
/// alone: a target that has some is equal to nothing, whatever somebody behind it would make of them.
#[must_use]
pub(super) fn means(htu: &str, target: &Uri) -> bool {
    let Ok(said) = htu.parse::<Uri>() else { return false };
    let (Some(scheme), Some(other_scheme)) = (said.scheme(), target.scheme()) else { return false };
    let (Some(authority), Some(other)) = (said.authority(), target.authority()) else { return false };
    let Some(port) = port(authority, scheme) else { return false };
    scheme == other_scheme
        && authority.host().eq_ignore_ascii_case(other.host())
        && Some(port) == self::port(other, other_scheme)
        && without_dot_segments(&decoded(said.path())) == decoded(target.path())
}

/// The port; the scheme's own where none is written, or only its colon (RFC 3986 §6.2.3). `None`: what is
/// written is no port, or somebody is named before the host.
fn port(authority: &Authority, scheme: &Scheme) -> Option<u16> {
    let rest = authority.as_str().strip_prefix(authority.host())?;
    match rest.strip_prefix(':').unwrap_or(rest) {
        "" => Some(if *scheme == Scheme::HTTPS { 443 } else { 80 }),
        digits if rest.starts_with(':') && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        _ => None,
    }
}

/// Escapes of unreserved characters undone, the digits of the others in capitals (RFC 3986 §6.2.2.1, §6.2.2.2).
fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        normal.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| Some((digits, u8::from_str_radix(digits, 16).ok()?))) {
            Some((_, byte)) if is_unreserved(byte) => normal.push(char::from(byte)),
            Some((digits, _)) => {
                normal.push('%');
                normal.push_str(&digits.to_ascii_uppercase());
            }
            None => normal.push('%'),
        }
        rest = &after[digits.map_or(0, str::len)..];
    }
    normal.push_str(rest);
    Cow::Owned(normal)
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if matches!(segment, "." | "..") {
            if segment == ".." {
                kept.pop();
            }
            if segments.peek().is_none() {
                kept.push("");
            }
        } else {
            kept.push(segment);
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_resource_has_several_spellings_and_no_others() {
        let target = Uri::from_static("https://bob.example/orders/42?page=2");
        for same in [
            "https://bob.example/orders/42",
            "https://bob.example/orders/42?other=1",
            "https://bob.example/orders/42#top",
            "HTTPS://BOB.example:443/orders/42",
            "https://bob.example:/orders/42",
            "https://bob.example:0443/orders/42",
            "https://bob.example/orders/%34%32",
            "https://bob.example/%6frders/42",
            "https://bob.example/x/../orders/./42",
            "https://bob.example/../orders/42",
            "https://bob.example/x/%2E%2e/orders/42",
        ] {
            assert!(means(same, &target), "{same}");
        }
        for other in [
            "http://bob.example/orders/42",
            "https://bob.example:8443/orders/42",
            "https://bob.example:65979/orders/42",
            "https://bob.example:99999/orders/42",
            "https://bob.example:x/orders/42",
            "https://bob.example:-443/orders/42",
            "https://bob.example:+443/orders/42",
            "https://bob.example.evil/orders/42",
            "https://bob.example@evil.example/orders/42",
            "https://evil@bob.example/orders/42",
            "https://bob.example@bob.example/orders/42",
            "https://bob.example:443@bob.example/orders/42",
            "https://bob.example./orders/42",
            "https://bob.example/orders/042",
            "https://bob.example/orders/42/",
            "https://bob.example/orders/42/.",
            "https://bob.example/orders//42",
            "https://bob.example/Orders/42",
            "https://bob.example/orders%2F42",
            "https://bob.example/orders/%2534%2532",
            "https://bob.example/orders/42/..",
            "https://bob.example/orders/..%2F42",
            "https://bob.example",
            "/orders/42",
            "bob.example",
            "",
        ] {
            assert!(!means(other, &target), "{other}");
        }
        let root = Uri::from_static("http://127.0.0.1:80/");
        assert!(means("http://127.0.0.1", &root) && means("http://127.0.0.1?x", &root));
        assert!(!means("https://127.0.0.1", &root));
        assert!(means("https://[::A]/", &Uri::from_static("https://[::a]:443")));
    }

    #[test]
    fn escapes_in_a_target_are_compared_by_what_they_stand_for() {
        for (target, same, others) in [
            ("/~a%3A", &["/~a%3A", "/%7Ea%3a", "/%7ea%3A"][..], &["/~a:", "/%257Ea%3A", "/~A%3A"][..]),
            ("/%7Ea", &["/~a", "/%7ea"], &["/a"]),
            ("/a%2Fb", &["/a%2fb"], &["/a/b", "/a%252Fb"]),
            ("/a%zz%4", &["/a%zz%4", "/%61%zz%4"], &["/a%ZZ%4", "/azz4"]),
            ("/%C3%A9", &["/%c3%a9"], &["/%E9", "/e"]),
            // Such targets are refused before; none of them is what a proof for another says.
            ("/x/../admin", &[], &["/admin", "/x/../admin", "/x/%2e%2e/admin"]),
            ("/x/%2E%2E/admin", &[], &["/admin", "/x/%2E%2E/admin"]),
            ("/.", &[], &["/", "/."]),
        ] {
            let target: Uri = format!("https://bob.example{target}").parse().unwrap();
            for path in same {
                assert!(means(&format!("https://bob.example{path}"), &target), "{path} for {target}");
            }
            for path in others {
                assert!(!means(&format!("https://bob.example{path}"), &target), "{path} for {target}");
            }
        }
    }

    #[test]
    fn dot_segments_are_removed_as_rfc_3986_does() {
        for (path, normal) in [
            ("/a/b/c/./../../g", "/a/g"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("/a//..", "/a/"),
            ("/a/.", "/a/"),
            ("/...", "/..."),
            ("/", "/"),
            ("//", "//"),
        ] {
            assert_eq!(without_dot_segments(path), normal, "{path}");
        }
    }

    /// Another spelling of the same path: escapes where none are needed, and in either case.
    fn spelled(path: &str, choices: &[u8]) -> String {
        let mut choices = choices.iter().cycle();
        let mut choose = || *choices.next().unwrap_or(&0);
        path.bytes()
            .map(|byte| match choose() {
                1 if is_unreserved(byte) => format!("%{byte:02X}"),
                2 if is_unreserved(byte) => format!("%{byte:02x}"),
                _ => char::from(byte).to_string(),
            })
            .collect()
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_for_a_target_means_it(
            host in "[a-z]{1,8}\\.example", port in proptest::option::of(1_u16..), path in "(/[a-z0-9%._~-]{0,6}){1,4}",
            query in proptest::option::of("[a-z=&]{0,8}"), noise in "\\PC{0,30}",
        ) {
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            let target: Uri = format!("https://{host}{port}{path}{query}").parse().unwrap();
            let plain = decoded(target.path());
            let has_dots = plain.split('/').any(|segment| matches!(segment, "." | ".."));
            proptest::prop_assert_eq!(means(&htu(&target), &target), !has_dots);
            let another: Uri = format!("https://{host}{port}{path}x").parse().unwrap();
            proptest::prop_assert!(!means(&htu(&another), &target));
            proptest::prop_assert!(!means(&noise, &target));
        }

        #[test]
        fn however_a_path_is_spelled_it_is_the_same(
            path in "(/[a-zA-Z0-9_~:@!,;=-]{1,6}){1,4}", choices in proptest::collection::vec(0..3_u8, 1..24),
        ) {
            let target: Uri = format!("https://bob.example{path}").parse().unwrap();
            let htu = format!("HTTPS://Bob.Example:443{}", spelled(&path, &choices));
            proptest::prop_assert!(means(&htu, &target), "{}", htu);
        }

        /// Whoever decodes at most once, and splits at slashes before, finds the same segments in both.
        #[test]
        fn paths_that_mean_one_resource_have_the_same_segments(
            one in "(/(a|b|%61|%62|%2[fFeE]|%25|\\.|~|%7[eE]){0,3}){1,3}",
            other in "(/(a|b|%61|%62|%2[fFeE]|%25|\\.|~|%7[eE]){0,3}){1,3}",
        ) {
            let segments = |path: &str| -> Vec<Vec<u8>> {
                path.split('/').skip(1).map(|segment| {
                    let mut bytes = Vec::new();
                    let mut rest = segment.as_bytes();
                    while let [first, after @ ..] = rest {
                        rest = after;
                        if let (b'%', Some(digits)) = (first, after.get(..2)) {
                            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                            rest = &after[2..];
                        } else {
                            bytes.push(*first);
                        }
                    }
                    bytes
                }).collect()
            };
            let target: Uri = format!("https://bob.example{other}").parse().unwrap();
            let (said, asked) = (segments(&one), segments(&other));
            let is_dots = |segment: &Vec<u8>| matches!(&segment[..], b"." | b"..");
            if means(&format!("https://bob.example{one}"), &target) {
                proptest::prop_assert!(!asked.iter().any(is_dots), "{other}");
                proptest::prop_assert!(said == asked || said.iter().any(is_dots), "{one} for {other}");
            } else {
                proptest::prop_assert!(said != asked || asked.iter().any(is_dots), "{one} for {other}");
            }
        }
    }
}
