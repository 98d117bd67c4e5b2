//! Who passes, and each thing that a signature by an agent is refused for.

use bytes::Bytes;
use countersign::crypto::Algorithm;
use countersign::{Body, Carrier, ChosenBy, Code, Outcome};
use http::Method;
use http::header::ACCEPT;

use super::agents::MEDIA_TYPE;
use super::*;

const COVERAGE: Option<Code> = Some(Code::SignatureCoverage);
const INVALID: Option<Code> = Some(Code::SignatureInvalid);

/// What becomes of `bot`'s request, and how many agents were asked.
async fn judged(bot: Bot) -> (Option<Code>, usize) {
    let world = World::new();
    (world.code(&bot.signed()).await, world.agents.count())
}

fn bot() -> Bot {
    Bot::at(NOW)
}

#[tokio::test]
async fn a_listed_agent_passes_as_its_key_and_is_asked_for_its_directory_alone() {
    let world = World::new();
    let verdict = world.decide(&bot().signed()).await;
    let Outcome::Permit(Some((subject, _))) = &verdict.decision().outcome else { panic!("refused") };
    assert_eq!(subject.to_string(), format!("{AGENT}#{}", thumbprint(1)));
    let [asked] = &world.agents.asked()[..] else { panic!("asked otherwise than once") };
    assert_eq!(asked.url, "https://agent.example/.well-known/http-message-signatures-directory");
    assert_eq!((&asked.method, &asked.headers[ACCEPT]), (&Method::GET, &MEDIA_TYPE.parse().unwrap()));
    assert_eq!((asked.chosen_by, asked.max_bytes), (ChosenBy::Configuration, 64 * 1024));
    assert_eq!(asked.timeout, Duration::from_secs(2));
    assert!(world.rule.carriers().contains(&Carrier::Header(SIGNATURE_AGENT)));
}

#[tokio::test]
async fn the_agent_is_a_string_or_the_member_of_the_signatures_label() {
    let member = "\"signature-agent\";key=\"sig1\"";
    for (value, component) in [
        ("\"https://agent.example\"", "\"signature-agent\""),
        ("\"HTTPS://Agent.Example:443/\"", "\"signature-agent\""),
        ("sig1=\"https://agent.example\"", "\"signature-agent\""),
        ("sig1=\"https://agent.example\"", member),
        ("sig2=\"https://other.example\", sig1=\"https://agent.example\";type=directory", member),
    ] {
        let bot = bot().agent(value).covering(&["\"@authority\"", component]);
        assert_eq!(judged(bot).await, (None, 1), "{value}");
    }
}

#[tokio::test]
async fn a_field_of_agents_is_read_up_to_2048_bytes() {
    let long = |length: usize| {
        let member = "sig1=\"https://agent.example\"";
        format!("{member}, other=\"{}\"", "x".repeat(length - member.len() - 10))
    };
    assert_eq!(long(2048).len(), 2048);
    assert_eq!(judged(bot().agent(&long(2048))).await, (None, 1));
    assert_eq!(judged(bot().agent(&long(2049))).await, (Some(Code::SignatureInvalid), 0));
}

