//! What Alice sends, and what becomes of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::{Ed25519Key, Secret};
use countersign::schemes::webhook::Algorithm;

use super::alice::{Alice, Also, LATER, Later, Promise, Terms, USUAL, ok};
use super::{ALICE, BOB, HOUR};
use crate::bytes::Request;
use crate::file::{NOW, Step, Story, altered, signed, step, story};

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

const HER: &str = "webhook:https://alice.example/.well-known/webhook-auth";

pub(super) fn one_shots(alice: &Alice) -> Vec<Story> {
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
            "refused: the token with another status than 200",
            sha(|token| ok(token).replace("200 OK", "202 Accepted"), "401 webhook_denied"),
        ),
        one(
            "refused: a redirect is not followed",
            sha(
                |token| ok(token).replace("200 OK", "302 Found\r\nLocation: https://alice.example/other"),
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

pub(super) fn introductions(alice: &Alice) -> Vec<Story> {
    let one = |name, step| story(name, [step]);
    let introduce = |terms: &Terms<'_>| alice.introduce(order(SHA_256), terms, HER);
    let denied = |token| alice.introduce(order(SHA_256), &Terms { token, ..USUAL }, "401 webhook_denied");
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
        one("with an empty query", alice.introduce(get("/orders?"), &USUAL, HER)),
        one("a digest by sha-512", alice.introduce(order(SHA_512), &USUAL, HER)),
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
        one("refused: the token is bound to nothing", denied(Promise::Nothing)),
        one("refused: the token is bound to another `exp`", denied(Promise::AnotherEnd)),
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

pub(super) fn later_requests(alice: &Alice) -> Vec<Story> {
    let introduced = || alice.introduce(order(SHA_256), &USUAL, HER);
    let after = |name: &str, request: Request, received_at, outcome: &str| {
        story(name, [introduced(), signed(received_at, &request, outcome)])
    };
    let bent = |name: &str, old, new, outcome| {
        let request = alice.later(order(SHA_256), NOW);
        story(name, [introduced(), altered(signed(NOW, &request, HER), old, new, outcome)])
    };
    let later_of = |terms: &Later<'_>| alice.later_of(get("/orders"), terms);
    let at_life = |life| alice.later_of(get("/orders"), &Later { expires: NOW + life, ..LATER });
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
            "by another label than cb",
            later_of(&Later { member: "alice-1", label: "alice-1", ..LATER }),
            NOW,
            HER,
        ),
        after(
            "@target-uri for the four of the target, and another order",
            later_of(&Later { also: Also::Nothing, ..LATER }),
            NOW,
            HER,
        ),
        after("with the algorithm", later_of(&Later { alg: Some("ed25519"), ..LATER }), NOW, HER),
        after(
            "refused: with another algorithm than the key's",
            later_of(&Later { alg: Some("ecdsa-p256-sha256"), ..LATER }),
            NOW,
            "401 signature_invalid",
        ),
        after(
            "refused: a digest by neither",
            alice.later(order("md5=:q83vASNFZ4mrze8BI0VniQ==:"), NOW),
            NOW,
            "401 content_digest",
        ),
        after(
            "refused: by both, and one is another body's",
            alice.later(order(&format!("{SHA_256}, {}", SHA_512.replace("xydRB4", "yydRB4"))), NOW),
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
            later_of(&Later { member: "alice-1", ..LATER }),
            NOW,
            "400 credential_malformed",
        ),
        after(
            "refused: the agent is not covered",
            later_of(&Later { also: Also::Fields(&[]), ..LATER }),
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
