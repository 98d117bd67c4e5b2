//! `signature`: a request of each kind of key, and what is refused of them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::crypto::ethereum::{EthereumKey, decode_hex};
use countersign::crypto::{Secret, SigningKey};
use countersign::schemes::signature::{
    Component, Derived, Erc8128Form, Parameters, RequestSigner, SignAs, cover_floor, sign,
};
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign::time::Timestamp;
use http::HeaderName;
use serde_json::{Value, json};

use crate::bytes::Request;
use crate::file::{
    File, NOW, Story, altered, kept, settings, signed, steady_numbers, step, story, what_is_kept,
};
use crate::keys::{jwk, route, signing};
use crate::world::{World, base_of};

const BOB: &str = "https://bob.example";
const HMAC: &str = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
const WALLET: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
const KEYS: [(&str, &str); 5] = [
    ("ed25519key01", "ed25519"),
    ("p256key00001", "P256"),
    ("p384key00001", "P384"),
    ("rsapsskey001", "RSA for PSS"),
    ("rsav15key001", "RSA for v1.5"),
];

#[tokio::test]
async fn requests_of_signature_end_as_their_vectors_say() {
    let file = kept("signature", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let route = route(&world, &settings).await;
        for step in &story.steps {
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

/// The public half of a key.
fn public(name: &str) -> Value {
    let mut jwk = jwk(name);
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        jwk.as_object_mut().unwrap().remove(private);
    }
    jwk
}

fn hmac() -> SigningKey {
    SigningKey::from_hmac_secret(&Secret::new(decode_hex::<32>(HMAC).unwrap().to_vec())).unwrap()
}

fn made() -> File {
    // The last is the same key, used otherwise: it is registered in its own story.
    let mut keys: Vec<Value> =
        KEYS[..4].iter().map(|(id, name)| json!({ "id": id, "jwk": public(name) })).collect();
    keys.push(json!({ "id": "hmackey00001", "hmac_secret": HMAC }));
    let held = KEYS.iter().map(|(id, name)| ((*id).to_owned(), json!({ "keys.json": name })));
    let mut callers: serde_json::Map<String, Value> = held.collect();
    callers.insert("wallet".to_owned(), json!({ "ethereum_key": WALLET }));
    File {
        about:
            "signature: requests signed by each kind of key (RFC 9421, RFC 9530). Private keys are those of \
                keys.json, by name. Signatures of P-256, P-384 and RSA-PSS take random numbers: they can be \
                verified, and not made again. A wallet signs the base as a personal message (EIP-191)."
                .to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["signature"], "untagged": false },
            "signature": { "wallets": true },
            "keys": keys,
        }),
        callers: callers.into(),
        stories: [of_each_kind(), what_differs(), refused()].into_iter().flatten().collect(),
    }
}

fn get() -> Request {
    Request::new("GET", &format!("{BOB}/orders?open=yes"))
}

const BODY: &str = "{\"item\":\"book\",\"count\":2}";
const SHA_512: &str =
    "sha-512=:xydRB4ZIVvLX0fyYoFvzwsVdjGehzciQu9NYsicXgf5lUw9wuP27PWWmjBFZ94AvtuIZZnSAN6gBbUC3s/o1XA==:";
const SHA_256: &str = "sha-256=:IUeB2WOwSH95/16JhN4CWEenctB76sEuwrk70i0JLfc=:";

fn post() -> Request {
    Request::new("POST", &format!("{BOB}/orders")).body("application/json", BODY)
}

fn sent(mut request: Request, signer: &RequestSigner) -> Request {
    let body = match request.body.is_empty() {
        true => OutgoingBody::Absent,
        false => OutgoingBody::Whole(&request.body),
    };
    let now = Timestamp::from_secs(NOW);
    signer.sign_request(&request.method, &request.target, &mut request.headers, body, now).unwrap();
    request
}

/// Of a key that signs with random numbers, the signature that is in the file, where it holds.
fn steady(mut request: Request, key: &SigningKey) -> Request {
    let base = base_of(&request);
    let kept = what_is_kept("signature");
    let steps = kept.iter().flat_map(|file| &file.stories).flat_map(|story| &story.steps);
    for step in steps.filter(|step| step.base.as_deref() == Some(&*base)) {
        let before = Request::read(&step.request, BOB);
        let signature = before.headers["signature"].to_str().unwrap();
        let bytes = signature.strip_prefix("sig1=:").and_then(|rest| rest.strip_suffix(':')).unwrap();
        if key.verifying_key().verify(base.as_bytes(), &STANDARD.decode(bytes).unwrap()) {
            request.headers.insert("signature", before.headers["signature"].clone());
        }
    }
    request
}

