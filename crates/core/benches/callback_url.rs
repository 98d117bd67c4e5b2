//! What a callback URL costs: verifying its token, the whole decision with its reservation, and minting; beside
//! the one signature check that all of it stands on.
//!
//! Everything that is measured finishes at its first poll, so no runtime takes part.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::{Ed25519Key, SealKey, Secret, SystemRandom, verify_ed25519};
use countersign::issuer::keyring::Keyring;
use countersign::path::Template;
use countersign::request::Body;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minter,
    TokenForm, keyring_terms,
};
use countersign::testing::NOW;
use countersign::time::ManualClock;
use countersign::{Gate, MemoryStore, PublicUrl, RequestView, Requirement, Rule, Verdict, Verifier};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, Uri};

const TTL: Duration = Duration::from_secs(900);

type Store = Arc<MemoryStore<Arc<ManualClock>>>;

fn now_or_panic<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("something waited: this is no measurement of the CPU"),
    }
}

fn view<'a>(target: &'a Uri, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView {
        method: &Method::POST,
        target,
        headers,
        body: Body::Announced,
        source: None,
        received_at: NOW,
    }
}

fn callback_url(criterion: &mut Criterion) {
    let clock = Arc::new(ManualClock::new(NOW));
    let store: Store = Arc::new(MemoryStore::new(clock.clone()));
    let seal = SealKey::new(Secret::new([1; 32]));
    let keyring = Keyring::new(store.clone(), seal, Arc::new(SystemRandom), keyring_terms(TTL));
    let keys = Arc::new(CallbackKeys::rotating(keyring));
    let public_url = PublicUrl::parse("https://api.example").expect("a URL");
    let route = CallbackRoute::new(Template::parse("/v1/results/{id}/{token}").expect("a template"));
    let route = route.expect("a route");
    let verifier = || CallbackVerifier {
        store: store.clone(),
        keys: keys.clone(),
        public_url: public_url.clone(),
        route: route.clone(),
        limits: CallbackLimits { max_body: 1024, lease: TTL, strict: false },
    };
    let minter = Minter {
        callbacks: Callbacks::new(store.clone()),
        keys: keys.clone(),
        public_url: public_url.clone(),
        max_ttl: TTL,
        random: Arc::new(SystemRandom),
    };
    let mint = |form| {
        let terms =
            CallbackTerms { user: "u1".into(), resource: Some("42".into()), ..CallbackTerms::default() };
        now_or_panic(minter.mint(&route, form, terms, TTL, NOW)).expect("a callback").url
    };

    let key = Ed25519Key::from_seed(Secret::new([7; 32]));
    let message = [7_u8; 300];
    let signature = key.sign(&message);
    criterion.bench_function("primitive/Ed25519 verification of 300 bytes", |bencher| {
        bencher.iter(|| verify_ed25519(black_box(&key.public()), &message, &signature));
    });

    let headers = HeaderMap::new();
    for (name, form) in [("JWT", TokenForm::Signed), ("static token", TokenForm::Static)] {
        let target: Uri = mint(form).expose().parse().expect("a URL");
        let verifier = verifier();
        criterion.bench_function(&format!("callback-url/verify, {name}"), |bencher| {
            bencher.iter(|| {
                let request = view(black_box(&target), &headers);
                let credential = verifier.extract(&request).expect("a token").expect("a token");
                now_or_panic(verifier.verify(credential, &request, &mut Bytes::new()))
                    .expect("proven")
                    .principal
            });
        });
    }

    criterion.bench_function("callback-url/mint, JWT", |bencher| {
        bencher.iter(|| mint(TokenForm::Signed));
    });

    let gate = Gate::new(store.clone(), clock, &SystemRandom);
    let requirement = Requirement::parse(["callback-url"]).expect("a requirement");
    let rule =
        Arc::new(Rule::requiring("results", requirement).verifier(verifier()).build().expect("a rule"));
    criterion.bench_function("callback-url/decide, reserve and settle, JWT", |bencher| {
        bencher.iter_batched(
            || mint(TokenForm::Signed).expose().parse::<Uri>().expect("a URL"),
            |target| {
                let request = view(&target, &headers);
                match now_or_panic(gate.decide(&rule, &request, &mut Bytes::from_static(b"{}"))) {
                    Verdict::Permit(passage) => drop(now_or_panic(passage.consumed()).expect("settled")),
                    Verdict::Deny(refusal) => panic!("{refusal:?}"),
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, callback_url);
criterion_main!(benches);
