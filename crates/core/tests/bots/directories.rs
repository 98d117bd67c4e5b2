//! An agent's directory: when it is asked for, what of it counts, and what serves while it cannot be had.

use super::agents::{directory, directory_of, fresh_for};
use super::*;
use http::StatusCode;
use http::header::CONTENT_TYPE;

const INVALID: Option<Code> = Some(Code::SignatureInvalid);
const UNAVAILABLE: Option<Code> = Some(Code::KeysUnavailable);
const HOUR: u64 = 3600;

#[tokio::test]
async fn a_directory_serves_an_hour_where_it_does_not_say_for_how_long() {
    let world = World::new();
    for (seconds, asked) in [(0, 1), (HOUR - 1, 1), (1, 2), (HOUR - 1, 2)] {
        world.pass_seconds(seconds);
        assert_eq!((world.now().await, world.agents.count()), (None, asked));
    }
}

#[tokio::test]
async fn a_directory_serves_for_as_long_as_it_says() {
    let world = World::new();
    world.agents.answer(AGENT, fresh_for(120, directory_of(&[&public_key(1)])));
    for (seconds, asked) in [(0, 1), (119, 1), (1, 2)] {
        world.pass_seconds(seconds);
        assert_eq!((world.now().await, world.agents.count()), (None, asked));
    }
}

#[tokio::test]
async fn an_old_directory_serves_a_day_while_the_agent_is_away_and_then_nothing_does() {
    let world = World::new();
    assert_eq!(world.now().await, None);
    world.agents.lose(AGENT);
    world.pass_seconds(HOUR);
    assert_eq!((world.now().await, world.agents.count()), (None, 2));
    world.pass_seconds(9);
    assert_eq!((world.now().await, world.agents.count()), (None, 2), "it is left in peace for 10 s");
    world.pass_seconds(1);
    assert_eq!((world.now().await, world.agents.count()), (None, 3));
    world.pass_seconds(24 * HOUR - 11);
    assert_eq!(world.now().await, None);
    world.pass_seconds(1);
    assert_eq!(world.now().await, UNAVAILABLE);
    world.agents.answer(AGENT, directory_of(&[&public_key(1)]));
    world.pass_seconds(10);
    assert_eq!(world.now().await, None);
}

#[tokio::test]
async fn an_agent_that_was_never_reached_is_503_with_the_time_of_the_next_attempt() {
    let world = World::new();
    world.agents.lose(AGENT);
    let denial = world.denial(&world.bot().signed()).await;
    assert_eq!((denial.code(), denial.retry()), (Code::KeysUnavailable, Some(Duration::from_secs(10))));
    assert!(denial.cause().contains("nobody is there"), "{}", denial.cause());
    world.agents.answer(AGENT, directory_of(&[&public_key(1)]));
    world.pass_seconds(4);
    let denial = world.denial(&world.bot().signed()).await;
    assert_eq!((denial.retry(), world.agents.count()), (Some(Duration::from_secs(6)), 1));
    let other = world.bot().agent(&format!("{OTHER:?}")).key(2).signed();
    assert_eq!(world.code(&other).await, None, "another agent is not affected");
    world.pass_seconds(6);
    assert_eq!(world.now().await, None);
}

#[tokio::test]
async fn answers_that_are_no_directory_are_as_good_as_none() {
    let good = || directory_of(&[&public_key(1)]);
    let media_type = |text: &str| {
        let mut answer = good();
        answer.headers.insert(CONTENT_TYPE, text.parse().unwrap());
        answer
    };
    let mut without_type = good();
    without_type.headers.remove(CONTENT_TYPE);
    let with_status = |status| {
        let mut answer = good();
        answer.status = status;
        answer
    };
    for (what, answer, code) in [
        ("a directory", good(), None),
        (
            "with a parameter",
            media_type("Application/HTTP-Message-Signatures-Directory+JSON; charset=utf-8"),
            None,
        ),
        ("JSON", media_type("application/json"), UNAVAILABLE),
        ("without a type", without_type, UNAVAILABLE),
        ("a redirect", with_status(StatusCode::FOUND), UNAVAILABLE),
        ("another success", with_status(StatusCode::ACCEPTED), UNAVAILABLE),
        ("no JSON", directory("keys"), UNAVAILABLE),
        ("no set", directory(&public_key(1).to_jwk().unwrap()), UNAVAILABLE),
        ("an empty set", directory("{\"keys\":[]}"), INVALID),
    ] {
        let world = World::new();
        world.agents.answer(AGENT, answer);
        assert_eq!(world.now().await, code, "{what}");
    }
}

#[tokio::test]
async fn of_a_directory_count_the_public_keys_that_are_good_here_under_their_own_thumbprints() {
    let jwk = public_key(1).to_jwk().unwrap();
    let with = |more: &str| jwk.replacen('{', &format!("{{{more},"), 1);
    let now = NOW.as_secs();
    for (key, code) in [
        (with("\"kid\":\"of-its-own\""), None),
        (with("\"alg\":\"EdDSA\""), None),
        (with("\"alg\":\"ed25519\""), None),
        (with("\"use\":\"sig\",\"purpose\":\"rag\""), None),
        (with("\"alg\":\"hmac-sha256\""), INVALID),
        (with("\"alg\":\"ecdsa-p256-sha256\""), INVALID),
        (with("\"use\":\"enc\""), INVALID),
        (with("\"d\":\"AQAB\""), INVALID),
        (with(&format!("\"exp\":{now}")), INVALID),
        (with(&format!("\"nbf\":{}", now + 31)), INVALID),
        (with(&format!("\"nbf\":{},\"exp\":{}", now + 30, now + 1)), None),
        ("{\"kty\":\"oct\",\"k\":\"AQAB\"}".to_owned(), INVALID),
        ("1".to_owned(), INVALID),
    ] {
        let world = World::new();
        // Beside what nobody can use.
        world.agents.answer(AGENT, directory(&format!("{{\"keys\":[{{}},null,{key}]}}")));
        assert_eq!(world.now().await, code, "{key}");
    }
    let world = World::new();
    world.agents.answer(AGENT, directory(&format!("{{\"keys\":[{}]}}", with("\"kid\":\"short\""))));
    let by_kid = world.bot().with(|bot| bot.parameters.keyid = Some("short".to_owned()));
    assert_eq!(world.code(&by_kid.signed()).await, INVALID);
}

