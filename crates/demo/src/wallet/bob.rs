//! Bob: an API behind a gateway, which issues the tokens that it accepts. There is no login page.

use std::process::ExitCode;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use bytes::Bytes;
use countersign::issuer::{KeyName, SubjectChange, Subjects};
use countersign_gateway::management::Management;
use http::Method;

use super::Places;
use crate::actor::follow_orders;
use crate::cast::Casting;
use crate::failure::Outcome;
use crate::front::listen;
use crate::gateway::{configuration_of, gateway};
use crate::orders::{Order, Report};

/// Plays Bob until he is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let application = listen(places.application).await?;
    let greet = async |headers: HeaderMap| {
        let subject = headers.get("countersign-subject").and_then(|value| value.to_str().ok());
        format!("the orders of {}\n", subject.unwrap_or("nobody"))
    };
    let router = Router::new().fallback(any(greet));
    tokio::spawn(async move { drop(axum::serve(application, router).await) });
    let bound = gateway(casting, &configuration(&places)).await?;
    // What `countersign subject set` does.
    let change = SubjectChange {
        claims: [("country".to_owned(), Some("CH".into()))].into(),
        grant: ["orders:read".to_owned()].into(),
        ..SubjectChange::default()
    };
    let subjects = Subjects::new(bound.opened().shared.store.clone());
    subjects.change(&KeyName::parse(&places.wallet)?, &change).await?;
    let management = std::sync::Arc::new(Management::here(bound.opened().clone()));
    follow_orders(casting, move |order| {
        let management = management.clone();
        async move {
            let Order::Explain(id) = order else { return Report::Failed(format!("{order:?} is not for me")) };
            let path = format!("/v1/decisions/{id}");
            match management.call(Method::GET, &path, Bytes::new()).await {
                Ok(decision) => Report::Decision(decision),
                Err(error) => Report::Failed(error.to_string()),
            }
        }
    });
    bound.run().await;
    Ok(ExitCode::SUCCESS)
}

/// What an operator would write.
fn configuration(places: &Places) -> String {
    let upstream = format!("upstream = \"http://{}\"", places.application);
    let require = "require = { permission = [\"orders:read\"], claim = { country = [\"CH\"] } }";
    let begins = configuration_of("wallet", places.gateway, &format!("http://{}", places.gateway));
    format!(
        "{begins}\
         \n# Tokens for a signed message.\n\
         [issuer]\n\
         enabled = true\n\
         audience = \"orders\"\n\
         wallets = [\"{wallet}\"]\n\
         \n# These tokens are taken here, and name a key.\n\
         [[bearer.issuer]]\n\
         issuer = \"http://{listen}\"\n\
         audience = \"orders\"\n\
         names_keys = true\n\
         \n# Each request is signed by the key that its token names.\n\
         [[route]]\n\
         path = \"/orders/*\"\n\
         {upstream}\n\
         accept = [\"bearer+asymmetric\"]\n\
         {require}\n\
         \n# For comparison: conventional OAuth.\n\
         [[route]]\n\
         path = \"/plain/*\"\n\
         {upstream}\n\
         accept = [\"bearer\"]\n\
         {require}\n",
        listen = places.gateway,
        wallet = places.wallet,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::crypto::SystemRandom;
    use countersign::crypto::ethereum::EthereumKey;
    use countersign_gateway::config::{Overrides, load_text};

    #[test]
    fn what_is_written_is_a_sound_configuration() {
        let text = configuration(&Places::here(&EthereumKey::generate(&SystemRandom)).unwrap());
        let loaded = load_text("countersign.toml".as_ref(), &text, &Overrides::default());
        assert!(loaded.is_ok(), "{text}");
    }
}
