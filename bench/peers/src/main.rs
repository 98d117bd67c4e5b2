//! Verifying the same signed request by our library and by `httpsig-hyper`, each with its key prepared:
//! reading the headers, building the base, verifying. Prints Markdown.
//!
//! ```text
//! cargo run --release --manifest-path bench/peers/Cargo.toml
//! ```

use std::hint::black_box;

use bytes::Bytes;
use countersign::crypto::{Algorithm, Signer as _};
use countersign::schemes::signature::{Message, Signed, signature_base, verify};
use http::{Method, Request, Uri};
use http_body_util::Empty;
use httpsig_hyper::MessageSignatureReq as _;
use httpsig_hyper::prelude::{AlgorithmName, PublicKey, SharedKey};

#[path = "../../../crates/core/benches/support/samples.rs"]
mod samples;
#[path = "../../../crates/core/benches/support/timing.rs"]
mod timing;

use timing::Contender;

const ROUNDS: usize = 101;
/// The secret of the HMAC key among the samples, in base64.
const SECRET: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn main() {
    let target = Uri::from_static("https://api.example/orders/1?expand=lines");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut groups = Vec::new();
    for (key, primitive) in samples::keys() {
        let name = key.algorithm();
        let headers = samples::signed(&target, &key);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&target)
            .body(Empty::<Bytes>::new())
            .expect("a request");
        *request.headers_mut() = headers.clone();
        let runtime = &runtime;
        let theirs: Box<dyn FnMut()> = match name {
            Algorithm::Ed25519 => {
                let public = key.verifying_key().encode().expect("a public key").split_off(2);
                let key = PublicKey::from_bytes(&AlgorithmName::Ed25519, &public).expect("a key");
                Box::new(move || {
                    let verified = runtime.block_on(black_box(&request).verify_message_signature(&key, None));
                    verified.expect("verified");
                })
            }
            Algorithm::HmacSha256 => {
                let secret = SharedKey::from_base64(&AlgorithmName::HmacSha256, SECRET);
                let key = secret.expect("a key");
                Box::new(move || {
                    let verified = runtime.block_on(black_box(&request).verify_message_signature(&key, None));
                    verified.expect("verified");
                })
            }
            _ => continue,
        };
        let message = Message::request(&Method::POST, &target, &headers);
        let read = Signed::read(&headers, samples::TAGS).expect("readable").remove(0);
        let base = signature_base(&read.components, read.signature_params(), &message);
        let base = base.expect("a base");
        let target = &target;
        groups.push([
            Contender::new(format!("{name}, the primitive alone"), move || {
                assert!(primitive.verify(black_box(base.as_bytes()), black_box(&read.signature)));
            }),
            Contender::new(format!("{name}, countersign"), move || {
                let message = Message::request(&Method::POST, target, &headers);
                let read = Signed::read(black_box(&headers), samples::TAGS).expect("readable");
                assert!(verify(&read[0], &message, key.verifying_key()).is_ok());
            }),
            Contender::new(format!("{name}, httpsig-hyper"), theirs),
        ]);
    }
    if let Some((name, runs)) = timing::asked() {
        let found = groups.iter_mut().flatten().find(|contender| contender.name == name);
        return timing::answer(found.expect("a contender"), runs);
    }
    println!("| | µs | beside countersign | lower and upper quarter | instructions | beside countersign |");
    println!("|---|--:|--:|--:|--:|--:|");
    for group in &mut groups {
        let took = timing::measure(group, ROUNDS);
        let work: Vec<_> = group.iter().map(|contender| timing::instructions(&contender.name)).collect();
        for (contender, (series, instructions)) in group.iter().zip(took.iter().zip(&work)) {
            let [lower, ratio, upper] = timing::quartiles(ratios(series, &took[1]));
            let [_, micros, _] = timing::quartiles(series.clone());
            let work = match (instructions, work[1]) {
                (Some(count), Some(ours)) => format!("{count} | {:.2}", *count as f64 / ours as f64),
                _ => "valgrind is not installed | ".to_owned(),
            };
            println!("| {} | {micros:.2} | {ratio:.2} | {lower:.2} to {upper:.2} | {work} |", contender.name);
        }
    }
}

/// The ratios of two series, round by round.
fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}
