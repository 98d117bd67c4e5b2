//! A connection that is there when it is needed, and what may be sent twice over it.
//!
//! A line that has ended, or on which something was not answered, is not used: the keeper looks whether
//! it answers, and opens another if it does not, while those who need one wait, as long as they may. What
//! only reads is asked again on the next line, and so is what was not written at all. Whatever else may
//! have arrived is never sent again. The one other thing that is sent twice is a script that the server
//! answered not to know (`NOSCRIPT`): that answer says that it did not run.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::StoreError;
use redis::{Cmd, FromRedisValue, ScriptInvocation};
use tokio::sync::{Notify, watch};

use super::line::{Line, unavailable};

/// What is sent.
#[derive(Clone, Copy)]
enum Request<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// Shares one line after another.
pub(super) struct Connection {
    lines: watch::Sender<Option<Arc<Line>>>,
    /// Told when a line has ended or is in doubt.
    pub(super) doubts: Arc<Notify>,
    /// For a whole call, waiting for a line included.
    pub(super) timeout: Duration,
}

impl Connection {
    pub(super) fn over(line: Arc<Line>, doubts: Arc<Notify>, timeout: Duration) -> Self {
        Self { lines: watch::Sender::new(Some(line)), doubts, timeout }
    }

    /// Sends a command that only reads.
    pub(super) async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.call(true, Request::Command(command)).await
    }

    /// Sends a command that may change something.
    pub(super) async fn write<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.call(false, Request::Command(command)).await
    }

    /// Runs a script, which may change something.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        self.call(false, Request::Script(call)).await
    }

    async fn call<T: FromRedisValue>(&self, repeatable: bool, request: Request<'_>) -> Result<T, StoreError> {
        let mut used = None;
        let calling = async {
            loop {
                let line = self.line().await;
                let before = line.written();
                used = Some(line.clone());
                let answer = match request {
                    Request::Command(command) => line.query(command).await,
                    Request::Script(call) => line.invoke(call).await,
                };
                let error = match answer {
                    Err(error) if error.is_unrecoverable_error() => error,
                    answered => return answered.map_err(unavailable),
                };
                self.doubt(&line);
                // Bytes of another's command make us think that ours were sent: the safe way to err.
                if !repeatable && line.written() != before {
                    return Err(unavailable(error));
                }
            }
        };
        match tokio::time::timeout(self.timeout, calling).await {
            Ok(answer) => answer,
            Err(_) => {
                if let Some(line) = used {
                    self.doubt(&line);
                }
                Err(StoreError::Unavailable(String::from("Redis did not answer in time")))
            }
        }
    }

    /// A line that may be used, once there is one.
    async fn line(&self) -> Arc<Line> {
        let mut lines = self.lines.subscribe();
        loop {
            let line = lines.borrow_and_update().clone();
            if let Some(line) = line {
                if line.has_unread() {
                    tokio::task::yield_now().await;
                }
                if line.is_good() {
                    return line;
                }
            }
            self.doubts.notify_one();
            // The sender is ours: it lives.
            let _ = lines.changed().await;
        }
    }

    fn doubt(&self, line: &Line) {
        line.doubt();
        self.doubts.notify_one();
    }

    /// The line as it was put up last.
    pub(super) fn current(&self) -> Option<Arc<Line>> {
        self.lines.borrow().clone()
    }

    /// Puts up a line for all, or none. Who waits looks again.
    pub(super) fn put(&self, line: Option<Arc<Line>>) {
        self.lines.send_replace(line);
    }
}

/// What `work` comes to within `limit`.
pub(super) async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable(String::from("Redis did not answer in time"));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}
