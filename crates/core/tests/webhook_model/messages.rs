//! Every message that anybody sends in the model. Alice's and Eve's own are made by the code that
//! makes them in production; Eve's forgeries are put together from what she read.

use std::sync::Arc;

use countersign::crypto::Ed25519Key;
use countersign::schemes::signature::{
    CONTENT_DIGEST, Component, ContentDigest, Parameters, SIGNATURE, cover_floor, sign,
};
use countersign::schemes::webhook::signer::{OutgoingBody, Requester};
use countersign::schemes::webhook::wire::{INTRODUCTION_TAG, OFFER, SIGNATURE_KEY, WEBHOOK_KEY};
use countersign::schemes::webhook::{Algorithm, TOKENS, UrlRules, WebhookUrl};
use countersign::store::{Id, Inventory};
use countersign::testing::{self, NOW, Seeded};
use countersign::time::Timestamp;
use countersign::workers::OnThisThread;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

pub(crate) const ALICE: &str = "https://alice.example/.well-known/webhook-auth";
pub(crate) const EVE: &str = "https://eve.example/.well-known/webhook-auth";

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    Bob,
    Eve,
}

impl Receiver {
    pub(crate) const fn url(self) -> &'static str {
        match self {
            Self::Bob => "https://bob.example/orders",
            Self::Eve => "https://eve.example/orders",
        }
    }

    const fn host(self) -> &'static str {
        match self {
            Self::Bob => "bob.example",
            Self::Eve => "eve.example",
        }
    }
}

/// How a call is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A hash whose token is asked for.
    OneShot,
    /// The same, introducing a key.
    Introducing,
    /// A signature by the key.
    ByKey,
}

/// A request to some receiver, with all that travels.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) name: String,
    pub(crate) to: Receiver,
    pub(crate) body: &'static str,
    pub(crate) headers: HeaderMap,
}

impl Request {
    pub(crate) fn target(&self) -> Uri {
        self.to.url().parse().unwrap()
    }

    /// The hash that it names, if it names one.
    pub(crate) fn hash(&self) -> Option<String> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().unwrap();
        value.rsplit_once(' ').map(|(_, hash)| hash.to_owned())
    }

    /// What proves it, and only once: its hash, or its signature.
    pub(crate) fn proof(&self) -> String {
        self.hash().unwrap_or_else(|| self.headers[SIGNATURE].to_str().unwrap().to_owned())
    }
}

/// A request as its author sends it, and the token that its author then waits to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) request: Request,
    pub(crate) waits: Option<(Id, Vec<u8>)>,
}

impl Made {
    /// The token; empty for a call that needs none.
    pub(crate) fn token(&self) -> &[u8] {
        self.waits.as_ref().map_or(&[], |(_, token)| token)
    }
}

/// The requests that the API at `url` makes, one for each of `calls`.
pub(crate) fn made(name: &str, url: &str, calls: &[(Receiver, Proof)], body: &'static str) -> Vec<Made> {
    let store = testing::World::new().store;
    let random = Arc::new(Seeded::new(url));
    let api = || {
        let url = WebhookUrl::parse(url, &UrlRules::default()).unwrap();
        let api = Requester::new(url, store.clone(), random.clone(), Arc::new(OnThisThread));
        api.hashing_first_by(Algorithm::Sha256)
    };
    let (with_keys, without_keys) = (api(), api().without_keys());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut waiting: Vec<Id> = Vec::new();
    let make = |&(to, proof): &(Receiver, Proof)| {
        let api = if proof == Proof::OneShot { &without_keys } else { &with_keys };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(to.host()));
        let (target, whole) = (to.url().parse().unwrap(), OutgoingBody::Whole(body.as_bytes()));
        let proving = api.prove(&Method::POST, &target, &mut headers, whole, NOW);
        let attempt = runtime.block_on(proving).unwrap();
        assert_eq!(attempt.is_by_key(), proof == Proof::ByKey, "calls by key come after an introduction");
        let info = (HeaderName::from_static("authentication-info"), HeaderValue::from_static(OFFER));
        api.learn(&attempt, StatusCode::OK, &[info].into_iter().collect(), NOW);
        let tokens = runtime.block_on(store.list(TOKENS, None, 100)).unwrap();
        let new = tokens.into_iter().find(|(place, _)| !waiting.contains(place));
        waiting.extend(new.as_ref().map(|(place, _)| *place));
        let request = Request { name: format!("{name}, {proof:?} to {to:?}"), to, body, headers };
        Made { request, waits: new.map(|(place, token)| (place, token.to_vec())) }
    };
    calls.iter().map(make).collect()
}

