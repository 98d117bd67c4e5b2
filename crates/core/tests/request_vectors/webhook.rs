//! `webhook`: questions, introduced keys, later requests, and their end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::ethereum::decode_hex;
use countersign::crypto::{Ed25519Key, Random, Secret, thumbprint};
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use countersign::schemes::signature::{Component, Parameters, cover_floor, sign};
use countersign::schemes::webhook::wire::Binding;
use countersign::schemes::webhook::{
    Algorithm, Callers, Token, TokenHash, UrlRules, WebhookVerifier, receiver_url,
};
use countersign::time::Timestamp;
use countersign::workers::OnThisThread;
use http::{HeaderMap, HeaderName};
use serde_json::json;

use crate::bytes::{Request, answer};
use crate::file::{
    Counted, File, NOW, Outcome, Question, Step, Story, altered, kept, settings, signed, step, story,
};
use crate::world::{World, base_of};

const BOB: &str = "https://bob.example";
const ALICE: &str = "https://alice.example/.well-known/webhook-auth";
const SEED: &str = "4242424242424242424242424242424242424242424242424242424242424242";
const HOUR: u64 = 3600;

/// What the step says is asked and answered, and nothing else.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<Question>>>);

impl Fetch for Script {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let question = self.0.lock().unwrap().pop_front().expect("the vector says that nobody is asked");
        assert_eq!(asked(&request.url.to_string(), &request.body), question.request);
        let (status, body) = answer(&question.answer);
        Ok(FetchResponse { status, headers: HeaderMap::new(), body })
    }
}

fn asked(url: &str, body: &[u8]) -> String {
    let question = Request::new("POST", url);
    question.body("application/json", std::str::from_utf8(body).unwrap()).write()
}

#[tokio::test]
async fn requests_of_webhook_end_as_their_vectors_say() {
    let file = kept("webhook", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let mut callers = Callers::default();
        for caller in settings["webhook"]["callers"].as_array().unwrap() {
            callers.add(caller.as_str().unwrap(), None, &UrlRules::default()).unwrap();
        }
        let script = Script::default();
        let verifier = WebhookVerifier {
            store: world.store.clone(),
            fetch: script.clone(),
            workers: Arc::new(OnThisThread),
            budget: Arc::default(),
            callers: Arc::new(callers),
            rules: UrlRules::default(),
            max_signed_body: 1024 * 1024,
        };
        let rule = world.rule(&settings, |rule| rule.verifier(verifier));
        for step in &story.steps {
            let question = step.question.as_ref();
            script.0.lock().unwrap().extend(question.map(|question| Question {
                request: question.request.clone(),
                answer: question.answer.clone(),
            }));
            world.play(&rule, &settings, &story.name, step).await;
            assert!(script.0.lock().unwrap().is_empty(), "{}: nobody was asked", story.name);
        }
    }
}

/// Alice, who writes requests.
struct Alice {
    random: Counted,
    key: Ed25519Key,
    jkt: String,
}

/// Of an introduction, what differs from one to the next.
struct Terms<'a> {
    expires: u64,
    scope: Option<&'a str>,
    created: u64,
    label: &'a str,
}

const USUAL: Terms<'static> = Terms { expires: NOW + HOUR, scope: None, created: NOW, label: "cb" };

impl Alice {
    fn question(hash: &str, request: &Request, answer: &str) -> Question {
        let url = receiver_url(&request.target.to_string()).unwrap();
        let body = json!({ "hash": hash, "url": url }).to_string();
        Question { request: asked(ALICE, body.as_bytes()), answer: answer.to_owned() }
    }

    fn token(&self, algorithm: Algorithm) -> (Token, String) {
        let token = Token::generate(&self.random);
        let hash = TokenHash::of(&token, algorithm, &self.random).as_str().to_owned();
        (token, hash)
    }

