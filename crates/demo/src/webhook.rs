//! The scenes of `demo webhook`, and what must come of each. Every request is a real one; what is told
//! about it is what the processes noted.

use std::time::Duration;

use countersign::{ChosenBy, Fetch as _, FetchRequest};
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::company::Company;
use crate::drawing::Canvas;
use crate::failure::Failure;
use crate::front::loopback_client;
use crate::orders::{Headers, Order, Report, Seen};
use crate::scene::{PROOF, Scene, Told};
use crate::stage::{ALICE, EVE, Stage};

const ALLOWED: &str = "{\"allowed\": true}";
const REFUSED: &str = "{\"allowed\": false}";

const FIRST: Scene = Scene {
    name: "first-call",
    title: "Alice calls Bob for the first time",
    before: "They have never met and share no secret. Alice sends the hash of a fresh token, and where to ask.",
    after: "Only the API at Alice's URL could know the token. With it she introduced a key.",
    status: 200,
    code: None,
    asked: Some(200),
    example: Some(ALLOWED),
};
const SECOND: Scene = Scene {
    name: "second-call",
    title: "Alice calls Bob again",
    before: "Bob knows the key that she introduced, so her signature is enough.",
    after: "Nobody had to ask anybody.",
    status: 200,
    code: None,
    asked: None,
    example: Some(ALLOWED),
};
const OWN_HASH: Scene = Scene {
    name: "eve-names-alice",
    title: "Eve calls Bob and says that she is Alice",
    before: "She makes a token and its hash herself, and names Alice's webhook URL.",
    after: "Bob asked Alice, not Eve, and Alice has never made that hash.",
    status: 401,
    code: Some("webhook_denied"),
    asked: Some(404),
    example: Some(REFUSED),
};
const OWN_URL: Scene = Scene {
    name: "eve-names-herself",
    title: "Eve calls Bob as herself",
    before: "She could answer for her own webhook URL, and tells Bob to ask there.",
    after: "She is not among Bob's callers, so he did not even ask.",
    status: 403,
    code: Some("webhook_caller"),
    asked: None,
    example: None,
};
const RELAY: Scene = Scene {
    name: "eve-relays",
    title: "Eve passes on what Alice sent to her",
    before: "Alice calls Eve too, with a proof. Eve sends that proof on to Bob, as fast as she can.",
    after: "Alice made that hash for Eve's URL. Asked for Bob's, she does not confirm it.",
    status: 401,
    code: Some("webhook_denied"),
    asked: Some(404),
    example: None,
};
const REPLAY: Scene = Scene {
    name: "eve-replays-the-hash",
    title: "Eve got hold of Alice's first call, and repeats it",
    before: "She sends every header of it, byte for byte.",
    after: "A token is confirmed once. Alice has used it up and forgotten it.",
    status: 401,
    code: Some("webhook_denied"),
    asked: Some(404),
    example: None,
};
const REPLAY_SIGNATURE: Scene = Scene {
    name: "eve-replays-the-signature",
    title: "Eve repeats Alice's second call, the one with the signature",
    before: "Again every header, byte for byte.",
    after: "Each signature carries a number that counts once, and Bob had seen this one.",
    status: 401,
    code: Some("signature_replayed"),
    asked: None,
    example: None,
};

impl Told {
    /// The request to Bob, for there was one.
    pub(super) fn request(&self) -> Option<&Seen> {
        self.to_bob.first()
    }

    /// The status that Bob answered.
    pub(super) fn status(&self) -> Option<u16> {
        self.request().map(|seen| seen.status)
    }

    /// The code of Bob's refusal.
    pub(super) fn code(&self) -> Option<String> {
        let problem: Value = serde_json::from_str(&self.request()?.answer).ok()?;
        problem["code"].as_str().map(str::to_owned)
    }
}

impl Scene {
    /// Whether everything was as it must be.
    pub(super) fn is_good(&self, told: &Told) -> bool {
        let asked = told.to_alice.iter().map(|seen| seen.status);
        told.to_bob.len() == 1
            && told.status() == Some(self.status)
            && told.code().as_deref() == self.code
            && asked.eq(self.asked)
            && told.example.as_ref().map(|(_, body)| body.as_str()) == self.example
    }
}

/// Plays all scenes; true if each ended as it must.
pub(super) async fn play(company: &mut Company, stage: &Stage, canvas: Canvas) -> Result<bool, Failure> {
    let mut good = true;
    let mut first = Headers::new();
    let mut second = Headers::new();
    for (number, scene) in
        [FIRST, SECOND, OWN_HASH, OWN_URL, RELAY, REPLAY, REPLAY_SIGNATURE].iter().enumerate()
    {
        canvas.open(number + 1, scene).await;
        let (mut caller, mut example, mut to_eve) = ("Eve", None, Vec::new());
        match scene.name {
            "first-call" | "second-call" => {
                caller = "Alice";
                example = Some((ALICE, get_example(ALICE).await?));
            }
            "eve-names-alice" => example = Some((EVE, get_example(EVE).await?)),
            "eve-names-herself" => drop(company.eve.ask(&Order::Forge(stage.eve.webhook())).await?),
            "eve-relays" => {
                company.alice.ask(&Order::CallEve).await?;
                to_eve = company.eve.seen().await?;
                let stolen = to_eve.first().map(|seen| seen.headers.clone()).unwrap_or_default();
                // What is bound to Eve's URL by a signature would be refused without any question.
                let stolen = stolen.into_iter().filter(|(name, _)| name == "authorization").collect();
                company.eve.ask(&Order::Send(stolen)).await?;
            }
            "eve-replays-the-hash" => drop(company.eve.ask(&Order::Send(first.clone())).await?),
            _ => drop(company.eve.ask(&Order::Send(second.clone())).await?),
        }
        let told = told(company, caller, example, to_eve).await?;
        let proof = || told.request().map(|seen| proof_of(&seen.headers)).unwrap_or_default();
        match scene.name {
            "first-call" => first = proof(),
            "second-call" => second = proof(),
            _ => {}
        }
        let is_good = scene.is_good(&told);
        good &= is_good;
        canvas.close(stage, scene, &told, is_good).await;
    }
    canvas.end(good);
    Ok(good)
}

async fn told(
    company: &mut Company,
    caller: &'static str,
    example: Option<(std::net::SocketAddr, String)>,
    mut to_eve: Vec<Seen>,
) -> Result<Told, Failure> {
    let (to_bob, to_alice) = (company.bob.seen().await?, company.alice.seen().await?);
    to_eve.extend(company.eve.seen().await?);
    let id = to_bob.first().and_then(|seen| seen.answer_headers.get("countersign-decision"));
    let id = id.map_or_else(|| "latest".to_owned(), Clone::clone);
    let decision = match company.bob.ask(&Order::Explain(id)).await? {
        Report::Decision(decision) => decision,
        _ => Value::Null,
    };
    Ok(Told { to_eve, to_bob, to_alice, caller, decision, example })
}

fn proof_of(headers: &Headers) -> Headers {
    let of_proof = |(name, _): &(&String, &String)| PROOF.contains(&name.as_str());
    headers.iter().filter(of_proof).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What somebody with a browser would do.
async fn get_example(address: std::net::SocketAddr) -> Result<String, Failure> {
    let request = FetchRequest {
        method: Method::GET,
        url: format!("http://{address}/example").parse()?,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        chosen_by: ChosenBy::Configuration,
        timeout: Duration::from_secs(20),
        max_bytes: 64 * 1024,
        repeatable: false,
    };
    let answer = loopback_client().fetch(request).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}