/// What Eve can send to Bob once she has read `request`: the whole of it, its credential alone, its
/// credential under a key of her own, and its hash as if it were hers.
pub(crate) fn forgeries(request: &Request) -> Vec<Request> {
    let forgery = |how: &str, body, headers| Request {
        name: format!("{how} of ({})", request.name),
        to: Receiver::Bob,
        body,
        headers,
    };
    let mut forgeries = vec![
        forgery("relay", request.body, request.headers.clone()),
        forgery("all headers with another body", EVES_ORDER, request.headers.clone()),
    ];
    if let Some(hash) = request.hash() {
        let naming = |url: &str| {
            let value = HeaderValue::try_from(format!("Webhook {url} {hash}")).unwrap();
            [(AUTHORIZATION, value)].into_iter().collect::<HeaderMap>()
        };
        forgeries.push(forgery("bare hash", EVES_ORDER, naming(ALICE)));
        forgeries.push(forgery("Eve's key beside the hash", EVES_ORDER, under_eves_key(naming(ALICE))));
        forgeries.push(forgery("Eve's name beside the hash", EVES_ORDER, naming(EVE)));
    }
    forgeries
}

pub(crate) const ALICES_ORDER: &str = "Alice's order";
pub(crate) const EVES_ORDER: &str = "Eve's order";

/// The key that Eve's requester introduces: it was the first thing that it made.
pub(crate) fn eves_key() -> Ed25519Key {
    Ed25519Key::generate(&Seeded::new(EVE))
}

fn under_eves_key(mut headers: HeaderMap) -> HeaderMap {
    use base64::Engine as _;
    let key = eves_key();
    let x = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.public());
    let header = format!("cb=hwk;kty=\"OKP\";crv=\"Ed25519\";x=\"{x}\"");
    headers.insert(SIGNATURE_KEY, header.try_into().unwrap());
    headers.insert(WEBHOOK_KEY, format!("exp={}", NOW.as_secs() + 600).try_into().unwrap());
    headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(EVES_ORDER.as_bytes()));
    let mut components = cover_floor(&headers, true);
    components.extend([AUTHORIZATION, SIGNATURE_KEY, WEBHOOK_KEY].map(Component::field));
    let tag = Parameters { tag: Some(INTRODUCTION_TAG.to_owned()), ..Parameters::default() };
    let target = Receiver::Bob.url().parse().unwrap();
    sign(&mut headers, &Method::POST, &target, "cb", &components, &tag, &key).unwrap();
    headers
}

/// A call to Bob by `key` as the API at `url`.
pub(crate) fn by_key(name: &str, url: &str, key: &Ed25519Key) -> Request {
    use countersign::schemes::webhook::wire::{KEY_TAG, SIGNATURE_AGENT};
    let mut headers = HeaderMap::new();
    headers.insert(SIGNATURE_AGENT, format!("cb=\"{url}\";type=webhook").try_into().unwrap());
    headers.insert(CONTENT_DIGEST, ContentDigest::of_sha256(EVES_ORDER.as_bytes()));
    let mut components = cover_floor(&headers, true);
    components.push(Component::field(SIGNATURE_AGENT));
    let parameters = Parameters {
        created: Some(NOW),
        expires: Some(Timestamp::from_secs(NOW.as_secs() + 60)),
        nonce: Some("eve".to_owned()),
        keyid: Some(countersign::crypto::thumbprint(&key.public())),
        tag: Some(KEY_TAG.to_owned()),
        ..Parameters::default()
    };
    let target = Receiver::Bob.url().parse().unwrap();
    sign(&mut headers, &Method::POST, &target, "cb", &components, &parameters, key).unwrap();
    Request { name: name.to_owned(), to: Receiver::Bob, body: EVES_ORDER, headers }
}
