//! Whether an unknown user can be told from a wrong password by how long the answer takes.
//!
//! ```text
//! cargo nextest run -p countersign-cli --test session --run-ignored only --no-capture timing
//! ```

use std::time::Instant;

use serde_json::json;

use crate::site::{ANN, PASSWORD, Site};
use countersign_testing::keep_alive::Connection;

/// Samples of each kind.
const MANY: usize = 1500;
/// What is told apart with more than this is told apart (Welch's t, as in dudect).
const TOLD_APART: f64 = 5.0;

/// Welch's t of two samples whose variances may differ.
fn welch(left: &[f64], right: &[f64]) -> f64 {
    let about = |sample: &[f64]| {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((left, one), (right, other)) = (about(left), about(right));
    (left - right) / (one + other).sqrt()
}

#[test]
#[ignore = "it takes minutes on a machine that does nothing else"]
#[expect(clippy::print_stdout, reason = "it is run for its figures")]
fn an_unknown_user_and_a_wrong_password_take_the_same_time() {
    let site = Site::at("trusted_proxies = [\"127.0.0.1\"]", "signup = true", "");
    site.sign_up(ANN).is(201, "");
    let mut connection = Connection::to(site.gateway.address).unwrap();
    let mut samples = [Vec::with_capacity(MANY), Vec::with_capacity(MANY)];
    for number in 0..2 * MANY {
        // Each from a source that nobody has seen: guessing is slowed for every source by itself. Which comes
        // first changes, so that neither kind always follows the other.
        let kind = (number + number / 2) % 2;
        let email = [ANN, "bob@example.org"][kind];
        let body = json!({ "email": email, "password": "not their battery" }).to_string();
        let source = std::net::Ipv4Addr::from(0x0b00_0000 + u32::try_from(number).unwrap());
        let request = format!(
            "POST /auth/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             X-Forwarded-For: {source}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        let answer = connection.exchange(&request).expect("an answer");
        let took = began.elapsed().as_secs_f64() * 1e6;
        answer.is(401, "sign_in_refused");
        samples[kind].push(took);
    }
    crate::site::held(&site.try_sign_in(ANN, PASSWORD));

    // Whatever else the machine did is in the slowest ones: without them a small difference would show better.
    let mut all = samples.concat();
    all.sort_by(f64::total_cmp);
    let cut = all[all.len() * 9 / 10];
    let quick: Vec<Vec<f64>> =
        samples.iter().map(|one| one.iter().copied().filter(|took| *took < cut).collect()).collect();
    let median = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let [wrong, unknown] = &samples;
    let (whole, cropped) = (welch(wrong, unknown), welch(&quick[0], &quick[1]));
    println!(
        "{MANY} of each: a wrong password {:.0} µs, an unknown user {:.0} µs (medians); t = {whole:.2}, \
         and {cropped:.2} without the slowest tenth",
        median(wrong),
        median(unknown)
    );
    assert!(whole.abs() < TOLD_APART && cropped.abs() < TOLD_APART, "t = {whole:.2} and {cropped:.2}");
}
