//! A request by an agent passes once, with a nonce or without.

use countersign::crypto::SigningKey;
use countersign::schemes::signature::SIGNATURE;

use super::*;

const REPLAYED: Option<Code> = Some(Code::SignatureReplayed);

fn without_nonce(bot: Bot) -> Bot {
    bot.with(|bot| bot.parameters.nonce = None)
}

#[tokio::test]
async fn a_nonce_is_spent_by_its_key() {
    let world = World::new();
    let request = world.bot().signed();
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&request).await, REPLAYED);
    let nonce = |text: &str| Some(text.to_owned());
    let first = world.bot().with(|bot| bot.parameters.nonce = nonce("n"));
    assert_eq!(world.code(&first.signed()).await, None);
    world.pass_seconds(1);
    let again = world.bot().with(|bot| bot.parameters.nonce = nonce("n"));
    assert_eq!(world.code(&again.signed()).await, REPLAYED, "of another signature");
    let others =
        world.bot().agent(&format!("{OTHER:?}")).key(2).with(|bot| bot.parameters.nonce = nonce("n"));
    assert_eq!(world.code(&others.signed()).await, None, "of another agent");
}

#[tokio::test]
async fn a_nonce_is_remembered_until_its_signature_has_expired() {
    let world = World::new();
    let request = world.bot().signed();
    assert_eq!(world.code(&request).await, None);
    world.pass_seconds(329);
    assert_eq!(world.code(&request).await, REPLAYED);
    world.pass_seconds(1);
    assert_eq!(world.code(&request).await, Some(Code::ProofExpired));
}

#[tokio::test]
async fn without_a_nonce_what_was_signed_is_spent() {
    let world = World::new();
    let request = without_nonce(world.bot()).signed();
    assert_eq!(world.code(&request).await, None);
    assert_eq!(world.code(&request).await, REPLAYED);
    world.pass_seconds(1);
    assert_eq!(world.code(&without_nonce(world.bot()).signed()).await, None);
}

#[tokio::test]
async fn a_signature_that_is_written_in_another_way_is_still_spent() {
    let world = World::new();
    let key = SigningKey::from_jwk(P256, None).unwrap();
    let public = key.verifying_key().clone();
    world.agents.answer(AGENT, agents::directory_of(&[&public]));
    let bot = without_nonce(world.bot()).with(|bot| {
        bot.parameters.keyid = public.thumbprint();
        bot.key = Box::new(key);
    });
    // ECDSA makes another signature of the same each time.
    let (one, other) = (bot.signed(), bot.signed());
    assert_ne!(one.headers[SIGNATURE], other.headers[SIGNATURE]);
    assert_eq!(world.code(&one).await, None);
    assert_eq!(world.code(&other).await, REPLAYED);
}

/// The P-256 key of vectors/keys.json.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"O18dDaSXdsxwMayAOE3V-itlAHXu2Fl1mztqfIeg7Tk","y":"JIkB5xSBDXOfPtCFIVPmCi3rI0027MaUkikZGOuCWFk","d":"ISQqvknMG_H6XglYSB4lyJREWiooXsPCgNkwoch4gUk"}"#;
