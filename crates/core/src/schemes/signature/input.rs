//! `Signature-Input` and `Signature` (RFC 9421 §4): the signatures on a request that are ours to judge.

use http::header::{CONNECTION, GetAll};
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::Parser;

use super::component::Name;
use super::fields::{Input, Inputs, Signatures};
use super::identifier::ReadComponents;
use super::plain;
use super::signed::{Parameters, Signed};
use crate::denial::{Code, Denial};

/// `Signature-Input`, RFC 9421 §4.1.
pub const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// `Signature`, RFC 9421 §4.2.
pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Both headers together, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// Signatures of ours on one request.
const MAX_OURS: usize = 4;

impl Signed {
    /// The signatures whose `tag` is one of `tags` (`""` for those without one), in the order of
    /// `Signature-Input`. Those of
    /// others may cover what nobody here knows; their syntax and labels count all the same.
    ///
    /// # Errors
    /// `credential_ambiguous` if a label or a parameter is there twice, within a line or across
    /// lines. `credential_malformed` if a header is no dictionary of the right kind, a label is in
    /// one header alone, one of ours has a component or parameter that cannot be read, there are
    /// more than 4 of ours or 32 in all, one covers more than 64 components, or both headers
    /// together exceed 16 KiB. `framing` if `Connection` names a field that one of ours covers.
    pub fn read(headers: &HeaderMap, tags: &[&str]) -> Result<Vec<Self>, Denial> {
        let is_ours = |parameters: &Parameters| tags.contains(&parameters.tag.as_deref().unwrap_or_default());
        let role = |parameters: &Parameters| if is_ours(parameters) { Role::Must } else { Role::Others };
        Ok(Presented::read(headers, &role)?.must)
    }

    /// The signatures of every tag and of none, for whoever looks at a request that is not for them to
    /// let in.
    ///
    /// # Errors
    /// As [`Signed::read`], all being ours.
    pub fn read_all(headers: &HeaderMap) -> Result<Vec<Self>, Denial> {
        Ok(Presented::read(headers, &|_| Role::Must)?.must)
    }
}

/// What a signature is to whoever judges the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It must hold.
    Must,
    /// It may: of all such the first that holds counts.
    May,
    /// Not theirs to judge.
    Others,
}

/// The signatures of a request that are judged.
#[derive(Debug, Default)]
pub struct Presented {
    /// Each of them must hold.
    pub(super) must: Vec<Signed>,
    /// One of them must. One that cannot be read is as good as one that does not hold.
    pub(super) may: Vec<Result<Signed, Denial>>,
}

impl Presented {
    /// Reads those whose `role` is one, in the order of `Signature-Input`.
    ///
    /// # Errors
    /// As [`Signed::read`]; but of those that may hold, one whose bytes are missing, or that has a component
    /// or parameter that cannot be read, spoils nothing but itself.
    pub(super) fn read(headers: &HeaderMap, role: &dyn Fn(&Parameters) -> Role) -> Result<Self, Denial> {
        let presented = Self::read_lines(headers, role)?;
        presented.look_at_connection(headers)?;
        Ok(presented)
    }

    /// A proxy removes what `Connection` names (RFC 9110 §7.6.1). Behind it, the request would be another than the one
    /// that was signed.
    fn look_at_connection(&self, headers: &HeaderMap) -> Result<(), Denial> {
        let mut lines = headers.get_all(CONNECTION).iter().peekable();
        if lines.peek().is_none() {
            return Ok(());
        }
        let options: Vec<&[u8]> = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .collect();
        let judged = self.must.iter().chain(self.may.iter().flatten());
        for component in judged.flat_map(|signed| &signed.components) {
            if let Name::Field(name) = component.name()
                && options.iter().any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
            {
                let cause = format!("Connection names {name}, which a signature covers");
                return Err(Denial::new(Code::Framing, cause));
            }
        }
        Ok(())
    }

