//! Work that has been done when it is started.

use std::pin::pin;
use std::task::{Context, Waker};

use crate::witness::{Spawn, Work};

/// Does the work at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Spawn for AtOnce {
    fn spawn(&self, work: Work<'static>) {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        while work.as_mut().poll(&mut context).is_pending() {
            std::thread::yield_now();
        }
    }
}
