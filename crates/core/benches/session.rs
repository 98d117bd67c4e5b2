//! What a session costs: reading it, verifying it with and without a handshake, the whole decision; beside
//! the hashes and store operations that all of it stands on.
//!
//! Everything that is measured finishes at its first poll, so no runtime takes part.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use countersign::crypto::{Algorithm, SealKey, Secret, Signer as _, SigningKey, SystemRandom, sha256};
use countersign::dpop::{Dpop, DpopSigner, NoncePolicy};
use countersign::request::Body;
use countersign::schemes::session::handshakes::{HANDSHAKES, give};
use countersign::schemes::session::password::Password;
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords};
use countersign::schemes::session::{
    DpopKeyProof, Email, Halves, Lifetimes, NewSession, NoKeyProof, Origins, SESSIONS, SessionCookie,
    SessionDemand, SessionRecord, SessionVerifier, Sessions, Surroundings, Users,
};
use countersign::store::Id;
use countersign::testing::NOW;
use countersign::time::ManualClock;
use countersign::workers::OnThisThread;
use countersign::{Gate, MemoryStore, PublicUrl, RequestView, Requirement, Rule, Store, Verdict, Verifier};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

const SESSION_COUNT: usize = 10_000;

type Shared = Arc<MemoryStore<Arc<ManualClock>>>;

fn now_or_panic<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("something waited: this is no measurement of the CPU"),
    }
}

fn headers(halves: &Halves) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).expect("visible ASCII");
    headers.insert(HOST, value("api.example"));
    headers.insert(USER_AGENT, value("bench/1"));
    headers.insert(ACCEPT, value("application/json"));
    headers.insert(COOKIE, value(&format!("__Host-session={}", halves.cookie.reveal().expose())));
    headers.insert(AUTHORIZATION, value(&format!("Bearer {}", halves.token.reveal().expose())));
    headers
}

fn view<'a>(method: &'a Method, target: &'a Uri, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView { method, target, headers, body: Body::Absent, source: None, received_at: NOW }
}

/// A store with [`SESSION_COUNT`] sessions of ten users, and every hundredth of them.
fn sessions(passwords: &Passwords, clock: &Arc<ManualClock>) -> (Shared, Vec<Halves>) {
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let users = Users::new(store.clone());
    let sessions = Sessions::new(store.clone(), Lifetimes::default());
    let password = Password::typed("correct horse battery").expect("a password");
    let hash = now_or_panic(passwords.hash(password, &SystemRandom)).expect("a hash");
    let mut some = Vec::new();
    for number in 0..SESSION_COUNT / 100 {
        let email = Email::parse(&format!("user{number}@example.org")).expect("an address");
        let added = users.add(email, "User".into(), hash.clone(), NOW, &SystemRandom);
        let user = now_or_panic(added).expect("a store").expect("a user");
        for number in 0..100 {
            let agent = Some(String::from("bench/1"));
            let new = NewSession { user: user.id, generation: user.generation, bound: None, agent };
            let (halves, _) = now_or_panic(sessions.begin(new, NOW, &SystemRandom)).expect("a session");
            if number == 0 {
                some.push(halves);
            }
        }
    }
    (store, some)
}

/// A session that is bound to a P-256 key, as browsers make them.
fn bound(criterion: &mut Criterion, store: &Shared, surroundings: &Surroundings, target: &Uri) {
    let (key, private) =
        SigningKey::generate(Algorithm::EcdsaP256Sha256, &SystemRandom).expect("a kind of key that is made");
    let verifying = key.verifying_key().clone();
    let signature = key.sign(&[7; 300]).expect("a signature");
    criterion.bench_function("primitive/verification by P-256 of 300 bytes", |bencher| {
        bencher.iter(|| verifying.verify(black_box(&[7; 300]), &signature));
    });
    drop(private);
    let signer = DpopSigner::new(key, Arc::new(SystemRandom)).expect("a key that proofs are made with");
    let (users, sessions) = (Users::new(store.clone()), Sessions::new(store.clone(), Lifetimes::default()));
    let user = now_or_panic(users.list()).expect("a store").remove(0);
    let new = NewSession {
        user: user.id,
        generation: user.generation,
        bound: Some(signer.thumbprint().into()),
        agent: None,
    };
    let (halves, _) = now_or_panic(sessions.begin(new, NOW, &SystemRandom)).expect("a session");
    let dpop = Dpop::new(&Secret::new([1; 32]), NoncePolicy::Accepted);
    let key_proof = Arc::new(DpopKeyProof(Arc::new(dpop)));
    let surroundings = Surroundings { key_proof, ..surroundings.clone() };
    let judge = SessionVerifier::new(store.clone(), surroundings, SessionDemand::default());
    let token = halves.token.reveal();
    let proof = signer.prove(&Method::GET, target, Some(token.expose()), None, NOW).expect("a proof");
    let mut headers = headers(&halves);
    headers.insert("dpop", HeaderValue::from_str(&proof).expect("visible ASCII"));
    // Verifying spends nothing, so one proof does.
    criterion.bench_function("extract and verify, bound to a P-256 key", |bencher| {
        let view = view(&Method::GET, target, &headers);
        bencher.iter(|| {
            let credential = judge.extract(&view).expect("a session").expect("a session");
            assert!(now_or_panic(judge.verify(credential, &view, &mut Bytes::new())).is_ok());
        });
    });
}

