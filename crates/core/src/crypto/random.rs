//! Randomness as a value: what makes identifiers and secrets asks one that was handed in.

use aws_lc_rs::rand::SecureRandom as _;

/// A source of random bytes fit for secrets.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

impl<R: Random + ?Sized> Random for std::sync::Arc<R> {
    fn fill(&self, out: &mut [u8]) {
        (**self).fill(out);
    }
}

/// The operating system's generator, by way of AWS-LC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// If the operating system has no randomness to give; going on would make guessable secrets.
    fn fill(&self, out: &mut [u8]) {
        aws_lc_rs::rand::SystemRandom::new().fill(out).expect("the system's random generator answers");
    }
}
