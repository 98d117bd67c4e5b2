//! What the seed's own client and package send that differs from our own half: taken where it can be read in one
//! way, refused with a cause where it cannot.

use std::collections::HashMap;

use super::*;

/// A header by hand, its signature over `path` with the request's query and body.
fn by_hand(request: Request, path: &str, header: impl Fn(&str, &str, u64) -> String) -> Request {
    let nonce = NOW.as_millis();
    let query = request.target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut message = format!("{nonce}|{}|{path}{query}|", request.method).into_bytes();
    message.extend_from_slice(&request.body);
    let signature = format!("0x{}", encode_hex(&key().sign_personal_message(&message)));
    let header = header(&vectors().address, &signature, nonce);
    request.with_proof(&header)
}

/// As the seed's client writes it, over `path`.
fn seed(request: Request, path: &str) -> Request {
    by_hand(request, path, |address, signature, nonce| {
        format!(
            "{{\"PublicKey\":\"{address}\",\"Signature\":\"{signature}\",\"Timestamp\":\"{NOW}\",\"Nonce\":{nonce}}}"
        )
    })
}

#[tokio::test]
async fn members_are_read_in_any_case_and_each_once_in_all_of_them() {
    let renamed = |names: [&str; 4]| {
        let header = order().signed().proof();
        let ours = ["PublicKey", "Signature", "Timestamp", "Nonce"];
        ours.iter().zip(names).fold(header, |header, (ours, name)| header.replacen(ours, name, 1))
    };
    for names in [
        ["publicKey", "signature", "timestamp", "nonce"],
        ["PUBLICKEY", "SIGNATURE", "TIMESTAMP", "NONCE"],
        ["publickey", "Signature", "timeStamp", "Nonce"],
    ] {
        assert_eq!(code(&order().with_proof(&renamed(names))).await, None, "{names:?}");
    }
    let header = order().signed().proof();
    let inner = &header[..header.len() - 1];
    for second in ["\"nonce\":1800000000000", "\"NONCE\":\"1\"", "\"publicKey\":\"\"", "\"signature\":null"] {
        let twice = order().with_proof(&format!("{inner},{second}}}"));
        assert_eq!(code(&twice).await, Some(Code::CredentialMalformed), "{second}");
    }
    // The package has a fifth, which nothing signs and nothing here reads.
    for network in ["\"Network\":\"mainnet\"", "\"network\":null"] {
        let fifth = order().with_proof(&format!("{inner},{network}}}"));
        assert_eq!(code(&fifth).await, None, "{network}");
    }
    for other in ["\"Network\":\"a\",\"network\":\"b\"", "\"Admin\":true", "\"Public-Key\":\"\""] {
        let unknown = order().with_proof(&format!("{inner},{other}}}"));
        assert_eq!(code(&unknown).await, Some(Code::CredentialMalformed), "{other}");
    }
}

#[tokio::test]
async fn a_nonce_may_be_a_string_of_the_same_digits() {
    let nonce = NOW.as_millis().to_string();
    let with =
        |text: &str| order().signed().altered(&format!("\"Nonce\":{nonce}"), &format!("\"Nonce\":{text}"));
    assert_eq!(code(&with(&format!("\"{nonce}\""))).await, None);
    for wrong in
        ["\"01800000000000\"", "\"+1800000000000\"", "\" 1800000000000\"", "\"1.8e12\"", "\"\"", "true", "[]"]
    {
        assert_eq!(code(&with(wrong)).await, Some(Code::CredentialMalformed), "{wrong}");
    }
    assert_eq!(code(&with("\"1800000000001\"")).await, Some(Code::SignatureInvalid));
    let world = World::new();
    assert_eq!(world.code(&order().signed()).await, None);
    assert_eq!(
        world.code(&with(&format!("\"{nonce}\""))).await,
        Some(Code::SignatureReplayed),
        "it is one nonce"
    );
}

