//! What the parts of judging a message signature cost. The whole, by each algorithm and beside its
//! primitive, is measured by `algorithms`.

use std::hint::black_box;

use countersign::schemes::signature::{ContentDigest, Message, Signed, signature_base};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Uri};

#[path = "support/samples.rs"]
mod samples;

fn signature(criterion: &mut Criterion) {
    let target = Uri::from_static("https://api.example/orders/1?expand=lines");
    let keys = samples::keys();
    let (key, primitive) = keys.last().expect("HMAC");
    let headers = samples::signed(&target, key);
    let message = Message::request(&Method::POST, &target, &headers);
    let read = Signed::read(&headers, samples::TAGS).expect("readable").remove(0);
    criterion.bench_function("parts/read", |bencher| {
        bencher.iter(|| black_box(Signed::read(black_box(&headers), samples::TAGS)).is_ok());
    });
    criterion.bench_function("parts/base", |bencher| {
        bencher.iter(|| {
            black_box(signature_base(black_box(&read.components), read.signature_params(), &message)).is_ok()
        });
    });
    let base = signature_base(&read.components, read.signature_params(), &message).expect("a base");
    criterion.bench_function("parts/HMAC-SHA256 alone", |bencher| {
        bencher.iter(|| primitive.verify(black_box(base.as_bytes()), black_box(&read.signature)));
    });
    criterion.bench_function("parts/content-digest read and matched", |bencher| {
        bencher.iter(|| {
            let digest = ContentDigest::read(black_box(&headers)).expect("readable").expect("there");
            digest.matches(samples::BODY).is_ok()
        });
    });
    let public = keys[0].0.verifying_key().encode().expect("a public key");
    criterion.bench_function("parts/a stored Ed25519 key decoded", |bencher| {
        bencher.iter(|| countersign::crypto::VerifyingKey::decode(black_box(&public)).is_ok());
    });
}

criterion_group!(benches, signature);
criterion_main!(benches);
