//! What `Countersign-Assertion` costs: made anew, said again, and verified; beside the one signature that all of
//! it stands on.
//!
//! Everything that is measured finishes at its first poll, so no runtime takes part.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use countersign::assertion::{ASSERTION, Asserter, AssertionKeys, AssertionVerifier, Statement};
use countersign::crypto::{Ed25519Key, SealKey, Secret, SystemRandom};
use countersign::request::Body;
use countersign::testing::NOW;
use countersign::time::ManualClock;
use countersign::{KeyId, MemoryStore, Permissions, Principal, PublicUrl, RequestView, Scheme, Subject};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, Uri};

const AUDIENCE: &str = "http://127.0.0.1:3000";

fn now_or_panic<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("something waited: this is no measurement of the CPU"),
    }
}

fn assertion(criterion: &mut Criterion) {
    let gateway = PublicUrl::parse("https://api.example").expect("a URL");
    let store = Arc::new(MemoryStore::new(Arc::new(ManualClock::new(NOW))));
    let asserter = Asserter::new(store, SealKey::new(Secret::new([1; 32])), Arc::new(SystemRandom));
    let mut principal = Principal::vouch_for(Subject::Key(KeyId::parse("0123456789AB").expect("a name")));
    principal.schemes.push(Scheme::ApiKey);
    principal.permissions = Permissions::Only(["orders:read".into(), "orders:write".into()].into());
    let target = |path: &str| gateway.target(&path.parse::<Uri>().expect("a path"));
    let (same, body) = (target("/orders/1?page=2"), &b"{\"cups\": 2}"[..]);
    let assert = |target: &Uri, body| {
        let statement = Statement {
            gateway: &gateway,
            audience: AUDIENCE,
            principal: &principal,
            method: &Method::GET,
            target,
            body: Some(body),
        };
        now_or_panic(asserter.assert(&statement, NOW)).expect("an assertion")
    };
    let key = Ed25519Key::from_seed(Secret::new([2; 32]));
    let signed = assert(&same, b"");
    criterion.bench_function("assertion/ed25519-sign", |bencher| {
        bencher.iter(|| key.sign(black_box(signed.as_bytes())));
    });
    criterion.bench_function("assertion/anew", |bencher| bencher.iter(|| assert(black_box(&same), body)));
    criterion.bench_function("assertion/again", |bencher| bencher.iter(|| assert(black_box(&same), b"")));

    let jwks = now_or_panic(asserter.keys(NOW)).expect("keys").jwks().to_string();
    let keys = AssertionKeys::told(jwks.as_bytes()).expect("keys");
    let verifier = AssertionVerifier::new(&gateway, AUDIENCE, keys);
    let headers = HeaderMap::from_iter([(ASSERTION, signed)]);
    let view = RequestView {
        method: &Method::GET,
        target: &same,
        headers: &headers,
        body: Body::Absent,
        source: None,
        received_at: NOW,
    };
    criterion.bench_function("assertion/verify", |bencher| {
        bencher.iter(|| now_or_panic(verifier.verify(black_box(&view))).expect("verified"));
    });
}

criterion_group!(benches, assertion);
criterion_main!(benches);
