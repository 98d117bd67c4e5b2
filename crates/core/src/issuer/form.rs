//! What is posted to an OAuth endpoint: parameters, each of them once (RFC 6749 §3.2 and appendix B).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::{ErrorCode, OAuthError};

/// A body that is longer is not read.
pub const LONGEST_BODY: usize = 16 * 1024;
/// No request needs more parameters.
const MOST_PARAMETERS: usize = 32;
const TYPE: &str = "application/x-www-form-urlencoded";

/// The parameters of a request. They hold credentials: there is no `Debug`.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form. What was sent without a value was not sent (RFC 6749 §3.2).
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let wrong = |cause: &'static str| OAuthError::new(ErrorCode::InvalidRequest, cause);
        let mut types = headers.get_all(CONTENT_TYPE).iter().filter_map(|value| value.to_str().ok());
        let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_owned();
        let is_form = types.next().is_some_and(|value| essence(value).eq_ignore_ascii_case(TYPE));
        if !is_form || types.next().is_some() {
            return Err(wrong("the content type is not application/x-www-form-urlencoded"));
        }
        let mut form = Self(Vec::new());
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if form.0.len() == MOST_PARAMETERS {
                return Err(wrong("there are more than 32 parameters"));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let value = decode(halves.next().unwrap_or_default());
            let (Some(name), Some(value)) = (name, value) else {
                return Err(wrong("a parameter is not percent-encoded UTF-8"));
            };
            if form.0.iter().any(|(known, _)| *known == name) {
                return Err(wrong("a parameter is there twice"));
            }
            form.0.push((name, value));
        }
        Ok(form)
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    pub(super) fn need(&self, name: &'static str) -> Result<&str, OAuthError> {
        let missing = || OAuthError::new(ErrorCode::InvalidRequest, format!("{name} is missing"));
        self.get(name).ok_or_else(missing)
    }
}

/// Undoes the form's encoding: `+` is a space, `%` begins two digits.
fn decode(text: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(*digit).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Form, OAuthError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, TYPE.parse().unwrap())]);
        Form::read(&headers, body.as_bytes())
    }

    #[test]
    fn a_form_is_decoded_and_what_is_empty_is_not_there() {
        let form = read("a=1+2%2b%c3%A9&&b=&c=x=y&d").ok().unwrap();
        assert_eq!(form.get("a"), Some("1 2+é"));
        assert_eq!((form.get("b"), form.get("d")), (None, None));
        assert_eq!(form.get("c"), Some("x=y"));
        assert!(form.need("c").is_ok() && form.need("b").is_err());
    }

    #[test]
    fn a_parameter_twice_or_undecodable_is_refused() {
        let many = (0..33).map(|number| format!("p{number}=")).collect::<Vec<_>>().join("&");
        for body in ["a=1&a=1", "a=1&%61=2", "a=&a=1", "a=%", "a=%4", "a=%zz", "a=%ff", &many] {
            let error = read(body).err().expect(body);
            assert_eq!(error.code(), ErrorCode::InvalidRequest, "{body}");
        }
    }

    #[test]
    fn another_content_type_is_refused() {
        for given in [None, Some("application/json"), Some("text/plain"), Some("")] {
            let headers = given.map(|given| (CONTENT_TYPE, given.parse().unwrap()));
            let error = Form::read(&headers.into_iter().collect(), b"a=1").err().unwrap();
            assert_eq!(error.code(), ErrorCode::InvalidRequest);
        }
        let headers = "Application/X-WWW-form-urlencoded; charset=UTF-8".parse().unwrap();
        assert!(Form::read(&HeaderMap::from_iter([(CONTENT_TYPE, headers)]), b"a=1").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, TYPE.parse().unwrap())]);
            let _ = Form::read(&headers, &body);
        }
    }
}
