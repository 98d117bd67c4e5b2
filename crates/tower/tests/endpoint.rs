//! The requester's webhook endpoint: whom it answers, once, and that nobody else learns anything.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use countersign::Store;
use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::wire::{LONGEST_QUESTION, Question};
use countersign::schemes::webhook::{Algorithm, Token, TokenHash, Tokens};
use countersign::testing::{self, NOW, TestStore};
use countersign_tower::{WebhookEndpoint, answer};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

const BOB: &str = "https://bob.example/orders";

type Waiting = Arc<TestStore>;

/// Status, headers and body: all that somebody who asks can see.
type Seen = (StatusCode, HeaderMap, Bytes);

struct World {
    store: Waiting,
}

impl World {
    fn new() -> Self {
        Self { store: testing::World::new().store }
    }

    fn tokens(&self) -> Tokens<Waiting> {
        Tokens::new(self.store.clone())
    }

    /// A token that waits for Bob to ask about its hash.
    async fn waiting(&self) -> (String, String) {
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &SystemRandom);
        self.tokens().keep(&hash, BOB, &token, NOW).await.unwrap();
        (hash.as_str().to_owned(), token.reveal().to_owned())
    }

    async fn ask(&self, hash: &str, url: &str) -> Seen {
        send(self.tokens(), post(question(hash, url))).await
    }
}

fn question(hash: &str, url: &str) -> Vec<u8> {
    Question { hash: hash.to_owned(), url: url.to_owned() }.encode()
}

