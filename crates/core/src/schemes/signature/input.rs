//! `Signature-Input` and `Signature` (RFC 9421 §4): the signatures on a request that are ours to judge.

use std::fmt;

use http::{HeaderMap, HeaderName};
use sfv::Parser;

use super::component::Component;
use super::fields::{Input, Inputs, Signatures};
use super::identifier::ReadComponents;
use crate::denial::{Code, Denial};
use crate::time::Timestamp;

/// `Signature-Input`, RFC 9421 §4.1.
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// `Signature`, RFC 9421 §4.2.
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Both headers together, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// Signatures of ours on one request.
const MAX_OURS: usize = 4;

/// What a signature says of itself (RFC 9421 §2.3). Moments are whole seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From when on it counts no more.
    pub expires: Option<Timestamp>,
    /// What makes it differ from every other.
    pub nonce: Option<String>,
    /// The algorithm's name in the IANA registry.
    pub alg: Option<String>,
    /// The name of the key.
    pub keyid: Option<String>,
    /// What it is for.
    pub tag: Option<String>,
}

/// One signature: read, not yet believed.
#[derive(Clone)]
pub struct Signed {
    /// Its name on this message.
    pub label: String,
    /// What it covers, in its order.
    pub components: Vec<Component>,
    /// What it says of itself.
    pub parameters: Parameters,
    /// The signature.
    pub signature: Vec<u8>,
    text: String,
}

/// Not the signature, which until it is spent is as good as the request.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("label", &self.label)
            .field("input", &self.text)
            .finish_non_exhaustive()
    }
}

impl Signed {
    /// The signatures whose `tag` is one of `tags`, in the order of `Signature-Input`. Those of
    /// others may cover what nobody here knows; their syntax and labels count all the same.
    ///
    /// # Errors
    /// `credential_ambiguous` if a label or a parameter is there twice, within a line or across
    /// lines. `credential_malformed` if a header is no dictionary of the right kind, a label is in
    /// one header alone, one of ours has a component or parameter that cannot be read, there are
    /// more than 4 of ours or 32 in all, one covers more than 64 components, or both headers
    /// together exceed 16 KiB.
    pub fn read(headers: &HeaderMap, tags: &[&str]) -> Result<Vec<Self>, Denial> {
        if !headers.contains_key(SIGNATURE_INPUT) {
            return Ok(Vec::new());
        }
        let lines = [SIGNATURE_INPUT, SIGNATURE].map(|name| headers.get_all(name));
        let bytes: usize = lines.iter().flatten().map(http::HeaderValue::len).sum();
        if bytes > MAX_BYTES {
            return Err(malformed(format!("the signature headers have {bytes} bytes, at most {MAX_BYTES}")));
        }
        let [inputs, signatures] = lines;
        let mut read = Inputs::default();
        for line in inputs {
            let parsed = Parser::new(line.as_bytes()).parse_dictionary_with_visitor(&mut read);
            parsed.map_err(|error| refused(read.twice, "Signature-Input", &error))?;
        }
        let mut values = Signatures::default();
        for line in signatures {
            let parsed = Parser::new(line.as_bytes()).parse_dictionary_with_visitor(&mut values);
            parsed.map_err(|error| refused(values.twice, "Signature", &error))?;
        }
        paired(read.inputs, values.signatures, tags)
    }

    /// The value of `@signature-params`: what the last line of the signature base says.
    #[must_use]
    pub fn signature_params(&self) -> &str {
        &self.text
    }
}

fn refused(twice: bool, header: &str, error: &sfv::Error) -> Denial {
    let code = if twice { Code::CredentialAmbiguous } else { Code::CredentialMalformed };
    Denial::new(code, format!("{header}: {error}"))
}

fn malformed(cause: String) -> Denial {
    Denial::new(Code::CredentialMalformed, cause)
}