    /// A request that is proven by a question, answered as `answers` says of the token.
    fn one_shot(
        &self,
        request: Request,
        algorithm: Algorithm,
        answers: impl FnOnce(&str) -> String,
        outcome: &str,
    ) -> Step {
        let (token, hash) = self.token(algorithm);
        let request = request.with("authorization", format!("Webhook {ALICE} {hash}"));
        let question = Self::question(&hash, &request, &answers(token.reveal()));
        Step { question: Some(question), ..step(NOW, &request, outcome) }
    }

    /// A request that introduces the key.
    fn introduce(&self, request: Request, terms: &Terms<'_>, outcome: &str) -> Step {
        let x = URL_SAFE_NO_PAD.encode(self.key.public());
        let Terms { expires, scope, created, label } = *terms;
        let digest = request.headers.get("content-digest").map(|value| value.to_str().unwrap().to_owned());
        let receiver = receiver_url(&request.target.to_string()).unwrap();
        let binding = Binding {
            webhook_url: ALICE,
            receiver_url: &receiver,
            thumbprint: &self.jkt,
            expires,
            method: request.method.as_str(),
            target: &request.target.to_string(),
            content_digest: digest.as_deref().unwrap_or_default(),
            scope: scope.unwrap_or_default(),
        };
        let token = Token::bound_to(&binding.digest(), &self.random);
        let hash = TokenHash::of(&token, Algorithm::Sha256, &self.random).as_str().to_owned();
        let key_terms = match scope {
            Some(scope) => format!("exp={expires}, scope=\"{scope}\""),
            None => format!("exp={expires}"),
        };
        let mut request = request
            .with("authorization", format!("Webhook {ALICE} {hash}"))
            .with("signature-key", format!("{label}=hwk;kty=\"OKP\";crv=\"Ed25519\";x=\"{x}\""))
            .with("webhook-key", key_terms);
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(created)),
            keyid: Some(self.jkt.clone()),
            tag: Some("webhook-intro".to_owned()),
            ..Parameters::default()
        };
        self.sign(&mut request, label, &["authorization", "signature-key", "webhook-key"], &parameters);
        let question = Self::question(&hash, &request, &ok(token.reveal()));
        Step {
            question: Some(question),
            base: Some(base_of(&request)),
            ..step(terms.created.max(NOW), &request, outcome)
        }
    }

    fn sign(&self, request: &mut Request, label: &str, also: &[&'static str], parameters: &Parameters) {
        let mut components = cover_floor(&request.headers, false);
        components.extend(also.iter().map(|name| Component::field(HeaderName::from_static(name))));
        let Request { method, target, headers, .. } = request;
        sign(headers, method, target, label, &components, parameters, &self.key).unwrap();
    }

    /// A later request.
    fn later(&self, request: Request, created: u64) -> Request {
        self.later_of(request, created, created + 60, "cb", &["signature-agent"])
    }

    fn later_of(
        &self,
        request: Request,
        created: u64,
        expires: u64,
        member: &str,
        also: &[&'static str],
    ) -> Request {
        let mut request = request.with("signature-agent", format!("{member}=\"{ALICE}\";type=webhook"));
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let parameters = Parameters {
            created: Some(Timestamp::from_secs(created)),
            expires: Some(Timestamp::from_secs(expires)),
            nonce: Some(URL_SAFE_NO_PAD.encode(nonce)),
            keyid: Some(self.jkt.clone()),
            tag: Some("webhook-key".to_owned()),
            ..Parameters::default()
        };
        self.sign(&mut request, "cb", also, &parameters);
        request
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn get(target: &str) -> Request {
    Request::new("GET", &format!("{BOB}{target}"))
}

const BODY: &str = "{\"item\":\"book\",\"count\":2}";

/// With a body and its digest.
fn order(digest: &str) -> Request {
    let request = Request::new("POST", &format!("{BOB}/orders?dry=1"));
    request.body("application/json", BODY).with("content-digest", digest)
}

const SHA_256: &str = "sha-256=:IUeB2WOwSH95/16JhN4CWEenctB76sEuwrk70i0JLfc=:";
const SHA_512: &str =
    "sha-512=:xydRB4ZIVvLX0fyYoFvzwsVdjGehzciQu9NYsicXgf5lUw9wuP27PWWmjBFZ94AvtuIZZnSAN6gBbUC3s/o1XA==:";

fn unasked(step: Step) -> Step {
    Step { question: None, ..step }
}

fn made() -> File {
    let key = Ed25519Key::from_seed(Secret::new(decode_hex(SEED).unwrap()));
    let alice = Alice { random: Counted::default(), jkt: thumbprint(&key.public()), key };
    let callers = json!({ "alice": {
        "webhook_url": ALICE,
        "key": {
            "kty": "OKP", "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(alice.key.public()),
            "d": URL_SAFE_NO_PAD.encode(alice.key.seed().expose()),
        },
        "thumbprint": alice.jkt,
    }});
    let mut stories = one_shots(&alice);
    stories.extend(introductions(&alice));
    stories.extend(later_requests(&alice));
    File {
        about:
            "webhook: each question is what the receiver sends to the webhook URL while it decides, and the \
                answer it gets. A story in which nobody is asked has no question."
                .to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["webhook"] },
            "webhook": { "callers": ["https://alice.example"] },
        }),
        callers,
        stories,
    }
}

