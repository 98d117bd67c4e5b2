//! Requests that another site's page makes a browser send.

use std::collections::BTreeSet;

use http::HeaderName;
use http::header::ORIGIN;

use super::wire::is_unsafe;
use crate::PublicUrl;
use crate::denial::{Code, Denial};
use crate::request::RequestView;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins whose pages may change something.
#[derive(Clone, Debug)]
pub struct Origins {
    own: String,
    allowed: BTreeSet<String>,
}

impl Origins {
    /// Our own, and others whose pages may call every route.
    #[must_use]
    pub fn new(own: &PublicUrl, allowed: impl IntoIterator<Item = PublicUrl>) -> Self {
        let allowed = allowed.into_iter().map(|origin| origin.to_string()).collect();
        Self { own: own.to_string(), allowed }
    }

    /// Refuses what another site's page sends: a request that is unsafe or upgrades, and that names a foreign
    /// `Origin` (RFC 6454 §7) or says of itself that it comes from another site (Fetch Metadata). What sends
    /// neither is no browser of today, and its halves must speak for it. Origins are compared as a whole and
    /// byte for byte, as browsers write them: nothing that merely looks alike passes, and `null` is nobody.
    ///
    /// # Errors
    /// `cross_site`.
    pub fn judge(&self, request: &RequestView<'_>) -> Result<(), Denial> {
        if !is_unsafe(request) {
            return Ok(());
        }
        let mut own_or_absent = true;
        for origin in request.headers.get_all(ORIGIN) {
            let known =
                origin.to_str().ok().filter(|origin| *origin == self.own || self.allowed.contains(*origin));
            let Some(origin) = known else {
                return Err(Denial::new(Code::CrossSite, "the Origin is neither ours nor one that may call"));
            };
            own_or_absent = origin == self.own;
        }
        for site in request.headers.get_all(SEC_FETCH_SITE) {
            // Of an origin that may call, a browser rightly says that it is another site.
            if own_or_absent && !matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none") {
                return Err(Denial::new(
                    Code::CrossSite,
                    "Sec-Fetch-Site says that it comes from another site",
                ));
            }
        }
        Ok(())
    }
}