fn post(body: impl Into<AxumBody>) -> Request<AxumBody> {
    Request::post("/webhook").header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

async fn send<S: Store>(tokens: Tokens<S>, request: Request<AxumBody>) -> Seen {
    let app: Router = Router::new().route_service("/webhook", WebhookEndpoint::new(tokens));
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn seen(status: StatusCode, headers: &[(HeaderName, &'static str)], body: &str) -> Seen {
    let lines = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    (status, lines.collect(), Bytes::copy_from_slice(body.as_bytes()))
}

fn refused() -> Seen {
    seen(StatusCode::NOT_FOUND, &[(CACHE_CONTROL, "no-store")], "")
}

/// A body of unknown length that counts how many of its pieces were asked for.
struct Pieces {
    left: VecDeque<Result<Bytes, &'static str>>,
    taken: Arc<AtomicUsize>,
}

impl Pieces {
    fn body(pieces: &[Result<&[u8], &'static str>]) -> (AxumBody, Arc<AtomicUsize>) {
        let left = pieces.iter().map(|piece| piece.map(Bytes::copy_from_slice)).collect();
        let taken = Arc::new(AtomicUsize::new(0));
        (AxumBody::new(Self { left, taken: taken.clone() }), taken)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(self.left.pop_front().map(|piece| piece.map(Frame::data)))
    }
}

#[tokio::test]
async fn the_receiver_that_was_called_gets_the_token_once_and_nothing_else() {
    let world = World::new();
    let (hash, token) = world.waiting().await;
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    assert_eq!(world.ask(&hash, BOB).await, seen(StatusCode::OK, &headers, &token));
    assert_eq!(world.ask(&hash, BOB).await, refused(), "one token, one use");
}

#[tokio::test]
async fn a_question_in_pieces_or_without_a_content_type_is_a_question() {
    let world = World::new();
    let (hash, token) = world.waiting().await;
    let whole = question(&hash, BOB);
    let (body, _) = Pieces::body(&[Ok(&whole[..9]), Ok(&whole[9..])]);
    let request = Request::post("/webhook").body(body).unwrap();
    assert_eq!(send(world.tokens(), request).await.2, token);
}

#[tokio::test]
async fn every_refusal_of_a_post_is_the_same_byte_for_byte_and_burns_nothing() {
    let world = World::new();
    let (hash, token) = world.waiting().await;
    let (used, _) = world.waiting().await;
    world.ask(&used, BOB).await;
    let good = question(&hash, BOB);
    let long = "x".repeat(LONGEST_QUESTION);
    let oversized = [good.clone(), vec![b' '; LONGEST_QUESTION]].concat();
    let bodies: [(&str, AxumBody); 14] = [
        ("no body", AxumBody::empty()),
        ("no JSON", "hash=a&url=b".into()),
        ("another JSON", "[]".into()),
        ("no URL", format!("{{\"hash\":\"{hash}\"}}").into()),
        ("an unknown hash", question("sha-256.AAAA", BOB).into()),
        ("another receiver", question(&hash, "https://eve.example/orders").into()),
        ("another path", question(&hash, "https://bob.example/").into()),
        ("another scheme", question(&hash, "http://bob.example/orders").into()),
        ("no absolute URL", question(&hash, "bob.example").into()),
        ("a used token", question(&used, BOB).into()),
        ("too large", oversized.clone().into()),
        ("too large, and of unknown length", Pieces::body(&[Ok(&oversized)]).0),
        ("too large a hash", question(&long, BOB).into()),
        ("broken off", Pieces::body(&[Ok(&good), Err("gone")]).0),
    ];
    for (what, body) in bodies {
        assert_eq!(send(world.tokens(), post(body)).await, refused(), "{what}");
    }
    assert_eq!(world.ask(&hash, BOB).await.2, token, "none of them burnt it");
}

#[tokio::test]
async fn no_more_is_read_than_a_question_may_hold() {
    let piece = [b' '; LONGEST_QUESTION];
    let (body, taken) = Pieces::body(&[Ok(&piece), Ok(b" "), Ok(b"never read")]);
    assert_eq!(send(World::new().tokens(), post(body)).await, refused());
    assert_eq!(taken.load(Ordering::SeqCst), 2);
    let announced = Announced { taken: Arc::default() };
    let taken = announced.taken.clone();
    assert_eq!(send(World::new().tokens(), post(AxumBody::new(announced))).await, refused());
    assert_eq!(taken.load(Ordering::SeqCst), 0, "what announces that it is too large is not read at all");
}

/// A body that announces one byte more than any question has.
struct Announced {
    taken: Arc<AtomicUsize>,
}

impl Body for Announced {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(None)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(LONGEST_QUESTION as u64 + 1)
    }
}

#[tokio::test]
async fn other_methods_are_told_to_post_and_their_bodies_left_unread() {
    let world = World::new();
    let (hash, token) = world.waiting().await;
    let whole = question(&hash, BOB);
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        let (body, taken) = Pieces::body(&[Ok(&whole)]);
        let mut request = post(body);
        *request.method_mut() = method;
        let headers = [(CACHE_CONTROL, "no-store"), (ALLOW, "POST")];
        let expected = seen(StatusCode::METHOD_NOT_ALLOWED, &headers, "");
        assert_eq!(send(world.tokens(), request).await, expected);
        assert_eq!(taken.load(Ordering::SeqCst), 0);
        let response = answer(&world.tokens(), &Method::GET, whole.clone().into()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(world.ask(&hash, BOB).await.2, token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_at_once_one_gets_the_token() {
    let world = World::new();
    for _ in 0..8 {
        let (hash, token) = world.waiting().await;
        let asking: Vec<_> =
            (0..64).map(|_| tokio::spawn(send(world.tokens(), post(question(&hash, BOB))))).collect();
        let mut winners = 0;
        for task in asking {
            match task.await.unwrap() {
                (StatusCode::OK, _, body) => {
                    assert_eq!(body, token);
                    winners += 1;
                }
                other => assert_eq!(other, refused()),
            }
        }
        assert_eq!(winners, 1);
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_said_and_nothing_is_given() {
    let headers = [(CACHE_CONTROL, "no-store"), (RETRY_AFTER, "1")];
    let expected = seen(StatusCode::SERVICE_UNAVAILABLE, &headers, "");
    assert_eq!(send(Tokens::new(TestStore::down()), post(question("sha-256.AAAA", BOB))).await, expected);
    assert_eq!(
        send(Tokens::new(TestStore::down()), post("{}")).await,
        refused(),
        "what is no question needs no store"
    );
}

#[tokio::test]
async fn the_function_answers_as_the_service_does() {
    let world = World::new();
    let (hash, token) = world.waiting().await;
    let ask = async || answer(&world.tokens(), &Method::POST, question(&hash, BOB).into()).await;
    let first: Response<Bytes> = ask().await;
    assert_eq!((first.status(), &first.body()[..]), (StatusCode::OK, token.as_bytes()));
    let second = ask().await;
    assert_eq!((second.status(), second.body().len()), (StatusCode::NOT_FOUND, 0));
    assert_eq!(second.headers().len(), 1);
}