const HER: &str = "webhook:https://alice.example/.well-known/webhook-auth";

fn one_shots(alice: &Alice) -> Vec<Story> {
    let one = |name, step| story(name, [step]);
    let usual = || get("/orders/1?full=yes");
    let by = |algorithm| alice.one_shot(usual(), algorithm, ok, HER);
    let sha =
        |answers: fn(&str) -> String, outcome| alice.one_shot(usual(), Algorithm::Sha256, answers, outcome);
    let listed = by(Algorithm::Sha256);
    let elsewhere =
        altered(unasked(by(Algorithm::Sha256)), "alice.example", "eve.example", "403 webhook_caller");
    let with_hash = |hash: &str, outcome| {
        let request = usual().with("authorization", format!("Webhook {ALICE} {hash}"));
        step(NOW, &request, outcome)
    };
    let bcrypt = |cost: &str| format!("$2b${cost}$Y8FP2QNi3xUqr3cIc1e/S.GW1nkRDJf8hVF/JxNHoxRakXgqDAXh2");
    let (token, hash) = alice.token(Algorithm::Sha256);
    let as_parameters = usual().with("authorization", format!("Webhook hash=\"{hash}\", url=\"{ALICE}\""));
    let question = Alice::question(&hash, &as_parameters, &ok(token.reveal()));
    let as_parameters = Step { question: Some(question), ..step(NOW, &as_parameters, HER) };
    let (token, hash) = alice.token(Algorithm::Sha256);
    let posted = Request::new("POST", &format!("{BOB}/orders?dry=1")).body("application/json", BODY);
    let posted = posted.with("authorization", format!("Webhook {ALICE} {hash}"));
    let question = Alice::question(&hash, &posted, &ok(token.reveal()));
    let posted = Step { question: Some(question), ..step(NOW, &posted, HER) };
    vec![
        one("a question, by sha-256; the query is not in it", listed),
        one("by bcrypt", by(Algorithm::Bcrypt)),
        one("as parameters, in any order", as_parameters),
        one("with a body, which a question does not bind", posted),
        one("refused: the answer is another token", sha(|_| ok(&"A".repeat(43)), "401 webhook_denied")),
        one(
            "refused: a line feed behind the token",
            sha(|token| ok(&format!("{token}\n")), "401 webhook_denied"),
        ),
        one("refused: the hash comes back", sha(|_| ok("sha-256.".repeat(6).as_str()), "401 webhook_denied")),
        one(
            "refused: it knows nothing of it",
            sha(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "401 webhook_denied"),
        ),
        one(
            "refused: a redirect is not followed",
            sha(
                |_| {
                    "HTTP/1.1 302 Found\r\nLocation: https://eve.example/\r\nContent-Length: 0\r\n\r\n"
                        .to_owned()
                },
                "401 webhook_denied",
            ),
        ),
        one("refused, and nobody is asked: not listed", elsewhere),
        one(
            "refused: another path of a listed origin",
            altered(
                unasked(by(Algorithm::Sha256)),
                "/.well-known/webhook-auth",
                "/other",
                "403 webhook_caller",
            ),
        ),
        one(
            "refused: not https",
            altered(unasked(by(Algorithm::Sha256)), "https://", "http://", "400 webhook_url"),
        ),
        one("refused: a hash of no known form", with_hash("md5.0123456789abcdef", "400 hash_format")),
        one("refused: bcrypt that costs too much", with_hash(&bcrypt("13"), "400 hash_cost")),
        one("refused: bcrypt that costs too little", with_hash(&bcrypt("03"), "400 hash_cost")),
        one("refused: a scheme and nothing more", {
            let request = usual().with("authorization", "Webhook");
            step(NOW, &request, "400 credential_malformed")
        }),
        one("refused: nothing is presented", step(NOW, &usual(), "401 credential_missing")),
    ]
}

