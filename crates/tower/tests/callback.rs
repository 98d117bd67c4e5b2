//! Callback URLs in front of a service in this process.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use countersign::crypto::SystemRandom;
use countersign::issuer::keyring::Keyring;
use countersign::path::Template;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minter,
    TokenForm, keyring_terms,
};
use countersign::store::StoreError;
use countersign::testing::{self, TestStore, seal_key};
use countersign::time::ManualClock;
use countersign::witness::Work;
use countersign::{Clock as _, Decision, Delivery, PublicUrl, Requirement, Rule, Witness};
use countersign_tower::{GateBody, GateLayer};
use http::{Request, Response};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

const TTL: Duration = Duration::from_secs(600);
type Store = Arc<TestStore>;

/// What the inner service does, and what it saw.
struct Inner {
    store: Store,
    status: AtomicU16,
    calls: AtomicUsize,
    seen: Mutex<Vec<(String, Vec<String>)>>,
}

struct World {
    inner: Arc<Inner>,
    minter: Minter<Store>,
    route: CallbackRoute,
    clock: Arc<ManualClock>,
    layer: GateLayer<Store>,
}

fn world() -> World {
    let testing::World { clock, store, gate } = testing::World::new();
    let keyring = Keyring::new(store.clone(), seal_key(1), Arc::new(SystemRandom), keyring_terms(TTL));
    let keys = Arc::new(CallbackKeys::rotating(keyring));
    let public_url = PublicUrl::parse("https://a.example").unwrap();
    let route = CallbackRoute::new(Template::parse("/results/{id}/{token}").unwrap()).unwrap();
    let verifier = CallbackVerifier {
        store: store.clone(),
        keys: keys.clone(),
        public_url: public_url.clone(),
        route: route.clone(),
        limits: CallbackLimits { max_body: 100, lease: Duration::from_secs(60), strict: false },
    };
    let rule = Rule::requiring("results", Requirement::parse(["callback-url"]).unwrap());
    let layer = GateLayer::new(Arc::new(gate), rule.verifier(verifier).build().unwrap(), public_url.clone());
    let minter = Minter {
        callbacks: Callbacks::new(store.clone()),
        keys,
        public_url,
        max_ttl: TTL,
        random: Arc::new(SystemRandom),
    };
    let (calls, seen) = (AtomicUsize::default(), Mutex::default());
    let inner = Arc::new(Inner { store, status: 200.into(), calls, seen });
    World { inner, minter, route, clock, layer }
}

impl World {
    async fn mint(&self) -> String {
        let terms =
            CallbackTerms { user: "u".into(), resource: Some("42".into()), ..CallbackTerms::default() };
        let minted = self.minter.mint(&self.route, TokenForm::Signed, terms, TTL, self.clock.now()).await;
        minted.unwrap().url.expose().clone()
    }

    /// Answers with the status that is told; 0 panics, 1 takes its time, and at 2 the store goes down meanwhile.
    fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + use<>
    {
        let inner = self.inner.clone();
        self.layer.layer(service_fn(move |request: Request<GateBody<Body>>| {
            let inner = inner.clone();
            async move {
                inner.calls.fetch_add(1, Ordering::SeqCst);
                let keys = request.headers().get_all("idempotency-key").iter();
                let keys = keys.map(|key| key.to_str().unwrap().to_owned()).collect();
                inner.seen.lock().unwrap().push((request.uri().to_string(), keys));
                let status = inner.status.load(Ordering::SeqCst);
                assert_ne!(status, 0, "told to panic");
                if status == 1 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                inner.store.set_down(status == 2);
                let status = if status < 100 { 200 } else { status };
                Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
            }
        }))
    }

    async fn post(&self, url: &str, body: &'static str) -> u16 {
        let request = Request::post(url).header("idempotency-key", "theirs").body(Body::from(body)).unwrap();
        self.service().oneshot(request).await.unwrap().status().as_u16()
    }

