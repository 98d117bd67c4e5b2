//! The gate, with API keys and with a test scheme that spends and demands a body.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::crypto::{Digest, Random, SystemRandom, sha256};
use countersign::decision::Check;
use countersign::reservation::Use;
use countersign::schemes::api_key::{ApiKey, ApiKeyVerifier, KeyRegistry, KeyTerms, LastUses};
use countersign::spending::Spending;
use countersign::store::{Id, Space, Spend};
use countersign::testing::Verdict;
use countersign::testing::{self, HeaderScheme, NOW, Request, TEST_PROOF, TestStore, let_others_go_first};
use countersign::time::{ManualClock, Timestamp};
use countersign::verifier::{BodyCheck, Proven, Verifier};
use countersign::{
    Arrival, Body, BodySource, Carrier, Clock, Code, Denial, Gate, KeyId, Permissions, Policy, Principal,
    PublicUrl, RequestView, Requirement, Rule, Scheme, Subject,
};
use http::HeaderName;

/// `Test-Proof: <subject> <nonce> [<body>]`, spent once, standing in for `signature`. With a body it costs a use of
/// what is called like the subject, too, if that is `once`.
struct TestScheme {
    scheme: Scheme,
    header: HeaderName,
    cookie: Option<&'static str>,
    fresh_for: Duration,
    needs_order: bool,
}

impl TestScheme {
    fn new() -> Self {
        Self {
            scheme: Scheme::Signature,
            header: HeaderName::from_static("test-proof"),
            cookie: None,
            fresh_for: Duration::from_secs(60),
            needs_order: true,
        }
    }
}

/// One that is delivered in ten seconds.
fn a_use(name: &str) -> (Use, Digest) {
    let (until, lease) = (NOW.plus(Duration::from_secs(600)), Duration::from_secs(10));
    let (space, id) = (Space::durable("uses"), Id::of(&[name.as_bytes()]));
    let one = Use { space, id, name: name.to_owned(), uses: 1, until, lease, strict: false };
    (one, sha256(b"good"))
}

/// A key where it is the name of one, else somebody.
fn named(subject: &str) -> Subject {
    KeyId::parse(subject).map_or_else(|| Subject::Named(subject.into()), Subject::Key)
}

impl Verifier for TestScheme {
    type Credential = String;

    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn carriers(&self) -> Vec<Carrier> {
        let header = Carrier::Header(self.header.clone());
        std::iter::once(header).chain(self.cookie.map(Carrier::Cookie)).collect()
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<String>, Denial> {
        match request.single_header(&self.header)? {
            Some("malformed") => Err(Denial::new(Code::CredentialMalformed, "test")),
            value => Ok(value.map(str::to_owned)),
        }
    }

    fn needs_order(&self, _credential: &String, _request: &RequestView<'_>) -> bool {
        self.needs_order
    }

    async fn verify(
        &self,
        credential: String,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let mut words = credential.split(' ');
        let (subject, nonce) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let expected = words.next().map(|body| Bytes::from(body.to_owned()));
        let until = request.received_at.plus(self.fresh_for);
        let once = (subject == "once").then(|| a_use(nonce));
        let mut principal = Principal::vouch_for(named(subject));
        principal.expires = Some(request.received_at.plus(Duration::from_secs(300)));
        Ok(Proven {
            body: expected.map(|expected| BodyCheck {
                limit: 8,
                check: Box::new(move |body| match *body == expected {
                    true => Ok(once),
                    false => Err(Denial::new(Code::ContentDigest, "another body")),
                }),
            }),
            spends: vec![Spending::Proof {
                spend: Spend {
                    id: Id::of(&[nonce.as_bytes()]),
                    created: Some(request.received_at),
                    received_at: request.received_at,
                    until,
                },
                replayed: Code::SignatureReplayed,
            }],
            fresh_until: Some(until),
            ..Proven::outright(principal)
        })
    }
}

/// A world of API keys and of the test scheme.
struct World(testing::World);

impl std::ops::Deref for World {
    type Target = testing::World;

    fn deref(&self) -> &testing::World {
        &self.0
    }
}

impl World {
    fn new() -> Self {
        Self::gated(|gate| gate)
    }

    fn gated(change: impl FnOnce(Gate<Arc<TestStore>>) -> Gate<Arc<TestStore>>) -> Self {
        Self(testing::World::new().gated(change))
    }

