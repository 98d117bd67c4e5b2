//! `webhook`: questions, introduced keys, later requests, and their end.

mod alice;
mod stories;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::ethereum::decode_hex;
use countersign::crypto::{Ed25519Key, Secret, thumbprint};
use countersign::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};
use countersign::schemes::webhook::{Callers, UrlRules, WebhookVerifier};
use countersign::workers::OnThisThread;
use http::HeaderMap;
use serde_json::json;

use alice::Alice;

use crate::bytes::{Request, answer};
use crate::file::{File, Question, kept, settings, steady_numbers};
use crate::world::World;

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
        let callers = Arc::new(callers);
        let verifier = || WebhookVerifier {
            store: world.store.clone(),
            fetch: script.clone(),
            workers: Arc::new(OnThisThread),
            budget: Arc::default(),
            callers: callers.clone(),
            rules: UrlRules::default(),
            max_signed_body: 1024 * 1024,
        };
        let route = world.route(&settings, |rule| rule.verifier(verifier()));
        for step in &story.steps {
            let question = step.question.as_ref();
            script.0.lock().unwrap().extend(question.map(|question| Question {
                request: question.request.clone(),
                answer: question.answer.clone(),
            }));
            world.play(&route, &settings, &story.name, step).await;
            assert!(script.0.lock().unwrap().is_empty(), "{}: nobody was asked", story.name);
        }
    }
}

fn made() -> File {
    let key = Ed25519Key::from_seed(Secret::new(decode_hex(SEED).unwrap()));
    let alice = Alice { random: steady_numbers(), jkt: thumbprint(&key.public()), key };
    let callers = json!({ "alice": {
        "webhook_url": ALICE,
        "key": {
            "kty": "OKP", "crv": "Ed25519",
            "x": URL_SAFE_NO_PAD.encode(alice.key.public()),
            "d": URL_SAFE_NO_PAD.encode(alice.key.seed().expose()),
        },
        "thumbprint": alice.jkt,
    }});
    let mut stories = stories::one_shots(&alice);
    stories.extend(stories::introductions(&alice));
    stories.extend(stories::later_requests(&alice));
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
