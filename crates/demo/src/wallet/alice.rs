//! Alice's program: it has an Ethereum key, and nobody sits in front of it.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::issuer::{SIWE, metadata};
use countersign::schemes::asymmetric::signer::{Nonces, sign_header};
use countersign::schemes::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use countersign::{Clock as _, Timestamp};
use countersign_io::SystemClock;
use countersign_io::egress::GuardedClient;
use http::Method;
use serde_json::{Value, json};

use super::{ORDERS, Places, TOKEN, request, send, url};
use crate::actor::{follow_orders, until_told};
use crate::cast::Casting;
use crate::failure::{Failure, Outcome};
use crate::front::loopback_client;
use crate::orders::{Headers, Order, Report, Seen};

/// Where she keeps her key.
pub(super) const WALLET: &str = "wallet.hex";

struct Alice {
    places: Places,
    key: EthereumKey,
    nonces: Nonces,
    client: GuardedClient,
    token: Mutex<String>,
}

/// Plays Alice until she is told to end.
pub(super) async fn play(casting: &Casting, places: Places) -> Outcome {
    let key = EthereumKey::from_hex(&std::fs::read_to_string(casting.folder.join(WALLET))?)?;
    let (client, nonces) = (loopback_client(), Nonces::default());
    let alice = Arc::new(Alice { places, key, nonces, client, token: Mutex::default() });
    follow_orders(casting, move |order| {
        let alice = alice.clone();
        async move {
            let done = match order {
                Order::SignIn => alice.sign_in().await,
                Order::CallBob => alice.call().await,
                other => return Report::Failed(format!("{other:?} is not for me")),
            };
            done.map_or_else(|_| Report::Failed("Bob did not answer".to_owned()), Report::Seen)
        }
    });
    until_told().await?;
    Ok(ExitCode::SUCCESS)
}

impl Alice {
    async fn sign_in(&self) -> Result<Vec<Seen>, Failure> {
        let asked = request("POST", url(&self.places, metadata::NONCE), Headers::new(), String::new());
        let asked = send(&self.client, asked).await?;
        let nonce: Value = serde_json::from_str(&asked.answer)?;
        let text = self.message(nonce["nonce"].as_str().unwrap_or_default(), SystemClock.now());
        let signature = format!("0x{}", encode_hex(&self.key.sign_personal_message(text.as_bytes())));
        let assertion = json!({ "message": text, "signature": signature }).to_string();
        let body = format!("grant_type={}&assertion={}", encoded(SIWE), encoded(&assertion));
        let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let got = send(&self.client, request("POST", url(&self.places, TOKEN), form.into(), body)).await?;
        let tokens: Value = serde_json::from_str(&got.answer)?;
        let token = tokens["access_token"].as_str().unwrap_or_default().to_owned();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(vec![asked, got])
    }

    /// EIP-4361.
    fn message(&self, nonce: &str, now: Timestamp) -> String {
        let (host, uri) = (self.places.gateway, url(&self.places, ""));
        format!(
            "{host} wants you to sign in with your Ethereum account:\n{}\n\n\nURI: {uri}\nVersion: 1\nChain ID: 1\n\
             Nonce: {nonce}\nIssued At: {now}",
            self.key.address().checksummed()
        )
    }

    async fn call(&self) -> Result<Vec<Seen>, Failure> {
        let orders = url(&self.places, ORDERS);
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.nonces.next(SystemClock.now());
        let signature = sign_header(&self.key, &Method::GET, &orders.parse()?, b"", now)?;
        let headers = [
            ("authorization".to_owned(), format!("Bearer {token}")),
            (ASYMMETRIC_AUTHENTICATION.to_string(), signature.to_str()?.to_owned()),
        ];
        Ok(vec![send(&self.client, request("GET", orders, headers.into(), String::new())).await?])
    }
}

/// A value in a form.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}
