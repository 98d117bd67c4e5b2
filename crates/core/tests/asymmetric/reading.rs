//! What is a credential, what is none, and what is two.

use super::*;

#[tokio::test]
async fn an_address_may_be_in_one_case_and_a_wrong_checksum_is_malformed() {
    let address = vectors().address;
    let lower = order().signed().altered(&address, &address.to_lowercase());
    assert_eq!(code(&lower).await, None);
    let wrong = order().signed().altered("0x6370eF", "0x6370Ef");
    assert_eq!(code(&wrong).await, Some(Code::CredentialMalformed));
}

#[tokio::test]
async fn without_a_credential_the_challenge_names_the_scheme() {
    let verdict = World::new().decide(&order()).await;
    let denial = verdict.decision().denial().unwrap();
    assert_eq!(denial.code(), Code::CredentialMissing);
    assert_eq!(denial.challenges()[0].as_str(), "AsymmetricAuthentication");
    for theirs in
        ["/?scheme=other", "/?Scheme=AsymmetricAuthentication", "/?a=scheme=AsymmetricAuthentication"]
    {
        let request = call("GET", theirs, b"");
        assert_eq!(code(&request).await, Some(Code::CredentialMissing), "{theirs}");
    }
}

#[tokio::test]
async fn a_nonce_is_a_whole_number_below_2_to_the_63() {
    let nonce = NOW.as_millis().to_string();
    for wrong in [
        "9223372036854775808",
        "18446744073709551616",
        "-1",
        "1.8e12",
        "1800000000000.0",
        "null",
        "01800000000000",
    ] {
        let request = order().signed().altered(&format!("\"Nonce\":{nonce}"), &format!("\"Nonce\":{wrong}"));
        assert_eq!(code(&request).await, Some(Code::CredentialMalformed), "{wrong}");
    }
    let largest = order().signed().altered(&format!("\"Nonce\":{nonce}"), "\"Nonce\":9223372036854775807");
    assert_eq!(code(&largest).await, Some(Code::ProofFuture));
    for wrong in
        ["9223372036854775808", "-1", "+1800000000000", "01800000000000", "1.8e12", "", "%31800000000000"]
    {
        let request =
            order().signed_in_query().with_target(&format!("nonce={nonce}"), &format!("nonce={wrong}"));
        assert_eq!(code(&request).await, Some(Code::CredentialMalformed), "{wrong}");
    }
}

#[tokio::test]
async fn a_credential_in_both_places_or_twice_is_ambiguous() {
    let ambiguous = Some(Code::CredentialAmbiguous);
    let mut both = order().signed_in_query();
    both.headers = order().signed().headers;
    assert_eq!(code(&both).await, ambiguous);
    let marked = order().signed().to(&format!("/orders?draft=1&{MARKER}"));
    assert_eq!(code(&marked).await, ambiguous);

    let mut twice = order().signed();
    let again = twice.headers[wire::ASYMMETRIC_AUTHENTICATION].clone();
    twice.headers.append(wire::ASYMMETRIC_AUTHENTICATION, again);
    assert_eq!(code(&twice).await, ambiguous);

    let in_query = order().signed_in_query();
    for parameter in in_query.target.query().unwrap().split('&').skip(1) {
        let doubled = in_query.clone().with_target(parameter, &format!("{parameter}&{parameter}"));
        assert_eq!(code(&doubled).await, ambiguous, "{parameter}");
        let name = parameter.split('=').next().unwrap();
        let doubled = in_query.clone().with_target(parameter, &format!("{parameter}&{name}=x"));
        assert_eq!(code(&doubled).await, ambiguous, "{name}");
        if name != "scheme" {
            let less = in_query.clone().with_target(&format!("&{parameter}"), "");
            assert_eq!(code(&less).await, Some(Code::CredentialMalformed), "{name}");
        }
    }
}

