//! Ten thousand requests that all name one victim: it is hardly asked, and those who proved themselves go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign::schemes::webhook::Algorithm;
use countersign_testing::keep_alive::Connection;
use countersign_testing::raw::resident;
use countersign_testing::webhook::{Book, WebhookApi};
use countersign_testing::{Echo, Gateway, Response};

const REQUESTS: usize = 10_000;
const ATTACKERS: usize = 16;

fn request(authorization: &str, source: &str) -> String {
    format!(
        "GET /orders/1 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {source}\r\nAuthorization: {authorization}\r\n\r\n"
    )
}

#[test]
fn a_flood_that_names_one_victim_asks_it_little_and_keeps_nobody_else_out() {
    let echo = Echo::start();
    let book = Book::default();
    let answers = book.clone();
    // The victim is slow to say no, and quick to say yes.
    let victim = WebhookApi::answering(move |_, question| {
        let answer = answers.answer(question);
        if !answer.contains(" 200 ") {
            std::thread::sleep(Duration::from_millis(100));
        }
        answer
    });
    let carols = book.clone();
    let carol = WebhookApi::answering(move |_, question| carols.answer(question));
    let gateway = Arc::new({
        let mut gateway = Gateway::new("");
        gateway.configure(
            "trusted_proxies = [\"127.0.0.1\"]",
            &format!(
                "[egress]\nallow_http_loopback = true\n[webhook]\ncallers = [{:?}, {:?}]\n\
                 [[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
                victim.url("/hook"),
                carol.url("/hook"),
                echo.url()
            ),
        );
        gateway.start();
        gateway
    });
    let own_url = format!("http://{}/orders/1", gateway.address);
    let credential = |url: String| {
        let hash = book.token_for(&own_url, Algorithm::Sha256);
        format!("Webhook {url} {hash}")
    };
    // The victim and Carol have called before, each from an address of its own.
    let mut connection = Connection::to(gateway.address).unwrap();
    let mut call = |credential: &str, source: &str| -> Response {
        connection.exchange(&request(credential, source)).unwrap()
    };
    for (url, source) in [(victim.url("/hook"), "192.0.2.1"), (carol.url("/hook"), "192.0.2.2")] {
        assert_eq!(call(&credential(url), source).status, 200);
    }
    let before = resident(gateway.pid());

    let left = Arc::new(AtomicUsize::new(REQUESTS));
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|number| {
            let (left, url, address) = (left.clone(), victim.url("/hook"), gateway.address);
            std::thread::spawn(move || {
                let mut connection = Connection::to(address).unwrap();
                let mut answers = (0, 0);
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let hash = Book::default().token_for("", Algorithm::Sha256);
                    let source = format!("203.0.113.{number}");
                    let answer =
                        connection.exchange(&request(&format!("Webhook {url} {hash}"), &source)).unwrap();
                    match (answer.status, answer.code().as_str()) {
                        (401, "webhook_denied") => answers.0 += 1,
                        (429, "webhook_budget") => answers.1 += 1,
                        _ => panic!("{answer:?}"),
                    }
                }
                answers
            })
        })
        .collect();
    let mut friends = 0;
    while left.load(Ordering::SeqCst) > 0 {
        assert_eq!(
            call(&credential(victim.url("/hook")), "192.0.2.1").status,
            200,
            "the victim itself is let in"
        );
        assert_eq!(call(&credential(carol.url("/hook")), "192.0.2.2").status, 200);
        friends += 2;
        std::thread::sleep(Duration::from_millis(5));
    }
    let answers: Vec<(usize, usize)> =
        attackers.into_iter().map(|attacker| attacker.join().unwrap()).collect();
    let (denied, over): (usize, usize) =
        answers.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    assert_eq!(denied + over, REQUESTS);
    let grown = resident(gateway.pid()).saturating_sub(before);
    eprintln!(
        "{denied} questions, {over} over budget, {friends} calls of others, at most {} at once, {grown} KiB more",
        victim.most_at_once()
    );
    assert!(victim.most_at_once() <= 4, "two for strangers, and two for the victim itself");
    assert!(denied < REQUESTS / 10, "{denied}");
    assert!(grown < 24 << 10, "{grown} KiB more");
    assert_eq!(echo.seen().len(), friends + 2);
}
