//! A request may pass: with nothing more to do, or on a use that is settled when it has been delivered.

use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_channel::oneshot;

use crate::held::Held;
use crate::permit::Permit;
use crate::reservation::Delivery;
use crate::store::{Store, StoreError};
use crate::witness::{Spawn, Witness};

/// The request may pass.
#[must_use = "what is reserved is for one delivery"]
pub enum Passage<S> {
    /// Nothing more is owed.
    Free(Permit),
    /// A use was reserved for it.
    Once(ReservedPermit<S>),
}

/// Whatever it is, its permit can be looked at.
impl<S> Deref for Passage<S> {
    type Target = Permit;

    fn deref(&self) -> &Permit {
        match self {
            Self::Free(permit) => permit,
            Self::Once(reserved) => reserved,
        }
    }
}

impl<S: Store> Passage<S> {
    /// The permit, for whoever never learns whether it was delivered: a use that was reserved is consumed now.
    ///
    /// # Errors
    /// [`StoreError`]: whether it is consumed, nobody knows, and nothing may be delivered.
    pub async fn consumed(self) -> Result<Permit, StoreError> {
        match self {
            Self::Free(permit) => Ok(permit),
            Self::Once(ReservedPermit { permit, held }) => {
                held.settle(Delivery::Taken).await?;
                Ok(permit)
            }
        }
    }
}

/// A permit for which a use was reserved. Whoever wants to forward has to [deliver](Self::deliver), which settles: the
/// permit itself comes out nowhere else. Dropped before, it is [given back](crate::Gate::work_in), for nothing was sent;
/// but one that is strict stays consumed.
///
/// ```compile_fail
/// fn forward<S>(reserved: countersign::ReservedPermit<S>) -> countersign::Permit {
///     reserved.permit
/// }
/// ```
///
/// ```compile_fail
/// fn forward<S>(reserved: countersign::ReservedPermit<S>) -> countersign::Standing {
///     reserved.spend()
/// }
/// ```
#[must_use = "what is reserved is for one delivery"]
pub struct ReservedPermit<S> {
    permit: Permit,
    held: Box<Held<S>>,
}

impl<S> Deref for ReservedPermit<S> {
    type Target = Permit;

    fn deref(&self) -> &Permit {
        &self.permit
    }
}

/// What comes back from where a permit was delivered to.
pub trait Delivered {
    /// What it says of the delivery.
    fn delivery(&self) -> Delivery;
}

/// Where nothing comes back but that.
impl Delivered for Delivery {
    fn delivery(&self) -> Delivery {
        *self
    }
}

impl<S: Store> ReservedPermit<S> {
    /// For the gate alone.
    pub(crate) const fn of(permit: Permit, held: Box<Held<S>>) -> Self {
        Self { permit, held }
    }

    /// The `Idempotency-Key` of the delivery.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        self.held.idempotency_key()
    }

    /// Delivers it, as work of its own that goes on if the caller leaves, and settles: what came of it is durable
    /// before anybody learns of it. The work begins here, whether anybody waits for it or not. `None`: there is no
    /// answer, for `forward` panicked, or was cut off.
    pub fn deliver<T, F>(
        self,
        spawn: &dyn Spawn,
        witness: Arc<dyn Witness>,
        forward: impl FnOnce(Permit) -> F + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send
    where
        T: Delivered + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let Self { permit, held } = self;
        let decision = permit.decision().clone();
        let (answer, answered) = oneshot::channel();
        spawn.spawn(Box::pin(async move {
            let (reservation, store) = held.begin();
            let came = unless_it_panics(async move { forward(permit).await }).await;
            let delivery = came.as_ref().map_or(Delivery::Uncertain, Delivered::delivery);
            let settled = reservation.settle(&*store, delivery).await;
            witness.settled(&decision, delivery, settled);
            // Whoever left learns nothing.
            let _ = answer.send(came);
        }));
        async move { answered.await.ok().flatten() }
    }
}

/// A panic is an answer too: the one that says nothing.
async fn unless_it_panics<T>(work: impl Future<Output = T> + Send) -> Option<T> {
    let mut work = Box::pin(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context).map(Some)));
        polled.unwrap_or(std::task::Poll::Ready(None))
    })
    .await
}
