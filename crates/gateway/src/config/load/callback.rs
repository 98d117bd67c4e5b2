//! `[callback]`: what is said of all callback URLs, and whether a route can have any.

use std::time::Duration;

use countersign::Scheme;
use countersign::path::Template;
use countersign::requirement::SchemeSet;
use countersign::schemes::callback_url::{CallbackRoute, TOKEN};

use super::Reader;
use crate::schemes::callback_url::config::{Config, Section};
use crate::settings::Text;
use crate::settings::quantities::{parse_duration, parse_size};

impl Reader<'_> {
    pub(super) fn callback(&mut self, callback: &Section) -> Option<Config> {
        let max_body = self.parsed("callback.max_body", callback.max_body.as_ref(), "1MiB", parse_size);
        let max_ttl = self.parsed("callback.max_ttl", callback.max_ttl.as_ref(), "24h", |text| {
            match parse_duration(text)? {
                ttl if ttl < Duration::from_secs(1) => {
                    Err("callback.max_ttl is a second at least".to_owned())
                }
                ttl => Ok(ttl),
            }
        });
        let strict = self.said("callback.strict", callback.strict.as_ref());
        let folder = self.folder.clone();
        let secret_file = self.maybe("callback.secret_file", callback.secret_file.as_ref(), |text| {
            Ok::<_, String>(folder.join(text))
        });
        Some(Config { max_body: max_body?, max_ttl: max_ttl?, strict, secret_file })
    }

    /// A route that takes callbacks has a place for the token, and no other has.
    pub(super) fn token_fits(&mut self, path: &Text, template: Option<&Template>, named: SchemeSet) {
        let Some(template) = template else { return };
        let why = match (named.contains(Scheme::CallbackUrl), template.position(TOKEN)) {
            (true, _) => CallbackRoute::new(template.clone()).err(),
            (false, Some(_)) => Some(format!(
                "`{{{TOKEN}}}` is the place of a callback URL's token, and the route does not accept callback-url"
            )),
            (false, None) => None,
        };
        if let Some(why) = why {
            self.wrong(why, "route.path", Some(path.span()));
        }
    }
}
