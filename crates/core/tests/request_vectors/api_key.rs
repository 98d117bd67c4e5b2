//! `api-key`: keys that are sent as themselves, and keys that sign.

use std::sync::Arc;

use countersign::schemes::api_key::ApiKey;
use countersign::schemes::signature::RequestSigner;
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign::time::Timestamp;
use serde_json::json;

use crate::bytes::Request;
use crate::file::{File, NOW, Story, altered, kept, settings, signed, steady_numbers, step, story};
use crate::keys::route;
use crate::world::World;

const BOB: &str = "https://bob.example";
const KEY: &str = "cs_Ab0Cd1Ef2Gh3_j6PmtnMsUxEBAHxusYQOtX8FOsr4qXJf4JOcMxDj06s2n1GPo";
const SIGNS_ONLY: &str = "cs_abcdefXYZ000_00000000000000000000000000000000000000000001hVrzL";
const REVOKED: &str = "cs_0123456789AB_0Eoh211G4c8wtVWM00my5rsNSFlKgaWqQ4mb8gdEqno0ZppqI";
const UNKNOWN: &str = "cs_zzzzzzzzzzzz_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp120qyIK";
const PASSES: &str = "key:Ab0Cd1Ef2Gh3";

#[tokio::test]
async fn requests_of_api_key_end_as_their_vectors_say() {
    let file = kept("api_key", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let route = route(&world, &settings).await;
        for step in &story.steps {
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

fn made() -> File {
    File {
        about:
            "api-key: a key as it is sent, and the same keys signing. What the key yields to sign with is in \
                api_key.json."
                .to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["api-key"], "key_in_query": false },
            "keys": [
                { "id": "Ab0Cd1Ef2Gh3", "api_key": KEY, "expires_at": NOW + 3600 },
                { "id": "abcdefXYZ000", "api_key": SIGNS_ONLY, "signed_only": true },
                { "id": "0123456789AB", "api_key": REVOKED, "revoked_at": NOW - 1 },
            ],
        }),
        callers: json!({ "keys": [KEY, SIGNS_ONLY, REVOKED, UNKNOWN] }),
        stories: stories(),
    }
}

fn get() -> Request {
    Request::new("GET", &format!("{BOB}/orders?open=yes"))
}

fn post() -> Request {
    let request = Request::new("POST", &format!("{BOB}/orders"));
    request.body("application/json", "{\"item\":\"book\"}")
}

fn bearing(key: &str) -> Request {
    get().with("authorization", format!("Bearer {key}"))
}

fn signed_by(key: &str, mut request: Request, now: u64) -> Request {
    let signer = RequestSigner::of_api_key(&ApiKey::parse(key).unwrap(), Arc::new(steady_numbers()));
    let body = match request.body.is_empty() {
        true => OutgoingBody::Absent,
        false => OutgoingBody::Whole(&request.body),
    };
    let now = Timestamp::from_secs(now);
    signer.sign_request(&request.method, &request.target, &mut request.headers, body, now).unwrap();
    request
}

fn stories() -> Vec<Story> {
    let one = |name: &str, request: &Request, outcome: &str| story(name, [step(NOW, request, outcome)]);
    let in_query = Request::new("GET", &format!("{BOB}/orders?open=yes&_key={KEY}"));
    let in_the_query = json!({ "route": { "accept": ["api-key"], "key_in_query": true } });
    let twice = signed_by(KEY, post(), NOW);
    vec![
        one("by Authorization", &bearing(KEY), PASSES),
        one("the scheme in any case", &get().with("authorization", format!("bearer {KEY}")), PASSES),
        one("by X-API-Key", &get().with("x-api-key", KEY), PASSES),
        one("with a body, which is not bound to it", &post().with("x-api-key", KEY), PASSES),
        Story {
            receiver: in_the_query,
            ..one("in the query, where the route says key_in_query = true", &in_query, PASSES)
        },
        story(
            "until it ends",
            [step(NOW + 3599, &bearing(KEY), PASSES), step(NOW + 3600, &bearing(KEY), "401 key_invalid")],
        ),
        one("refused: in the query, where the route does not say so", &in_query, "401 credential_missing"),
        one("refused: revoked", &bearing(REVOKED), "401 key_invalid"),
        one("refused: unknown", &bearing(UNKNOWN), "401 key_invalid"),
        one("refused: mistyped", &bearing(&KEY.replace("j6P", "j6Q")), "401 key_invalid"),
        one("refused: cut", &get().with("x-api-key", &KEY[..60]), "401 key_invalid"),
        one("refused: may sign, and is not to be sent", &bearing(SIGNS_ONLY), "401 key_invalid"),
        one("refused: in two places", &bearing(KEY).with("x-api-key", KEY), "400 credential_ambiguous"),
        one("refused: without Bearer", &get().with("authorization", KEY), "401 credential_missing"),
        one("refused: nothing is presented", &get(), "401 credential_missing"),
        story(
            "signing, which passes once",
            [signed(NOW, &twice, PASSES), signed(NOW + 1, &twice, "401 signature_replayed")],
        ),
        story("signing without a body", [signed(NOW, &signed_by(KEY, get(), NOW), PASSES)]),
        story(
            "a key that only signs",
            [signed(NOW, &signed_by(SIGNS_ONLY, post(), NOW), "key:abcdefXYZ000")],
        ),
        story(
            "refused: signing with a revoked key",
            [signed(NOW, &signed_by(REVOKED, get(), NOW), "401 signature_invalid")],
        ),
        story(
            "refused: signing another body",
            [altered(signed(NOW, &twice, PASSES), "book", "boot", "401 content_digest")],
        ),
    ]
}
