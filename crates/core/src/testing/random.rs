//! Randomness that is the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::crypto::{Random, sha256};

/// Numbers that differ from each other and are the same in every run: SHA-256 over a name and a counter.
#[derive(Debug)]
pub struct Seeded {
    name: String,
    next: AtomicU64,
}

impl Seeded {
    /// Those of this name, from the first one on.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), next: AtomicU64::new(0) }
    }
}

impl Random for Seeded {
    fn fill(&self, out: &mut [u8]) {
        for part in out.chunks_mut(32) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let digest = sha256(format!("{} {number}", self.name).as_bytes());
            part.copy_from_slice(&digest[..part.len()]);
        }
    }
}

/// The same bytes whenever it is asked, from the first one on, and again from there where more are wanted.
#[derive(Debug)]
pub struct Given(Vec<u8>);

impl Given {
    /// Gives `bytes`.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        assert!(!bytes.is_empty(), "there is nothing to give");
        Self(bytes)
    }
}

impl Random for Given {
    fn fill(&self, out: &mut [u8]) {
        out.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, given)| *byte = *given);
    }
}
