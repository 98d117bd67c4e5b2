//! The tokens that a requester has given out hashes of, and the one answer that each is for.

use std::time::Duration;

use bytes::Bytes;

use super::hash::{Token, TokenHash};
use super::url::receiver_url;
use super::wire::Question;
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where tokens wait for their question.
pub const TOKENS: Space = Space::volatile("webhook-tokens");
/// How long a token waits.
pub const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Tokens by the hash and the receiver that they were made for. Several processes that share a store
/// answer for each other.
#[derive(Clone, Debug)]
pub struct Tokens<S> {
    store: S,
}

impl<S: Store> Tokens<S> {
    /// The tokens in `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// Keeps `token` for the receiver that will ask about `hash`.
    ///
    /// # Errors
    /// [`StoreError`]; then the request must not be sent, for it could not be confirmed.
    pub async fn keep(
        &self,
        hash: &TokenHash,
        receiver: &str,
        token: &Token,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = place(hash.as_str(), receiver);
        let value = Bytes::copy_from_slice(token.reveal().as_bytes());
        self.store.insert(TOKENS, id, value, Some(now.plus(TOKEN_LIFE))).await.map(drop)
    }

    /// Answers a question: the token, once, if its hash was sent to that very URL. Comparing and
    /// consuming are one step of the store, and a wrong URL finds nothing, so burns nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeem(&self, question: &Question) -> Result<Option<Token>, StoreError> {
        let Some(receiver) = receiver_url(&question.url) else { return Ok(None) };
        let taken = self.store.take_if(TOKENS, place(&question.hash, &receiver), None).await?;
        Ok(taken.and_then(|token| Token::parse(&token)))
    }
}

/// Both hash and URL make the place.
#[must_use]
pub fn place(hash: &str, receiver: &str) -> Id {
    Id::of(&[b"webhook-token", hash.as_bytes(), receiver.as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::SystemRandom;
    use crate::schemes::webhook::hash::Algorithm;
    use crate::store::MemoryStore;
    use crate::time::ManualClock;

    #[tokio::test]
    async fn a_token_is_given_once_and_a_wrong_receiver_burns_nothing() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(100)));
        let tokens = Tokens::new(MemoryStore::new(clock.clone()));
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &SystemRandom);
        let bob = "https://bob.example/orders";
        tokens.keep(&hash, bob, &token, Timestamp::from_secs(100)).await.unwrap();
        let ask = async |hash: &str, url: &str| {
            let question = Question { hash: hash.to_owned(), url: url.to_owned() };
            tokens.redeem(&question).await.unwrap().map(|token| token.reveal().to_owned())
        };
        for url in ["https://eve.example/orders", "https://bob.example/", "bob.example", ""] {
            assert_eq!(ask(hash.as_str(), url).await, None);
        }
        assert_eq!(ask("sha-256.x", bob).await, None);
        assert_eq!(
            ask(hash.as_str(), "HTTPS://BOB.example:443/orders").await.as_deref(),
            Some(token.reveal())
        );
        assert_eq!(ask(hash.as_str(), bob).await, None, "one token, one use");
    }

    #[tokio::test]
    async fn a_token_waits_for_a_minute() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(100)));
        let tokens = Tokens::new(MemoryStore::new(clock.clone()));
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &SystemRandom);
        tokens.keep(&hash, "https://bob.example/", &token, Timestamp::from_secs(100)).await.unwrap();
        clock.advance(TOKEN_LIFE);
        let question = Question { hash: hash.as_str().to_owned(), url: "https://bob.example/".into() };
        assert!(tokens.redeem(&question).await.unwrap().is_none());
    }
}
