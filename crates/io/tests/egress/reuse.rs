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

fn repeatable(url: &str) -> FetchRequest {
    FetchRequest { repeatable: true, ..get(url) }
}

#[tokio::test]
async fn what_may_be_repeated_is_asked_once_more_where_a_kept_connection_ended_before_an_answer() {
    for end in [Then::Close, Then::Cut] {
        let scripts = vec![Script::ok("ok"), Script::once("").then(end), Script::ok("again")];
        let server = Server::start(([127, 0, 0, 1], 0).into(), None, scripts).await;
        let client = client(lab());
        assert!(client.fetch(repeatable(&server.url())).await.is_ok());
        assert_eq!(&client.fetch(repeatable(&server.url())).await.unwrap().body[..], b"again");
        assert_eq!((server.accepted(), server.requests().len()), (2, 3));
    }
}

#[tokio::test]
async fn it_is_asked_once_more_and_never_twice() {
    let closing = Script::once("").then(Then::Close);
    let scripts = vec![Script::ok("ok"), closing.clone(), closing, Script::ok("never")];
    let server = Server::start(([127, 0, 0, 1], 0).into(), None, scripts).await;
    let client = client(lab());
    assert!(client.fetch(repeatable(&server.url())).await.is_ok());
    let second = client.fetch(repeatable(&server.url())).await;
    assert!(matches!(second, Err(FetchError::Unreachable(_))), "{second:?}");
    assert_eq!((server.accepted(), server.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_connection_of_its_own_that_ends_without_an_answer_is_no_reason_to_ask_again() {
    let server = Server::playing(Script::once("").then(Then::Close)).await;
    let refusal = client(lab()).fetch(repeatable(&server.url())).await;
    assert!(matches!(refusal, Err(FetchError::Unreachable(_))), "{refusal:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_was_answered_in_part_is_not_asked_again() {
    for part in ["H", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let scripts = vec![Script::ok("ok"), Script::once(part).then(Then::Close), Script::ok("never")];
        let server = Server::start(([127, 0, 0, 1], 0).into(), None, scripts).await;
        let client = client(lab());
        assert!(client.fetch(repeatable(&server.url())).await.is_ok());
        let second = client.fetch(repeatable(&server.url())).await;
        assert!(matches!(second, Err(FetchError::Unreachable(_))), "{part}: {second:?}");
        assert_eq!(server.requests().len(), 2, "{part}");
    }
}

/// A server that ends connections on which nothing happened for `idle`; it counts what it answered.
async fn hasty(idle: Duration) -> String {
    let listener = TcpListener::bind((loopback(1), 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(Ok(1..)) = tokio::time::timeout(idle, stream.read(&mut buffer)).await {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    url
}

/// 200 calls in all, each about as long after another as the server waits.
async fn none_is_lost(idle: Duration) {
    let url = hasty(idle).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..40_u32 {
        let url = url.clone();
        callers.spawn(async move {
            let client = client(lab());
            for call in 0..5 {
                let answer = client.fetch(repeatable(&url)).await;
                assert!(answer.is_ok(), "call {call} of {caller}: {answer:?}");
                // From 8 tenths of that time to 12.
                tokio::time::sleep(idle * (80 + caller) / 100).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_question_is_lost_to_a_server_that_closes_idle_connections_after_two_seconds() {
    none_is_lost(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_question_is_lost_to_a_server_that_closes_idle_connections_long_before_we_do() {
    none_is_lost(Duration::from_millis(200)).await;
}

/// Nor does it when the runtime is so busy that nothing has told the one who reads.
#[test]
fn an_end_that_only_the_system_knows_of_is_seen_before_the_connection_is_used() {
    let far = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut script = Script::ok("ok").then(Then::Close);
    script.chunks.push(Vec::new());
    script.pause = Duration::from_millis(50);
    let server = far.block_on(Server::playing(script));
    let near = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    near.block_on(async {
        let client = client(lab());
        for turn in 1..=5 {
            let answer = client.fetch(get(&server.url())).await;
            assert!(answer.is_ok(), "{turn}: {answer:?}");
            assert_eq!(server.accepted(), turn);
            // The only thread that could notice is busy while the connection is closed and asked for again.
            tokio::spawn(async { std::thread::sleep(Duration::from_millis(300)) });
            std::thread::sleep(Duration::from_millis(150));
        }
    });
}

/// Neither on an idle connection nor on one that is about to be used do bytes count that nobody asked for.
#[test]
fn what_comes_unasked_while_nobody_looks_ends_the_connection() {
    let far = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let mut script = Script::ok("ok");
    script.chunks.push(forged.into());
    script.pause = Duration::from_millis(15);
    let server = far.block_on(Server::playing(script));
    let near = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    near.block_on(async {
        let client = client(lab());
        for turn in 1..=5 {
            assert_eq!(&client.fetch(get(&server.url())).await.unwrap().body[..], b"ok");
            assert_eq!(server.accepted(), turn);
            std::thread::sleep(Duration::from_millis(60));
        }
    });
}

#[tokio::test]
async fn whoever_keeps_nothing_dials_each_time() {
    let server = Server::playing(Script::ok("ok")).await;
    let client = client(lab()).keeping(Duration::ZERO);
    for turn in 1..=3 {
        assert!(client.fetch(get(&server.url())).await.is_ok());
        assert_eq!(server.accepted(), turn);
    }
    until(|| server.seen().ended.load(Ordering::SeqCst) == 3).await;
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
