//! One reading of a path: what two parsers could read differently is refused, never repaired; and the
//! templates that paths are matched with.

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

/// A route's path: literal segments, `{name}` for one segment, `*` at the end for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text, byte for byte.
    Literal(String),
    /// Any one segment, under this name.
    Parameter(String),
    /// Whatever follows.
    Rest,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("the path `{text}` does not begin with a slash"));
        };
        let mut segments = Vec::new();
        let mut names = Vec::new();
        let count = path.split('/').count();
        for (position, segment) in path.split('/').enumerate() {
            let last = position + 1 == count;
            segments.push(if segment == "*" && last {
                Segment::Rest
            } else if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_name || names.contains(&name) {
                    return Err(format!("`{{{name}}}` is no name, or is there twice: write letters, digits and _"));
                }
                names.push(name);
                Segment::Parameter(name.to_owned())
            } else if segment.contains(['*', '{', '}', '?', '#']) {
                return Err(format!("`{segment}` cannot be matched: `*` stands alone at the end, `{{name}}` is a whole segment"));
            } else {
                Segment::Literal(segment.to_owned())
            });
        }
        // What no request may be called cannot be a route either.
        let sample: Vec<&str> = segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => text.as_str(),
                Segment::Parameter(_) | Segment::Rest => "x",
            })
            .collect();
        check_path(&format!("/{}", sample.join("/")))
            .map_err(|denial| format!("no request can have the path `{text}`: {}", denial.cause()))?;
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Where the parameter `name` stands: the number of its segment, from zero.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let is_it = |segment: &Segment| matches!(segment, Segment::Parameter(other) if other == name);
        self.segments.iter().position(is_it)
    }

    /// The raw values of its parameters in `path`, in order. `None`: it is no path of this template.
    #[must_use]
    pub fn values<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let mut raw = path.strip_prefix('/')?.split('/');
        let mut values = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Rest => return Some(values),
                Segment::Literal(text) => {
                    if raw.next()? != text {
                        return None;
                    }
                }
                Segment::Parameter(name) => {
                    let value = raw.next().filter(|value| !value.is_empty())?;
                    values.push((name.as_str(), value));
                }
            }
        }
        raw.next().is_none().then_some(values)
    }

    /// The path that has these raw values, in the order of the parameters. `None`: there are more or fewer,
    /// or one of them would not be one segment, or the template ends with `*`.
    #[must_use]
    pub fn fill(&self, values: &[&str]) -> Option<String> {
        let mut values = values.iter();
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            path.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Parameter(_) => {
                    values.next().filter(|value| !value.is_empty() && !value.contains(['/', '?', '#']))?
                }
                Segment::Rest => return None,
            });
        }
        (values.next().is_none() && check_path(&path).is_ok()).then_some(path)
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

    #[test]
    fn templates_that_cannot_be_are_refused() {
        for text in
            ["", "a", "/a/*/b", "/a*", "/{", "/{}", "/{a b}", "/{a}/{a}", "//a", "/a/../b", "/a?b", "/a%2fb"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_reads_the_values_of_a_path_and_fills_them_in_again() {
        let template = Template::parse("/v1/results/{res_id}/{token}").unwrap();
        let values = |path| template.values(path);
        assert_eq!(values("/v1/results/42/abc"), Some(vec![("res_id", "42"), ("token", "abc")]));
        for other in
            ["/v1/results/42", "/v1/results/42/", "/v1/results/42/a/b", "/v1/Results/42/a", "v1/results/42/a"]
        {
            assert_eq!(values(other), None, "{other}");
        }
        assert_eq!((template.position("token"), template.position("v1")), (Some(3), None));
        assert_eq!(template.fill(&["42", "abc"]).as_deref(), Some("/v1/results/42/abc"));
        for wrong in [
            &["42"][..],
            &["42", "a", "b"],
            &["", "a"],
            &["..", "a"],
            &["a/b", "c"],
            &["a?", "c"],
            &["%2f", "c"],
        ] {
            assert_eq!(template.fill(wrong), None, "{wrong:?}");
        }
        assert_eq!(Template::parse("/a/{x}/*").unwrap().values("/a/1/2/3"), Some(vec![("x", "1")]));
    }
}