#[tokio::test]
async fn the_header_is_four_members_each_once() {
    let signed = order().signed();
    let header = signed.proof();
    let malformed = async |value: &str| {
        let code = code(&signed.clone().with_proof(value)).await;
        assert_eq!(code, Some(Code::CredentialMalformed), "{value}");
    };
    let members: Vec<&str> = header[1..header.len() - 1].split(",\"").collect();
    assert_eq!(members.len(), 4);
    for at in 0..4 {
        let mut less = members.clone();
        let member = less.remove(at).trim_start_matches('"');
        let less: Vec<_> =
            less.iter().map(|member| format!("\"{}", member.trim_start_matches('"'))).collect();
        malformed(&format!("{{{}}}", less.join(","))).await;
        malformed(&format!("{{{},\"{member}}}", &header[1..header.len() - 1])).await;
    }
    // Escapes do not hide the second.
    malformed(&format!("{},\"\\u004eonce\":1800000000000}}", &header[..header.len() - 1])).await;
    malformed(&format!("{},\"Admin\":true}}", &header[..header.len() - 1])).await;
    malformed(&format!("{header}x")).await;
    malformed(&header.replacen(":", &format!(":{}", " ".repeat(1024)), 1)).await;
    let credential = wire::Credential::from_header(&header).unwrap();
    let (address, signature) = (credential.address, encode_hex(&credential.signature));
    malformed(&format!("[\"{address}\",\"0x{signature}\",\"{NOW}\",{}]", NOW.as_millis())).await;
    malformed(&header.replace(&format!("0x{signature}"), &signature)).await;
    malformed(&header.replace(&signature, &signature[2..])).await;
    malformed(&header.replace(&signature, &format!("{signature}00"))).await;
    malformed("").await;
    malformed("{}").await;
    malformed("null").await;
    let spaced = header.replace("\":", "\" : ");
    assert_eq!(code(&signed.clone().with_proof(&spaced)).await, None, "white space is JSON's");
}

#[test]
fn a_signer_refuses_what_would_be_read_otherwise() {
    let sign = |target: &str| sign_query(&key(), &Method::GET, &uri(target), b"", NOW).err();
    for name in ["scheme", "nonce", "publicKey", "signature", "timestamp"] {
        assert_eq!(sign(&format!("/?a=1&{name}=1")), Some(SignError::Taken));
    }
    let marked = sign_header(&key(), &Method::GET, &uri(&format!("/?{MARKER}")), b"", NOW);
    assert_eq!(marked.err(), Some(SignError::Taken));
}

#[test]
fn a_credential_prints_no_signature() {
    let header = order().signed().proof();
    let credential = wire::Credential::from_header(&header).unwrap();
    let shown = format!("{credential:?}");
    assert!(shown.contains(&credential.address.to_string()));
    assert!(!shown.contains(&encode_hex(&credential.signature)[..16]), "{shown}");
}

proptest::proptest! {
    #[test]
    fn a_credential_is_read_as_it_was_written(
        address: [u8; 20],
        signature in proptest::collection::vec(proptest::num::u8::ANY, 65),
        nonce in 0..=i64::MAX as u64,
        moment in 0..253_402_300_799_999_u64,
    ) {
        let credential = wire::Credential {
            address: Address::from_bytes(address),
            signature: signature.try_into().unwrap(),
            nonce: Timestamp::from_millis(nonce),
            timestamp: Timestamp::from_millis(moment),
        };
        let header = call("GET", "/", b"").with_proof(&credential.to_header());
        let query = call("GET", &format!("/?{}", credential.to_query()), b"");
        for request in [header, query] {
            let read = wire::Credential::read(&request.view(NOW)).unwrap();
            proptest::prop_assert_eq!(read, Some(credential));
        }
    }

    #[test]
    fn any_text_is_a_credential_or_malformed(text in "[ -~]{0,300}") {
        if let Err(denial) = wire::Credential::from_header(&text) {
            proptest::prop_assert_eq!(denial.code(), Code::CredentialMalformed);
        }
    }
}
