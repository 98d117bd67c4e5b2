//! `asymmetric`: requests signed as a personal message, by header and in the query.

use countersign::crypto::ethereum::EthereumKey;
use countersign::schemes::asymmetric::signer::{sign_header, sign_query};
use countersign::schemes::asymmetric::{AsymmetricVerifier, Credential, wire};
use countersign::time::Timestamp;
use serde_json::json;

use crate::bytes::Request;
use crate::file::{File, NOW, Step, Story, altered, at, kept, settings, step, story};
use crate::world::World;

const BOB: &str = "https://bob.example";
const KEY: &str = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
const ADDRESS: &str = "0x6370eF2f4Db3611D657b90667De398a2Cc2a370C";
const PASSES: &str = "eip155:0x6370ef2f4db3611d657b90667de398a2cc2a370c";
const BODY: &str = "{\"item\":\"book | boat\"}";

#[tokio::test]
async fn requests_of_asymmetric_end_as_their_vectors_say() {
    let file = kept("asymmetric", &made());
    for story in &file.stories {
        let (world, settings) = (World::new(), settings(&file, story));
        let rising = settings["asymmetric"]["nonce"] == "rising";
        let route = world.route(&settings, |rule| rule.verifier(AsymmetricVerifier { rising }));
        for step in &story.steps {
            if let Some(base) = &step.base {
                assert_eq!(*base, message(&Request::read(&step.request, BOB), step), "{}", story.name);
            }
            world.play(&route, &settings, &story.name, step).await;
        }
    }
}

/// What the credential of a request says was signed.
fn message(request: &Request, step: &Step) -> String {
    let nonce = Credential::read(&request.view(at(step))).unwrap().unwrap().nonce;
    let (method, target) = (&request.method, &request.target);
    let message = wire::message(nonce, method, target.path(), target.query(), &request.body);
    String::from_utf8(message).unwrap()
}

fn made() -> File {
    File {
        about: "asymmetric: the base is the text that is signed as a personal message (EIP-191).".to_owned(),
        receiver: json!({
            "public_url": BOB,
            "route": { "accept": ["asymmetric"] },
            "asymmetric": { "nonce": "unique" },
        }),
        callers: json!({ "ethereum_key": KEY, "address": ADDRESS }),
        stories: stories(),
    }
}

fn get(target: &str) -> Request {
    Request::new("GET", &format!("{BOB}{target}"))
}

fn post() -> Request {
    Request::new("POST", &format!("{BOB}/orders")).body("application/json", BODY)
}

fn by_header(mut request: Request, made_at: u64) -> Request {
    let (key, now) = (EthereumKey::from_hex(KEY).unwrap(), Timestamp::from_secs(made_at));
    let value = sign_header(&key, &request.method, &request.target, &request.body, now).unwrap();
    request.headers.insert("asymmetricauthentication", value);
    request
}

/// A GET of `path`, signed over it as `written`.
fn as_written(path: &str, written: &str, outcome: &str) -> Step {
    let (key, now) = (EthereumKey::from_hex(KEY).unwrap(), Timestamp::from_secs(NOW));
    let text = format!("{}|GET|{written}|", now.as_millis());
    let credential = Credential {
        address: key.address(),
        signature: key.sign_personal_message(text.as_bytes()),
        nonce: now,
        timestamp: now,
    };
    step(NOW, &get(path).with("asymmetricauthentication", credential.to_header()), outcome)
}

fn in_query(mut request: Request) -> Request {
    let (key, now) = (EthereumKey::from_hex(KEY).unwrap(), Timestamp::from_secs(NOW));
    request.target = sign_query(&key, &request.method, &request.target, &request.body, now).unwrap();
    request
}

fn signed(received_at: u64, request: &Request, outcome: &str) -> Step {
    let step = step(received_at, request, outcome);
    Step { base: Some(message(request, &step)), ..step }
}

