//! Tokens that were verified lately: the same token comes with many requests, and one look-up by its
//! SHA-256 is cheaper than a signature.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::crypto::Digest;
use crate::crypto::jwt::{JwtAlgorithm, JwtKey};
use crate::principal::Principal;
use crate::time::Timestamp;

/// How many tokens are remembered, at most, in each of two halves.
const HALF: usize = 4096;

/// What a token said, and by whose key. It holds while its time lasts and the same key is still listed.
pub(super) struct Verified {
    /// Its issuer's number.
    pub(super) issuer: usize,
    pub(super) kid: Option<String>,
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: Arc<JwtKey>,
    /// Its own name, by which its issuer may have revoked it.
    pub(super) jti: Option<String>,
    /// The first moment at which it is accepted.
    pub(super) begins: Timestamp,
    /// It expires when the token is no longer accepted.
    pub(super) principal: Principal,
    /// The thumbprint of the key that it is bound to.
    pub(super) bound_to: Option<String>,
}

impl Verified {
    /// Whether it is accepted at `now`, which may be another time than the present: whoever explains says which.
    pub(super) fn is_good_at(&self, now: Timestamp) -> bool {
        self.begins <= now && self.principal.expires.is_some_and(|end| now < end)
    }
}

/// A younger half and an older one: when the younger is full it becomes the older, and what the older held
/// is forgotten. What is used moves to the younger.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<[HashMap<Digest, Arc<Verified>>; 2]>);

impl VerifiedTokens {
    pub(super) fn get(&self, token: &Digest) -> Option<Arc<Verified>> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = halves[0].get(token) {
            return Some(found.clone());
        }
        let found = halves[1].remove(token)?;
        insert(&mut halves, *token, found.clone());
        Some(found)
    }

    pub(super) fn insert(&self, token: Digest, verified: Arc<Verified>) {
        insert(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), token, verified);
    }
}

fn insert(halves: &mut [HashMap<Digest, Arc<Verified>>; 2], token: Digest, verified: Arc<Verified>) {
    if halves[0].len() >= HALF {
        halves[1] = mem::take(&mut halves[0]);
    }
    halves[0].insert(token, verified);
}
