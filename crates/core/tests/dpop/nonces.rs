//! Nonces that the server hands out (RFC 9449 §8, §9).

use std::time::Duration;

use countersign::dpop::{DPOP_NONCE, NONCE_LIFE, wants_nonce};
use serde_json::json;

use super::*;

fn nonce(dpop: &Dpop, now: Timestamp) -> String {
    let (name, value) = dpop.nonce(now);
    assert_eq!(name, DPOP_NONCE);
    value.to_str().unwrap().to_owned()
}

#[test]
fn where_a_nonce_is_required_there_is_no_passing_without_one() {
    let dpop = dpop(NoncePolicy::Required);
    let denial = judge(&dpop, &Made::good().signed(), NOW).unwrap_err();
    assert!(wants_nonce(&denial), "{denial}");
    assert_eq!(check(Err(denial)).as_deref(), Some("nonce"));
    let with = Made::good().claim("nonce", json!(nonce(&dpop, NOW)));
    assert_eq!(check(judge(&dpop, &with.signed(), NOW)), None);
    let alice = signer(ed25519(1));
    let made =
        alice.prove(&Method::GET, &TARGET.parse().unwrap(), Some(TOKEN), Some(&nonce(&dpop, NOW)), NOW);
    assert_eq!(check(judge(&dpop, &made.unwrap(), NOW)), None);
}

#[test]
fn a_nonce_of_ours_stands_in_for_the_time_of_a_clock_that_errs() {
    let dpop = dpop(NoncePolicy::Accepted);
    let wrong = json!(NOW.as_secs() - 7200);
    let denial = judge(&dpop, &Made::good().claim("iat", wrong.clone()).signed(), NOW).unwrap_err();
    assert!(wants_nonce(&denial), "the caller learns what would help: {denial}");
    let made = Made::good().claim("iat", wrong).claim("nonce", json!(nonce(&dpop, NOW))).signed();
    let held = judge(&dpop, &made, NOW.plus(Duration::from_secs(59))).unwrap();
    assert_eq!(held.spend.created, Some(NOW), "by our clock, not by the caller's");
    assert_eq!(held.fresh_until(), NOW.plus(NONCE_LIFE));
    assert_eq!(check(judge(&dpop, &made, NOW.plus(NONCE_LIFE))).as_deref(), Some("nonce"));
}

#[test]
fn a_nonce_that_is_not_ours_is_worse_than_none() {
    let dpop = dpop(NoncePolicy::Accepted);
    let others = Dpop::new(&Secret::new([8; 32]), NoncePolicy::Accepted);
    for wrong in [json!("made-up"), json!(nonce(&others, NOW)), json!(""), json!(7)] {
        let denial = judge(&dpop, &Made::good().claim("nonce", wrong).signed(), NOW).unwrap_err();
        assert!(wants_nonce(&denial));
        assert_eq!(check(Err(denial)).as_deref(), Some("nonce"));
    }
}

#[test]
fn other_mistakes_are_not_mended_by_a_nonce() {
    let dpop = dpop(NoncePolicy::Accepted);
    for made in [Made::good().claim("htm", json!("POST")), Made::good().claim("iat", json!(null))] {
        assert!(!wants_nonce(&judge(&dpop, &made.signed(), NOW).unwrap_err()));
    }
}
