//! From names to addresses: the system's resolver, or a test's own.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// The answer of a look-up, when it comes.
pub type Answers<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of a name. Not asked about addresses that are written out.
pub trait Resolve: Send + Sync + 'static {
    /// Every address of `host`, which is going to be dialled on `port`, in the order of preference.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answers<'a>;
}

/// The system's resolver (`getaddrinfo`), on the runtime's threads for blocking work.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    /// A look-up cannot be broken off: whoever chooses slow names must not take every such thread.
    places: Arc<Semaphore>,
}

impl SystemResolver {
    /// How many look-ups run at once; the others wait for as long as their time lasts.
    const AT_ONCE: usize = 64;
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(Self::AT_ONCE)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Answers<'a> {
        Box::pin(async move {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
            let host = host.to_owned();
            let look_up = move || {
                // Held by the thread, not by the one who may have stopped waiting.
                let _place = place;
                let answers = (host.as_str(), port).to_socket_addrs()?;
                Ok(answers.map(|answer| answer.ip()).collect())
            };
            tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let answers = SystemResolver::default().resolve("localhost", 443).await.unwrap();
        assert!(!answers.is_empty() && answers.iter().all(IpAddr::is_loopback), "{answers:?}");
    }
}
