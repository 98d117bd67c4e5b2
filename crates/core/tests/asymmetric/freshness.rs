//! When a proof passes and how often, and whom a rule lets in.

use super::*;

#[tokio::test]
async fn a_nonce_passes_once_for_an_address() {
    for form in [Request::signed, Request::signed_in_query] {
        let world = World::new();
        assert_eq!(world.code(&form(order())).await, None);
        assert_eq!(world.code(&form(order())).await, Some(Code::SignatureReplayed));
        // Another request of the same nonce, and the same one in the other place.
        let other = call("GET", "/other", b"");
        assert_eq!(world.code(&form(other)).await, Some(Code::SignatureReplayed));
        assert_eq!(world.code(&order().signed()).await, Some(Code::SignatureReplayed));
        world.clock.advance(Duration::from_millis(WINDOW - 1));
        assert_eq!(world.code(&form(order())).await, Some(Code::SignatureReplayed));
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(world.code(&form(order())).await, Some(Code::ProofExpired));
    }
    let world = World::new();
    let theirs = EthereumKey::generate(&SystemRandom);
    let header = sign_header(&theirs, &Method::GET, &uri("/"), b"", NOW).unwrap();
    let request = call("GET", "/", b"");
    assert_eq!(world.code(&request.clone().signed()).await, None);
    assert_eq!(world.code(&request.with_proof(header.to_str().unwrap())).await, None, "another's");
}

#[tokio::test]
async fn where_nonces_rise_an_older_one_passes_no_more() {
    let at = |millis: u64| order().signed_at(NOW.plus(Duration::from_millis(millis)));
    let (any, rising) = (World::new(), World::rising());
    for (millis, code) in [(5, None), (4, Some(Code::SignatureReplayed)), (6, None)] {
        assert_eq!(rising.code(&at(millis)).await, code, "{millis}");
        assert_eq!(any.code(&at(millis)).await, None, "{millis}");
    }
}

#[tokio::test]
async fn a_proof_from_the_future_is_remembered_until_it_can_pass_no_more() {
    let world = World::new();
    let ahead = NOW.plus(Duration::from_millis(WINDOW));
    let request = order().signed_at(ahead);
    assert_eq!(world.code(&request).await, None);
    for _ in 0..2 {
        world.clock.advance(Duration::from_millis(WINDOW - 1));
        assert_eq!(world.code(&request).await, Some(Code::SignatureReplayed));
    }
    world.clock.advance(Duration::from_millis(2));
    assert_eq!(world.code(&request).await, Some(Code::ProofExpired));
}

#[tokio::test]
async fn a_refused_request_and_an_explained_one_burn_no_nonce() {
    let world = World::new();
    let mut other = order().signed();
    other.body = Bytes::from_static(b"other");
    assert_eq!(world.code(&other).await, Some(Code::SignatureInvalid));
    let mut explained = order().signed();
    explained = explained.explained();
    assert_eq!(world.code(&explained).await, None);
    assert_eq!(world.code(&explained).await, None);
    assert_eq!(world.code(&order().signed()).await, None);
}

#[tokio::test]
async fn nonce_and_timestamp_lie_within_120_seconds_either_way() {
    let at = |millis: u64| order().signed_at(Timestamp::from_millis(millis));
    let now = NOW.as_millis();
    assert_eq!(code(&at(now - WINDOW)).await, Some(Code::ProofExpired));
    assert_eq!(code(&at(now - WINDOW + 1)).await, None);
    assert_eq!(code(&at(now + WINDOW)).await, None);
    assert_eq!(code(&at(now + WINDOW + 1)).await, Some(Code::ProofFuture));
    assert_eq!(code(&at(0)).await, Some(Code::ProofExpired));

    // Nothing signs the timestamp; it is judged all the same.
    let with = |moment: Timestamp| order().signed().altered(&NOW.to_string(), &moment.to_string());
    let by = Duration::from_millis;
    assert_eq!(code(&with(NOW.minus(by(WINDOW)))).await, Some(Code::ProofExpired));
    assert_eq!(code(&with(NOW.minus(by(WINDOW - 1)))).await, None);
    assert_eq!(code(&with(NOW.plus(by(WINDOW)))).await, None);
    assert_eq!(code(&with(NOW.plus(by(WINDOW + 1)))).await, Some(Code::ProofFuture));
    for theirs in ["2027-01-15T09:00:00+01:00", "2027-01-15T08:00:00Z", "2027-01-15T08:00:00.0000000Z"] {
        assert_eq!(code(&order().signed().altered(&NOW.to_string(), theirs)).await, None, "{theirs}");
    }
    for wrong in ["", "yesterday", "1800000000000", "2027-01-15"] {
        let request = order().signed().altered(&NOW.to_string(), wrong);
        assert_eq!(code(&request).await, Some(Code::CredentialMalformed), "{wrong}");
    }
}

#[tokio::test]
async fn a_proof_that_ended_while_its_body_came_in_is_expired() {
    let world = World::new();
    let signed = order().signed_at(NOW.minus(Duration::from_millis(WINDOW - 1)));
    let view = signed.view(NOW);
    world.clock.advance(Duration::from_millis(1));
    let verdict = world.gate.decide(&world.rule, &view, &mut signed.body.clone()).await;
    assert_eq!(verdict.decision().denial().map(Denial::code), Some(Code::ProofExpired));
}

#[tokio::test]
async fn a_rule_can_name_the_accounts_that_may_pass() {
    let mine = Address::parse(&vectors().address).unwrap();
    let allowed = |address: &Address| Policy {
        subjects: [Subject::Ethereum(*address).to_string()].into(),
        ..Policy::default()
    };
    assert_eq!(World::with(allowed(&mine)).code(&order().signed()).await, None);
    let theirs = EthereumKey::generate(&SystemRandom).address();
    let refused = World::with(allowed(&theirs)).code(&order().signed()).await;
    assert_eq!(refused, Some(Code::PermissionMissing));
}

#[test]
fn nonces_rise_even_within_a_millisecond_and_when_the_clock_goes_back() {
    let nonces = Nonces::default();
    let given: Vec<u64> =
        [5, 5, 5, 4, 9].map(|now| nonces.next(Timestamp::from_millis(now)).as_millis()).into();
    assert_eq!(given, [5, 6, 7, 8, 9]);
}