fn of_each_kind() -> Vec<Story> {
    let mut stories = Vec::new();
    for (id, name) in KEYS {
        let signer = RequestSigner::new(signing(&jwk(name)), id, Arc::new(steady_numbers()));
        let both = [post(), get()].map(|request| steady(sent(request, &signer), &signing(&jwk(name))));
        let steps = both.map(|request| signed(NOW, &request, &format!("key:{id}")));
        stories.push(story(name, steps));
    }
    let (id, name) = KEYS[4];
    stories[4].receiver = json!({ "keys": [{ "id": id, "jwk": public(name) }] });
    let hmac = RequestSigner::new(hmac(), "hmackey00001", Arc::new(steady_numbers()));
    let steps = [post(), get()].map(|request| signed(NOW, &sent(request, &hmac), "key:hmackey00001"));
    stories.push(story("HMAC", steps));
    for (name, form) in [
        ("a wallet (ERC-8128)", Erc8128Form::Tagged),
        ("a wallet (ERC-8128 as it is published, without a tag)", Erc8128Form::Untagged),
    ] {
        let key = EthereumKey::from_hex(WALLET).unwrap();
        let passes = format!("eip155:{}", key.address());
        let wallet = RequestSigner::of_wallet(key, SignAs { chain: 1, form }, Arc::new(steady_numbers()));
        let both = [post(), get()].map(|request| sent(request, &wallet));
        stories.push(story(name, both.each_ref().map(|request| signed(NOW, request, &passes))));
        let [ordered, _] = &both;
        let again = signed(NOW + 1, ordered, "401 signature_replayed");
        stories.push(story(&format!("refused: {name}, again"), [signed(NOW, ordered, &passes), again]));
        stories.push(story(&format!("{name}, 90 s old"), [signed(NOW + 90, ordered, &passes)]));
        let late = signed(NOW + 91, ordered, "401 proof_expired");
        stories.push(story(&format!("refused: {name}, 91 s old"), [late]));
        for (what, old, new, outcome) in [
            ("another body", "book", "boot", "401 content_digest"),
            ("another path", " /orders ", " /order ", "401 signature_invalid"),
            ("another address", "0x6370", "0x6371", "401 signature_invalid"),
            ("another chain", ":1:0x", ":10:0x", "401 signature_invalid"),
        ] {
            let bent = altered(signed(NOW, ordered, &passes), old, new, outcome);
            stories.push(story(&format!("refused: {name}, {what}"), [bent]));
        }
        let unread = json!({ "signature": { "wallets": false } });
        let elsewhere = story(
            &format!("refused: {name}, where wallets = false"),
            [signed(NOW, ordered, "401 credential_missing")],
        );
        stories.push(Story { receiver: unread, ..elsewhere });
    }
    stories
}

/// What a signature of the Ed25519 key says of itself, and covers.
struct Terms {
    created: u64,
    expires: u64,
    alg: Option<&'static str>,
    keyid: &'static str,
    tag: Option<&'static str>,
    nonce: Option<&'static str>,
    without: &'static str,
    also: &'static [&'static str],
    label: &'static str,
    /// `@target-uri` for the four of the target, and another order.
    whole: bool,
}

const USUAL: Terms = Terms {
    created: NOW,
    expires: NOW + 60,
    alg: None,
    keyid: "ed25519key01",
    tag: Some("countersign"),
    nonce: Some("b7MZ0Jq1Zb0Y3mJv"),
    without: "",
    also: &[],
    label: "sig1",
    whole: false,
};
const PASSES: &str = "key:ed25519key01";

fn by(terms: &Terms, mut request: Request) -> Request {
    let parameters = Parameters {
        created: Some(Timestamp::from_secs(terms.created)),
        expires: Some(Timestamp::from_secs(terms.expires)),
        nonce: terms.nonce.map(str::to_owned),
        alg: terms.alg.map(str::to_owned),
        keyid: Some(terms.keyid.to_owned()),
        tag: terms.tag.map(str::to_owned),
    };
    let mut components = cover_floor(&request.headers, false);
    components.extend(terms.also.iter().map(|name| Component::field(HeaderName::from_static(name))));
    components.retain(|component| component.to_string() != format!("\"{}\"", terms.without));
    if terms.whole {
        components.retain(|component| !component.to_string().contains('@'));
        components.extend([Derived::TargetUri, Derived::Method].map(Component::derived));
    }
    let Request { method, target, headers, .. } = &mut request;
    sign(headers, method, target, terms.label, &components, &parameters, &signing(&jwk("ed25519"))).unwrap();
    request
}

fn one(name: &str, terms: &Terms, request: Request, outcome: &str) -> Story {
    story(name, [signed(NOW, &by(terms, request), outcome)])
}