    fn api_keys(&self) -> ApiKeyVerifier<Arc<TestStore>> {
        ApiKeyVerifier::new(self.store.clone(), Arc::new(LastUses::default()))
    }

    fn rule(&self, accept: &str) -> Arc<Rule> {
        self.rule_with(accept, Policy::default())
    }

    fn rule_with(&self, accept: &str, policy: Policy) -> Arc<Rule> {
        testing::rule(accept, |rule| {
            rule.policy(policy).verifier(TestScheme::new()).verifier(self.api_keys())
        })
    }

    async fn key(&self, permissions: &[&str]) -> ApiKey {
        self.api_key(permissions).await
    }

    async fn key_until(&self, expires: Timestamp) -> ApiKey {
        self.api_key_on(KeyTerms { label: "test".into(), expires: Some(expires), ..KeyTerms::default() })
            .await
    }
}

#[tokio::test]
async fn a_key_passes_in_each_of_its_places_and_not_in_two() {
    let world = World::new();
    let key = world.key(&[]).await;
    let text = key.reveal().expose().clone();
    let rule = world.rule("api-key");
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&key)).await, None);
    assert_eq!(world.code(&rule, &Request::get("/").with("x-api-key", &text)).await, None);
    let both = Request::get("/").bearing(&key).with("x-api-key", &text);
    assert_eq!(world.code(&rule, &both).await, Some(Code::CredentialAmbiguous));
    let twice = Request::get("/").bearing(&key).bearing(&key);
    assert_eq!(world.code(&rule, &twice).await, Some(Code::CredentialAmbiguous));

    let in_query = Request::get(&format!("/?a=1&_key={text}"));
    assert_eq!(world.code(&rule, &in_query).await, Some(Code::CredentialMissing), "not read unless named");
    let verifier = world.api_keys().also_in_query(true);
    let rule = testing::rule("api-key", |rule| rule.verifier(verifier));
    assert_eq!(world.code(&rule, &in_query).await, None);
    let twice = Request::get(&format!("/?_key={text}&_key={text}"));
    assert_eq!(world.code(&rule, &twice).await, Some(Code::CredentialAmbiguous));
    assert!(rule.carriers().contains(&Carrier::Parameter("_key")));
}

#[tokio::test]
async fn an_authorization_that_nobody_reads_is_one_line_and_never_in_doubt() {
    let world = World::new();
    let rule = world.rule("signature");
    let proven = |nonce: &str| Request::get("/").with("test-proof", &format!("a {nonce}"));
    let half = format!("Bearer {}", "a".repeat(43));
    let cases = [
        (vec!["Bearer theirs"], None),
        (vec!["Basic YTpi"], None),
        (vec!["Bearer cs_x"], None),
        (vec![&*half], Some(Code::CredentialAmbiguous)),
        (vec!["Basic YTpi", "Bearer theirs"], Some(Code::CredentialAmbiguous)),
    ];
    for (number, (values, code)) in cases.into_iter().enumerate() {
        let request = proven(&number.to_string());
        let request = values.iter().fold(request, |request, value| request.with("authorization", value));
        assert_eq!(world.code(&rule, &request).await, code, "{values:?}");
    }
}

#[tokio::test]
async fn nothing_is_missing_and_what_is_not_named_is_not_read() {
    let world = World::new();
    let rule = world.rule("api-key");
    for value in ["Bearer aaaa.bbbb.cccc", "Basic YTpi", "Webhook https://a.example h", "DPoP a.b.c"] {
        let request = Request::get("/").with("authorization", value);
        assert_eq!(world.code(&rule, &request).await, Some(Code::CredentialMissing), "{value}");
    }
    let verdict = world.decide(&rule, &Request::get("/")).await;
    let denial = verdict.decision().denial().unwrap();
    assert_eq!(denial.code(), Code::CredentialMissing);
    assert_eq!(denial.challenges().len(), 1);
    let malformed = Request::get("/").with("authorization", "Bearer cs_nonsense");
    assert_eq!(world.code(&rule, &malformed).await, Some(Code::KeyInvalid));
}

