//! Hashing and its like on threads of their own: so many at once, the others in the order they came.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;

use countersign::Workers;
use tokio::sync::Semaphore;

/// A bounded share of the runtime's threads for blocking work. Clones share the bound.
///
/// Work whose caller stopped waiting before its turn is not done; once begun, it is done, and counts until
/// then. Work that panics ends alone.
#[derive(Clone, Debug)]
pub struct Pool {
    places: Arc<Semaphore>,
}

impl Pool {
    /// At most this many at once.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once.get().min(Semaphore::MAX_PERMITS))) }
    }
}

/// As many at once as the machine has processors for us.
impl Default for Pool {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

impl Workers for Pool {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // The semaphore is fair, and never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let work = move || {
                // Held by the thread, not by the one who may have stopped waiting.
                let _place = place;
                work();
            };
            if let Err(error) = tokio::task::spawn_blocking(work).await {
                tracing::error!(%error, "work on a thread of its own was given up");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use countersign::workers::run_on;

    use super::*;

    fn pool(at_once: usize) -> Pool {
        Pool::new(NonZeroUsize::new(at_once).unwrap())
    }

    #[tokio::test]
    async fn work_is_done_elsewhere_and_its_result_comes_back() {
        let here = std::thread::current().id();
        let there = run_on(&Pool::default(), || std::thread::current().id()).await;
        assert!(there.is_some_and(|there| there != here));
    }

    #[tokio::test]
    async fn no_more_run_at_once_than_was_said() {
        let (pool, running, most) = (pool(2), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (pool, running, most) = (pool.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(10));
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    pool.run(Box::new(work)).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn work_is_done_in_the_order_it_came() {
        let (pool, done) = (pool(1), Arc::new(Mutex::new(Vec::new())));
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let (pool, done) = (pool.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    pool.run(Box::new(move || done.lock().unwrap().push(number))).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*done.lock().unwrap(), (0..16).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_place_back() {
        let pool = pool(1);
        assert_eq!(run_on(&pool, || -> u8 { panic!("as the test wants") }).await, None);
        assert_eq!(run_on(&pool, || 7).await, Some(7));
    }

    #[tokio::test]
    async fn work_goes_on_counting_when_nobody_waits_for_it() {
        let (pool, done) = (pool(1), Arc::new(AtomicUsize::new(0)));
        let first = Arc::clone(&done);
        let work = move || {
            std::thread::sleep(Duration::from_millis(50));
            first.store(1, Ordering::SeqCst);
        };
        let abandoned = tokio::time::timeout(Duration::from_millis(5), pool.run(Box::new(work))).await;
        assert!(abandoned.is_err());
        assert_eq!(run_on(&pool, move || done.load(Ordering::SeqCst)).await, Some(1));
    }
}
