//! `callback-url`: what opens one thing, once, and what the application's answer makes of it.

use std::sync::Arc;
use std::time::Duration;

use countersign::PublicUrl;
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Random, Secret, SigningKey, decode_base62, encode_base62};
use countersign::path::Template;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minter,
    TokenForm,
};
use countersign::testing::Given;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::bytes::Request;
use crate::file::{
    Application, File, NOW, Outcome, Step, Story, altered, kept, settings, steady_numbers, step, story,
};
use crate::world::World;

const A: &str = "https://a.example";
const ROUTE: &str = "/v1/results/{res_id}/{token}";
const SECRET: &str = "thirty-two bytes that are shared";
const TTL: u64 = 900;
const BODY: &str = "{\"done\":true}";

#[tokio::test]
async fn requests_of_callback_url_end_as_their_vectors_say() {
    let file = kept("callback_url", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let secret = settings["callback"]["secret"].as_str().unwrap();
        let secret = Secret::new(secret.as_bytes().to_vec());
        let keys = Arc::new(CallbackKeys::shared(&secret).unwrap());
        let public_url = PublicUrl::parse(settings["public_url"].as_str().unwrap()).unwrap();
        let template = settings["route"]["path"].as_str().unwrap();
        let route = CallbackRoute::new(Template::parse(template).unwrap()).unwrap();
        for minted in settings["static_tokens"].as_array().unwrap() {
            let text = |name: &str| minted[name].as_str().unwrap();
            let random = decode_base62::<32>(text("token").as_bytes()).unwrap().to_vec();
            let minter = Minter {
                callbacks: Callbacks::new(world.store.clone()),
                keys: keys.clone(),
                public_url: public_url.clone(),
                max_ttl: Duration::from_secs(TTL),
                random: Arc::new(Given::new(random)),
            };
            let terms = CallbackTerms {
                user: text("user").to_owned(),
                resource: Some(text("resource").to_owned()),
                ..CallbackTerms::default()
            };
            let now = Timestamp::from_secs(minted["minted_at"].as_u64().unwrap());
            let ttl = Duration::from_secs(minted["ttl"].as_u64().unwrap());
            let minted = minter.mint(&route, TokenForm::Static, terms, ttl, now).await.unwrap();
            assert!(minted.url.expose().ends_with(text("token")));
        }
        let max_body = settings["callback"]["max_body"].as_u64().unwrap();
        let verifier = || CallbackVerifier {
            store: world.store.clone(),
            keys: keys.clone(),
            public_url: public_url.clone(),
            route: route.clone(),
            limits: CallbackLimits {
                max_body: usize::try_from(max_body).unwrap(),
                lease: Duration::from_secs(90),
                strict: settings["callback"]["strict"].as_bool().unwrap(),
            },
        };
        let route = world.route(&settings, |rule| rule.verifier(verifier()));
        for step in &story.steps {
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

fn claims(jti: &str) -> Value {
    json!({
        "iss": A, "aud": format!("{A}/callbacks"), "exp": NOW + TTL, "jti": jti,
        "_id": "u1", "path": ROUTE, "res_id": "42",
    })
}

fn token(claims: &Value) -> String {
    token_typed("callback+jwt", claims)
}

fn token_typed(typ: &str, claims: &Value) -> String {
    let key = SigningKey::from_hmac_secret(&Secret::new(SECRET.as_bytes().to_vec())).unwrap();
    sign(&key, &JwtHeader { typ: Some(typ), ..JwtHeader::default() }, claims).unwrap()
}

fn with(jti: &str, name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims(jti);
    claims[name] = value.into();
    token(&claims)
}

fn call(token: &str) -> Request {
    Request::new("POST", &format!("{A}/v1/results/42/{token}")).body("application/json", BODY)
}

fn answered(step: Step, name: &str, status: impl Into<Option<u16>>) -> Step {
    let application = Application { idempotency_key: Some(name.to_owned()), status: status.into() };
    Step { application: Some(application), ..step }
}

fn made() -> File {
    let mut random = [0; 32];
    steady_numbers().fill(&mut random);
    let fixed = String::from_utf8(encode_base62::<43>(&random).to_vec()).unwrap();
    File {
        about: "callback-url: HTTP exchanges with a token by a secret that both sides keep (HS256, \
                `[callback] secret_file`), and with a static one. Tokens by the gateway's own keys are made and \
                read by it alone. `application` is what stands behind it: the Idempotency-Key that it is given, \
                null where there is none, and the status that it answers, null for a connection that broke. It \
                receives the path without the token's segment."
            .to_owned(),
        receiver: json!({
            "public_url": A,
            "route": { "path": ROUTE, "accept": ["callback-url"] },
            "callback": { "secret": SECRET, "max_body": 64, "strict": false },
            "static_tokens": [
                { "token": fixed, "user": "u1", "resource": "42", "minted_at": NOW, "ttl": TTL },
            ],
        }),
        callers: json!({ "claims": claims("one") }),
        stories: stories(&fixed),
    }
}

fn stories(fixed: &str) -> Vec<Story> {
    let passes = |token: &str| step(NOW, &call(token), "callback:u1");
    let once = || answered(passes(&token(&claims("one"))), "one", 200);
    let again = |outcome| step(NOW + 1, &call(&token(&claims("one"))), outcome);
    let refused = |name: &str, token: &str, outcome| story(name, [step(NOW, &call(token), outcome)]);
    let bent = |name: &str, old, new, outcome| story(name, [altered(once(), old, new, outcome)]);
    let other_body = |outcome| {
        let request = call(&token(&claims("one")));
        altered(step(NOW + 1, &request, outcome), "true", "null", outcome)
    };
    let fixed_use = |at| {
        let application = Application { idempotency_key: None, status: Some(200) };
        Step { application: Some(application), ..step(at, &call(fixed), "callback:u1") }
    };
    let get = Request::new("GET", &format!("{A}/v1/results/42/{}", with("one", "htm", "GET")));
    vec![
        story("once, and then it is consumed", [once(), again("409 callback_consumed")]),
        story(
            "a redirect consumes it too",
            [answered(passes(&token(&claims("one"))), "one", 303), again("409 callback_consumed")],
        ),
        story(
            "a 4xx leaves it open, for any body",
            [
                answered(passes(&token(&claims("one"))), "one", 422),
                answered(other_body("callback:u1"), "one", 200),
                again("409 callback_consumed"),
            ],
        ),
        story(
            "a 5xx leaves it open for the same body alone",
            [
                answered(passes(&token(&claims("one"))), "one", 503),
                other_body("409 callback_consumed"),
                answered(again("callback:u1"), "one", 200),
            ],
        ),
        story(
            "so does a connection that broke",
            [
                answered(passes(&token(&claims("one"))), "one", None),
                other_body("409 callback_consumed"),
                answered(again("callback:u1"), "one", 200),
            ],
        ),
        story("five attempts, and it is over", {
            let mut steps = vec![answered(passes(&token(&claims("one"))), "one", 500)];
            steps.extend((0..4).map(|_| answered(again("callback:u1"), "one", 500)));
            steps.push(again("409 callback_consumed"));
            steps
        }),
        story(
            "while it is in use",
            [
                // The application has not answered yet.
                passes(&token(&claims("one"))),
                again("409 callback_in_use"),
            ],
        ),
        story("two uses", {
            let two = || passes(&with("two", "uses", 2));
            [
                answered(two(), "two", 200),
                answered(two(), "two", 200),
                Step { outcome: Outcome::parse("409 callback_consumed"), ..two() },
            ]
        }),
        Story {
            receiver: json!({ "callback": { "secret": SECRET, "max_body": 64, "strict": true } }),
            ..story(
                "strict: consumed before it is forwarded",
                [answered(passes(&token(&claims("one"))), "one", 503), again("409 callback_consumed")],
            )
        },
        story(
            "another method, where the token names it",
            [answered(step(NOW, &get, "callback:u1"), "one", 200)],
        ),
        story(
            "a static token, as often as one likes until it ends",
            [fixed_use(NOW), fixed_use(NOW + 1), step(NOW + TTL, &call(fixed), "401 token_expired")],
        ),
        story("refused: at its end", [step(NOW + TTL, &call(&token(&claims("two"))), "401 token_expired")]),
        bent("refused: another resource", "/42/", "/43/", "403 callback_scope"),
        bent("refused: the same resource, written otherwise", "/42/", "/%34%32/", "403 callback_scope"),
        bent("refused: another method", "POST", "PUT", "403 callback_scope"),
        refused(
            "refused: another route",
            &with("one", "path", "/v1/other/{res_id}/{token}"),
            "403 callback_scope",
        ),
        refused("refused: another audience", &with("one", "aud", A), "401 token_audience"),
        refused("refused: another issuer", &with("one", "iss", "https://e.example"), "401 token_invalid"),
        refused("refused: another type", &token_typed("at+jwt", &claims("one")), "401 token_type"),
        refused("refused: no name", &with("one", "jti", Value::Null), "401 token_claims"),
        refused("refused: tampered with", &token(&claims("one")).replace('.', ".A"), "401 token_invalid"),
        refused("refused: an unknown static token", &"A".repeat(43), "401 token_invalid"),
        story(
            "refused: a body beyond the limit",
            [step(
                NOW,
                &Request::new("POST", &format!("{A}/v1/results/42/{}", token(&claims("one"))))
                    .body("text/plain", &"a".repeat(65)),
                "413 body_too_large",
            )],
        ),
        story(
            "refused: a body beyond what the token allows",
            [step(NOW, &call(&with("one", "max_bytes", 4)), "413 body_too_large")],
        ),
    ]
}