#[tokio::test]
async fn a_mistyped_key_costs_no_read_and_an_unknown_one_looks_like_a_wrong_one() {
    let world = World::new();
    let key = world.key(&[]).await;
    let rule = world.rule("api-key");
    world.store.reads();
    world.store.writes();

    let mut mistyped = key.reveal().expose().clone().into_bytes();
    mistyped[30] = if mistyped[30] == b'a' { b'b' } else { b'a' };
    let mistyped = format!("Bearer {}", String::from_utf8(mistyped).unwrap());
    let mistyped = Request::get("/").with("authorization", &mistyped);
    assert_eq!(world.code(&rule, &mistyped).await, Some(Code::KeyInvalid));
    assert_eq!((world.store.reads(), world.store.writes()), (0, 0));

    let unknown = ApiKey::generate(&SystemRandom);
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&unknown)).await, Some(Code::KeyInvalid));
    let wrong = ApiKey { id: key.id, secret: unknown.secret.clone() };
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&wrong)).await, Some(Code::KeyInvalid));
    assert_eq!((world.store.reads(), world.store.writes()), (2, 0));
}

#[tokio::test]
async fn revoked_expired_and_signed_only_keys_are_refused_and_the_cause_says_why() {
    let world = World::new();
    let rule = world.rule("api-key");
    let registry = KeyRegistry::new(world.store.clone());
    let cause = async |key: &ApiKey| {
        let verdict = world.decide(&rule, &Request::get("/").bearing(key)).await;
        let denial = verdict.decision().denial().expect("a denial").clone();
        assert_eq!(denial.code(), Code::KeyInvalid);
        denial.cause().to_owned()
    };

    let revoked = world.key(&[]).await;
    registry.revoke(revoked.id, NOW).await.unwrap();
    assert_eq!(cause(&revoked).await, format!("{} is revoked", revoked.id));

    let terms = KeyTerms { label: "s".into(), signed_only: true, ..KeyTerms::default() };
    let (signed_only, _) = registry.create(terms, NOW, &SystemRandom).await.unwrap();
    assert!(cause(&signed_only).await.contains("may sign"));

    let expires = Some(NOW.plus(Duration::from_secs(10)));
    let terms = KeyTerms { label: "e".into(), expires, ..KeyTerms::default() };
    let (expiring, _) = registry.create(terms, NOW, &SystemRandom).await.unwrap();
    world.clock.advance(Duration::from_millis(9_999));
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&expiring)).await, None);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(cause(&expiring).await, format!("{} is expired", expiring.id));
}

#[tokio::test]
async fn a_rotated_key_lives_for_its_overlap_and_its_successor_inherits_the_rest() {
    let world = World::new();
    let rule = world.rule("api-key");
    let registry = KeyRegistry::new(world.store.clone());
    let old = world.key(&["orders:read"]).await;
    let overlap = Duration::from_secs(60);
    let (new, record) = registry.rotate(old.id, overlap, NOW, &SystemRandom).await.unwrap();
    assert_eq!(record.terms.permissions, ["orders:read"]);
    assert_eq!(registry.get(old.id).await.unwrap().successor, Some(new.id));
    assert!(registry.rotate(old.id, overlap, NOW, &SystemRandom).await.is_err(), "once");
    for key in [&old, &new] {
        assert_eq!(world.code(&rule, &Request::get("/").bearing(key)).await, None);
    }
    world.clock.advance(overlap);
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&old)).await, Some(Code::KeyInvalid));
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&new)).await, None);
    assert_eq!(registry.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn rotation_prolongs_no_key_and_revives_none() {
    let world = World::new();
    let registry = KeyRegistry::new(world.store.clone());
    let (soon, late) = (NOW.plus(Duration::from_secs(30)), Duration::from_secs(60));
    let terms = KeyTerms { label: "soon".into(), expires: Some(soon), ..KeyTerms::default() };
    let (key, _) = registry.create(terms, NOW, &SystemRandom).await.unwrap();
    registry.rotate(key.id, late, NOW, &SystemRandom).await.unwrap();
    assert_eq!(registry.get(key.id).await.unwrap().terms.expires, Some(soon));
    let revoked = world.key(&[]).await;
    registry.revoke(revoked.id, NOW).await.unwrap();
    let refused = registry.rotate(revoked.id, late, NOW, &SystemRandom).await.err().unwrap().to_string();
    assert_eq!(refused, format!("the key {} cannot be rotated: it is revoked", revoked.id));
}

#[tokio::test]
async fn a_missing_permission_is_403_and_spends_nothing() {
    let world = World::new();
    let policy = Policy { permissions: ["orders:read".into()].into(), ..Policy::default() };
    let rule = world.rule_with("signature api-key", policy);
    let key = world.key(&["orders:write"]).await;
    let code = world.code(&rule, &Request::get("/").bearing(&key)).await;
    assert_eq!(code, Some(Code::PermissionMissing));
    let key = world.key(&["orders:read"]).await;
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&key)).await, None);

    let proof = Request::get("/").with("test-proof", "alice n1");
    assert_eq!(world.code(&rule, &proof).await, Some(Code::PermissionMissing));
    let open = world.rule("signature");
    assert_eq!(world.code(&open, &proof).await, None, "the refused request burned nothing");
    assert_eq!(world.code(&open, &proof).await, Some(Code::SignatureReplayed));
}

