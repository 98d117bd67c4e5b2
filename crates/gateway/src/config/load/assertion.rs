//! `[assertion]`, and what a route says of it.

use toml::Spanned;

use super::Reader;
use crate::config::Access;
use crate::config::file;

impl Reader<'_> {
    /// Whether upstreams get assertions.
    pub(super) fn assertion(&mut self, assertion: &file::Assertion) -> bool {
        let written = assertion.enabled.as_ref();
        let enabled = written.is_none_or(|truth| *truth.get_ref());
        self.show("assertion.enabled", enabled, written.map(Spanned::span));
        enabled
    }

    /// Whether the upstream of a route gets assertions.
    pub(super) fn route_assertion(&mut self, route: &file::Route, access: &Access, enabled: bool) -> bool {
        let is_public = matches!(access, Access::Public);
        let Some(written) = &route.assertion else { return enabled && !is_public };
        let wanted = self.said("route.assertion", Some(written));
        let problem = match (wanted, is_public, enabled) {
            (true, true, _) => "a public route asks nobody, so there is nobody to assert",
            (true, _, false) => "assertion.enabled is false: no route has assertions",
            _ => return wanted,
        };
        self.wrong(problem, "route.assertion", Some(written.span()));
        false
    }
}
