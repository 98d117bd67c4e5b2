//! What an API key costs: reading it, verifying it among 10,000, the whole decision; beside the one
//! hash that all of it stands on.
//!
//! Everything that is measured finishes at its first poll, so no runtime takes part.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use countersign::crypto::{SystemRandom, sha256};
use countersign::request::Body;
use countersign::schemes::api_key::{ApiKey, ApiKeyVerifier, KeyRegistry, KeyTerms, LastUses};
use countersign::testing::NOW;
use countersign::time::ManualClock;
use countersign::{Clock, Gate, MemoryStore, Policy, RequestView, Requirement, Rule, Verdict, Verifier};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};

const KEYS: usize = 10_000;

type Keys = Arc<MemoryStore<Arc<ManualClock>>>;

fn now_or_panic<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("something waited: this is no measurement of the CPU"),
    }
}

/// A request's head as a client would send it, with one header more.
fn headers(more: Option<(&'static str, String)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("api.example"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench/1"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = more {
        headers.insert(name, HeaderValue::from_str(&value).expect("visible ASCII"));
    }
    headers
}

fn view<'a>(target: &'a Uri, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView { method: &Method::GET, target, headers, body: Body::Absent, source: None, received_at: NOW }
}

/// A store with [`KEYS`] keys, and every hundredth of them.
fn keys(clock: &Arc<ManualClock>) -> (Keys, Vec<ApiKey>) {
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let registry = KeyRegistry::new(store.clone());
    let mut some = Vec::new();
    for number in 0..KEYS {
        let terms = KeyTerms {
            label: format!("key {number}"),
            permissions: vec!["orders:read".into()],
            ..KeyTerms::default()
        };
        let (key, _) = now_or_panic(registry.create(terms, NOW, &SystemRandom)).expect("a key");
        if number % 100 == 0 {
            some.push(key);
        }
    }
    (store, some)
}

fn api_key(criterion: &mut Criterion) {
    let clock = Arc::new(ManualClock::new(NOW));
    let (store, some) = keys(&clock);
    let verifier = ApiKeyVerifier::new(store.clone(), Arc::new(LastUses::default()));
    let target = Uri::from_static("https://api.example/orders/1");
    let text = some[0].reveal().expose().clone();

    criterion.bench_function("primitive/sha256 of 32 bytes", |bencher| {
        bencher.iter(|| sha256(black_box(&[7; 32])));
    });

    let mistyped = format!("{}x", &text[..text.len() - 1]);
    for (name, header) in [
        ("Authorization", Some(("authorization", format!("Bearer {text}")))),
        ("X-API-Key", Some(("x-api-key", text.clone()))),
        ("nothing", None),
        ("malformed", Some(("authorization", format!("Bearer {mistyped}")))),
    ] {
        let headers = headers(header);
        criterion.bench_function(&format!("extract/{name}"), |bencher| {
            bencher.iter(|| black_box(verifier.extract(black_box(&view(&target, &headers)))).is_ok());
        });
    }

    let bare = headers(None);
    let mut turn = some.iter().cycle();
    criterion.bench_function("verify/one of 10,000", |bencher| {
        bencher.iter(|| {
            let key = turn.next().expect("a cycle").clone();
            now_or_panic(verifier.verify(key, &view(&target, &bare), &mut Bytes::new())).is_ok()
        });
    });

    let gate = Gate::new(store.clone(), clock.clone(), &SystemRandom);
    let rule = Rule::requiring("orders", Requirement::parse(["api-key"]).expect("a requirement"))
        .verifier(ApiKeyVerifier::new(store, Arc::new(LastUses::default())))
        .policy(Policy { permissions: ["orders:read".into()].into(), ..Policy::default() })
        .build()
        .map(Arc::new)
        .expect("a rule");
    let decide = |rule: &Arc<Rule>, headers: &HeaderMap| {
        let view = view(&target, headers);
        debug_assert_eq!(view.received_at, clock.now());
        matches!(now_or_panic(gate.decide(rule, &view, &mut Bytes::new())), Verdict::Permit(_))
    };
    let all: Vec<_> = some
        .iter()
        .map(|key| headers(Some(("authorization", format!("Bearer {}", key.reveal().expose())))))
        .collect();
    let mut turn = all.iter().cycle();
    criterion.bench_function("decide/one of 10,000", |bencher| {
        bencher.iter(|| assert!(decide(&rule, turn.next().expect("a cycle"))));
    });
    criterion.bench_function("decide/nothing presented", |bencher| {
        bencher.iter(|| assert!(!decide(&rule, &bare)));
    });
    let public = Arc::new(Rule::public("public"));
    criterion.bench_function("decide/public", |bencher| {
        bencher.iter(|| assert!(decide(&public, &bare)));
    });
}

criterion_group!(benches, api_key);
criterion_main!(benches);