#[tokio::test]
async fn everything_presented_counts() {
    let world = World::new();
    let key = world.key(&[]).await;
    let proof = |request: Request| request.with("test-proof", &format!("{} n", key.id));
    let either = world.rule("api-key signature");
    let both = world.rule("api-key+signature");
    let request = proof(Request::get("/").bearing(&key));
    assert_eq!(world.code(&either, &request).await, Some(Code::CredentialAmbiguous));
    assert_eq!(world.code(&both, &proof(Request::get("/"))).await, Some(Code::CredentialMissing));
    assert_eq!(world.code(&both, &Request::get("/").bearing(&key)).await, Some(Code::CredentialMissing));
    assert_eq!(world.code(&both, &request).await, None);

    let other = Request::get("/").bearing(&key).with("test-proof", "somebody n2");
    assert_eq!(world.code(&both, &other).await, Some(Code::SubjectMismatch));
    let malformed = Request::get("/").bearing(&key).with("test-proof", "malformed");
    assert_eq!(world.code(&either, &malformed).await, Some(Code::CredentialMalformed), "never skipped");
    let bad = ApiKey::generate(&SystemRandom);
    let bad = proof(Request::get("/").bearing(&bad));
    assert_eq!(world.code(&both, &bad).await, Some(Code::KeyInvalid));
}

#[tokio::test]
async fn a_group_grants_the_intersection_and_neutral_proofs_do_not_limit() {
    let world = World::new();
    let key = world.key(&["a"]).await;
    let request = Request::get("/").bearing(&key).with("test-proof", &format!("{} n", key.id));
    match world.decide(&world.rule("api-key+signature"), &request).await {
        Verdict::Permit(permit) => {
            let principal = permit.principal().unwrap();
            assert_eq!(principal.permissions, Permissions::Only(["a".into()].into()));
            assert_eq!(principal.scheme_names(), "api-key+signature");
        }
        Verdict::Deny(refusal) => panic!("{:?}", refusal.denial()),
    }
}

#[tokio::test]
async fn the_body_is_judged_before_anything_is_spent() {
    let world = World::new();
    let rule = world.rule("signature");
    let signed = |body: &'static str| Request::get("/").with("test-proof", "alice n good").body(body);
    assert_eq!(world.code(&rule, &signed("evil")).await, Some(Code::ContentDigest));
    assert_eq!(world.code(&rule, &signed("far too long")).await, Some(Code::BodyTooLarge));
    assert_eq!(world.code(&rule, &signed("good")).await, None);
    assert_eq!(world.code(&rule, &signed("good")).await, Some(Code::SignatureReplayed));
}

/// A body that takes a minute to come in.
struct SlowBody(Arc<ManualClock>);

impl BodySource for SlowBody {
    fn read(&mut self, _: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Denial>> + Send + '_>> {
        self.0.advance(Duration::from_secs(60));
        Box::pin(std::future::ready(Ok(Bytes::from_static(b"good"))))
    }
}

#[tokio::test]
async fn a_proof_that_ends_while_its_body_comes_in_is_too_old() {
    let world = World::new();
    let rule = world.rule("signature");
    let request = Request::get("/").with("test-proof", "alice n good");
    let view = request.view(world.clock.now());
    let verdict = world.gate.decide(&rule, &view, &mut SlowBody(world.clock.clone())).await;
    assert_eq!(verdict.decision().denial().unwrap().code(), Code::ProofExpired);
    assert_eq!(world.code(&rule, &request.body("good")).await, None, "and nothing was spent");
}