#[tokio::test]
async fn what_a_key_proves_ends_with_the_key() {
    let world = World::new();
    let jwk = public_key(1).to_jwk().unwrap().replacen('{', &format!("{{\"exp\":{},", NOW.as_secs() + 90), 1);
    world.agents.answer(AGENT, directory(&format!("{{\"keys\":[{jwk}]}}")));
    let Verdict::Permit(permit) = world.decide(&world.bot().signed()).await else { panic!("refused") };
    assert_eq!(permit.principal().unwrap().expires, Some(NOW.plus(Duration::from_secs(90))));
}

#[tokio::test]
async fn an_unknown_key_is_asked_about_once_a_minute() {
    let world = World::new();
    assert_eq!(world.now().await, None);
    let strange = |world: &World| world.bot().key(7).signed();
    for (seconds, asked) in [(0, 1), (59, 1), (1, 2), (59, 2), (1, 3)] {
        world.pass_seconds(seconds);
        assert_eq!((world.code(&strange(&world)).await, world.agents.count()), (INVALID, asked));
    }
    world.agents.answer(AGENT, directory_of(&[&public_key(1), &public_key(7)]));
    world.pass_seconds(60);
    assert_eq!(world.code(&strange(&world)).await, None, "a new key is found");
    world.agents.lose(AGENT);
    world.pass_seconds(60);
    let stranger = world.bot().key(8).signed();
    assert_eq!(world.code(&stranger).await, UNAVAILABLE, "it may be of a directory that nobody has");
    world.pass_seconds(59);
    assert_eq!((world.code(&stranger).await, world.agents.count()), (UNAVAILABLE, 5));
    assert_eq!(world.now().await, None, "a known key passes");
}

#[tokio::test]
async fn a_key_that_was_withdrawn_passes_no_more_and_ends_what_it_opened() {
    let world = World::new();
    let Verdict::Permit(permit) = world.decide(&world.bot().signed()).await else { panic!("refused") };
    let standing = permit.consumed().await.unwrap().spend();
    assert!(standing.still_holds(world.clock.now()).await.unwrap());
    world.agents.answer(AGENT, directory_of(&[&public_key(3)]));
    world.pass_seconds(HOUR);
    assert_eq!(world.code(&world.bot().key(3).signed()).await, None);
    assert_eq!(world.now().await, INVALID);
    assert!(!standing.still_holds(world.clock.now()).await.unwrap());
}

#[tokio::test]
async fn of_many_requests_one_asks_and_the_others_wait_for_it() {
    let world = World::new();
    let requests = [(); 3].map(|()| world.bot().signed());
    let [a, b, c] = &requests;
    assert_eq!(tokio::join!(world.code(a), world.code(b), world.code(c)), (None, None, None));
    assert_eq!((world.agents.count(), world.agents.most_at_once()), (1, 1));
    // And where they wait in vain, none of them asks again.
    world.agents.lose(OTHER);
    let requests = [(); 3].map(|()| world.bot().agent(&format!("{OTHER:?}")).key(2).signed());
    let [a, b, c] = &requests;
    let codes = tokio::join!(world.code(a), world.code(b), world.code(c));
    assert_eq!((codes, world.agents.count()), ((UNAVAILABLE, UNAVAILABLE, UNAVAILABLE), 2));
}

#[tokio::test]
async fn while_one_asks_anew_the_others_use_what_was_there() {
    let world = World::new();
    assert_eq!(world.now().await, None);
    world.agents.answer(AGENT, directory_of(&[]));
    world.pass_seconds(HOUR);
    let (first, second) = (world.bot().signed(), world.bot().signed());
    assert_eq!(tokio::join!(world.code(&first), world.code(&second)), (INVALID, None));
    assert_eq!(world.agents.count(), 2);
}

#[tokio::test]
async fn a_caller_who_leaves_while_it_asks_keeps_nobody_waiting() {
    let world = World::new();
    let (left, stays) = (world.bot().signed(), world.bot().signed());
    {
        let mut asking = std::pin::pin!(world.code(&left));
        let poll = std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::future::Future::poll(asking.as_mut(), context).is_pending())
        });
        assert!(poll.await, "it asks");
    }
    assert_eq!((world.code(&stays).await, world.agents.count()), (None, 2));
}

#[tokio::test]
async fn directories_are_kept_for_agents_that_stay_listed() {
    let world = World::new();
    assert_eq!(world.now().await, None);
    let listed = |origins: &[&str]| -> Vec<PublicUrl> {
        origins.iter().map(|origin| PublicUrl::parse(origin).unwrap()).collect()
    };
    let (holds, now) = (thumbprint(1), world.clock.now());
    let kept = Directories::new(&listed(&[AGENT, "https://new.example"]), Some(&world.directories));
    assert!(kept.still_lists(AGENT, &holds, now));
    let without = Directories::new(&listed(&[OTHER]), Some(&kept));
    assert!(!without.still_lists(AGENT, &holds, now));
}
