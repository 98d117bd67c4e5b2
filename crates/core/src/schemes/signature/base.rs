//! What is signed: the signature base (RFC 9421 §2.5), a line for each component.

use super::component::Component;
use super::message::Message;
use crate::denial::{Code, Denial};

/// Why there is no signature base for these components on this message. Each names the component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// The same component twice, whatever the order of its parameters.
    #[error("{0} is covered twice")]
    Duplicate(String),
    /// The message has no such field, dictionary member or query parameter.
    #[error("{0} is covered and not there")]
    Missing(String),
    /// The query has this parameter more than once.
    #[error("{0} is covered and there twice")]
    Repeated(String),
    /// Its value has a line break, a control character, or a character beyond ASCII.
    #[error("{0} has a value that cannot be signed")]
    NotText(String),
    /// Not a structured field, or not known as one.
    #[error("{0} is not the structured field that it is covered as")]
    NotStructured(String),
    /// With what came before it, more would have to be parsed than anybody may ask for.
    #[error("{0} asks for too much to be parsed")]
    TooMuch(String),
    /// Of a part that this message has not: `;req` or `@status` on a request, `@path` on a response,
    /// `;tr` without trailers.
    #[error("{0} is of a part that this message has not")]
    NotGiven(String),
}

/// A signature whose base cannot be made verifies under no key.
impl From<BaseError> for Denial {
    fn from(error: BaseError) -> Self {
        Self::new(Code::SignatureInvalid, error.to_string())
    }
}

/// How much of a message may be parsed again and again for components that are parts of a field or of the
/// query, in bytes: each of 64 components could name a part of the largest one, before any key is known. A
/// byte takes up to 0.1 µs, and is parsed once more where the caller asks where its base parts from ours.
const MOST_PARSED: usize = 3 * 1024;

/// The signature base: a line for each component, and last the parameters. `parameters` is the
/// serialised value of `@signature-params`, which lists the components again.
///
/// # Errors
/// [`BaseError`].
pub fn signature_base(
    components: &[Component],
    parameters: &str,
    message: &Message<'_>,
) -> Result<String, BaseError> {
    // The parameters repeat each identifier; 48 characters hold most values.
    let mut base = String::with_capacity(64 + 2 * parameters.len() + 48 * components.len());
    let mut parsed = 0;
    for (index, component) in components.iter().enumerate() {
        parsed += message.parsed_for(component);
        if parsed > MOST_PARSED {
            return Err(BaseError::TooMuch(component.to_string()));
        }
        if components[..index].contains(component) {
            return Err(BaseError::Duplicate(component.to_string()));
        }
        base.push_str(component.as_str());
        base.push_str(": ");
        message.write(component, &mut base)?;
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(parameters);
    Ok(base)
}

/// Each component with its value, for whoever looks at one line after another.
pub(super) fn lines<'a>(
    components: &'a [Component],
    message: &'a Message<'_>,
) -> impl Iterator<Item = (&'a Component, Result<String, BaseError>)> {
    let mut parsed = 0;
    components.iter().map(move |component| {
        parsed += message.parsed_for(component);
        if parsed > MOST_PARSED {
            return (component, Err(BaseError::TooMuch(component.to_string())));
        }
        let mut value = String::new();
        let written = message.write(component, &mut value);
        (component, written.map(|()| value))
    })
}