#[tokio::test]
async fn explaining_spends_nothing_and_takes_no_budget() {
    let world = World::new();
    let rule =
        testing::rule("signature", |rule| rule.limit("1/min".parse().unwrap()).verifier(TestScheme::new()));
    let request = Request::get("/").with("test-proof", "alice n");
    let explained = request.clone().explained();
    for _ in 0..3 {
        assert_eq!(world.code(&rule, &explained).await, None);
    }
    assert_eq!(world.code(&rule, &request).await, None);
    let next = Request::get("/").with("test-proof", "alice n2");
    let verdict = world.decide(&rule, &next).await;
    let denial = verdict.decision().denial().unwrap();
    assert_eq!((denial.code(), denial.retry()), (Code::RateLimited, Some(Duration::from_secs(60))));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.code(&rule, &next).await, None, "the refused request burned no nonce");
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_slowed_and_others_are_not() {
    let world = World::gated(|gate| gate.with_unproven_limit("2/min".parse().unwrap()));
    let rule = world.rule("api-key");
    let key = world.key(&[]).await;
    let from = |address: &str| Request::get("/").from(address.parse::<IpAddr>().unwrap());
    for _ in 0..5 {
        assert_eq!(world.code(&rule, &from("2001:db8::1").bearing(&key)).await, None, "success is free");
    }
    for _ in 0..2 {
        assert_eq!(world.code(&rule, &from("2001:db8::1")).await, Some(Code::CredentialMissing));
    }
    assert_eq!(world.code(&rule, &from("2001:db8::2")).await, Some(Code::RateLimited), "the same /64");
    assert_eq!(world.code(&rule, &from("2001:db8:0:1::1")).await, Some(Code::CredentialMissing));
    assert_eq!(world.code(&rule, &from("192.0.2.1")).await, Some(Code::CredentialMissing));
}

#[tokio::test]
async fn a_clock_that_went_back_refuses_what_needs_the_order_of_moments_and_nothing_else() {
    let world = World::new();
    let rule = world.rule("api-key signature");
    let key = world.key(&[]).await;
    let (plain, dated) = (Request::get("/").bearing(&key), |nonce: &str| {
        Request::get("/").with("test-proof", &format!("alice {nonce}"))
    });
    assert_eq!(world.code(&rule, &plain).await, None);
    assert_eq!(world.code(&rule, &dated("1")).await, None);
    world.clock.set(NOW.minus(Duration::from_secs(1)));
    assert_eq!(world.code(&rule, &dated("2")).await, None, "small corrections happen");
    world.clock.set(NOW.minus(Duration::from_secs(3600)));
    assert_eq!(world.code(&rule, &plain).await, None);
    assert_eq!(world.code(&rule, &dated("3")).await, Some(Code::ClockRegressed));
    assert_eq!(world.code(&rule, &Request::get("/")).await, Some(Code::CredentialMissing));
    world.clock.set(NOW);
    assert_eq!(world.code(&rule, &dated("3")).await, None, "nothing was spent");
}

#[tokio::test]
async fn nothing_is_spent_by_a_clock_that_went_back_whatever_a_verifier_says_it_needs() {
    let world = World::new();
    let lax = TestScheme { needs_order: false, ..TestScheme::new() };
    let rule = testing::rule("signature", |rule| rule.verifier(lax));
    let proof = Request::get("/").with("test-proof", "alice 1");
    assert_eq!(world.code(&rule, &proof).await, None);
    world.clock.set(NOW.minus(Duration::from_secs(3600)));
    let proof = Request::get("/").with("test-proof", "alice 2");
    assert_eq!(world.code(&rule, &proof).await, Some(Code::ClockRegressed));
}

#[tokio::test]
async fn what_had_expired_by_a_clock_that_went_back_stays_expired() {
    let world = World::new();
    let rule = world.rule("api-key");
    let second = Duration::from_secs(1);
    let key = world.key_until(NOW.plus(600 * second)).await;
    let ended = Request::get("/").bearing(&world.key_until(NOW.plus(second)).await);
    let unknown = Request::get("/").bearing(&ApiKey::generate(&SystemRandom));
    let request = Request::get("/").bearing(&key);
    assert_eq!(world.code(&rule, &request).await, None);
    world.clock.set(NOW.plus(3600 * second));
    assert_eq!(world.code(&rule, &request).await, Some(Code::KeyInvalid));
    world.clock.set(NOW.plus(second));
    let denial = world.denial(&rule, &request).await;
    assert_eq!(denial.code(), Code::ClockRegressed, "by the later of the two alone");
    assert!(denial.cause().contains("expired") && denial.retry().is_some(), "{}", denial.cause());
    for invalid in [&ended, &unknown] {
        assert_eq!(world.code(&rule, invalid).await, Some(Code::KeyInvalid), "whichever moment is right");
    }
    world.gate.accept_clock(NOW);
    assert_eq!(world.code(&rule, &request).await, None, "the clock was wrong");
}