fn introductions(alice: &Alice) -> Vec<Story> {
    let one = |name, step| story(name, [step]);
    let introduce = |terms: &Terms<'_>| alice.introduce(order(SHA_256), terms, HER);
    let plain = {
        // A token that is bound to nothing: the question has been answered, and the key is not kept.
        let bound = introduce(&USUAL);
        let (_, hash) = alice.token(Algorithm::Sha256);
        let (token, _) = alice.token(Algorithm::Sha256);
        drop(hash);
        let question = bound.question.unwrap();
        let answer = ok(token.reveal());
        let question = Some(Question { answer, ..question });
        Step { question, outcome: Outcome::parse("401 webhook_denied"), ..bound }
    };
    let another_key = {
        let bound = unasked(introduce(&USUAL));
        let x = URL_SAFE_NO_PAD.encode(alice.key.public());
        let other = Ed25519Key::from_seed(Secret::new([7; 32])).public();
        altered(bound, &x, &URL_SAFE_NO_PAD.encode(other), "401 signature_invalid")
    };
    let later = |at, outcome: &str| {
        let request = alice.later(get("/orders/1"), at);
        signed(at, &request, outcome)
    };
    vec![
        one("a key is introduced with a body", introduce(&USUAL)),
        one("without a body there is no digest, and an empty query is a question mark", {
            alice.introduce(get("/orders"), &USUAL, HER)
        }),
        one("by another label than cb", introduce(&Terms { label: "alice-1", ..USUAL })),
        one("whatever `created` says: the token is what passes once", {
            introduce(&Terms { created: NOW - 24 * HOUR, ..USUAL })
        }),
        story(
            "an `exp` beyond the hour counts for an hour from its arrival",
            [
                introduce(&Terms { expires: NOW + 24 * HOUR, ..USUAL }),
                later(NOW + HOUR - 1, HER),
                later(NOW + HOUR, "401 webhook_key_unknown"),
            ],
        ),
        story(
            "exp=0 withdraws the key; the request itself passes",
            [
                introduce(&USUAL),
                later(NOW, HER),
                introduce(&Terms { expires: 0, ..USUAL }),
                later(NOW + 1, "401 webhook_key_unknown"),
            ],
        ),
        story(
            "so does an `exp` that is over",
            [
                introduce(&USUAL),
                introduce(&Terms { expires: NOW, ..USUAL }),
                later(NOW + 1, "401 webhook_key_unknown"),
            ],
        ),
        one("with a scope, which limits the key and grants nothing", {
            introduce(&Terms { scope: Some("orders:read"), ..USUAL })
        }),
        one("refused: the token is bound to nothing", plain),
        one("refused, and nobody is asked: another key than the one that signed", another_key),
        one("refused: another scope than was signed", {
            let scoped = unasked(introduce(&Terms { scope: Some("orders:read"), ..USUAL }));
            altered(scoped, "orders:read", "orders:all", "401 signature_invalid")
        }),
        one("refused: another body than the digest's, once the question is answered", {
            altered(introduce(&USUAL), "\"book\"", "\"boot\"", "401 content_digest")
        }),
        one("refused: the key is there under another label", {
            altered(
                unasked(introduce(&USUAL)),
                "Signature-Key: cb=",
                "Signature-Key: dd=",
                "400 credential_malformed",
            )
        }),
        one("refused: the signature does not cover the credential", {
            altered(unasked(introduce(&USUAL)), " \"authorization\"", "", "401 signature_coverage")
        }),
    ]
}

