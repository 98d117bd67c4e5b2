//! A use that is held for one request, and given back if nobody goes on with it.

use std::sync::Arc;

use futures_channel::oneshot;

use crate::crypto::Digest;
use crate::denial::{Code, Denial};
use crate::reservation::{Delivery, Reservation, Use};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;
use crate::witness::{Spawn, Work};

/// A use that is reserved. Dropped before its delivery began, for its caller left, it is given back as work of its own:
/// nothing was sent. Where nobody can do that work, it stays reserved until its time is over.
pub(crate) struct Held<S> {
    reservation: Reservation,
    store: Arc<S>,
    give_back: OnDrop,
}

/// Work that begins when this is dropped.
struct OnDrop(Option<(Arc<dyn Spawn>, Work<'static>)>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some((spawn, work)) = self.0.take() {
            spawn.spawn(work);
        }
    }
}

impl<S: Store> Held<S> {
    /// Reserves a use, as work of its own: whoever leaves while the store writes leaves nothing reserved either.
    ///
    /// # Errors
    /// As [`Use::reserve`].
    pub(crate) async fn reserve(
        one: Use,
        digest: Digest,
        store: &Arc<S>,
        spawn: Option<&Arc<dyn Spawn>>,
        now: Timestamp,
    ) -> Result<Self, Denial> {
        let (store, spawn) = (store.clone(), spawn.cloned());
        let Some(spawn) = spawn else {
            let reservation = one.reserve(&*store, digest, now).await?;
            return Ok(Self { reservation, store, give_back: OnDrop(None) });
        };
        let (answer, answered) = oneshot::channel();
        let worker = spawn.clone();
        worker.spawn(Box::pin(async move {
            let reserved = one.reserve(&*store, digest, now).await;
            // What whoever left does not take is dropped, and so given back.
            let _ = answer.send(reserved.map(|reservation| Self::given_back(reservation, store, spawn)));
        }));
        let cut_off = |_| Err(Denial::new(Code::StoreUnavailable, "the reservation was cut off"));
        answered.await.unwrap_or_else(cut_off)
    }

    fn given_back(reservation: Reservation, store: Arc<S>, spawn: Arc<dyn Spawn>) -> Self {
        let (unused, place) = (reservation.clone(), store.clone());
        let work: Work<'static> = Box::pin(async move {
            // What cannot be written now opens when its time is over.
            let _ = unused.settle(&*place, Delivery::NotSent).await;
        });
        Self { reservation, store, give_back: OnDrop(Some((spawn, work))) }
    }

    /// Settles what nothing was sent of.
    ///
    /// # Errors
    /// [`StoreError`]: it is given back, if it is not settled.
    pub(crate) async fn settle(self, delivery: Delivery) -> Result<(), StoreError> {
        let Self { reservation, store, mut give_back } = self;
        reservation.settle(&*store, delivery).await?;
        give_back.0 = None;
        Ok(())
    }
}

impl<S> Held<S> {
    pub(crate) fn idempotency_key(&self) -> &str {
        self.reservation.idempotency_key()
    }

    /// From here on something may have been sent: whoever has these settles, or it stays until its time is over.
    pub(crate) fn begin(self) -> (Reservation, Arc<S>) {
        let Self { reservation, store, mut give_back } = self;
        give_back.0 = None;
        (reservation, store)
    }
}
