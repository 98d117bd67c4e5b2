//! Wallet files: what opens, what does not, and what is too much work.

use super::*;

fn keystores() -> Vec<Locked> {
    vectors().keystores
}

fn locked(text: &str) -> Result<Keystore, KeystoreError> {
    match Wallet::parse(text)? {
        Wallet::Locked(keystore) => Ok(*keystore),
        Wallet::Key(_) => panic!("a bare key"),
    }
}

#[test]
fn key_files_of_the_definition_open_with_their_password_alone() {
    for Locked { password, key, file } in keystores() {
        let keystore = locked(&file.to_string()).unwrap();
        let opened = keystore.unlock(password.as_bytes()).unwrap();
        assert_eq!(encode_hex(opened.secret().expose()), key);
        assert!(keystore.address().is_none_or(|address| address == opened.address()));
    }
    let Locked { file, .. } = keystores().pop().unwrap();
    assert!(file["address"].is_string());
    let opened = locked(&file.to_string()).unwrap().unlock(b"correct horsE");
    assert_eq!(opened.err(), Some(KeystoreError::Password));
}

/// The last vector is quick to open.
fn altered(change: impl FnOnce(&mut serde_json::Value)) -> Result<EthereumKey, KeystoreError> {
    let Locked { password, mut file, .. } = keystores().pop().unwrap();
    change(&mut file);
    locked(&file.to_string())?.unlock(password.as_bytes())
}

#[test]
fn a_changed_key_file_does_not_open() {
    assert!(altered(|_| {}).is_ok());
    let flipped = |file: &mut serde_json::Value, name: &str| {
        let text = file["crypto"][name].as_str().unwrap();
        let other = if text.starts_with('0') { "1" } else { "0" };
        file["crypto"][name] = format!("{other}{}", &text[1..]).into();
    };
    for name in ["ciphertext", "mac"] {
        assert_eq!(altered(|file| flipped(file, name)).err(), Some(KeystoreError::Password), "{name}");
    }
    let another = altered(|file| file["address"] = "00".repeat(20).into());
    assert_eq!(another.err(), Some(KeystoreError::Address));
    assert!(altered(|file| file["address"] = "".into()).is_ok());
}

#[test]
fn a_key_file_of_another_kind_is_refused() {
    use KeystoreError::{Digits, Form, Unknown};
    let refused = |change: fn(&mut serde_json::Value)| altered(change).unwrap_err();
    assert!(matches!(refused(|file| file["version"] = 4.into()), Unknown(_)));
    assert!(matches!(refused(|file| file["version"] = "3".into()), Form(_)));
    assert!(matches!(refused(|file| file["crypto"]["cipher"] = "aes-128-cbc".into()), Unknown(_)));
    assert!(matches!(refused(|file| file["crypto"]["kdf"] = "argon2".into()), Unknown(_)));
    assert!(matches!(refused(|file| file["crypto"]["mac"] = "00".into()), Digits("mac")));
    assert!(matches!(refused(|file| file["crypto"]["ciphertext"] = "00".repeat(31).into()), Digits(_)));
    assert!(matches!(refused(|file| file["crypto"]["cipherparams"]["iv"] = "0".into()), Digits("iv")));
    assert!(matches!(refused(|file| file["crypto"]["kdfparams"]["salt"] = "0".into()), Digits("salt")));
    assert!(matches!(refused(|file| file["address"] = "0x1".into()), Digits("address")));
    assert!(matches!(
        refused(|file| file["crypto"]["kdfparams"]["salt"] = "00".repeat(1025).into()),
        Digits("salt")
    ));
    assert!(matches!(Wallet::parse("{").unwrap_err(), Form(_)));
    assert!(
        matches!(Wallet::parse(&format!("{{{}", " ".repeat(LONGEST_WALLET))).unwrap_err(), Form(why) if why.contains("65536"))
    );
    assert_eq!(Wallet::parse("not a key").unwrap_err(), KeystoreError::Key(KeyError::Form));
}

#[test]
fn a_key_file_cannot_ask_for_more_work_than_is_done_here() {
    let scrypt = |n: u64, r: u32, p: u32| {
        let Locked { mut file, .. } = keystores().pop().unwrap();
        let parameters = &mut file["crypto"]["kdfparams"];
        (parameters["n"], parameters["r"], parameters["p"]) = (n.into(), r.into(), p.into());
        Keystore::parse(&file.to_string()).err()
    };
    assert_eq!(scrypt(1 << 18, 8, 1), None, "geth's");
    assert_eq!(scrypt(1 << 18, 1, 8), None, "the definition's");
    assert_eq!(scrypt(1 << 22, 1, 1), Some(KeystoreError::Cost("scrypt's memory")), "and a block");
    assert_eq!(scrypt(1 << 18, 15, 1), None);
    assert_eq!(scrypt(1 << 18, 16, 1), Some(KeystoreError::Cost("scrypt's memory")));
    assert_eq!(scrypt(2, 1, u32::MAX), Some(KeystoreError::Cost("scrypt's memory")));
    assert_eq!(scrypt(1 << 63, u32::MAX, u32::MAX), Some(KeystoreError::Cost("scrypt's memory")));
    assert_eq!(scrypt(1 << 18, 8, 8), None);
    assert_eq!(scrypt(1 << 18, 8, 9), Some(KeystoreError::Cost("scrypt's p")));
    for n in [0, 1, 3, 5000] {
        assert_eq!(scrypt(n, 8, 1), Some(KeystoreError::Cost("n is a power of two, above one")));
    }
    assert_eq!(scrypt(4096, 0, 1), Some(KeystoreError::Cost("scrypt's parameters")));
    assert_eq!(scrypt(4096, 8, 0), Some(KeystoreError::Cost("scrypt's parameters")));

    let pbkdf2 = |name: &str, value: serde_json::Value| {
        let Locked { mut file, .. } = keystores().swap_remove(0);
        file["crypto"]["kdfparams"][name] = value;
        Keystore::parse(&file.to_string()).err()
    };
    assert_eq!(pbkdf2("c", MOST_ITERATIONS.into()), None);
    assert_eq!(pbkdf2("c", (MOST_ITERATIONS + 1).into()), Some(KeystoreError::Cost("c")));
    assert_eq!(pbkdf2("c", 0.into()), Some(KeystoreError::Cost("c")));
    assert_eq!(pbkdf2("dklen", 31.into()), Some(KeystoreError::Cost("dklen is at least 32")));
    assert_eq!(pbkdf2("dklen", u64::MAX.into()), None, "only 32 bytes are made");
    assert!(matches!(pbkdf2("prf", "hmac-sha512".into()), Some(KeystoreError::Unknown(_))));
}

#[test]
fn a_key_file_prints_its_address_alone() {
    let Locked { file, .. } = keystores().pop().unwrap();
    let keystore = locked(&file.to_string()).unwrap();
    let address = keystore.address().unwrap();
    assert_eq!(format!("{keystore:?}"), format!("Keystore({address})"));
    let Locked { file, .. } = keystores().swap_remove(0);
    assert_eq!(format!("{:?}", locked(&file.to_string()).unwrap()), "Keystore(of an unnamed account)");
}
