//! How a process ends: it drains, waits for what is under way, and cuts off what takes too long.

use countersign::Spawn;
use countersign::witness::Work;
use tokio::sync::watch;

/// Where a process is in its life. Clones share it.
#[derive(Clone)]
pub struct Life {
    deliveries: watch::Sender<usize>,
    draining: watch::Sender<bool>,
    ending: watch::Sender<bool>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            deliveries: watch::Sender::new(0),
            draining: watch::Sender::new(false),
            ending: watch::Sender::new(false),
        }
    }
}

impl Life {
    /// From here on nothing new is accepted.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Time is up: what still lives is cut off.
    pub fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Whether nothing new is accepted.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Becomes true when nothing new is to be accepted.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Becomes true when what still lives is to be cut off.
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }

    /// Counts a delivery that goes on without its caller, until what is returned is dropped.
    fn delivery(&self) -> UnderWay {
        self.deliveries.send_modify(|under_way| *under_way += 1);
        UnderWay(self.deliveries.clone())
    }

    /// Returns once no delivery is under way.
    pub async fn delivered(&self) {
        let _ = self.deliveries.subscribe().wait_for(|under_way| *under_way == 0).await;
    }
}

/// Work that the process waits for when it ends.
impl Spawn for Life {
    fn spawn(&self, work: Work<'static>) {
        let under_way = self.delivery();
        // What is dropped when no runtime is left begins nothing.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                work.await;
                drop(under_way);
            });
        }
    }
}

/// One delivery that is under way.
struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|under_way| *under_way -= 1);
    }
}
