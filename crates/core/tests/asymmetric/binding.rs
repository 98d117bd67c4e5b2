//! What a signature binds: method, path, query, body and address; changed, hidden or moved, it fails.

use super::*;

#[tokio::test]
async fn what_another_implementation_signs_passes_in_either_place_and_is_what_we_sign() {
    let Vectors { address, now, cases, .. } = vectors();
    assert_eq!(Timestamp::from_millis(now), NOW);
    for case in cases {
        let body = bytes(&case.body);
        let request = call(&case.method, &case.target, &body).with_proof(&case.header);
        let credential = wire::Credential::from_header(&case.header).unwrap();
        let (path, query) = (request.target.path(), request.target.query());
        let message = wire::message(credential.nonce, &request.method, path, query, &body);
        assert_eq!(encode_hex(&message), case.message);

        let in_query = call(&case.method, &case.query_target, &body);
        for request in [&request, &in_query] {
            let verdict = World::new().decide(request).await;
            let Verdict::Permit(permit) = verdict else { panic!("{}", verdict.decision().denial().unwrap()) };
            let principal = permit.principal().unwrap();
            assert_eq!(principal.subject.to_string(), format!("eip155:{}", address.to_lowercase()));
            assert_eq!(principal.permissions, Permissions::Unstated);
            assert_eq!(principal.schemes, [Scheme::Asymmetric]);
        }

        let header = sign_header(&key(), &request.method, &request.target, &body, credential.nonce);
        assert_eq!(header.unwrap().to_str().unwrap(), case.header);
        let target = sign_query(&key(), &request.method, &uri(&case.target), &body, credential.nonce);
        assert_eq!(target.unwrap(), in_query.target);
    }
}

#[tokio::test]
async fn another_method_path_query_or_body_is_another_request() {
    let invalid = Some(Code::SignatureInvalid);
    for form in [Request::signed, Request::signed_in_query] {
        let signed = form(order());
        assert_eq!(code(&signed).await, None);
        let mut other = signed.clone();
        other.method = Method::PUT;
        assert_eq!(code(&other).await, invalid);
        for (from, to) in [
            ("/orders", "/orderz"),
            ("/orders", "/orders/"),
            ("draft=1", "draft=0"),
            ("draft=1", "draft=1&admin=1"),
            ("draft=1", "draft=%31"),
            ("draft=1", "admin=1&draft=1"),
        ] {
            assert_eq!(code(&signed.clone().with_target(from, to)).await, invalid, "{to}");
        }
        for body in [&b""[..], b"{\"item\":\"gin\"}", b"{\"item\":\"tea\"}\n"] {
            let mut other = signed.clone();
            other.body = Bytes::copy_from_slice(body);
            assert_eq!(code(&other).await, invalid);
        }
    }
    let appended = order().signed_in_query().target.to_string() + "&admin=1";
    assert_eq!(code(&order().to(&appended["https://bob.example".len()..])).await, invalid);
}

/// The seed's server takes the text of a parameter out wherever it stands: `xnonce=1` loses its tail, a
/// value that repeats the credential disappears, and a name in another case goes as well. Whoever relays
/// a signed request could so add arguments that nobody signed.
#[tokio::test]
async fn only_whole_parameters_are_left_out_so_that_nothing_can_be_hidden() {
    let signed = order().signed_in_query();
    let query = signed.target.query().unwrap().to_owned();
    let nonce = query.split('&').find(|parameter| parameter.starts_with("nonce=")).unwrap().to_owned();
    let target = |query: &str| format!("/orders?{query}");
    for hidden in [
        format!("{query}&x{nonce}"),
        format!("{query}&x={nonce}"),
        format!("{query}&admin=1{nonce}"),
        format!("{query}&PublicKey=1"),
        format!("{query}&Nonce=1"),
        format!("{query}&%6eonce=1"),
        format!("{query}&"),
        format!("&{query}"),
        query.replacen("draft=1", &format!("draft={nonce}1"), 1),
    ] {
        let request = order().to(&target(&hidden));
        assert_eq!(code(&request).await, Some(Code::SignatureInvalid), "{hidden}");
    }
    let trailing = order().to(&target(&format!("{query}?")));
    assert_eq!(code(&trailing).await, Some(Code::CredentialMalformed), "a part of the timestamp");
    // Where it stands makes no difference: it is left out, and the rest is in order.
    let (rest, ours) = query.split_at("draft=1".len());
    let before = format!("{}&{rest}", &ours[1..]);
    assert_eq!(code(&order().to(&target(&before))).await, None);
}

#[tokio::test]
async fn the_upstreams_own_parameters_of_the_same_names_are_signed_like_any() {
    let request = call("GET", "/sign?nonce=5&signature=x&scheme=other", b"").signed();
    assert_eq!(code(&request).await, None);
    let other = request.with_target("nonce=5", "nonce=6");
    assert_eq!(code(&other).await, Some(Code::SignatureInvalid));
    let rule = World::new().rule;
    let names = &["scheme", "nonce", "publicKey", "signature", "timestamp"];
    let marker = ("scheme", "AsymmetricAuthentication");
    assert!(rule.carriers().contains(&Carrier::Parameters { marker, names }));
    assert!(rule.carriers().contains(&Carrier::Header(wire::ASYMMETRIC_AUTHENTICATION)));
}

