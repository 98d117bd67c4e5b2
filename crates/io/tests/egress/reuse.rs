//! Which connections are kept, for whom, and what happens when one has died.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use countersign::{ChosenBy, Fetch as _, FetchError, FetchRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{
    Names, Script, Server, Then, client, client_knowing, configured, get, lab, loopback, until,
};

#[tokio::test]
async fn one_connection_carries_request_after_request() {
    let server = Server::playing(Script::ok("ok")).await;
    let client = client(lab());
    for _ in 0..5 {
        assert!(client.fetch(get(&server.url())).await.is_ok());
    }
    assert_eq!((server.accepted(), server.requests().len()), (1, 5));
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let server = Server::playing(Script::ok("ok")).await;
    let client = client(lab());
    let url = server.url();
    let (first, second) = tokio::join!(client.fetch(get(&url)), client.fetch(get(&url)));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn what_the_configuration_opened_serves_no_request_s_choice() {
    let server = Server::playing(Script::ok("ok")).await;
    let client = client(lab());
    assert!(client.fetch(configured(&server.url())).await.is_ok());
    assert!(client.fetch(get(&server.url())).await.is_ok());
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_connection_to_an_address_that_the_name_has_left_is_not_used() {
    let before = Server::start((loopback(2), 0).into(), None, vec![Script::ok("before")]).await;
    let after = Server::start((loopback(3), before.port()).into(), None, vec![Script::ok("after")]).await;
    let names = Names::answering(&[&["127.0.0.2"], &["127.0.0.3"], &["127.0.0.3", "127.0.0.2"]]);
    let client = client_knowing(lab(), names);
    let url = format!("http://alice.test:{}/", before.port());
    assert_eq!(&client.fetch(get(&url)).await.unwrap().body[..], b"before");
    assert_eq!(&client.fetch(get(&url)).await.unwrap().body[..], b"after");
    assert!(client.fetch(get(&url)).await.is_ok());
    assert_eq!((before.accepted(), after.accepted()), (1, 1));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_survived() {
    let server = Server::playing(Script::ok("ok").then(Then::Close)).await;
    let client = client(lab());
    for turn in 1..=3 {
        assert!(client.fetch(get(&server.url())).await.is_ok());
        assert_eq!(server.accepted(), turn);
        until(|| server.seen().ended.load(Ordering::SeqCst) == turn).await;
    }
}

/// The runtime has not yet had a moment to notice the close when the next request comes.
#[test]
fn a_close_that_nobody_has_noticed_yet_is_survived() {
    let far = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut script = Script::ok("ok").then(Then::Close);
    // Closed later than the answer is read, while this thread sleeps.
    script.chunks.push(Vec::new());
    script.pause = Duration::from_millis(15);
    let server = far.block_on(Server::playing(script));
    let near = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    near.block_on(async {
        let client = client(lab());
        for turn in 1..=5 {
            assert!(client.fetch(get(&server.url())).await.is_ok());
            assert_eq!(server.accepted(), turn);
            std::thread::sleep(Duration::from_millis(60));
        }
    });
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_not_sent_twice() {
    let closing = Script::once("").then(Then::Close);
    let scripts = vec![Script::ok("ok"), closing, Script::ok("never")];
    let server = Server::start(([127, 0, 0, 1], 0).into(), None, scripts).await;
    let client = client(lab());
    assert!(client.fetch(get(&server.url())).await.is_ok());
    let second = client.fetch(get(&server.url())).await;
    assert!(matches!(second, Err(FetchError::Unreachable(_))), "{second:?}");
    assert_eq!((server.accepted(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_connection_whose_answer_was_not_read_to_its_end_is_closed() {
    let server = Server::playing(Script::ok("too much")).await;
    let client = client(lab());
    let limited = FetchRequest { max_bytes: 1, chosen_by: ChosenBy::Request, ..get(&server.url()) };
    assert!(matches!(client.fetch(limited).await, Err(FetchError::TooLarge(1))));
    until(|| server.seen().ended.load(Ordering::SeqCst) == 1).await;
    assert!(client.fetch(get(&server.url())).await.is_ok());
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_the_server_gives_up_is_not_kept() {
    let last = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let server = Server::playing(Script::once(last)).await;
    let client = client(lab());
    for turn in 1..=3 {
        assert!(client.fetch(get(&server.url())).await.is_ok());
        assert_eq!(server.accepted(), turn);
    }
}

/// An answer that came before its question would be taken for the next request's.
#[tokio::test]
async fn a_connection_with_more_than_one_answer_is_not_used_again() {
    let one = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let scripts = vec![Script::once(format!("{one}{forged}")), Script::ok("ok")];
    let server = Server::start(([127, 0, 0, 1], 0).into(), None, scripts).await;
    let client = client(lab());
    for turn in 1..=2 {
        assert_eq!(&client.fetch(get(&server.url())).await.unwrap().body[..], b"ok");
        assert_eq!(server.accepted(), turn);
    }
}

#[tokio::test]
async fn idle_connections_end_with_the_client() {
    let server = Server::playing(Script::ok("ok")).await;
    let client = client(lab());
    assert!(client.fetch(get(&server.url())).await.is_ok());
    drop(client);
    until(|| server.seen().ended.load(Ordering::SeqCst) == 1).await;
}

/// A server that answers before it has read the request leaves the connection of no use, and the next
/// request must not wait for it.
#[tokio::test]
async fn a_connection_with_an_unread_request_is_not_waited_for() {
    let listener = TcpListener::bind((loopback(1), 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            open.push(stream);
        }
        open
    });
    let (client, started) = (client(lab()), Instant::now());
    for _ in 0..2 {
        let large = FetchRequest { body: vec![0; 32 << 20].into(), ..get(&url) };
        assert_eq!(&client.fetch(large).await.unwrap().body[..], b"ok");
    }
    assert_eq!(server.await.unwrap().len(), 2);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_request_that_is_given_up_is_not_written_to_its_end() {
    const SIZE: usize = 64 << 20;
    let listener = TcpListener::bind((loopback(1), 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = client(lab());
    let limit = Duration::from_millis(200);
    let large = FetchRequest { body: vec![0; SIZE].into(), timeout: limit, ..get(&url) };
    let (accepted, refusal) = tokio::join!(listener.accept(), client.fetch(large));
    assert!(matches!(refusal, Err(FetchError::Timeout(_))), "{refusal:?}");
    // Whoever was too slow reads on: the end is near, for only what the systems hold is left.
    let (mut stream, mut read, mut buffer) = (accepted.unwrap().0, 0, vec![0; 1 << 20]);
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        read += length;
    }
    assert!(read < SIZE, "{read}");
}
