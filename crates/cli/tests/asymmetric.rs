//! The seed's `AsymmetricAuthentication`: what wallets sign passes once, and nothing else does.

use countersign::crypto::{SystemRandom, ethereum::EthereumKey};
use countersign::schemes::asymmetric::signer::{sign_header, sign_query};
use countersign::time::Timestamp;
use countersign_testing::signed::{Draft, Lab, now};
use http::Uri;
use serde_json::{Value, json};
use std::time::Duration;

const NAME: &str = "asymmetricauthentication";
/// The order of the curve's group.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn wallet() -> EthereumKey {
    EthereumKey::generate(&SystemRandom)
}

/// `POST target` with a body, without credentials.
fn order(target: &str) -> Draft {
    let mut draft = Draft::get(target).with("content-type", "application/json");
    draft.method = http::Method::POST;
    draft.body = b"{\"to\":\"bob|carol\"}".to_vec();
    draft
}

fn signed(draft: Draft, wallet: &EthereumKey) -> Draft {
    signed_at(draft, wallet, now())
}

fn signed_at(draft: Draft, wallet: &EthereumKey, at: Timestamp) -> Draft {
    let target: Uri = draft.target.parse().unwrap();
    let value = sign_header(wallet, &draft.method, &target, &draft.body, at).unwrap();
    draft.with(NAME, value.to_str().unwrap())
}

fn in_query(draft: Draft, wallet: &EthereumKey) -> Draft {
    let target: Uri = draft.target.parse().unwrap();
    let target = sign_query(wallet, &draft.method, &target, &draft.body, now()).unwrap();
    draft.to(&target.to_string())
}