#[tokio::test]
async fn a_gate_knows_what_the_clock_has_shown_to_a_process_before_it() {
    let world = World::gated(|gate| gate.with_latest(NOW.plus(Duration::from_secs(3600))));
    let rule = world.rule("api-key signature");
    let key = world.key_until(NOW.plus(Duration::from_secs(600))).await;
    assert_eq!(world.code(&rule, &Request::get("/").bearing(&key)).await, Some(Code::ClockRegressed));
    let dated = Request::get("/").with("test-proof", "alice 1");
    assert_eq!(world.code(&rule, &dated).await, Some(Code::ClockRegressed));
    world.gate.accept_clock(NOW);
    assert_eq!(world.code(&rule, &dated).await, None);
}

#[tokio::test]
async fn what_was_presented_is_taken_out_before_forwarding_and_what_was_not_is_somebody_elses() {
    let cookie = Scheme::Session;
    let world = World::new();
    let with_cookie = TestScheme {
        scheme: cookie,
        header: HeaderName::from_static("other-proof"),
        cookie: Some("theirs"),
        ..TestScheme::new()
    };
    let rule = testing::rule("api-key signature session", |rule| {
        rule.verifier(TestScheme::new()).verifier(world.api_keys()).verifier(with_cookie)
    });
    let key = world.key(&[]).await;
    for (request, scheme) in [
        (Request::get("/").bearing(&key), Scheme::ApiKey),
        (Request::get("/").with("test-proof", "alice 1"), Scheme::Signature),
        (Request::get("/").with("other-proof", "alice 2"), cookie),
    ] {
        let Verdict::Permit(permit) = world.decide(&rule, &request).await else { panic!("{scheme} passes") };
        let carriers: Vec<_> = permit.carriers().collect();
        assert!(carriers.iter().any(|(of, _)| *of == scheme), "{scheme}: {carriers:?}");
        let others = carriers.iter().filter(|(of, _)| *of != scheme).collect::<Vec<_>>();
        let sent_along = (cookie, &Carrier::Cookie("theirs"));
        match scheme == cookie {
            true => assert!(others.is_empty() && carriers.contains(&sent_along), "{carriers:?}"),
            false => assert_eq!(others, [&sent_along], "a browser's cookie is sent without being presented"),
        }
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503() {
    let world = World::new();
    let rule = world.rule("api-key signature");
    let key = world.key(&[]).await;
    world.store.set_down(true);
    for request in [Request::get("/").bearing(&key), Request::get("/").with("test-proof", "alice n")] {
        let denial = world.denial(&rule, &request).await;
        assert_eq!(denial.code(), Code::StoreUnavailable);
        assert!(denial.retry().is_some());
    }
}

#[tokio::test]
async fn a_permit_stops_holding_when_its_key_is_revoked_or_ends() {
    let world = World::new();
    let rule = world.rule("api-key");
    let registry = KeyRegistry::new(world.store.clone());
    let expires = Some(NOW.plus(Duration::from_secs(100)));
    let terms = KeyTerms { label: "e".into(), expires, ..KeyTerms::default() };
    let (key, _) = registry.create(terms, NOW, &SystemRandom).await.unwrap();
    let permit = world.permit(&rule, &Request::get("/").bearing(&key)).await;
    assert_eq!(permit.principal().unwrap().expires, expires);
    let permit = permit.consumed().await.unwrap().spend();
    assert!(permit.still_holds(NOW).await.unwrap());
    assert!(!permit.still_holds(NOW.plus(Duration::from_secs(100))).await.unwrap());
    registry.revoke(key.id, NOW).await.unwrap();
    assert!(!permit.still_holds(NOW).await.unwrap());
}

#[tokio::test]
async fn what_is_proven_for_a_while_stops_holding_whatever_its_verifier_says() {
    let world = World::new();
    let rule = testing::rule("signature", |rule| rule.verifier(TestScheme::new()));
    let request = Request::get("/").with("test-proof", "alice n");
    let standing = world.permit(&rule, &request).await.consumed().await.unwrap().spend();
    assert!(standing.still_holds(NOW.plus(Duration::from_secs(299))).await.unwrap());
    assert!(!standing.still_holds(NOW.plus(Duration::from_secs(300))).await.unwrap());
}

/// A body that lets others go first.
struct PoliteBody;

impl BodySource for PoliteBody {
    fn read(&mut self, _: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Denial>> + Send + '_>> {
        Box::pin(async {
            let_others_go_first(1).await;
            Ok(Bytes::from_static(b"good"))
        })
    }
}

#[tokio::test]
async fn two_requests_at_once_do_not_share_the_last_place_within_a_limit() {
    let world = World::new();
    let rule =
        testing::rule("signature", |rule| rule.limit("1/min".parse().unwrap()).verifier(TestScheme::new()));
    let requests =
        ["alice n1 good", "alice n2 good"].map(|proof| Request::get("/").with("test-proof", proof));
    let views = [requests[0].view(NOW), requests[1].view(NOW)];
    let (mut first_body, mut second_body) = (PoliteBody, PoliteBody);
    let (first, second) = tokio::join!(
        world.gate.decide(&rule, &views[0], &mut first_body),
        world.gate.decide(&rule, &views[1], &mut second_body),
    );
    let mut codes =
        [first, second].map(|verdict| verdict.decision().denial().map(|denial| denial.code().as_str()));
    codes.sort_unstable();
    assert_eq!(codes, [None, Some("rate_limited")]);
}

#[tokio::test]
async fn who_loses_the_last_place_within_a_limit_gives_back_the_use_that_was_reserved() {
    let world = World::new();
    let rule =
        testing::rule("signature", |rule| rule.limit("1/min".parse().unwrap()).verifier(TestScheme::new()));
    let request = |nonce: &str| Request::get("/").with("test-proof", &format!("once {nonce} good"));
    let requests = [request("n1"), request("n2")];
    let views = [requests[0].view(NOW), requests[1].view(NOW)];
    let (mut first_body, mut second_body) = (PoliteBody, PoliteBody);
    let (first, second) = tokio::join!(
        world.gate.decide(&rule, &views[0], &mut first_body),
        world.gate.decide(&rule, &views[1], &mut second_body),
    );
    let code = |verdict: &Verdict| verdict.decision().denial().map(Denial::code);
    let (passed, limited) = match code(&first) {
        None => ("n1", "n2"),
        Some(_) => ("n2", "n1"),
    };
    assert_eq!(code(&first).or(code(&second)), Some(Code::RateLimited));
    assert_eq!(code(&first).and(code(&second)), None, "one of them passes");
    let unlimited = testing::rule("signature", |rule| rule.verifier(HeaderScheme(uses)));
    let free = |name: &str| Request::get("/").with(TEST_PROOF, name);
    assert_eq!(world.code(&unlimited, &free(passed)).await, Some(Code::CallbackInUse));
    assert_eq!(world.code(&unlimited, &free(limited)).await, None);
}

/// Whoever names a use has it to pay.
fn uses(name: &str, _: &RequestView<'_>) -> Proven {
    let (one, digest) = a_use(name);
    let spends = vec![Spending::Use { one, digest }];
    Proven { spends, ..Proven::outright(Principal::vouch_for(named("somebody"))) }
}

#[tokio::test]
async fn a_public_route_asks_nobody_and_a_rule_without_its_verifier_is_not_built() {
    let world = World::new();
    let rule = Arc::new(Rule::public("open"));
    assert_eq!(world.code(&rule, &Request::get("/")).await, None);
    assert!(Rule::requiring("x", Requirement::parse(["bearer"]).unwrap()).build().is_err());
}

#[tokio::test]
async fn a_decision_tells_its_story_and_holds_no_key() {
    let world = World::new();
    let key = world.key(&[]).await;
    let text = key.reveal().expose().clone();
    let rule = world.rule("api-key");
    let request = Request::get(&format!("/{text}?_key={text}")).bearing(&key);
    let verdict = world.decide(&rule, &request).await;
    let decision = verdict.decision();
    let checks: Vec<_> = decision.steps.iter().map(|step| step.check).collect();
    let expected = [
        Check::Source,
        Check::Time,
        Check::Extract,
        Check::Requirement,
        Check::Verify,
        Check::Policy,
        Check::Time,
    ];
    assert_eq!(checks, expected);
    assert!(decision.is_proven());
    let json = decision.to_json().to_string();
    assert!(!json.contains(&text[16..]), "{json}");
    assert!(json.contains(r#""outcome":"permit""#) && json.contains(r#""scheme":"api-key""#), "{json}");

    let denied = world.decide(&rule, &Request::get("/")).await;
    assert!(!denied.decision().is_proven());
    assert_eq!(denied.decision().to_json()["code"], "credential_missing");
}

#[test]
fn randomness_can_be_handed_in() {
    struct Zeros;
    impl Random for Zeros {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }
    let key = ApiKey::generate(&Zeros);
    // CRC-32 and base 62 computed by another implementation (zlib).
    let text = format!("cs_000000000000_{}12XkC9", "0".repeat(43));
    assert_eq!(key.reveal().expose(), &text);
}

#[tokio::test]
async fn a_key_was_used_by_what_passed_and_by_nothing_else() {
    let world = World::new();
    let key = world.key(&[]).await;
    let uses = Arc::new(LastUses::default());
    let rule = |policy: Policy| {
        let verifier = ApiKeyVerifier::new(world.store.clone(), uses.clone());
        testing::rule("api-key", |rule| rule.verifier(verifier).policy(policy))
    };
    let request = Request::get("/").bearing(&key);
    let policy = Policy { permissions: ["orders".to_owned()].into(), ..Policy::default() };
    assert_eq!(world.code(&rule(policy), &request).await, Some(Code::PermissionMissing));
    assert_eq!(world.code(&rule(Policy::default()), &request.clone().explained()).await, None);
    assert!(uses.take().is_empty());
    assert_eq!(world.code(&rule(Policy::default()), &request).await, None);
    assert_eq!(uses.take().into_keys().collect::<Vec<_>>(), [key.id]);
}

#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_is_under_no_rule() {
    let world = World::new();
    let key = world.key(&[]).await;
    let public = Arc::new(Rule::public("public"));
    for path in ["/a/%2e%2e/b", "/a/../b", "//", "/a%2fb", "/a%00"] {
        let request = Request::get(path).bearing(&key);
        for rule in [&public, &world.rule("api-key")] {
            let (mut parts, ()) = http::Request::get(request.target.clone()).body(()).unwrap().into_parts();
            let public_url = PublicUrl::parse("https://bob.example").unwrap();
            let arrival = Arrival::new(&world.gate, &mut parts, &public_url, Body::Absent, None, &());
            let refusal = arrival.admit(rule, &mut Bytes::new()).await.err().unwrap();
            assert_eq!(refusal.denial().code(), Code::PathAmbiguous, "{path}");
            let explained = world.gate.explain(rule, &request.view(NOW), &mut Bytes::new()).await;
            for decision in [refusal.decision(), &explained] {
                assert_eq!(decision.denial().map(Denial::code), Some(Code::PathAmbiguous), "{path}");
                assert_eq!(decision.route, None);
            }
        }
        let view = request.view(NOW);
        for (check, code) in [(Check::Route, Code::PathAmbiguous), (Check::Reading, Code::RouteUnknown)] {
            let refusal = world.gate.refuse(&view, check, Denial::new(Code::RouteUnknown, "nothing is here"));
            assert_eq!(refusal.denial().code(), code, "{path} {check:?}");
        }
    }
}

#[tokio::test]
async fn whoever_tries_without_a_credential_has_not_failed_too_often() {
    let world = World::gated(|gate| gate.with_unproven_limit("1/min".parse().unwrap()));
    let rule = Arc::new(Rule::trying("sign-in"));
    let request = Request::get("/").from([192, 0, 2, 1]);
    assert_eq!(world.code(&rule, &request).await, None);
    assert_eq!(world.code(&rule, &request).await, None, "trying costs nothing");
    let wrong = Denial::new(Code::SignInRefused, "test");
    let refusal = world.gate.fail(&request.view(NOW), Check::Verify, wrong);
    assert_eq!(refusal.denial().code(), Code::SignInRefused);
    assert_eq!(world.code(&rule, &request).await, Some(Code::RateLimited));
    assert_eq!(world.code(&Arc::new(Rule::public("public")), &request).await, None);
    assert_eq!(world.code(&rule, &Request::get("/").from([192, 0, 2, 2])).await, None);
}