fn what_differs() -> Vec<Story> {
    let dated = |name: &str, received_at, outcome: &str| {
        story(name, [signed(received_at, &by(&USUAL, get()), outcome)])
    };
    let twice = by(&USUAL, post().with("content-digest", SHA_256));
    let untagged = Terms { tag: None, ..USUAL };
    vec![
        story(
            "its nonce passes once",
            [signed(NOW, &twice, PASSES), signed(NOW + 1, &twice, "401 signature_replayed")],
        ),
        one(
            "without a query: `@query` is a question mark",
            &USUAL,
            Request::new("GET", &format!("{BOB}/orders")),
            PASSES,
        ),
        one(
            "a path with escapes, as it is sent",
            &USUAL,
            Request::new("GET", &format!("{BOB}/a%20b/%C3%A9?q=%2f+%26")),
            PASSES,
        ),
        one(
            "more is covered",
            &Terms { also: &["x-request-id"], ..USUAL },
            get().with("x-request-id", "42"),
            PASSES,
        ),
        one(
            "with the algorithm, which is the key's",
            &Terms { alg: Some("ed25519"), ..USUAL },
            get(),
            PASSES,
        ),
        one("sha-512", &USUAL, post().with("content-digest", SHA_512), PASSES),
        dated("30 s before it was made", NOW - 30, PASSES),
        dated("refused: 31 s before", NOW - 31, "401 proof_future"),
        dated("29 s after it ended", NOW + 89, PASSES),
        dated("refused: 30 s after", NOW + 90, "401 proof_expired"),
        one("another label", &Terms { label: "of-alice", ..USUAL }, get(), PASSES),
        one(
            "@target-uri for the four of the target, and another order",
            &Terms { whole: true, ..USUAL },
            post().with("content-digest", SHA_256),
            PASSES,
        ),
        one("both digests", &USUAL, post().with("content-digest", format!("{SHA_512}, {SHA_256}")), PASSES),
        one(
            "a digest that no algorithm here makes, beside one",
            &USUAL,
            post().with("content-digest", format!("md5=:q83vASNFZ4mrze8BI0VniQ==:, {SHA_256}")),
            PASSES,
        ),
        Story {
            receiver: json!({ "route": { "accept": ["signature"], "untagged": true } }),
            ..one("without a tag, where the route says untagged = true", &untagged, get(), PASSES)
        },
        one("refused: without a tag elsewhere", &untagged, get(), "401 credential_missing"),
        one("refused: made to live 61 s", &Terms { expires: NOW + 61, ..USUAL }, get(), "401 proof_expired"),
    ]
}

fn refused() -> Vec<Story> {
    let less = |without| Terms { without, ..USUAL };
    let ordered = || post().with("content-digest", SHA_256);
    let bent = |name: &str, old, new, outcome| {
        story(name, [altered(signed(NOW, &by(&USUAL, ordered()), PASSES), old, new, outcome)])
    };
    let elsewhere = {
        // Signed for another host, and brought here.
        let signed = by(&USUAL, Request::new("GET", "https://carol.example/orders?open=yes"));
        step(NOW, &signed, "401 signature_invalid")
    };
    let mut stories: Vec<Story> =
        ["@method", "@scheme", "@authority", "@path", "@query", "content-type", "content-digest"]
            .into_iter()
            .map(|part| {
                one(
                    &format!("refused: {part} is not covered"),
                    &less(part),
                    ordered(),
                    "401 signature_coverage",
                )
            })
            .collect();
    stories.extend([
        one("refused: no nonce", &Terms { nonce: None, ..USUAL }, get(), "401 signature_coverage"),
        one(
            "refused: an unknown key",
            &Terms { keyid: "nobody000001", ..USUAL },
            get(),
            "401 signature_invalid",
        ),
        one(
            "refused: another key's name",
            &Terms { keyid: "p256key00001", ..USUAL },
            get(),
            "401 signature_invalid",
        ),
        one(
            "refused: another algorithm than the key's",
            &Terms { alg: Some("hmac-sha256"), ..USUAL },
            get(),
            "401 signature_invalid",
        ),
        one(
            "refused: a digest that no algorithm here makes",
            &USUAL,
            post().with("content-digest", "md5=:q83vASNFZ4mrze8BI0VniQ==:"),
            "401 content_digest",
        ),
        one(
            "refused: both digests, and one is another body's",
            &USUAL,
            post().with("content-digest", format!("{SHA_256}, {}", SHA_512.replace("xydRB4", "yydRB4"))),
            "401 content_digest",
        ),
        story("refused: signed for another host", [elsewhere]),
        bent("refused: another body", "book", "boot", "401 content_digest"),
        bent("refused: another body and its digest", "IUeB2WOwSH95", "JUeB2WOwSH95", "401 signature_invalid"),
        bent("refused: another method", "POST /", "PUT /", "401 signature_invalid"),
        bent("refused: another path", " /orders ", " /order ", "401 signature_invalid"),
        bent(
            "refused: a query that was not signed",
            " /orders ",
            " /orders?all=yes ",
            "401 signature_invalid",
        ),
        bent("refused: another media type", "application/json", "text/plain", "401 signature_invalid"),
        bent(
            "refused: a label without its signature",
            "Signature: sig1=",
            "Signature: sig2=",
            "400 credential_malformed",
        ),
        story("refused: nothing is presented", [step(NOW, &get(), "401 credential_missing")]),
    ]);
    stories
}
