//! A scheme that believes a header.

use http::HeaderName;

use crate::denial::Denial;
use crate::principal::Scheme;
use crate::request::{BodySource, Carrier, RequestView};
use crate::verifier::{Proven, Verifier};

/// Carries the credential of a [`HeaderScheme`].
pub const TEST_PROOF: HeaderName = HeaderName::from_static("test-proof");

/// Stands in for `signature`: whoever sends [`TEST_PROOF`] has proven what the function makes of its value.
pub struct HeaderScheme<P>(pub P);

impl<P> Verifier for HeaderScheme<P>
where
    P: Fn(&str, &RequestView<'_>) -> Proven + Send + Sync + 'static,
{
    type Credential = String;

    fn scheme(&self) -> Scheme {
        Scheme::Signature
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header(TEST_PROOF)]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<String>, Denial> {
        request.single_header(&TEST_PROOF).map(|value| value.map(str::to_owned))
    }

    async fn verify(
        &self,
        credential: String,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        Ok((self.0)(&credential, request))
    }
}