#[tokio::test]
async fn a_timestamp_without_a_zone_is_of_utc_and_judged_so() {
    let with = |text: &str| order().signed().altered(&NOW.to_string(), text);
    for (text, expected) in [
        ("2027-01-15T08:00:00", None),
        ("2027-01-15T08:00:00.1234567", None),
        ("2027-01-15 08:00:00", None),
        ("2027-01-15T08:00:00.1234567Z", None),
        ("2027-01-15T09:00:00+01:00", None),
        ("2027-01-15T09:00:00", Some(Code::ProofFuture)),
        ("2027-01-15T07:00:00", Some(Code::ProofExpired)),
        ("2027-01-15", Some(Code::CredentialMalformed)),
        ("01/15/2027 08:00:00", Some(Code::CredentialMalformed)),
        ("/Date(1800000000000)/", Some(Code::CredentialMalformed)),
        ("2027-01-15T08:00:00ZZ", Some(Code::CredentialMalformed)),
        ("", Some(Code::CredentialMalformed)),
    ] {
        assert_eq!(code(&with(text)).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_signature_may_number_its_recovery_from_zero() {
    let header = order().signed().proof();
    let signature = encode_hex(&wire::Credential::from_header(&header).unwrap().signature);
    let low = format!("{}{}", &signature[..128], if signature.ends_with("1b") { "00" } else { "01" });
    assert_eq!(code(&order().with_proof(&header.replace(&signature, &low))).await, None);
}

#[tokio::test]
async fn a_path_with_a_space_counts_as_it_was_written_or_as_it_is_sent() {
    for (sent, written) in [
        ("/orders/a%20b", "/orders/a b"),
        ("/orders/a%20b?q=c%20d", "/orders/a b"),
        ("/orders/caf%C3%A9", "/orders/café"),
        ("/%E2%98%95%20for%20two", "/☕ for two"),
    ] {
        for path in [written, sent.split('?').next().unwrap()] {
            let request = seed(call("GET", sent, b""), path);
            assert_eq!(code(&request).await, None, "{path}");
            let world = World::new();
            assert_eq!(world.code(&request).await, None);
            assert_eq!(world.code(&request).await, Some(Code::SignatureReplayed));
        }
        // The query is signed as it is sent, here and in the package.
        let query = seed(call("GET", sent, b""), &format!("{written}?q=c d"));
        assert_eq!(code(&query).await, Some(Code::SignatureInvalid));
    }
}

#[tokio::test]
async fn a_decoded_path_that_is_of_other_requests_too_is_refused_and_told() {
    for (sent, written) in [
        // Others are sent in the place of the same written path, or are it.
        ("/orders/%61%20b", "/orders/a b"),
        ("/orders/a%2Db", "/orders/a-b"),
        ("/orders/a%2520b", "/orders/a%20b"),
        ("/orders/100%25%20off", "/orders/100% off"),
        ("/orders/caf%c3%a9", "/orders/café"),
        ("/orders/%22a%20b%22", "/orders/\"a b\""),
        ("/orders/a%3Fb%20c", "/orders/a?b c"),
    ] {
        let request = seed(call("GET", sent, b""), written);
        let verdict = World::new().decide(&request).await;
        let denial = verdict.decision().denial().unwrap();
        assert_eq!(denial.code(), Code::SignatureInvalid, "{sent}");
        assert!(
            denial.cause().contains("is the path of other requests as well"),
            "{sent}: {}",
            denial.cause()
        );
        assert_eq!(code(&seed(call("GET", sent, b""), sent)).await, None, "as it is sent");
    }
    let other = World::new().decide(&seed(call("GET", "/orders/a%20b", b""), "/orders/a c")).await;
    let cause = other.decision().denial().unwrap().cause().to_owned();
    assert!(cause.ends_with("or of another request"), "{cause}");
    // What would part method, path and body elsewhere is refused as ever, written or escaped.
    let line = seed(call("GET", "/orders/a%7C%20b", b""), "/orders/a| b");
    assert_eq!(code(&line).await, Some(Code::SignatureInvalid));
    // A path beyond ASCII as it is would be the written form of the escaped one.
    let raw = seed(call("GET", "/orders/café", b""), "/orders/café");
    assert_eq!(code(&raw).await, Some(Code::CredentialMalformed));
}

/// Every path for which the same message would count.
fn messages(path: &str) -> Vec<String> {
    let decoded = wire::decoded_path(path).ok().flatten();
    [Some(path.to_owned()), decoded].into_iter().flatten().collect()
}

proptest::proptest! {
    /// Of all paths that are tried, no two share a message.
    #[test]
    fn one_signature_is_of_one_path(
        paths in proptest::collection::vec("/(a|b|-|%20|%61|%2D|%25|%2520|%C3%A9|%c3%a9|%22|%2F|\"|\\[|%5B){0,3}", 2..60),
    ) {
        let mut owners: HashMap<String, String> = HashMap::new();
        for path in paths {
            for message in messages(&path) {
                let owner = owners.entry(message).or_insert_with(|| path.clone());
                proptest::prop_assert_eq!(&*owner, &path);
            }
        }
    }
}
