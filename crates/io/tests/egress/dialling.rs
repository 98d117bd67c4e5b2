//! What is dialled: the addresses that were judged, looked up once, and nothing that the rules forbid.

use std::time::{Duration, Instant};

use countersign::{ChosenBy, Fetch as _, FetchError, FetchRequest, FetchResponse};
use countersign_io::egress::{Answers, Dialer, EgressPolicy, GuardedClient, Resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Names, Script, Server, client, client_knowing, configured, get, lab, loopback};

fn forbidden(result: Result<FetchResponse, FetchError>, why: &str) {
    match result {
        Err(FetchError::Forbidden(text)) => assert!(text.contains(why), "{text}, instead of: {why}"),
        other => panic!("{other:?}, instead of forbidden: {why}"),
    }
}

#[tokio::test]
async fn plain_http_takes_the_flag() {
    let server = Server::playing(Script::ok("ok")).await;
    forbidden(client(EgressPolicy::default()).fetch(configured(&server.url())).await, "plain http");
    assert!(client(lab()).fetch(get(&server.url())).await.is_ok());
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn plain_http_stays_on_loopback() {
    let names = Names::answering(&[&["127.0.0.1", "192.0.2.1"]]);
    forbidden(client_knowing(lab(), names).fetch(get("http://alice.test:3000/")).await, "192.0.2.1");
    forbidden(client(lab()).fetch(get("http://1.1.1.1/")).await, "loopback alone");
}

#[tokio::test]
async fn an_address_that_is_written_out_is_judged_without_a_resolver() {
    for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]"]
    {
        let names = Names::default();
        let client = client_knowing(EgressPolicy::default(), names.clone());
        for chosen_by in [ChosenBy::Request, ChosenBy::Configuration] {
            let request = FetchRequest { chosen_by, ..get(&format!("https://{host}/")) };
            forbidden(client.fetch(request).await, "not public");
        }
        assert_eq!(names.asked(), 0);
    }
}

#[tokio::test]
async fn a_host_that_is_a_number_is_refused_before_any_look_up() {
    for host in ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0x7f000001", "localhost."] {
        for scheme in ["http", "https"] {
            let names = Names::answering(&[&["127.0.0.1"]]);
            let client = client_knowing(lab(), names.clone());
            forbidden(client.fetch(get(&format!("{scheme}://{host}/"))).await, host);
            assert_eq!(names.asked(), 0);
        }
    }
}

#[tokio::test]
async fn a_port_that_is_not_listed_is_refused_before_any_look_up() {
    let names = Names::answering(&[&["1.1.1.1"]]);
    let client = client_knowing(EgressPolicy::default(), names.clone());
    forbidden(client.fetch(get("https://alice.test:8443/")).await, "port 8443");
    assert_eq!(names.asked(), 0);
}

#[tokio::test]
async fn one_private_answer_forbids_the_name() {
    let names = Names::answering(&[&["1.1.1.1", "10.0.0.1"]]);
    let client = client_knowing(EgressPolicy::default(), names);
    forbidden(client.fetch(get("https://alice.test/")).await, "10.0.0.1");
}

#[tokio::test]
async fn our_own_listener_is_not_dialled() {
    let server = Server::playing(Script::ok("ok")).await;
    for listener in [server.address, ([0, 0, 0, 0], server.port()).into()] {
        let policy = EgressPolicy { own_listeners: vec![listener], ..lab() };
        forbidden(client(policy).fetch(configured(&server.url())).await, "this very process");
    }
    assert_eq!(server.accepted(), 0);
}

/// A name that leads to an allowed address first and to another one afterwards, with a server on both.
#[tokio::test]
async fn a_name_that_changes_is_judged_anew_and_what_was_judged_is_dialled() {
    let judged = Server::start((loopback(2), 0).into(), None, vec![Script::ok("ok")]).await;
    let other = Server::start((loopback(1), judged.port()).into(), None, vec![Script::ok("ok")]).await;
    let policy = EgressPolicy { own_listeners: vec![other.address], ..lab() };
    let names = Names::answering(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2"]]);
    let client = client_knowing(policy, names.clone());
    let url = format!("http://alice.test:{}/", judged.port());
    assert!(client.fetch(get(&url)).await.is_ok());
    assert_eq!(names.asked(), 1, "once for each request");
    // The kept connection to the first address is no way around.
    forbidden(client.fetch(get(&url)).await, "this very process");
    assert_eq!(names.asked(), 2);
    assert!(client.fetch(get(&url)).await.is_ok());
    assert_eq!(other.accepted(), 0);
}

#[tokio::test]
async fn the_next_address_is_dialled_when_one_refuses() {
    let server = Server::start((loopback(3), 0).into(), None, vec![Script::ok("ok")]).await;
    let names = Names::answering(&[&["127.0.0.2", "127.0.0.3"]]);
    let url = format!("http://alice.test:{}/", server.port());
    assert!(client_knowing(lab(), names).fetch(get(&url)).await.is_ok());
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_who_was_tried() {
    let gone = Server::playing(Script::ok("ok")).await;
    let (port, url) = (gone.port(), gone.url());
    drop(gone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    match client(lab()).fetch(get(&url)).await {
        Err(FetchError::Unreachable(text)) => {
            assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains("hunter2"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    for names in [Names::default(), Names::answering(&[&[]])] {
        let refusal = client_knowing(lab(), names).fetch(get("http://alice.test/")).await;
        assert!(matches!(refusal, Err(FetchError::Unreachable(_))), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_look_up_that_never_ends_ends_with_the_time() {
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _host: &'a str, _port: u16) -> Answers<'a> {
            Box::pin(std::future::pending())
        }
    }
    let dialer = Dialer::with_resolver(lab(), Never);
    let (limit, started) = (Duration::from_millis(100), Instant::now());
    let request = FetchRequest { timeout: limit, ..get("http://alice.test/") };
    let refusal = GuardedClient::over(dialer.clone()).fetch(request).await;
    assert!(matches!(refusal, Err(FetchError::Timeout(_))), "{refusal:?}");
    let refusal = dialer.connect(&"http://alice.test/".parse().unwrap(), ChosenBy::Request, limit).await;
    assert!(matches!(refusal, Err(FetchError::Timeout(_))));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_dialer_opens_a_connection_by_the_same_rules() {
    let server = Server::playing(Script::ok("hello")).await;
    let dialer = Dialer::with_resolver(lab(), Names::default());
    let (url, limit) = (server.url().parse().unwrap(), Duration::from_secs(5));
    let mut connection = dialer.connect(&url, ChosenBy::Request, limit).await.unwrap();
    assert_eq!(connection.peer(), server.address);
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let private = "https://10.0.0.1/".parse().unwrap();
    let refusal = dialer.connect(&private, ChosenBy::Request, limit).await;
    assert!(matches!(refusal, Err(FetchError::Forbidden(_))));
}
