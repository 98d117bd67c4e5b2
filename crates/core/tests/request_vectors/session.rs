//! `session`: both halves, handshakes, and sessions that are bound to a key.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::PublicUrl;
use countersign::crypto::{Ed25519Key, Random, SealKey, Secret, SystemRandom, decode_base62};
use countersign::dpop::{Dpop, DpopSigner, NoncePolicy};
use countersign::schemes::session::passwords::{PasswordCost, PasswordLimits, Passwords};
use countersign::schemes::session::{
    Accounts, DpopKeyProof, HandshakePolicy, Lifetimes, NewSession, Origins, SessionCookie, SessionDemand,
    SessionRecord, SessionVerifier, Sessions, Surroundings, Users, handshakes,
};
use countersign::testing::Given;
use countersign::time::Timestamp;
use countersign::workers::OnThisThread;
use serde_json::{Value, json};

use crate::bytes::Request;
use crate::file::{File, NOW, Story, altered, kept, settings, steady_numbers, steady_proof, step, story};
use crate::keys::{jwk, signing};
use crate::world::World;

const BOB: &str = "https://bob.example";
const USER: &str = "usr_0123456789ABCDEFGHIJKL";
const LIFETIMES: Lifetimes =
    Lifetimes { idle: Duration::from_secs(86_400), absolute: Duration::from_secs(30 * 86_400) };

#[tokio::test]
async fn requests_of_session_end_as_their_vectors_say() {
    let file = kept("session", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let began = Timestamp::from_secs(settings["user"]["signed_in_at"].as_u64().unwrap());
        let name = settings["user"]["id"].as_str().unwrap();
        let random = Given::new(decode_base62::<16>(&name.as_bytes()[4..]).unwrap().repeat(2));
        let seal = SealKey::new(Secret::new([9; 32]));
        let cost = PasswordCost { memory_kib: 8, passes: 1 };
        let limits = PasswordLimits { at_once: 1, waiting: 1 };
        let passwords = Passwords::new(&seal, cost, limits, Arc::new(OnThisThread), &SystemRandom).unwrap();
        let sessions = || Sessions::new(world.store.clone(), LIFETIMES);
        let accounts =
            Accounts::new(Users::new(world.store.clone()), sessions(), passwords, Arc::new(random));
        let user = accounts.add("ann@example.org", "Ann", "correct horse battery", began).await.unwrap();
        assert_eq!(user.id.to_string(), name);
        for session in settings["sessions"].as_array().unwrap() {
            let bytes = |value: &Value| URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
            let halves = [bytes(&session["cookie"]), bytes(&session["token"])].concat();
            let new = NewSession {
                user: user.id,
                generation: 0,
                bound: session["bound_to"].as_str().map(Into::into),
                agent: None,
            };
            let (halves, _) = sessions().begin(new, began, &InTurn::of(&halves)).await.unwrap();
            assert_eq!(halves.cookie.reveal().expose(), session["cookie"].as_str().unwrap());
            let place = SessionRecord::place(&halves.cookie);
            for handshake in session["handshakes"].as_array().unwrap() {
                handshakes::give(&world.store, place, began, &Given::new(bytes(handshake))).await.unwrap();
            }
        }
        let own = PublicUrl::parse(settings["public_url"].as_str().unwrap()).unwrap();
        let surroundings = Surroundings {
            cookie: SessionCookie::of(&own),
            origins: Origins::new(&own, []),
            key_proof: Arc::new(DpopKeyProof(Arc::new(Dpop::new(
                &Secret::new([9; 32]),
                NoncePolicy::Accepted,
            )))),
        };
        let key_bound = settings["route"]["key_bound"].as_bool().unwrap();
        let demand = SessionDemand { handshake: HandshakePolicy::UnsafeMethods, key_bound };
        let verifier = || SessionVerifier::new(world.store.clone(), surroundings.clone(), demand);
        let route = world.route(&settings, |rule| rule.verifier(verifier()));
        for step in &story.steps {
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

/// The first half, the second, and whatever else.
struct InTurn(std::sync::Mutex<Vec<u8>>);

impl InTurn {
    fn of(bytes: &[u8]) -> Self {
        Self(std::sync::Mutex::new(bytes.iter().copied().chain([0; 64]).collect()))
    }
}

impl Random for InTurn {
    fn fill(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.lock().unwrap().drain(..out.len()).collect::<Vec<_>>());
    }
}

fn half(byte: u8) -> String {
    URL_SAFE_NO_PAD.encode([byte; 32])
}

fn key(seed: u8) -> DpopSigner {
    let key = Ed25519Key::from_seed(Secret::new([seed; 32]));
    DpopSigner::new(key.into(), Arc::new(steady_numbers())).unwrap()
}

/// Of the kind that browsers make.
fn p256_key() -> DpopSigner {
    DpopSigner::new(signing(&jwk("P256")), Arc::new(steady_numbers())).unwrap()
}

fn made() -> File {
    File {
        about: "session: requests of a browser that is signed in, with the halves and handshakes that it was \
                given. Halves are 32 bytes in base64url. One session is bound to a key: `bound_to` is its RFC 7638 \
                thumbprint."
            .to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["session"], "key_bound": false },
            "session": { "handshake": "unsafe-methods" },
            "user": { "id": USER, "signed_in_at": NOW },
            "sessions": [
                { "cookie": half(1), "token": half(2), "bound_to": null, "handshakes": [half(3), half(4)] },
                { "cookie": half(5), "token": half(6), "bound_to": null, "handshakes": [half(7)] },
                { "cookie": half(8), "token": half(9), "bound_to": key(66).thumbprint(), "handshakes": [] },
                { "cookie": half(14), "token": half(15), "bound_to": p256_key().thumbprint(), "handshakes": [] },
            ],
        }),
        callers: json!({
            "key": {
                "kty": "OKP", "crv": "Ed25519",
                "x": URL_SAFE_NO_PAD.encode(Ed25519Key::from_seed(Secret::new([66; 32])).public()),
                "d": URL_SAFE_NO_PAD.encode([66; 32]),
            },
            "p256_key": jwk("P256"),
        }),
        stories: stories(),
    }
}

