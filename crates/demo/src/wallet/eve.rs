//! Eve: has what Alice sent, and a wallet of her own.

use std::process::ExitCode;
use std::sync::Arc;

use countersign::Clock as _;
use countersign::crypto::SystemRandom;
use countersign::crypto::ethereum::EthereumKey;
use countersign::schemes::asymmetric::signer::sign_header;
use countersign::schemes::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use countersign_io::SystemClock;

use super::send;
use crate::actor::{follow_orders, until_told};
use crate::cast::Casting;
use crate::failure::{Failure, Outcome};
use crate::front::loopback_client;
use crate::orders::{Order, Report, Seen};

/// Plays Eve until she is told to end.
pub(super) async fn play(casting: &Casting) -> Outcome {
    let key = Arc::new(EthereumKey::generate(&SystemRandom));
    follow_orders(casting, move |order| {
        let key = key.clone();
        async move {
            let done = match order {
                Order::Repeat(stolen) => send(&loopback_client(), stolen).await,
                Order::SignOver(stolen) => sign_over(&key, stolen).await,
                other => return Report::Failed(format!("{other:?} is not for me")),
            };
            done.map_or_else(
                |_| Report::Failed("Bob did not answer".to_owned()),
                |seen| Report::Seen(vec![seen]),
            )
        }
    });
    until_told().await?;
    Ok(ExitCode::SUCCESS)
}

async fn sign_over(key: &EthereumKey, mut stolen: Seen) -> Result<Seen, Failure> {
    let (method, target) = (stolen.method.parse()?, stolen.path.parse()?);
    let signature = sign_header(key, &method, &target, stolen.body.as_bytes(), SystemClock.now())?;
    stolen.headers.insert(ASYMMETRIC_AUTHENTICATION.to_string(), signature.to_str()?.to_owned());
    send(&loopback_client(), stolen).await
}