/// The header's members, changed.
fn altered(draft: &Draft, change: impl FnOnce(&mut Value)) -> Draft {
    let mut members: Value = serde_json::from_str(&draft.header(NAME)).unwrap();
    change(&mut members);
    draft.clone().with(NAME, &members.to_string())
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.trim_start_matches("0x").as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The other signature that the same curve point has: `s` from the group's order, `v` the other one.
fn mirrored(signature: &str) -> String {
    let mut bytes = from_hex(signature);
    let mut borrow = 0_i16;
    for place in (0..32).rev() {
        let left = i16::from(ORDER[place]) - i16::from(bytes[32 + place]) - borrow;
        borrow = i16::from(left < 0);
        bytes[32 + place] = u8::try_from(left.rem_euclid(256)).unwrap();
    }
    bytes[64] = 27 + 28 - bytes[64];
    to_hex(&bytes)
}

#[test]
fn a_wallet_passes_by_header_and_by_query_and_the_upstream_sees_no_credential() {
    let lab = Lab::start();
    let wallet = wallet();
    let seen = lab.passes(&signed(order("/asymmetric/1?a=b&empty="), &wallet));
    assert_eq!(seen.header("countersign-subject"), Some(&*format!("eip155:{}", wallet.address())));
    assert_eq!(seen.header("countersign-scheme"), Some("asymmetric"));
    assert_eq!(seen.header(NAME), None);
    for (target, forwarded) in [
        ("/asymmetric/1?a=b&empty=", "POST /asymmetric/1?a=b&empty= HTTP/1.1"),
        ("/asymmetric/1", "POST /asymmetric/1 HTTP/1.1"),
        ("/asymmetric/1?xnonce=5&my_signature=x", "POST /asymmetric/1?xnonce=5&my_signature=x HTTP/1.1"),
    ] {
        let draft = in_query(order(target), &wallet);
        assert_eq!(lab.passes(&draft).request_line(), forwarded);
        lab.refuses(&draft, 401, "signature_replayed");
    }
}

#[test]
fn a_signature_is_that_of_one_method_target_and_body() {
    let lab = Lab::start();
    let draft = signed(order("/asymmetric/pay?to=ab&from=c"), &wallet());
    for target in [
        "/asymmetric/pay?to=ab&from=c&as=admin",
        "/asymmetric/pay?from=c&to=ab",
        "/asymmetric/pay?to=a&from=bc",
        "/asymmetric/pay",
        "/asymmetric/payee?to=ab&from=c",
    ] {
        lab.refuses(&draft.clone().to(target), 401, "signature_invalid");
    }
    for body in [&b""[..], b"{\"to\":\"eve|carol\"}", b"{\"to\":\"bob|carol\"} "] {
        let mut swapped = draft.clone();
        swapped.body = body.to_vec();
        lab.refuses(&swapped, 401, "signature_invalid");
    }
    let mut method = draft.clone();
    method.method = http::Method::PUT;
    lab.refuses(&method, 401, "signature_invalid");
    lab.refuses(
        &altered(&draft, |members| members["Nonce"] = json!(now().as_millis())),
        401,
        "signature_invalid",
    );
    let eve = format!("0x{}", "1".repeat(40));
    lab.refuses(&altered(&draft, |members| members["PublicKey"] = json!(eve)), 401, "signature_invalid");
    lab.passes(&draft);
    let refused = lab.refuses(&draft, 401, "signature_replayed");
    assert_eq!(refused.header("www-authenticate"), Some("AsymmetricAuthentication"));
}

#[test]
fn arguments_whose_names_end_like_the_credentials_are_signed_like_any_other() {
    let lab = Lab::start();
    let draft = in_query(order("/asymmetric/pay?amount=1"), &wallet());
    let (path, rest) = draft.target.split_once('?').unwrap();
    for smuggled in ["xnonce=5", "my_scheme=AsymmetricAuthentication", "asignature=0x00", "the_publicKey=1"] {
        lab.refuses(&draft.clone().to(&format!("{path}?{smuggled}&{rest}")), 401, "signature_invalid");
        lab.refuses(&draft.clone().to(&format!("{}&{smuggled}", draft.target)), 401, "signature_invalid");
    }
    for doubled in ["nonce=1", "signature=0x00", "publicKey=0x00", "timestamp=2026-01-01T00:00:00Z"] {
        let target = format!("{}&{doubled}", draft.target);
        lab.refuses(&draft.clone().to(&target), 400, "credential_ambiguous");
    }
    lab.passes(&draft);
}

#[test]
fn a_vertical_line_in_the_target_would_move_the_borders_and_is_refused() {
    let lab = Lab::start();
    let draft = signed(order("/asymmetric/pay?to=bob"), &wallet());
    for target in ["/asymmetric/pay?to=bob|", "/asymmetric/pay|?to=bob", "/asymmetric/a|b", "/asymmetric/1?|"]
    {
        lab.refuses(&draft.clone().to(target), 400, "credential_malformed");
    }
    lab.passes(&draft);
}

#[test]
fn a_signature_has_one_spelling() {
    let lab = Lab::start();
    let draft = signed(order("/asymmetric/1"), &wallet());
    let signature = |change: fn(&str) -> String| {
        altered(&draft, |members| {
            let changed = change(members["Signature"].as_str().unwrap());
            members["Signature"] = json!(changed);
        })
    };
    lab.refuses(&signature(mirrored), 401, "signature_invalid");
    let with_v = |v: u8| {
        altered(&draft, |members| {
            let mut bytes = from_hex(members["Signature"].as_str().unwrap());
            bytes[64] = v;
            members["Signature"] = json!(to_hex(&bytes));
        })
    };
    for v in [2, 26, 29, 30, 35, 37, 255] {
        lab.refuses(&with_v(v), 401, "signature_invalid");
    }
    lab.refuses(&signature(|text| text.replacen("0x", "", 1)), 400, "credential_malformed");
    lab.refuses(&signature(|text| format!("{text}00")), 400, "credential_malformed");
    lab.refuses(&signature(|_| format!("0x{}", "00".repeat(65))), 401, "signature_invalid");
    lab.passes(&draft);
}

#[test]
fn a_nonce_is_a_moment_within_two_minutes_and_a_number_that_every_reader_reads_alike() {
    let lab = Lab::start();
    let wallet = wallet();
    let shifted = |at: Timestamp| signed_at(order("/asymmetric/1"), &wallet, at);
    let back = |seconds: u64| Timestamp::from_millis(now().as_millis() - seconds * 1000);
    lab.refuses(&shifted(back(121)), 401, "proof_expired");
    lab.refuses(&shifted(now().plus(Duration::from_secs(125))), 401, "proof_future");
    let draft = shifted(back(60));
    let nonce = |nonce: Value| altered(&draft, |members| members["Nonce"] = nonce);
    for odd in [json!(9_223_372_036_854_775_808_u64), json!(u64::MAX), json!(-1), json!("01"), json!(1.5)] {
        lab.refuses(&nonce(odd), 400, "credential_malformed");
    }
    lab.refuses(&nonce(json!(i64::MAX)), 401, "proof_future");
    lab.refuses(&nonce(json!("1")), 401, "proof_expired");
    lab.refuses(&altered(&draft, |members| members["Timestamp"] = json!("now")), 400, "credential_malformed");
    let stale = altered(&draft, |members| members["Timestamp"] = json!("2020-01-01T00:00:00Z"));
    lab.refuses(&stale, 401, "proof_expired");
    lab.refuses(&altered(&draft, |members| members["More"] = json!(1)), 400, "credential_malformed");
    let twice = draft.clone().and(NAME, &draft.header(NAME));
    lab.refuses(&twice, 400, "credential_ambiguous");
    lab.passes(&draft);
}

#[test]
fn what_a_wallet_signed_for_another_application_opens_nothing() {
    let lab = Lab::start();
    let wallet = wallet();
    let draft = signed(order("/asymmetric/1"), &wallet);
    for text in ["Sign in to dapp.example", "", &format!("{}|POST|/asymmetric/2|", now().as_millis())] {
        let foreign = to_hex(&wallet.sign_personal_message(text.as_bytes()));
        lab.refuses(
            &altered(&draft, |members| members["Signature"] = json!(foreign)),
            401,
            "signature_invalid",
        );
    }
    lab.passes(&draft);
}

#[test]
fn where_nonces_must_rise_an_earlier_one_comes_too_late() {
    let lab = Lab::start();
    let [wallet, other] = [wallet(), wallet()];
    let [earlier, later] = [now(), now().plus(Duration::from_millis(500))];
    lab.passes(&signed_at(order("/rising/1"), &wallet, later));
    lab.refuses(&signed_at(order("/rising/1"), &wallet, earlier), 401, "signature_replayed");
    lab.passes(&signed_at(order("/rising/1"), &other, earlier));
    lab.passes(&signed_at(order("/asymmetric/1"), &wallet, earlier.plus(Duration::from_millis(1))));
}

#[test]
fn the_body_is_read_up_to_64_kib_and_no_further() {
    let lab = Lab::start();
    let wallet = wallet();
    let of_length = |length: usize| {
        let mut draft = order("/asymmetric/1");
        draft.body = vec![b'x'; length];
        signed(draft, &wallet)
    };
    lab.passes(&of_length(64 * 1024));
    lab.refuses(&of_length(64 * 1024 + 1), 413, "body_too_large");
}
