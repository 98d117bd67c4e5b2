//! What judging a message signature costs, by each algorithm: reading it, building its base, verifying
//! it, as a ratio to the bare primitive with a prepared key on the very same bytes. Prints Markdown.
//!
//! ```text
//! cargo bench -p countersign --bench algorithms
//! ```

#![expect(clippy::print_stdout, reason = "a table for whoever measures")]

use std::hint::black_box;

use countersign::Timestamp;
use countersign::crypto::ethereum::{EthereumKey, RecoverableSignature, personal_message_hash, recover};
use countersign::crypto::{Secret, Signer as _};
use countersign::schemes::asymmetric::{Credential, signer, wire};
use countersign::schemes::signature::{
    ERC8128, Message, Parameters, SignAs, Signed, sign_erc8128, signature_base, verify, verify_erc8128,
};
use countersign::testing::NOW;
use countersign::{Body, RequestView};
use http::{HeaderMap, Method, Uri};

#[path = "support/samples.rs"]
mod samples;
#[path = "support/timing.rs"]
mod timing;

use timing::Contender;

const ROUNDS: usize = 101;
const TARGET: &str = "https://api.example/orders/1?expand=lines";

fn main() {
    let target = Uri::from_static(TARGET);
    let mut pairs = pairs(&target);
    if let Some((name, runs)) = timing::asked() {
        let found = pairs.iter_mut().flat_map(|pair| &mut pair[..]).find(|contender| contender.name == name);
        return timing::answer(found.expect("a contender"), runs);
    }
    println!("| | primitive, µs | whole, µs | ratio | lower and upper quarter | by instructions |");
    println!("|---|--:|--:|--:|--:|--:|");
    for pair in &mut pairs {
        let took = timing::measure(pair, ROUNDS);
        let [lower, ratio, upper] = timing::quartiles(ratios(&took[1], &took[0]));
        let micros = |series: &[f64]| timing::quartiles(series.to_vec())[1];
        let [primitive, whole] = [0, 1].map(|index| timing::instructions(&pair[index].name));
        let work = primitive.zip(whole).map_or_else(
            || "valgrind is not installed".to_owned(),
            |(primitive, whole)| format!("{:.2} ({whole} / {primitive})", whole as f64 / primitive as f64),
        );
        println!(
            "| {} | {:.2} | {:.2} | {ratio:.2} | {lower:.2} to {upper:.2} | {work} |",
            pair[1].name,
            micros(&took[0]),
            micros(&took[1]),
        );
    }
}

/// A primitive, and what is built on it.
type Pair<'a> = [Contender<'a>; 2];

fn pairs(target: &Uri) -> Vec<Pair<'_>> {
    let mut pairs: Vec<_> = samples::keys().into_iter().map(|key| with_key(target, key)).collect();
    pairs.push(erc8128(target));
    pairs.push(asymmetric(target));
    pairs
}

fn pair<'a>(name: &str, primitive: impl FnMut() + 'a, whole: impl FnMut() + 'a) -> Pair<'a> {
    [Contender::new(format!("{name} alone"), primitive), Contender::new(name, whole)]
}

fn with_key(
    target: &Uri,
    (key, primitive): (countersign::crypto::SigningKey, samples::Primitive),
) -> Pair<'_> {
    let headers = samples::signed(target, &key);
    let message = Message::request(&Method::POST, target, &headers);
    let read = Signed::read(&headers, samples::TAGS).expect("readable").remove(0);
    let base = signature_base(&read.components, read.signature_params(), &message).expect("a base");
    let headers = headers.clone();
    pair(
        key.algorithm().as_str(),
        move || assert!(primitive.verify(black_box(base.as_bytes()), black_box(&read.signature))),
        move || {
            let message = Message::request(&Method::POST, target, &headers);
            let read = Signed::read(black_box(&headers), samples::TAGS).expect("readable");
            assert!(verify(&read[0], &message, key.verifying_key()).is_ok());
        },
    )
}

fn wallet() -> EthereumKey {
    EthereumKey::from_bytes(Secret::new([7; 32])).expect("a key")
}

fn erc8128(target: &Uri) -> Pair<'_> {
    let mut headers = HeaderMap::new();
    let parameters = Parameters {
        created: Some(NOW),
        expires: Some(Timestamp::from_secs(NOW.as_secs() + 60)),
        nonce: Some("bm9uY2Utb2YtMjItY2hhcnM".to_owned()),
        ..Parameters::default()
    };
    sign_erc8128(
        &mut headers,
        &Method::GET,
        target,
        false,
        "sig1",
        SignAs::default(),
        &parameters,
        &wallet(),
    )
    .expect("signed");
    let message = Message::request(&Method::GET, target, &headers);
    let read = Signed::read(&headers, &[ERC8128]).expect("readable").remove(0);
    let base = signature_base(&read.components, read.signature_params(), &message).expect("a base");
    let signature = RecoverableSignature::try_from(&read.signature[..]).expect("65 bytes");
    let hash = personal_message_hash(base.as_bytes());
    pair(
        "recovery, ERC-8128",
        move || assert!(recover(black_box(&hash), black_box(&signature)).is_some()),
        move || {
            let message = Message::request(&Method::GET, target, &headers);
            let read = Signed::read(black_box(&headers), &[ERC8128]).expect("readable");
            assert!(verify_erc8128(&read[0], &message).is_ok());
        },
    )
}

fn asymmetric(target: &Uri) -> Pair<'_> {
    let value = signer::sign_header(&wallet(), &Method::POST, target, samples::BODY, NOW).expect("signed");
    let headers = HeaderMap::from_iter([(wire::ASYMMETRIC_AUTHENTICATION, value)]);
    let read = move |headers: &HeaderMap| {
        let request = RequestView {
            method: &Method::POST,
            target,
            headers,
            body: Body::Announced,
            source: None,
            received_at: NOW,
        };
        Credential::read(&request).expect("readable").expect("there")
    };
    let hash = move |credential: &Credential| {
        let message =
            wire::message(credential.nonce, &Method::POST, target.path(), target.query(), samples::BODY);
        personal_message_hash(&message)
    };
    let credential = read(&headers);
    let hashed = hash(&credential);
    pair(
        "recovery, asymmetric",
        move || assert!(recover(black_box(&hashed), black_box(&credential.signature)).is_some()),
        move || {
            let credential = read(black_box(&headers));
            assert_eq!(recover(&hash(&credential), &credential.signature), Some(credential.address));
        },
    )
}

/// The ratios of two series, round by round.
fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}