fn session(criterion: &mut Criterion) {
    let clock = Arc::new(ManualClock::new(NOW));
    let limits = PasswordLimits { at_once: 1, waiting: 1 };
    let seal = SealKey::new(Secret::new([1; 32]));
    let hasher =
        |cost| Passwords::new(&seal, cost, limits, Arc::new(OnThisThread), &SystemRandom).expect("a cost");
    let (store, some) = sessions(&hasher(PasswordCost { memory_kib: 8, passes: 1 }), &clock);
    let public = PublicUrl::parse("https://api.example").expect("a URL");
    let surroundings = Surroundings {
        cookie: SessionCookie::Host,
        origins: Origins::new(&public, []),
        key_proof: Arc::new(NoKeyProof),
    };
    let verifier = || SessionVerifier::new(store.clone(), surroundings.clone(), SessionDemand::default());
    let target = Uri::from_static("https://api.example/orders/1");
    let all: Vec<_> = some.iter().map(headers).collect();

    criterion.bench_function("primitive/sha256 of 72 bytes", |bencher| {
        bencher.iter(|| sha256(black_box(&[7; 72])));
    });
    let place = SessionRecord::place(&some[0].cookie);
    criterion.bench_function("store/get of 10,000", |bencher| {
        bencher.iter(|| now_or_panic(store.get(SESSIONS, black_box(place))).is_ok());
    });
    criterion.bench_function("store/insert and take", |bencher| {
        let (id, value) = (Id::of(&[b"bench"]), Bytes::from_static(b"\x01"));
        bencher.iter(|| {
            let until = Some(NOW.plus(std::time::Duration::from_secs(60)));
            now_or_panic(store.insert(HANDSHAKES, id, value.clone(), until)).is_ok()
                && now_or_panic(store.take_if(HANDSHAKES, id, Some(value.clone()))).is_ok()
        });
    });

    let judge = verifier();
    criterion.bench_function("extract", |bencher| {
        let view = view(&Method::GET, &target, &all[0]);
        bencher.iter(|| black_box(judge.extract(black_box(&view))).is_ok());
    });
    let mut turn = all.iter().cycle();
    criterion.bench_function("extract and verify", |bencher| {
        bencher.iter(|| {
            let view = view(&Method::GET, &target, turn.next().expect("a cycle"));
            let credential = judge.extract(&view).expect("a session").expect("a session");
            assert!(now_or_panic(judge.verify(credential, &view, &mut Bytes::new())).is_ok());
        });
    });

    let gate = Gate::new(store.clone(), clock.clone(), &SystemRandom);
    let rule = Rule::requiring("orders", Requirement::parse(["session"]).expect("a requirement"))
        .verifier(verifier())
        .build()
        .map(Arc::new)
        .expect("a rule");
    let decide = |method: &Method, headers: &HeaderMap| {
        let view = view(method, &target, headers);
        matches!(now_or_panic(gate.decide(&rule, &view, &mut Bytes::new())), Verdict::Permit(_))
    };
    criterion.bench_function("decide/GET", |bencher| {
        bencher.iter(|| assert!(decide(&Method::GET, turn.next().expect("a cycle"))));
    });
    let give_one = || now_or_panic(give(&store, place, NOW, &SystemRandom)).expect("a handshake");
    criterion.bench_function("decide/POST with a handshake", |bencher| {
        let with_handshake = || {
            let mut headers = all[0].clone();
            let value = HeaderValue::from_str(give_one().reveal().expose()).expect("visible ASCII");
            headers.insert(HeaderName::from_static("handshake"), value);
            headers
        };
        // One at a time: a session has no more than eight.
        let judged = |headers: HeaderMap| assert!(decide(&Method::POST, &headers));
        bencher.iter_batched(with_handshake, judged, BatchSize::PerIteration);
    });
    criterion.bench_function("handshake/give", |bencher| bencher.iter(give_one));

    let argon2 = hasher(PasswordCost::default());
    let mut slow = criterion.benchmark_group("password");
    slow.sample_size(10);
    for (name, trims) in [("memory reused", false), ("memory taken anew", true)] {
        slow.bench_function(name, |bencher| {
            bencher.iter(|| {
                if trims {
                    argon2.trim();
                }
                let password = Password::typed("correct horse battery").expect("a password");
                now_or_panic(argon2.verify(password, None)).is_ok()
            });
        });
    }
    slow.finish();
    // Last, for the new session ends the oldest of its user.
    bound(criterion, &store, &surroundings, &target);
}

criterion_group!(benches, session);
criterion_main!(benches);