fn stories() -> Vec<Story> {
    let one = |name: &str, request: &Request, outcome: &str| story(name, [signed(NOW, request, outcome)]);
    let dated = |name: &str, made_at, outcome: &str| {
        story(name, [signed(NOW, &by_header(get("/orders"), made_at), outcome)])
    };
    let v = match by_header(post(), NOW).write().contains("1b\",\"Timestamp") {
        true => "1b",
        false => "1c",
    };
    let bent = |name: &str, old: &str, new: &str, outcome| {
        story(name, [altered(signed(NOW, &by_header(post(), NOW), PASSES), old, new, outcome)])
    };
    let twice = by_header(get("/orders"), NOW);
    let rising = || json!({ "asymmetric": { "nonce": "rising" } });
    vec![
        one("by header", &by_header(get("/orders?open=yes&by=date"), NOW), PASSES),
        one("with a body, which may have vertical lines", &by_header(post(), NOW), PASSES),
        one("without a query there is no question mark", &by_header(get("/orders"), NOW), PASSES),
        one("in the query, which is signed without it", &in_query(get("/orders?open=yes")), PASSES),
        story(
            "its nonce passes once",
            [signed(NOW, &twice, PASSES), signed(NOW + 1, &twice, "401 signature_replayed")],
        ),
        dated("119 s old", NOW - 119, PASSES),
        dated("refused: 121 s old", NOW - 121, "401 proof_expired"),
        dated("119 s ahead", NOW + 119, PASSES),
        dated("refused: 121 s ahead", NOW + 121, "401 proof_future"),
        story(
            "in any order",
            [
                signed(NOW, &by_header(get("/orders"), NOW), PASSES),
                signed(NOW, &by_header(get("/orders"), NOW - 1), PASSES),
            ],
        ),
        Story {
            receiver: rising(),
            ..story(
                "refused: nonces must rise, where the settings say so",
                [
                    signed(NOW, &by_header(get("/orders"), NOW), PASSES),
                    signed(NOW, &by_header(get("/orders"), NOW - 1), "401 signature_replayed"),
                ],
            )
        },
        bent("an address in lower case", ADDRESS, &ADDRESS.to_lowercase(), PASSES),
        bent(
            "refused: an address whose letters do not fit its checksum",
            "0x6370eF",
            "0x6370EF",
            "400 credential_malformed",
        ),
        bent(
            "v as 0 or 1",
            &format!("{v}\",\"Timestamp"),
            &format!("0{}\",\"Timestamp", u8::from(v == "1c")),
            PASSES,
        ),
        bent(
            "refused: another v",
            &format!("{v}\",\"Timestamp"),
            "1d\",\"Timestamp",
            "401 signature_invalid",
        ),
        bent("a timestamp of another second: nothing signs it", "T08:00:00.000Z", "T08:01:00.000Z", PASSES),
        one("with an empty query", &by_header(get("/orders?"), NOW), PASSES),
        one("a path with escapes, as it is sent", &by_header(get("/a%20b/%C3%A9?q=%2f+%26"), NOW), PASSES),
        bent("names of members in another case", "\"PublicKey\"", "\"publicKey\"", PASSES),
        bent("the nonce as text", "\"Nonce\":1800000000000", "\"Nonce\":\"1800000000000\"", PASSES),
        bent("a timestamp without a zone is of UTC", "00.000Z", "00.000", PASSES),
        bent("with a network", "{\"PublicKey\"", "{\"Network\":\"mainnet\",\"PublicKey\"", PASSES),
        bent(
            "refused: a member twice",
            "\"Nonce\":1800000000000",
            "\"Nonce\":1800000000000,\"nonce\":1800000000000",
            "400 credential_malformed",
        ),
        story(
            "a path that was signed as it is written",
            [as_written("/orders/a%20b", "/orders/a b", PASSES)],
        ),
        story(
            "refused: one that has an escape besides",
            [as_written("/orders/a%20b%2F", "/orders/a b%2F", "401 signature_invalid")],
        ),
        bent("refused: another body", "book", "boot", "401 signature_invalid"),
        bent("refused: another method", "POST /", "PUT /", "401 signature_invalid"),
        bent("refused: another path", " /orders ", " /order ", "401 signature_invalid"),
        bent(
            "refused: a query that was not signed",
            " /orders ",
            " /orders?all=yes ",
            "401 signature_invalid",
        ),
        bent("refused: a vertical line in the path", " /orders ", " /orders| ", "400 credential_malformed"),
        bent(
            "refused: another nonce",
            "\"Nonce\":1800000000000",
            "\"Nonce\":1800000000001",
            "401 signature_invalid",
        ),
        story(
            "refused: no object",
            [{
                let request = get("/orders").with("asymmetricauthentication", "0x00");
                step(NOW, &request, "400 credential_malformed")
            }],
        ),
        story("refused: nothing is presented", [step(NOW, &get("/orders"), "401 credential_missing")]),
    ]
}
