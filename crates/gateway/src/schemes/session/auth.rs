//! `/auth/*`: what it answers is [`SessionSite`]'s; here it is counted, and written down.
//!
//! [`SessionSite`]: countersign_tower::SessionSite

use std::sync::Arc;

use bytes::Bytes;
use countersign::path::Template;
use countersign::{Code, Denial};
use countersign_io::AnyStore;
use countersign_tower::{AuthAsked, AuthPath, SessionSite};
use http::Response;
use serde_json::json;

use crate::audit::Audit;
use crate::endpoint::{Answer, Answering, Asked, Endpoint};

type Site = SessionSite<Arc<AnyStore>>;

/// All paths.
pub(super) fn endpoints(site: &Site, audit: &Arc<Audit>) -> Vec<Endpoint> {
    let endpoint = |path: AuthPath| {
        let template = Template::parse(path.template()).ok()?;
        let rule = Arc::new(site.rule_of(path).ok()?);
        let answer = Box::new(Auth { site: site.clone(), path, audit: audit.clone() });
        Some(Endpoint { template, methods: Some(vec![path.method()]), rule, answer })
    };
    AuthPath::ALL.into_iter().filter_map(endpoint).collect()
}

struct Auth {
    site: Site,
    path: AuthPath,
    audit: Arc<Audit>,
}

impl Answer for Auth {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            let named = asked.values.first().map(|(_, value)| *value);
            let Asked { request, principal, body, .. } = asked;
            let asked = AuthAsked { request, principal, named, body };
            match self.path {
                AuthPath::SignUp => self.sign_up(asked).await,
                path => self.site.answer(path, asked).await,
            }
        })
    }
}

impl Auth {
    /// Whether somebody had the address is not said: they get the same answer after the same work.
    async fn sign_up(&self, asked: AuthAsked<'_>) -> Result<Response<Bytes>, Denial> {
        let now = asked.request.received_at;
        match self.site.sign_up(asked).await? {
            Some(user) => {
                let details = json!({ "id": user.id.to_string(), "by": "themselves" });
                if let Err(why) = self.audit.change(now, "user-added", &details).await {
                    // Nobody has been told of them.
                    self.site.accounts().disable(user.id, now).await?;
                    return Err(Denial::new(Code::StoreUnavailable, why));
                }
            }
            None => tracing::debug!("a sign-up with an address that has an account"),
        }
        Ok(Site::signed_up())
    }
}