fn later_requests(alice: &Alice) -> Vec<Story> {
    let introduced = || alice.introduce(order(SHA_256), &USUAL, HER);
    let after = |name: &str, request: Request, received_at, outcome: &str| {
        story(name, [introduced(), signed(received_at, &request, outcome)])
    };
    let bent = |name: &str, old, new, outcome| {
        let request = alice.later(order(SHA_256), NOW);
        story(name, [introduced(), altered(signed(NOW, &request, HER), old, new, outcome)])
    };
    let at_life = |life| alice.later_of(get("/orders"), NOW, NOW + life, "cb", &["signature-agent"]);
    let twice = alice.later(order(SHA_256), NOW);
    vec![
        story(
            "a later request, and again: its nonce passes once",
            [introduced(), signed(NOW + 1, &twice, HER), signed(NOW + 2, &twice, "401 signature_replayed")],
        ),
        after("without a query: `@query` is a question mark", alice.later(get("/orders"), NOW), NOW, HER),
        after("with an empty query: a question mark as well", alice.later(get("/orders?"), NOW), NOW, HER),
        after("a digest by sha-512", alice.later(order(SHA_512), NOW), NOW, HER),
        after(
            "by both: each must be the body's",
            alice.later(order(&format!("{SHA_256}, {SHA_512}")), NOW),
            NOW,
            HER,
        ),
        after(
            "refused: a digest by neither",
            alice.later(order("md5=:q83vASNFZ4mrze8BI0VniQ==:"), NOW),
            NOW,
            "401 content_digest",
        ),
        after("made 30 s ahead", alice.later(get("/orders"), NOW + 30), NOW, HER),
        after("refused: 31 s ahead", alice.later(get("/orders"), NOW + 31), NOW, "401 proof_future"),
        after(
            "89 s old: 60 s of life and less than 30 s of skew",
            alice.later(get("/orders"), NOW),
            NOW + 89,
            HER,
        ),
        after("refused: 90 s old", alice.later(get("/orders"), NOW), NOW + 90, "401 proof_expired"),
        after("refused: made to live 61 s", at_life(61), NOW, "401 proof_expired"),
        after(
            "refused: the agent is not the member of the signature's label",
            alice.later_of(get("/orders"), NOW, NOW + 60, "alice", &["signature-agent"]),
            NOW,
            "400 credential_malformed",
        ),
        after(
            "refused: the agent is not covered",
            alice.later_of(get("/orders"), NOW, NOW + 60, "cb", &[]),
            NOW,
            "401 signature_coverage",
        ),
        bent("refused: another body", "\"book\"", "\"boot\"", "401 content_digest"),
        bent("refused: another query", "dry=1", "dry=0", "401 signature_invalid"),
        bent("refused: another method", "POST", "PUT", "401 signature_invalid"),
        bent("refused: another media type", "application/json", "text/plain", "401 signature_invalid"),
        bent(
            "refused: a listed caller's key under another's name",
            ALICE,
            "https://eve.example/.well-known/webhook-auth",
            "403 webhook_caller",
        ),
        story(
            "refused: never introduced",
            [signed(NOW, &alice.later(get("/orders"), NOW), "401 webhook_key_unknown")],
        ),
    ]
}
