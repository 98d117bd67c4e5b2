//! Who has closed its side behind a whole request waits for the answer, or is gone.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::alarm::Alarm;

/// What is known of a caller that cannot be read from.
#[derive(Default)]
pub(super) struct Absence {
    /// Ready when the peer has reset the connection.
    reset: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Since when neither side has said anything, for a caller that has closed its side.
    silent_since: Option<Instant>,
    alarm: Alarm,
}

impl fmt::Debug for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Absence").field("silent_since", &self.silent_since).finish_non_exhaustive()
    }
}

impl Absence {
    /// Something is being written.
    pub(super) fn interrupt(&mut self) {
        if let Some(since) = &mut self.silent_since {
            *since = Instant::now();
        }
    }

    /// Ready when the peer is gone: it has reset the connection.
    pub(super) fn poll_reset(&mut self, context: &mut Context<'_>, socket: &TcpStream) -> Poll<()> {
        self.reset.get_or_insert_with(|| Box::pin(until_reset(socket))).as_mut().poll(context)
    }

    /// Ready when nothing was said for `patience`. `speaks`: something is being written at this moment.
    pub(super) fn poll_silence(
        &mut self,
        context: &mut Context<'_>,
        patience: Duration,
        speaks: bool,
    ) -> Poll<()> {
        loop {
            let since = *self.silent_since.get_or_insert_with(Instant::now);
            ready!(self.alarm.poll(context, since + patience));
            if !speaks {
                return Poll::Ready(());
            }
            self.silent_since = None;
        }
    }
}

/// Returns when the peer has reset the connection.
///
/// Once a peer has sent FIN, its socket is readable for ever: whoever waits for that spins. So what is waited for
/// is an error. The future has a descriptor of its own, since the connection is not its to keep.
pub fn until_reset(socket: &TcpStream) -> impl Future<Output = ()> + Send + use<> {
    let again = |socket: &TcpStream| -> io::Result<TcpStream> {
        TcpStream::from_std(std::net::TcpStream::from(socket.as_fd().try_clone_to_owned()?))
    };
    let socket = again(socket);
    async move {
        match socket {
            Ok(socket) => drop(socket.ready(Interest::ERROR).await),
            // Without another descriptor, nothing is learned before the next write.
            Err(_) => std::future::pending().await,
        }
    }
}
