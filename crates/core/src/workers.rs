//! Work that takes milliseconds is done where it holds up nobody: hashing, above all.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded pool of threads. The trait is here; what has a runtime implements it.
pub trait Workers: Send + Sync + 'static {
    /// Runs `work` on a thread of the pool, after what came before it. Ready when it has been done,
    /// or when it was given up because the process ends.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Does the work at once, on the thread that asks: for tests and for programs that do nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnThisThread;

impl Workers for OnThisThread {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        work();
        Box::pin(std::future::ready(()))
    }
}

/// Runs `work` on `workers` and hands back what it returns; `None` if it was given up.
pub async fn run_on<T: Send + 'static>(
    workers: &dyn Workers,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let place = Arc::new(Mutex::new(None));
    let result = place.clone();
    let work = move || {
        let value = work();
        *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    };
    workers.run(Box::new(work)).await;
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}
