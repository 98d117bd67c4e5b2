//! The pages, which are in this program: the bank's and Eve's.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// The bank's pages run its own scripts alone, talk to it alone, and are shown in nobody's frame. The script of
/// the attack is among its own, as one of a dependency would be: no policy tells them apart.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

type Page = (&'static str, &'static str, &'static str);

const BANK: [Page; 10] = [
    ("/", HTML, include_str!("pages/bank.html")),
    ("/mark.svg", SVG, include_str!("pages/mark.svg")),
    ("/bank.css", CSS, include_str!("pages/bank.css")),
    ("/story.css", CSS, include_str!("pages/story.css")),
    ("/bank.js", SCRIPT, include_str!("pages/bank.js")),
    ("/attempts.js", SCRIPT, include_str!("pages/attempts.js")),
    ("/view.js", SCRIPT, include_str!("pages/view.js")),
    ("/wallet.js", SCRIPT, include_str!("pages/wallet.js")),
    // What `npm run build` makes in web/; a test there says that it is the same.
    ("/countersign.min.js", SCRIPT, include_str!("pages/countersign.min.js")),
    ("/vendor/confetti.js", SCRIPT, include_str!("pages/confetti.js")),
];

const EVE: [Page; 4] = [
    ("/", HTML, include_str!("pages/eve.html")),
    ("/eve.css", CSS, include_str!("pages/eve.css")),
    ("/eve.js", SCRIPT, include_str!("pages/eve.js")),
    ("/cat.svg", SVG, include_str!("pages/cat.svg")),
];

/// The bank's.
pub(super) fn of_bank() -> Router {
    serving(&BANK, Some(POLICY))
}

/// Eve's, who has no need to protect anybody.
pub(super) fn of_eve() -> Router {
    serving(&EVE, None)
}

fn serving(pages: &'static [Page], policy: Option<&'static str>) -> Router {
    pages.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(async move || page(kind, text, policy)))
    })
}

fn page(kind: &'static str, text: &'static str, policy: Option<&'static str>) -> Response {
    let fixed = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    match policy {
        Some(policy) => {
            let more = [(CONTENT_SECURITY_POLICY, policy), (REFERRER_POLICY, "no-referrer")];
            (fixed, more, text).into_response()
        }
        None => (fixed, text).into_response(),
    }
}