fn with_halves(request: Request, cookie: u8, token: u8) -> Request {
    let cookie = format!("theme=dark; __Host-session={}", half(cookie));
    request.with("cookie", cookie).with("authorization", format!("Bearer {}", half(token)))
}

fn get() -> Request {
    Request::new("GET", &format!("{BOB}/orders?open=yes"))
}

fn post() -> Request {
    let request = Request::new("POST", &format!("{BOB}/orders"));
    let request = request.with("origin", BOB).with("sec-fetch-site", "same-origin");
    request.body("application/json", "{\"item\":\"book\"}")
}

fn stories() -> Vec<Story> {
    let passes = format!("user:{USER}");
    let one = |name: &str, request: &Request, outcome: &str| story(name, [step(NOW, request, outcome)]);
    let shaken = |number| with_halves(post(), 1, 2).with("handshake", half(number));
    let upgrade = || {
        let request = Request::new("GET", &format!("{BOB}/live")).with("origin", BOB);
        let request = request.with("cookie", format!("__Host-session={}", half(1)));
        request.with("connection", "upgrade").with("upgrade", "websocket")
    };
    let offer = |half_of: u8, handshake: u8| {
        let (half, handshake) = (half(half_of), half(handshake));
        format!("countersign.half.{half}, countersign.handshake.{handshake}, chat")
    };
    let proven_at = |at, request: Request, signer: &DpopSigner, token: u8| {
        let now = Timestamp::from_secs(at);
        let proof = signer.prove(&request.method, &request.target, Some(&half(token)), None, now).unwrap();
        request.with("dpop", proof)
    };
    let bound = |request: Request| proven_at(NOW, with_halves(request, 8, 9), &key(66), 9);
    let dated = |name: &str, made_at, received_at, outcome: &str| {
        let request = proven_at(made_at, with_halves(get(), 8, 9), &key(66), 9);
        story(name, [step(received_at, &request, outcome)])
    };
    let mut stories = vec![
        one("both halves; reading needs no handshake", &with_halves(get(), 1, 2), &passes),
        story(
            "a change takes a handshake, which counts once",
            [
                step(NOW, &shaken(3), &passes),
                step(NOW, &shaken(3), "401 handshake_used"),
                step(NOW, &shaken(4), &passes),
            ],
        ),
        story(
            "for a minute",
            [step(NOW + 59, &shaken(3), &passes), step(NOW + 60, &shaken(4), "401 handshake_used")],
        ),
        one(
            "an upgrade: a page cannot set its headers",
            &upgrade().with("sec-websocket-protocol", offer(2, 3)),
            &passes,
        ),
        one(
            "refused: an upgrade without a handshake",
            &upgrade().with("sec-websocket-protocol", format!("countersign.half.{}, chat", half(2))),
            "401 handshake_missing",
        ),
        one(
            "refused: the cookie alone",
            &get().with("cookie", format!("__Host-session={}", half(1))),
            "401 proof_half",
        ),
        one(
            "refused: the token half alone",
            &get().with("authorization", format!("Bearer {}", half(2))),
            "401 proof_half",
        ),
        one("refused: halves of two sessions", &with_halves(get(), 1, 6), "401 proof_mismatch"),
        one("refused: a session that never was", &with_halves(get(), 11, 12), "401 proof_mismatch"),
        story(
            "refused: a session that was not used for a day",
            [step(NOW + 86_400, &with_halves(get(), 1, 2), "401 proof_mismatch")],
        ),
        one("refused: a change without a handshake", &with_halves(post(), 1, 2), "401 handshake_missing"),
        one("refused: another session's handshake", &shaken(7), "401 handshake_used"),
        one("refused: an invented handshake", &shaken(13), "401 handshake_used"),
        story(
            "refused: another site's page",
            [altered(
                step(NOW, &shaken(3), &passes),
                "Sec-Fetch-Site: same-origin",
                "Sec-Fetch-Site: cross-site",
                "403 cross_site",
            )],
        ),
        one(
            "refused: the cookie twice",
            &with_halves(get(), 1, 2).with("cookie", format!("__Host-session={}", half(1))),
            "400 credential_ambiguous",
        ),
        one(
            "refused: a cookie that is no half",
            &get().with("cookie", "__Host-session=AQEB").with("authorization", format!("Bearer {}", half(2))),
            "400 credential_malformed",
        ),
        one(
            "refused: a padded half is none, and the cookie beside another credential is not looked at",
            &get()
                .with("cookie", format!("__Host-session={}", half(1)))
                .with("authorization", format!("Bearer {}=", half(2))),
            "401 credential_missing",
        ),
        one("refused: nothing is presented", &get(), "401 credential_missing"),
    ];
    stories.extend([
        story(
            "bound to a key: a proof of it instead of the handshake, each once",
            [step(NOW, &bound(post()), &passes), step(NOW, &bound(post()), "401 dpop_invalid")],
        ),
        one("reading takes a proof, too", &bound(get()), &passes),
        dated("a proof that is 89 s old", NOW, NOW + 89, &passes),
        dated("refused: 91 s old", NOW, NOW + 91, "401 dpop_invalid"),
        dated("refused: 31 s ahead", NOW + 31, NOW, "401 dpop_invalid"),
        one("refused: both halves without a proof", &with_halves(get(), 8, 9), "401 dpop_invalid"),
        one(
            "refused: a proof by another key",
            &proven_at(NOW, with_halves(get(), 8, 9), &key(67), 9),
            "401 dpop_invalid",
        ),
        one(
            "refused: a proof over another half",
            &proven_at(NOW, with_halves(get(), 8, 9), &key(66), 2),
            "401 dpop_invalid",
        ),
        one(
            "refused: a proof for another method",
            &Request { method: http::Method::DELETE, ..bound(get()) },
            "401 dpop_invalid",
        ),
        one(
            "refused: a proof for another path",
            &Request { target: format!("{BOB}/other").parse().unwrap(), ..bound(get()) },
            "401 dpop_invalid",
        ),
    ]);
    let by_browser = {
        let (request, now) = (with_halves(post(), 14, 15), Timestamp::from_secs(NOW));
        let proof = p256_key().prove(&request.method, &request.target, Some(&half(15)), None, now).unwrap();
        let proof = steady_proof("session", &proof, signing(&jwk("P256")).verifying_key());
        request.with("dpop", proof)
    };
    stories.push(one("bound to a key of P-256, as browsers make them", &by_browser, &passes));
    let only_bound = json!({ "accept": ["session"], "key_bound": true });
    stories.extend([
        Story { receiver: json!({ "route": only_bound }), ..one("key_bound = true", &bound(get()), &passes) },
        Story {
            receiver: json!({ "route": only_bound }),
            ..one("refused: a session that is bound to none", &with_halves(get(), 1, 2), "401 dpop_invalid")
        },
    ]);
    stories
}