#[tokio::test]
async fn a_vertical_line_in_method_path_or_query_is_malformed() {
    let malformed = Some(Code::CredentialMalformed);
    let signed = order().signed();
    for target in ["/orders|?draft=1", "/a|b", "/orders?draft=1|", "/orders?a|b=1"] {
        assert_eq!(code(&signed.clone().to(target)).await, malformed, "{target}");
        let unsigned = sign_header(&key(), &Method::GET, &uri(target), b"", NOW);
        assert!(matches!(unsigned, Err(SignError::Divided(_))), "{target}");
    }
    let mut method = signed.clone();
    method.method = "POST|".parse().unwrap();
    assert_eq!(code(&method).await, malformed);
    let in_query = order().signed_in_query().with_target("draft=1", "draft=1|");
    assert_eq!(code(&in_query).await, malformed);
    assert_eq!(code(&call("PUT", "/a", b"|b|c").signed()).await, None, "a body may");
}

/// `POST` of `/a` with the body `/b|c` and `POST` of `/a|/b` with the body `c` have one message.
#[tokio::test]
async fn borders_cannot_be_moved_from_the_body_into_the_path() {
    let signed = call("POST", "/a", b"/b|c").signed();
    assert_eq!(code(&signed).await, None);
    let mut moved = signed.to("/a|/b");
    moved.body = Bytes::from_static(b"c");
    assert_eq!(code(&moved).await, Some(Code::CredentialMalformed));
}

#[tokio::test]
async fn the_signature_is_the_named_addresss_and_has_one_spelling() {
    let signed = order().signed();
    let other = EthereumKey::generate(&SystemRandom).address().checksummed();
    let stolen = signed.clone().altered(&vectors().address, &other);
    assert_eq!(code(&stolen).await, Some(Code::SignatureInvalid));

    let credential = wire::Credential::from_header(&signed.proof()).unwrap();
    let spelled = |signature: [u8; 65]| {
        let header = wire::Credential { signature, ..credential }.to_header();
        signed.clone().with_proof(&header)
    };
    assert_eq!(code(&spelled(credential.signature)).await, None);
    for v in [29, 30, 2, 3, 37, 255] {
        let mut signature = credential.signature;
        signature[64] = v;
        assert_eq!(code(&spelled(signature)).await, Some(Code::SignatureInvalid), "{v}");
    }
    let mut short = credential.signature;
    short[64] -= 27;
    assert_eq!(code(&spelled(short)).await, None, "0 and 1 are what some hardware writes");
    short[64] ^= 1;
    assert_eq!(code(&spelled(short)).await, Some(Code::SignatureInvalid));
    assert_eq!(code(&spelled([0; 65])).await, Some(Code::SignatureInvalid));

    // The other signature of the same thing, which anybody can make of the first.
    let order = bytes("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let mut twin = credential.signature;
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let part = i16::from(order[at]) - i16::from(twin[32 + at]) - borrow;
        borrow = i16::from(part < 0);
        twin[32 + at] = u8::try_from(part.rem_euclid(256)).unwrap();
    }
    twin[64] = 55 - twin[64];
    assert_eq!(code(&spelled(twin)).await, Some(Code::SignatureInvalid));
}

#[tokio::test]
async fn a_body_counts_up_to_64_kib() {
    let with = |length: usize| call("PUT", "/file", &vec![b'x'; length]).signed();
    assert_eq!(code(&with(LARGEST_BODY)).await, None);
    assert_eq!(code(&with(LARGEST_BODY + 1)).await, Some(Code::BodyTooLarge));
    assert_eq!(LARGEST_BODY, 65_536);
    let mut withheld = with(1);
    withheld.announced = Some(Body::Withheld);
    assert_eq!(code(&withheld).await, Some(Code::SignatureCoverage));
}

#[tokio::test]
async fn a_stale_proof_costs_no_body() {
    let mut request = call("PUT", "/file", &vec![b'x'; LARGEST_BODY + 1]);
    request = request.signed_at(NOW.minus(Duration::from_millis(WINDOW)));
    assert_eq!(code(&request).await, Some(Code::ProofExpired));
}

proptest::proptest! {
    /// So that no two requests have one message, but for where they carry their credential.
    #[test]
    fn a_message_says_all_that_it_was_made_of(
        nonce: u64,
        method in "[A-Z!#$~a-z]{1,10}",
        path in "/[a-z%/.]{0,10}",
        query in proptest::option::of("[a-z%=&/?]{0,10}"),
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..20),
    ) {
        let method: Method = method.parse().unwrap();
        let message = wire::message(Timestamp::from_millis(nonce), &method, &path, query.as_deref(), &body);
        let parts: Vec<&[u8]> = message.splitn(4, |byte| *byte == b'|').collect();
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let said = [nonce.to_string().into_bytes(), method.as_str().into(), target.into_bytes(), body];
        proptest::prop_assert_eq!(parts, said);
    }
}
