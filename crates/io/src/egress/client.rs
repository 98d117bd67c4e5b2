//! The guarded client itself: judges each time, and then uses a kept connection or dials.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::{Fetch, FetchError, FetchRequest, FetchResponse};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::dialer::{Deadline, Judged, unreachable};
use super::exchange::{Failure, Line, answer, outgoing};
use super::idle::{IdleConnections, Key};
use super::{Dialer, EgressPolicy};

/// Asks other hosts within an [`EgressPolicy`]: no redirects, no proxies, no content-codings, HTTP/1.1,
/// at most 16 KiB and 64 headers of head. Cheap to clone; clones share their idle connections (4 for a
/// host, 256 in all, for 1.5 s). A name is looked up for every request, and a kept connection used only if
/// it leads to one of the addresses that were judged then.
#[derive(Clone)]
pub struct GuardedClient {
    dialer: Dialer,
    idle: Arc<IdleConnections<Line>>,
}

type Message = Request<Full<Bytes>>;
/// Over which connection, to which address, and the head of the answer.
type Exchanged = (Line, IpAddr, Response<Incoming>);
/// The message comes back when it was not sent.
type Attempt = Result<Exchanged, Message>;

impl GuardedClient {
    /// A client by `policy`, with the system's resolver. Reads the system's certificates.
    #[must_use]
    pub fn new(policy: EgressPolicy) -> Self {
        Self::over(Dialer::new(policy))
    }

    /// A client whose connections `dialer` opens.
    #[must_use]
    pub fn over(dialer: Dialer) -> Self {
        Self { dialer, idle: Arc::default() }
    }

    /// Keeps connections that are not in use for `idle_timeout`, in place of the 1.5 s; zero keeps none.
    #[must_use]
    pub fn keeping(self, idle_timeout: Duration) -> Self {
        Self { idle: Arc::new(IdleConnections::living(idle_timeout)), ..self }
    }

    async fn exchange(&self, request: FetchRequest, deadline: Deadline) -> Result<FetchResponse, FetchError> {
        let judged = self.dialer.judge(&request.url, request.chosen_by).await?;
        let target = &judged.target;
        let key = Key { target: target.clone(), chosen_by: request.chosen_by };
        let FetchRequest { max_bytes, repeatable, .. } = request;
        let message = outgoing(target, request)?;
        let (line, address, response) = match self.over_kept(&key, &judged, message, repeatable).await? {
            Ok(exchanged) => exchanged,
            Err(message) => self.over_fresh(&judged, message, deadline).await?,
        };
        let answer = answer(target, response, max_bytes).await?;
        self.keep(key, address, line);
        Ok(answer)
    }

    /// Over a connection that waits and leads where was judged; the message back if there is none, if it
    /// was closed before anything was written, or before anything was answered to what may be repeated.
    async fn over_kept(
        &self,
        key: &Key,
        judged: &Judged,
        message: Message,
        repeatable: bool,
    ) -> Result<Attempt, FetchError> {
        while let Some((address, mut line)) = self.idle.take(key, &judged.addresses, Instant::now()) {
            if !line.is_open().await {
                continue;
            }
            let copy = repeatable.then(|| message.clone());
            return match (line.send(&judged.target, message).await, copy) {
                (Ok(response), _) => Ok(Ok((line, address, response))),
                (Err(Failure::Unsent(message)), _) => Ok(Err(*message)),
                (Err(Failure::Unanswered(_)), Some(message)) => Ok(Err(message)),
                (Err(Failure::Unanswered(error) | Failure::Broken(error)), _) => Err(error),
            };
        }
        Ok(Err(message))
    }

    async fn over_fresh(
        &self,
        judged: &Judged,
        message: Message,
        deadline: Deadline,
    ) -> Result<Exchanged, FetchError> {
        let connection = self.dialer.dial(judged, deadline).await?;
        let address = connection.peer().ip();
        let mut line = Line::over(connection, &judged.target).await?;
        match line.send(&judged.target, message).await {
            Ok(response) => Ok((line, address, response)),
            Err(Failure::Unsent(_)) => Err(unreachable(&judged.target, "closed before anything was written")),
            Err(Failure::Unanswered(error) | Failure::Broken(error)) => Err(error),
        }
    }

    fn keep(&self, key: Key, address: IpAddr, line: Line) {
        if !self.idle.put(key, address, line, Instant::now()) {
            return;
        }
        // Connections that nobody asks for again must not stay open. The client may be dropped meanwhile.
        let (idle, life) = (Arc::downgrade(&self.idle), self.idle.life);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(life).await;
                if !idle.upgrade().is_some_and(|idle| idle.sweep(Instant::now())) {
                    return;
                }
            }
        });
    }
}

impl Fetch for GuardedClient {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let deadline = Deadline::after(request.timeout);
        // Seven kilobytes of connections being made, which verifiers would otherwise carry for every request.
        Box::pin(deadline.bound(self.exchange(request, deadline))).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};

    use countersign::ChosenBy;
    use http::{HeaderMap, Method};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_nobody_asks_for_again_is_closed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            // The end of the stream, not the end of the patience.
            stream.read(&mut [0; 1]).is_ok_and(|length| length == 0)
        });
        let policy = EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() };
        let client = GuardedClient::new(policy).keeping(Duration::from_millis(100));
        let request = FetchRequest {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            chosen_by: ChosenBy::Request,
            timeout: Duration::from_secs(5),
            max_bytes: 0,
            repeatable: false,
        };
        assert!(client.fetch(request).await.is_ok());
        let closed = tokio::task::spawn_blocking(move || server.join().unwrap()).await.unwrap();
        assert!(closed);
    }
}