    fn answers(&self, status: u16) {
        self.inner.status.store(status, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_inner_service_sees_no_token_and_one_delivery() {
    let world = world();
    let url = world.mint().await;
    assert_eq!(world.post(&url, "body").await, 200);
    assert_eq!(world.post(&url, "body").await, 409);
    let seen = world.inner.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, "https://a.example/results/42");
    assert!(seen[0].1.len() == 1 && seen[0].1[0].len() == 22, "{seen:?}");
}

#[tokio::test]
async fn the_answers_status_settles_the_use() {
    let world = world();
    let url = world.mint().await;
    world.answers(422);
    assert_eq!(world.post(&url, "mistaken").await, 422);
    world.answers(500);
    assert_eq!(world.post(&url, "body").await, 500);
    assert_eq!(world.post(&url, "another").await, 409);
    world.answers(0);
    assert_eq!(world.post(&url, "body").await, 502, "a panic is no answer");
    world.answers(200);
    assert_eq!(world.post(&url, "body").await, 200);
    assert_eq!(world.inner.calls.load(Ordering::SeqCst), 4);
}

/// Is told, and takes its time.
struct Busy;

impl Witness for Busy {
    fn decided<'a>(&'a self, _: &'a Arc<Decision>) -> Option<Work<'a>> {
        Some(Box::pin(std::future::pending()))
    }
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_inner_service_is_called_leaves_the_use_as_it_was() {
    let world = world();
    let url = world.mint().await;
    let busy = World { layer: world.layer.clone().witness(Arc::new(Busy)), ..world };
    let request = Request::post(&url).body(Body::from("first")).unwrap();
    let mut call = Box::pin(busy.service().oneshot(request));
    // Polled until the decision is being told, and dropped.
    for _ in 0..20 {
        let waits = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await;
        assert!(waits);
        tokio::task::yield_now().await;
    }
    assert_eq!(busy.inner.calls.load(Ordering::SeqCst), 0);
    let world = World { layer: busy.layer.witness(Arc::new(())), ..busy };
    assert_eq!(world.post(&url, "another").await, 409, "it is reserved");
    drop(call);
    tokio::task::yield_now().await;
    assert_eq!(world.post(&url, "another").await, 200);
}

#[tokio::test]
async fn the_work_goes_on_if_the_caller_leaves() {
    let world = world();
    let url = world.mint().await;
    world.answers(1);
    let request = Request::post(&url).body(Body::from("body")).unwrap();
    let mut call = Box::pin(world.service().oneshot(request));
    // Polled until the inner service has it, and dropped.
    poll_fn(|context| {
        let pending = call.as_mut().poll(context).is_pending();
        assert!(pending, "it takes its time");
        match world.inner.calls.load(Ordering::SeqCst) {
            0 => {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            _ => std::task::Poll::Ready(()),
        }
    })
    .await;
    drop(call);
    assert_eq!(world.post(&url, "body").await, 409, "in use");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.post(&url, "body").await, 409);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.post(&url, "body").await, 409, "consumed: the lease has nothing to do with it");
    assert_eq!(world.inner.calls.load(Ordering::SeqCst), 1);
}

/// Whether what was delivered could be settled.
#[derive(Default)]
struct Told(Mutex<Vec<(Delivery, bool)>>);

impl Witness for Told {
    fn settled(&self, _: &Arc<Decision>, delivery: Delivery, settled: Result<(), StoreError>) {
        self.0.lock().unwrap().push((delivery, settled.is_ok()));
    }
}

#[tokio::test]
async fn a_delivery_that_could_not_be_settled_is_told_and_stays_in_use() {
    let (mut world, told) = (world(), Arc::new(Told::default()));
    world.layer = world.layer.witness(told.clone());
    let url = world.mint().await;
    world.answers(2);
    assert_eq!(world.post(&url, "body").await, 200, "it was delivered, whatever becomes of its use");
    assert_eq!(std::mem::take(&mut *told.0.lock().unwrap()), [(Delivery::Taken, false)]);
    world.inner.store.set_down(false);
    world.answers(200);
    assert_eq!(world.post(&url, "body").await, 409, "in use");
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.post(&url, "body").await, 200);
    assert_eq!(*told.0.lock().unwrap(), [(Delivery::Taken, true)]);
}