    fn read_lines(headers: &HeaderMap, role: &dyn Fn(&Parameters) -> Role) -> Result<Self, Denial> {
        let inputs = headers.get_all(SIGNATURE_INPUT);
        if inputs.iter().next().is_none() {
            return Ok(Self::default());
        }
        let signatures = headers.get_all(SIGNATURE);
        let bytes: usize = inputs.iter().chain(&signatures).map(HeaderValue::len).sum();
        if bytes > MAX_BYTES {
            return Err(malformed(format!("the signature headers have {bytes} bytes, at most {MAX_BYTES}")));
        }
        let is_judged = |parameters: &Parameters| role(parameters) != Role::Others;
        if let (Some(input), Some(signature)) = (only(inputs.iter()), only(signatures.iter()))
            && let Some(signed) = plain::read(input, signature, &is_judged)
        {
            let role = role(&signed.parameters);
            let mut presented = Self::default();
            presented.add(role, Ok(signed))?;
            return Ok(presented);
        }
        Self::read_whole(&inputs, &signatures, role)
    }

    /// The long way, for every form that there is.
    fn read_whole(
        inputs: &GetAll<'_, HeaderValue>,
        signatures: &GetAll<'_, HeaderValue>,
        role: &dyn Fn(&Parameters) -> Role,
    ) -> Result<Self, Denial> {
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
        Self::paired(read.inputs, values.signatures, role)
    }

    fn paired(
        inputs: Vec<Input>,
        mut signatures: Vec<(String, Vec<u8>)>,
        role: &dyn Fn(&Parameters) -> Role,
    ) -> Result<Self, Denial> {
        let mut presented = Self::default();
        for input in inputs {
            let role = role(&input.parameters);
            let position = signatures.iter().position(|(other, _)| *other == input.label);
            let Some(position) = position else {
                let alone = malformed(format!("{} is in Signature-Input alone", input.label));
                if role != Role::May {
                    return Err(alone);
                }
                presented.add(role, Err(alone))?;
                continue;
            };
            let (_, signature) = signatures.swap_remove(position);
            presented.add(role, input.signed(signature))?;
        }
        match signatures.first() {
            Some((label, _)) => Err(malformed(format!("{label} is in Signature alone"))),
            None => Ok(presented),
        }
    }

    fn add(&mut self, role: Role, signed: Result<Signed, Denial>) -> Result<(), Denial> {
        if role == Role::Others {
            return Ok(());
        }
        if self.must.len() + self.may.len() == MAX_OURS {
            return Err(malformed(format!("more than {MAX_OURS} signatures are for this service")));
        }
        match role {
            Role::Must => self.must.push(signed?),
            _ => self.may.push(signed),
        }
        Ok(())
    }
}

impl Input {
    fn signed(self, signature: Vec<u8>) -> Result<Signed, Denial> {
        let label = self.label;
        if let Some(flaw) = self.read.flaw {
            return Err(malformed(format!("{label}: {flaw}")));
        }
        if let Some(parameter) = self.flaw {
            return Err(malformed(format!("{label}: {parameter} is of the wrong type")));
        }
        let ReadComponents { components, text, .. } = self.read;
        Ok(Signed { label, components, parameters: self.parameters, signature, text })
    }
}

/// The one line of a header, if it is one and text. Each part of it is looked at again as it is read.
fn only<'a>(mut lines: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a str> {
    let line = std::str::from_utf8(lines.next()?.as_bytes()).ok();
    line.filter(|_| lines.next().is_none())
}

fn refused(twice: bool, header: &str, error: &sfv::Error) -> Denial {
    let code = if twice { Code::CredentialAmbiguous } else { Code::CredentialMalformed };
    Denial::new(code, format!("{header}: {error}"))
}