fn paired(
    inputs: Vec<Input>,
    mut signatures: Vec<(String, Vec<u8>)>,
    tags: &[&str],
) -> Result<Vec<Signed>, Denial> {
    let mut ours = Vec::new();
    for input in inputs {
        let label = input.label;
        let Some(position) = signatures.iter().position(|(other, _)| *other == label) else {
            return Err(malformed(format!("{label} is in Signature-Input alone")));
        };
        let (_, signature) = signatures.swap_remove(position);
        let tag = input.parameters.tag.as_deref();
        if !tag.is_some_and(|tag| tags.contains(&tag)) {
            continue;
        }
        if ours.len() == MAX_OURS {
            return Err(malformed(format!("more than {MAX_OURS} signatures are for this service")));
        }
        if let Some(flaw) = input.read.flaw {
            return Err(malformed(format!("{label}: {flaw}")));
        }
        if let Some(parameter) = input.flaw {
            return Err(malformed(format!("{label}: {parameter} is of the wrong type")));
        }
        let ReadComponents { components, text, .. } = input.read;
        ours.push(Signed { label, components, parameters: input.parameters, signature, text });
    }
    match signatures.first() {
        Some((label, _)) => Err(malformed(format!("{label} is in Signature alone"))),
        None => Ok(ours),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[&str] = &["ours"];
    const GOOD: &str =
        r#"a=("@method");created=1;expires=2;nonce="n";keyid="k";alg="ed25519";new=x;tag="ours""#;

    fn read(inputs: &[&str], signatures: &[&str]) -> Result<Vec<Signed>, Code> {
        let mut headers = HeaderMap::new();
        for (name, lines) in [(SIGNATURE_INPUT, inputs), (SIGNATURE, signatures)] {
            for line in lines {
                headers.append(&name, line.parse().unwrap());
            }
        }
        Signed::read(&headers, OURS).map_err(|denial| denial.code())
    }

    fn malformed(inputs: &[&str], signatures: &[&str]) {
        assert_eq!(
            read(inputs, signatures).unwrap_err(),
            Code::CredentialMalformed,
            "{inputs:?} {signatures:?}"
        );
    }

    fn ambiguous(inputs: &[&str], signatures: &[&str]) {
        assert_eq!(
            read(inputs, signatures).unwrap_err(),
            Code::CredentialAmbiguous,
            "{inputs:?} {signatures:?}"
        );
    }

    #[test]
    fn a_signature_is_read_whole() {
        let [signed] = &read(&[GOOD], &["a=:AQI=:"]).unwrap()[..] else { panic!("one") };
        assert_eq!((signed.label.as_str(), signed.signature.as_slice()), ("a", &[1, 2][..]));
        assert_eq!(signed.signature_params(), GOOD.strip_prefix("a=").unwrap());
        let text = |text: &str| Some(text.to_owned());
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(1)),
            expires: Some(Timestamp::from_secs(2)),
            nonce: text("n"),
            alg: text("ed25519"),
            keyid: text("k"),
            tag: text("ours"),
        };
        assert_eq!(signed.parameters, parameters);
        assert!(!format!("{signed:?}").contains("AQI"));
    }

    /// RFC 9651 §4.1: one space, no optional white space, numbers as they are.
    #[test]
    fn the_parameters_are_serialised_as_the_standard_says() {
        let sent = r#"a=(  "@method"   "x"; sf ) ; created=1"#;
        malformed(&[sent], &["a=::"]);
        let sent = r#"a=(  "@method"   "x"; sf );  b;tag="ours";c=?1;d=1.50;e=:AQ==:;f=?0"#;
        let signed = read(&[sent], &["a=::"]).unwrap().remove(0);
        let expected = r#"("@method" "x";sf);b;tag="ours";c;d=1.5;e=:AQ==:;f=?0"#;
        assert_eq!(signed.signature_params(), expected);
        assert_eq!(signed.components[1].as_str(), r#""x";sf"#);
    }

    #[test]
    fn nothing_at_all_is_no_credential() {
        assert!(read(&[], &[]).unwrap().is_empty());
        assert!(read(&[], &["a=::"]).unwrap().is_empty());
        assert!(read(&[""], &[]).unwrap().is_empty());
    }

    #[test]
    fn signatures_for_others_are_none_of_ours() {
        let others = r#"a=("@unknown";new);tag="theirs", b=();created=-1"#;
        assert!(read(&[others], &["a=::, b=::"]).unwrap().is_empty());
        malformed(&[r#"a=("@unknown");tag="ours""#], &["a=::"]);
        malformed(&[r#"a=("x";new);tag="ours""#], &["a=::"]);
    }

    #[test]
    fn several_lines_are_one_dictionary() {
        let lines = [r#"a=();tag="ours", c=();tag="theirs""#, r#"b=();tag="ours""#];
        let signed = read(&lines, &["b=:Ag==:", "c=:Aw==:, a=:AQ==:"]).unwrap();
        let found: Vec<_> = signed.iter().map(|one| (one.label.as_str(), one.signature[0])).collect();
        assert_eq!(found, [("a", 1), ("b", 2)]);
    }

    #[test]
    fn a_label_twice_is_ambiguous() {
        ambiguous(&[r#"a=();tag="ours", a=();tag="ours""#], &["a=::"]);
        ambiguous(&[r#"a=();tag="ours""#, "a=()"], &["a=::"]);
        ambiguous(&[r#"a=();tag="ours""#], &["a=::, a=::"]);
        ambiguous(&[r#"a=();tag="ours""#], &["a=::", "a=::"]);
    }

    #[test]
    fn a_parameter_twice_is_ambiguous() {
        ambiguous(&[r#"a=();tag="theirs";tag="ours""#], &["a=::"]);
        ambiguous(&[r#"a=();new;new=2;tag="ours""#], &["a=::"]);
    }

    #[test]
    fn a_label_in_one_header_alone_is_malformed() {
        malformed(&[GOOD], &[]);
        malformed(&[GOOD], &["b=::"]);
        malformed(&[GOOD], &["a=::, b=::"]);
        malformed(&["b=()", GOOD], &["a=::"]);
    }

    #[test]
    fn other_kinds_are_malformed() {
        malformed(&["("], &["a=::"]);
        malformed(&["a"], &["a=::"]);
        malformed(&[r#"a="b""#], &["a=::"]);
        malformed(&[GOOD], &["a=()"]);
        malformed(&[GOOD], &["a=\"AQ==\""]);
        malformed(&[GOOD], &["a=:*:"]);
        malformed(&["a=();tag=ours"], &["a=::"]);
        for parameter in [
            "created=-1",
            "created=1.0",
            "created=@1",
            "expires=\"1\"",
            "expires=-1",
            "nonce=1",
            "alg=ed25519",
            "keyid",
            "keyid=:AQ==:",
        ] {
            malformed(&[&format!("a=();{parameter};tag=\"ours\"")], &["a=::"]);
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many = |count: usize, input: &str| {
            let inputs: Vec<_> = (0..count).map(|index| format!("s{index}={input}")).collect();
            let values: Vec<_> = (0..count).map(|index| format!("s{index}=::")).collect();
            read(&[&inputs.join(", ")], &[&values.join(", ")]).map(|ours| ours.len())
        };
        assert_eq!(many(4, r#"();tag="ours""#), Ok(4));
        assert_eq!(many(5, r#"();tag="ours""#), Err(Code::CredentialMalformed));
        assert_eq!(many(32, "()"), Ok(0));
        assert_eq!(many(33, "()"), Err(Code::CredentialMalformed));

        let covering = |count: usize| {
            let names: Vec<_> = (0..count).map(|index| format!("\"x{index}\"")).collect();
            read(&[&format!("a=({});tag=\"ours\"", names.join(" "))], &["a=::"]).map(|ours| ours.len())
        };
        assert_eq!(covering(64), Ok(1));
        assert_eq!(covering(65), Err(Code::CredentialMalformed));

        let long = |length: usize| read(&[GOOD], &["a=::", &" ".repeat(length)]).map(|ours| ours.len());
        assert_eq!(long(MAX_BYTES - GOOD.len() - 4), Ok(1));
        assert_eq!(long(MAX_BYTES - GOOD.len() - 3), Err(Code::CredentialMalformed));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_reading_panic(
            input in "[a-c=()\";@:, ?*0-9.-]{0,40}",
            value in "\\PC{0,20}",
            parameters in "(;[a-z]{1,3}(=[0-9\":?a-z-]{0,4})?){0,3}",
        ) {
            let mut headers = HeaderMap::new();
            for (name, text) in [
                (SIGNATURE_INPUT, input),
                (SIGNATURE_INPUT, format!("a=(\"@method\"){parameters};tag=\"ours\"")),
                (SIGNATURE, value),
                (SIGNATURE, "a=:AQ==:".to_owned()),
            ] {
                let _ = Signed::read(&headers, OURS);
                if let Ok(text) = http::HeaderValue::from_bytes(text.as_bytes()) {
                    headers.append(name, text);
                }
                let _ = Signed::read(&headers, OURS);
            }
        }
    }
}