#[tokio::test]
async fn whoever_names_no_listed_agent_is_refused_and_nobody_is_asked() {
    for value in [
        "\"https://eve.example\"",
        "\"https://agent.example.eve.example\"",
        "\"http://agent.example\"",
        "\"https://agent.example:8443\"",
        "\"https://agent.example./\"",
        "\"https://agent.example/keys\"",
        "\"https://agent.example?a\"",
        "\"https://eve@agent.example\"",
        "\"data:application/json,{}\"",
        "\"agent.example\"",
        "agent",
        "sig2=\"https://agent.example\"",
        "sig1=agent",
        "sig1=(\"https://agent.example\")",
        "sig1=\"https://agent.example\";type=jwks_uri",
        "\"https://agent.example\";type=cimd",
        "\"https://agent.example\", \"https://agent.example\"",
        "\"\"",
    ] {
        assert_eq!(judged(bot().agent(value)).await, (INVALID, 0), "{value}");
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_for_an_origin_is_not_repeated() {
    let long = format!("\"https://{}.example\"", "a.".repeat(200));
    let denial = World::new().denial(&bot().agent(&long).signed()).await;
    assert!(denial.cause().contains("is no origin"), "{}", denial.cause());
}

#[tokio::test]
async fn agent_and_authority_must_be_covered() {
    let no_agent = bot().with(|bot| bot.agent = None).covering(&["\"@authority\""]);
    assert_eq!(judged(no_agent).await, (COVERAGE, 0));
    for components in [
        &["\"@authority\""][..],
        &["\"signature-agent\""],
        &["\"@path\"", "\"@scheme\"", "\"signature-agent\""],
        &["\"@authority\"", "\"signature-agent\";bs"],
    ] {
        assert_eq!(judged(bot().covering(components)).await, (COVERAGE, 0), "{components:?}");
    }
    let dictionary = bot().agent("sig1=\"https://agent.example\", sig2=\"https://agent.example\"");
    let other_label = dictionary.covering(&["\"@authority\"", "\"signature-agent\";key=\"sig2\""]);
    assert_eq!(judged(other_label).await, (COVERAGE, 0));
    let whole = bot().covering(&["\"@target-uri\"", "\"signature-agent\""]);
    assert_eq!(judged(whole).await, (None, 1));
}

#[tokio::test]
async fn a_member_that_is_not_called_as_the_signature_is_told_by_both_names() {
    let dictionary = || bot().agent("agent2=\"https://agent.example\"");
    let by_member = dictionary().covering(&["\"@authority\"", "\"signature-agent\";key=\"agent2\""]);
    let denial = World::new().denial(&by_member.signed()).await;
    assert_eq!(denial.code(), Code::SignatureCoverage);
    let says = "of signature-agent the member agent2 is covered, and not sig1, as the signature is called";
    assert_eq!(denial.cause(), says);
    let denial = World::new().denial(&dictionary().signed()).await;
    assert_eq!(denial.code(), Code::SignatureInvalid);
    assert!(denial.cause().contains("has no member sig1, as the signature is called"), "{}", denial.cause());
}

#[tokio::test]
async fn only_methods_that_change_nothing_pass_whatever_is_covered() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let bot = bot().with(|bot| bot.method = method.parse().unwrap());
        assert_eq!(judged(bot).await, (None, 1), "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "QUERY"] {
        let whole = ["\"@method\"", "\"@target-uri\"", "\"@authority\"", "\"signature-agent\""];
        let bot = bot().covering(&whole).with(|bot| bot.method = method.parse().unwrap());
        assert_eq!(judged(bot).await, (COVERAGE, 0), "{method}");
    }
}

#[tokio::test]
async fn a_body_must_be_covered_and_be_what_was_signed() {
    let digest = ["\"@authority\"", "\"signature-agent\"", "\"content-digest\""];
    let with_body = || bot().with(|bot| bot.body = b"a question");
    assert_eq!(judged(with_body()).await, (COVERAGE, 0));
    assert_eq!(judged(with_body().covering(&digest)).await, (None, 1));
    let mut other = with_body().covering(&digest).signed();
    other.body = Bytes::from_static(b"another");
    assert_eq!(World::new().code(&other).await, Some(Code::ContentDigest));
    let mut withheld = with_body().covering(&digest).signed();
    withheld.announced = Some(Body::Withheld);
    assert_eq!(World::new().code(&withheld).await, COVERAGE);
}

#[tokio::test]
async fn what_was_signed_for_another_host_or_changed_or_named_otherwise_does_not_hold() {
    let elsewhere = bot().with(|bot| bot.target = "https://eve.example/pages/1");
    assert_eq!(judged(elsewhere).await, (INVALID, 1));
    let by_another = || bot().with(|bot| bot.key = Box::new(ed25519(9)));
    assert_eq!(judged(by_another()).await, (INVALID, 1));
    let denial = World::new().denial(&by_another().signed()).await;
    assert!(denial.cause().contains("\"@authority\": bob.example"), "{}", denial.cause());
    assert!(denial.covered().is_some());
    let other_algorithm = bot().with(|bot| bot.parameters.alg = Some(Algorithm::HmacSha256.to_string()));
    assert_eq!(judged(other_algorithm).await, (INVALID, 1));
    let mut renamed = bot().agent("\"https://agent.example\"").signed();
    renamed.headers.insert(SIGNATURE_AGENT, "\"https://agent.example/\"".parse().unwrap());
    assert_eq!(World::new().code(&renamed).await, INVALID);
}

#[tokio::test]
async fn the_key_of_one_agent_is_none_of_another() {
    for (agent, seed, code) in [(OTHER, 1, INVALID), (AGENT, 2, INVALID), (OTHER, 2, None)] {
        assert_eq!(judged(bot().agent(&format!("{agent:?}")).key(seed)).await, (code, 1));
    }
}

#[tokio::test]
async fn times_and_key_must_be_there_and_a_nonce_be_one() {
    let spoilt: [fn(&mut Parameters); 6] = [
        |parameters| parameters.keyid = Some(String::new()),
        |parameters| parameters.created = None,
        |parameters| parameters.expires = None,
        |parameters| parameters.keyid = None,
        |parameters| parameters.nonce = Some(String::new()),
        |parameters| parameters.nonce = Some("n".repeat(257)),
    ];
    for spoil in spoilt {
        assert_eq!(judged(bot().with(|bot| spoil(&mut bot.parameters))).await, (COVERAGE, 0));
    }
}

#[tokio::test]
async fn it_lives_an_hour_at_most_and_half_a_minute_of_skew() {
    let expired = Some(Code::ProofExpired);
    for (created, expires, code) in [
        (0, 3600, None),
        (0, 3601, expired),
        (-100, -29, None),
        (-100, -30, expired),
        (0, 0, expired),
        (1, 0, expired),
        (30, 60, None),
        (31, 60, Some(Code::ProofFuture)),
    ] {
        let at = |seconds: i64| Some(Timestamp::from_secs(NOW.as_secs().saturating_add_signed(seconds)));
        let bot = bot().with(|bot| {
            (bot.parameters.created, bot.parameters.expires) = (at(created), at(expires));
        });
        assert_eq!(judged(bot).await, (code, usize::from(code.is_none())), "{created} to {expires}");
    }
}

#[tokio::test]
async fn where_no_agents_are_listed_their_tag_is_nobodys() {
    let world = World::listing(&[]);
    let denial = world.denial(&bot().signed()).await;
    assert_eq!(denial.code(), Code::CredentialMissing);
    assert!(
        denial.cause().contains("a web bot's signature is there, and no agent is listed"),
        "{}",
        denial.cause()
    );
    assert_eq!(world.agents.count(), 0);
}

#[tokio::test]
async fn explain_asks_nobody_and_says_so() {
    let world = World::new();
    let denial = world.denial(&bot().signed().explained()).await;
    assert_eq!((denial.code(), world.agents.count()), (Code::KeysUnavailable, 0));
    assert!(denial.cause().contains("explain asks nobody"), "{}", denial.cause());
    // What is known is used, fresh or not; what is not known stays unknown.
    assert_eq!(world.now().await, None);
    let good = bot().signed();
    assert_eq!(world.code(&good.clone().explained()).await, None);
    world.pass_seconds(3700);
    assert_eq!(world.code(&world.bot().signed().explained()).await, None);
    let strange = world.bot().key(9).signed().explained();
    assert_eq!(world.code(&strange).await, Some(Code::KeysUnavailable));
    assert_eq!(world.agents.count(), 1);
}