fn malformed(cause: String) -> Denial {
    Denial::new(Code::CredentialMalformed, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the short way reads, the long way reads likewise; and how often the short way is taken.
    fn both_ways(input: &str, signature: &str) -> bool {
        let (Ok(one), Ok(other)) = (HeaderValue::from_str(input), HeaderValue::from_str(signature)) else {
            return false;
        };
        let headers = HeaderMap::from_iter([(SIGNATURE_INPUT, one), (SIGNATURE, other)]);
        let is_ours = |parameters: &Parameters| parameters.tag.as_deref() == Some("t");
        let Some(short) = plain::read(input, signature, &is_ours) else { return false };
        let lines = [SIGNATURE_INPUT, SIGNATURE].map(|name| headers.get_all(name));
        let role = |parameters: &Parameters| if is_ours(parameters) { Role::Must } else { Role::Others };
        let long =
            Presented::read_whole(&lines[0], &lines[1], &role).expect("what the short way reads is good");
        let [long] = &long.must[..] else { panic!("one, as the short way has it") };
        assert_eq!(
            (&short.label, &short.components, &short.parameters, &short.signature, &short.text),
            (&long.label, &long.components, &long.parameters, &long.signature, &long.text)
        );
        for (one, other) in short.components.iter().zip(&long.components) {
            assert_eq!(one.as_str(), other.as_str());
        }
        true
    }

    #[test]
    fn the_usual_form_is_read_the_short_way() {
        let usual = r#"sig1=("@method" "@path" "content-digest" "x-thing");created=1;expires=61;nonce="n";keyid="k";alg="ed25519";tag="t""#;
        assert!(both_ways(usual, "sig1=:AQI=:"));
        assert!(both_ways(r#"*=();tag="t""#, "*=::"));
        for (from, to) in [
            ("created=1", "created=01"),
            ("created=1;", "created=1;created=1;"),
            ("created=1", "created=1234567890123456"),
            ("created=1", "created=-1"),
            ("\"@path\"", "\"@path\";req"),
            ("\"@path\"", "\"@query-param\""),
            ("\"@path\"", "\"@new\""),
            ("\"x-thing\"", "\"X-Thing\""),
            ("\"x-thing\"", " \"x-thing\""),
            ("\"n\"", "\"\\\"\""),
            ("\"t\"", "\"other\""),
            (";created", "; created"),
            (";created", ";new;created"),
            ("sig1", "Sig1"),
            ("sig1", "1sig"),
        ] {
            assert!(!both_ways(&usual.replace(from, to), "sig1=:AQI=:"), "{to}");
        }
        for signature in ["sig1=:AQI:", "sig1=:AQJ=:", "sig2=:AQI=:", "sig1=:AQI=:;a", "sig1=:AQI=:, b=::"] {
            assert!(!both_ways(usual, signature), "{signature}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_reads_nothing_otherwise_than_the_long_way(
            label in "[a-zA1*][a-z0-9_*.-]{0,3}",
            other in "[a-c]?",
            names in "(\"@?[a-zA-Z. -]{1,5}\"|\"@method\"|\"@query-param\"|\"content-type\")(;sf)?( ?\"@path\"){0,2}",
            first in "(;(created|expires|new)=[0-9]{1,17}){0,3}",
            second in "(;(nonce|keyid|alg|tag)=\"[ -~]{0,4}\"){0,3}",
            tag in "(;tag=\"t\")?[; ]?",
            signature in "[A-Za-z0-9+/]{0,8}={0,2}",
        ) {
            both_ways(&format!("{label}=({names}){first}{second}{tag}"), &format!("{label}{other}=:{signature}:"));
            both_ways(&format!("{label}=({names}){first}{second};tag=\"t\""), &format!("{label}=:AQI=:"));
        }
    }

    #[test]
    fn connection_names_nothing_that_a_signature_of_ours_covers() {
        let read = |connection: &[&str], components: &str, role: Role| {
            let input = format!("sig=(\"@method\" {components});tag=\"t\", other=(\"x-other\")");
            let mut headers = HeaderMap::new();
            for (name, value) in [("signature-input", input.as_str()), ("signature", "sig=::, other=::")] {
                headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
            for line in connection {
                headers.append(CONNECTION, HeaderValue::from_str(line).unwrap());
            }
            let is_ours = |parameters: &Parameters| parameters.tag.as_deref() == Some("t");
            let read = Presented::read(&headers, &|parameters| {
                if is_ours(parameters) { role } else { Role::Others }
            });
            read.map(drop).map_err(|denial| denial.code())
        };
        for role in [Role::Must, Role::May] {
            for connection in [
                &["x-tenant"][..],
                &["close, X-Tenant"],
                &["keep-alive", "a,\tX-TENANT ,b"],
                &["x-tenant", "close"],
            ] {
                for components in
                    ["\"x-tenant\"", "\"x-tenant\";bs", "\"x-tenant\";key=\"a\"", "\"a\" \"x-tenant\";sf"]
                {
                    assert_eq!(
                        read(connection, components, role),
                        Err(Code::Framing),
                        "{connection:?} {components}"
                    );
                }
            }
            for connection in
                [&[][..], &["close"], &["keep-alive", "x-tenants, tenant"], &["x-other, @method, method"]]
            {
                assert_eq!(read(connection, "\"x-tenant\"", role), Ok(()), "{connection:?}");
            }
        }
    }
}
