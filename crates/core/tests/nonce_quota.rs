//! How many nonces one signer may spend: what it costs, whom, and whom not.

use std::sync::Arc;
use std::time::Duration;

use countersign::decision::Check;
use countersign::spending::{Note, Spending};
use countersign::store::{Id, Space, Spend};
use countersign::testing::{self, HeaderScheme, Request, TEST_PROOF, rule};
use countersign::verifier::Proven;
use countersign::{Code, Decision, Denial, Permissions, Policy, Principal, RequestView, Subject};

/// `<subject> <nonce>…`: each nonce is spent.
fn nonces(credential: &str, request: &RequestView<'_>) -> Proven {
    let mut words = credential.split(' ');
    let subject = words.next().unwrap_or_default();
    let mut proven = Proven::outright(Principal::vouch_for(Subject::Named(subject.into())));
    if subject == "allowed" {
        proven.principal.permissions = Permissions::Only([Arc::from("orders")].into());
    }
    proven.spends = words
        .map(|nonce| Spending::Proof {
            spend: Spend {
                id: Id::of(&[subject.as_bytes(), nonce.as_bytes()]),
                created: None,
                received_at: request.received_at,
                until: request.received_at.plus(Duration::from_secs(3600)),
            },
            replayed: Code::SignatureReplayed,
        })
        .collect();
    // Something that is learnt, and no proof.
    let (space, id) = (Space::volatile("learnt"), Id::of(&[subject.as_bytes()]));
    proven.notes.push(Note::Kept { space, id, entry: None });
    proven
}

struct World(testing::World);

impl World {
    /// Three nonces a minute for each signer.
    fn new() -> Self {
        Self(testing::World::new().gated(|gate| gate.with_nonce_quota("3/min".parse().unwrap())))
    }

    async fn decision(&self, proof: &str, policy: Policy) -> Arc<Decision> {
        let rule = rule("signature", |rule| rule.policy(policy).verifier(HeaderScheme(nonces)));
        self.0.decision(&rule, &Request::get("/").with(TEST_PROOF, proof)).await
    }

    async fn code(&self, proof: &str) -> Option<Code> {
        self.decision(proof, Policy::default()).await.denial().map(Denial::code)
    }

    /// What would become of it.
    async fn explained(&self, proof: &str) -> Option<Code> {
        let rule = rule("signature", |rule| rule.verifier(HeaderScheme(nonces)));
        self.0.code(&rule, &Request::get("/").with(TEST_PROOF, proof).explained()).await
    }
}

const QUOTA: Option<Code> = Some(Code::NonceQuota);

#[tokio::test]
async fn a_signer_has_its_quota_and_nobody_else_is_affected() {
    let world = World::new();
    for nonce in 0..3 {
        assert_eq!(world.code(&format!("alice {nonce}")).await, None);
    }
    let over = world.decision("alice 3", Policy::default()).await;
    let denial = over.denial().unwrap();
    assert_eq!((denial.code(), denial.retry()), (Code::NonceQuota, Some(Duration::from_secs(20))));
    assert_eq!(over.steps.last().map(|step| step.check), Some(Check::Limit));
    assert_eq!(world.code("bob 3").await, None);
    world.0.pass_seconds(20);
    assert_eq!(world.code("alice 3").await, None, "what was refused was not spent");
    assert_eq!(world.code("alice 4").await, QUOTA);
}

#[tokio::test]
async fn each_nonce_counts_and_what_spends_none_costs_nothing() {
    let world = World::new();
    for _ in 0..5 {
        assert_eq!(world.code("alice").await, None);
    }
    assert_eq!(world.code("alice 1 2 3").await, None);
    assert_eq!(world.code("alice").await, None, "without a nonce there is no quota");
    assert_eq!(world.code("alice 4").await, QUOTA);
}

#[tokio::test]
async fn replays_refusals_and_explanations_take_nothing() {
    let world = World::new();
    assert_eq!(world.code("alice 0").await, None);
    for _ in 0..5 {
        assert_eq!(world.code("alice 0").await, Some(Code::SignatureReplayed));
        let policy = Policy { permissions: ["orders".to_owned()].into(), ..Policy::default() };
        let refused = world.decision("alice x", policy).await;
        assert_eq!(refused.denial().map(Denial::code), Some(Code::PermissionMissing));
        assert_eq!(world.explained("alice y").await, None);
        assert_eq!(world.explained("alice 0").await, Some(Code::SignatureReplayed));
    }
    assert_eq!(world.code("alice 1").await, None);
    assert_eq!(world.code("alice 2").await, None);
    let policy = Policy { permissions: ["orders".to_owned()].into(), ..Policy::default() };
    let refused = world.decision("alice x", policy).await;
    let code = refused.denial().map(Denial::code);
    assert_eq!(code, Some(Code::PermissionMissing), "the policy is looked at first");
    assert_eq!(world.explained("alice y").await, QUOTA);
}
