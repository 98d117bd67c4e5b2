//! What a request costs that is refused before any key is known, whatever its headers hold: the dearest
//! ones that we could think of within a head of 32 KiB, through the gate. Prints Markdown, dearest first.
//!
//! ```text
//! cargo bench -p countersign --bench before_a_key
//! ```

#![expect(clippy::print_stdout, reason = "a table for whoever measures")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use countersign::crypto::ethereum::EthereumKey;
use countersign::crypto::{Secret, SystemRandom};
use countersign::schemes::api_key::ApiKeyVerifier;
use countersign::schemes::asymmetric::AsymmetricVerifier;
use countersign::schemes::signature::{
    Directories, Parameters, RegisteredKeys, SignAs, SignatureVerifier, WebBots, sign_erc8128,
};
use countersign::testing::NOW;
use countersign::time::ManualClock;
use countersign::{
    Body, Code, Fetch, FetchError, FetchRequest, FetchResponse, Gate, MemoryStore, PublicUrl, RequestView,
    Requirement, Rule, Timestamp,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

#[path = "support/timing.rs"]
mod timing;

use timing::Contender;

const ROUNDS: usize = 31;
/// As much as the gateway takes of a head, in bytes.
const HEAD: usize = 32 * 1024;
const FLOOR: &str = r#""@method" "@target-uri""#;

/// Nobody is asked: no agent's key is had.
struct Nobody;

impl Fetch for Nobody {
    async fn fetch(&self, _request: FetchRequest) -> Result<FetchResponse, FetchError> {
        Err(FetchError::Unreachable("nobody is there".into()))
    }
}

/// A request that shall be refused.
struct Attack {
    name: &'static str,
    target: Uri,
    headers: HeaderMap,
}

fn main() {
    let clock = Arc::new(ManualClock::new(NOW));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let agent = PublicUrl::parse("https://agent.example").expect("an origin");
    let verifier = SignatureVerifier {
        keys: Arc::new(RegisteredKeys::new(store.clone(), Arc::default(), None)),
        wallets: true,
        bots: Some(WebBots { directories: Arc::new(Directories::new(&[agent], None)), fetch: Nobody }),
        untagged: true,
        max_signed_body: 1024 * 1024,
    };
    let accept = Requirement::parse(["signature", "api-key", "asymmetric"]).expect("a requirement");
    let rule = Rule::requiring("test", accept)
        .verifier(verifier)
        .verifier(ApiKeyVerifier::new(store.clone(), Arc::default()))
        .verifier(AsymmetricVerifier { rising: false });
    let rule = Arc::new(rule.build().expect("a rule"));
    let gate = Gate::new(store, clock, &SystemRandom);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let decide = |attack: &Attack| {
        let view = RequestView {
            method: &Method::GET,
            target: &attack.target,
            headers: &attack.headers,
            body: Body::Absent,
            source: None,
            received_at: NOW,
        };
        let decision = runtime.block_on(gate.decide(&rule, black_box(&view), &mut Bytes::new()));
        decision.decision().denial().expect("it passed").code()
    };

    let attacks = attacks();
    let codes: Vec<_> = attacks.iter().map(|attack| (attack.name, attack.size(), decide(attack))).collect();
    let mut contenders: Vec<_> = attacks
        .iter()
        .map(|attack| Contender::new(attack.name, || assert_ne!(black_box(decide(attack)), Code::Framing)))
        .collect();
    if let Some((name, runs)) = timing::asked() {
        let found = contenders.iter_mut().find(|contender| contender.name == name);
        return timing::answer(found.expect("an attack"), runs);
    }
    let took = timing::measure(&mut contenders, ROUNDS);
    let mut rows: Vec<_> = codes.into_iter().zip(took).collect();
    rows.sort_by(|(_, one), (_, other)| {
        timing::quartiles(other.clone())[1].total_cmp(&timing::quartiles(one.clone())[1])
    });
    println!("| what the headers hold | bytes | refused as | µs | instructions |");
    println!("|---|--:|---|--:|--:|");
    for ((name, size, code), series) in rows {
        let [_, micros, _] = timing::quartiles(series);
        let work = timing::instructions(name).map_or_else(String::new, |count| count.to_string());
        println!("| {name} | {size} | `{}` | {micros:.0} | {work} |", code.as_str());
    }
}

impl Attack {
    fn new(name: &'static str, query: &str, fields: Vec<(&str, String)>) -> Self {
        let target = Uri::try_from(format!("https://api.example/orders/1?{query}")).expect("a target");
        let headers = fields.into_iter().map(|(name, value)| {
            (HeaderName::try_from(name).expect("a name"), HeaderValue::try_from(value).expect("a value"))
        });
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        let attack = Self { name, target, headers: all };
        assert!(attack.size() <= HEAD, "{name} has {} bytes", attack.size());
        attack
    }

    /// Of the head, as it travels.
    fn size(&self) -> usize {
        let fields = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        fields.sum::<usize>() + self.target.to_string().len() + 20
    }
}

/// A signature that looks good up to its key.
fn signature(label: &str, components: &str, tag: &str) -> [(&'static str, String); 2] {
    let (created, expires) = (NOW.as_secs(), NOW.as_secs() + 60);
    let input = format!(
        "{label}=({components});created={created};expires={expires};nonce=\"n\";keyid=\"0123456789AB\"{tag}"
    );
    [("signature-input", input), ("signature", format!("{label}=:{}:", "A".repeat(86) + "=="))]
}

fn ours(components: &str) -> Vec<(&'static str, String)> {
    signature("sig1", components, ";tag=\"countersign\"").to_vec()
}

/// Digests of nothing for these components: reading them makes us write the base once more.
fn digests(components: &str) -> (&'static str, String) {
    let items = components.replace("\" \"", "\";d=:AAAAAAAAAAA=: \"");
    (
        "countersign-base-digests",
        format!("sig1=({items};d=:AAAAAAAAAAA=: \"@signature-params\";d=:AAAAAAAAAAA=:)"),
    )
}

/// `count` times what `one` makes of a number.
fn many(count: usize, separator: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(separator)
}

/// A short key of a dictionary, another for each number.
fn key(number: usize) -> String {
    let letter = |digit: usize| char::from(b'a' + u8::try_from(digit % 26).expect("a letter"));
    [letter(number), letter(number / 26), letter(number / 676)].iter().collect()
}

fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut attack = |name, query: &str, fields| attacks.push(Attack::new(name, query, fields));
    let with = |mut fields: Vec<(&'static str, String)>, more: Vec<(&'static str, String)>| {
        fields.extend(more);
        fields
    };

    attack("nothing but a key that nobody has", "", ours(FLOOR));

    // A byte may be parsed for each component that is a part of what it is in, 3 KiB in all.
    let members = many(26, " ", |number| format!("\"x-d\";key=\"{}\"", key(number)));
    let components = format!("{FLOOR} {members}");
    let small = vec![("x-d", many(29, ",", key)), digests(&components)];
    attack("26 members of a dictionary of 115 bytes", "", with(ours(&components), small));
    let one = format!("{FLOOR} \"x-d\";key=\"aaa\"");
    for (name, large) in [
        ("one member of a dictionary of 3 KiB", many(768, ",", key)),
        ("one member of 3 KiB, of which the rest is one member again and again", {
            format!("aaa,{}", many(1533, ",", |_| "b".into()))
        }),
        ("one member beside an inner list of 3 KiB", format!("aaa,b=({})", many(1531, " ", |_| "1".into()))),
        ("one member with 3 KiB of parameters", format!("aaa;{}", many(766, ";", key))),
    ] {
        attack(name, "", with(ours(&one), vec![("x-d", large), digests(&one)]));
    }
    let again = format!("{FLOOR} \"accept\";sf");
    let dearest = many(511, ",", |_| "a;b=c".into());
    for (name, large) in [
        ("a list of 3 KiB written anew, tokens", many(1535, ",", |_| "a".into())),
        ("a list of 3 KiB written anew, parameters", dearest.clone()),
        ("a list of 3 KiB written anew, decimals", many(767, ",", |_| "1.5".into())),
        ("a list of 3 KiB written anew, empty inner lists", many(1023, ",", |_| "()".into())),
        ("a list of 16 KiB written anew", many(2730, ",", |_| "a;b=c".into())),
    ] {
        attack(name, "", with(ours(&again), vec![("accept", large), digests(&again)]));
    }
    attack(
        "a list of 3 KiB written anew, parameters, and a query of 27 KiB",
        &"a&".repeat(27 * 512),
        with(ours(&again), vec![("accept", dearest), digests(&again)]),
    );
    let all = format!("{FLOOR} \"x\";bs \"x\"");
    attack(
        "a field of 28 KiB as bytes and as it is",
        "",
        with(ours(&all), vec![("x", "x".repeat(28 * 1024)), digests(&all)]),
    );
    let fields = many(60, " ", |number| format!("\"x-{number}\""));
    let sixty = format!("{FLOOR} {fields}");
    let names: Vec<String> = (0..60).map(|number| format!("x-{number}")).collect();
    let long = names.iter().map(|name| (name.as_str(), "y".repeat(420)));
    attack("60 fields of 420 bytes", "", {
        let mut fields: Vec<(&str, String)> = ours(&sixty);
        fields.extend(long);
        fields
    });
    let lines = (0..100).map(|_| ("x", "y".repeat(280)));
    attack("100 lines of one field as bytes", "", with(ours(&format!("{FLOOR} \"x\";bs")), lines.collect()));

    let parameter = format!("{FLOOR} \"@query-param\";name=\"b\"");
    for (name, query) in [
        ("a parameter of a query of 3 KiB, short ones", format!("b=1&{}", many(1533, "&", |_| "a".into()))),
        ("a parameter of a query of 3 KiB, escapes", format!("b=1&{}", "%41".repeat(1022))),
        ("a parameter of a query of 16 KiB", format!("b=1&{}", many(8100, "&", |_| "a".into()))),
    ] {
        attack(name, &query, with(ours(&parameter), vec![digests(&parameter)]));
    }
    let named = many(26, " ", |number| format!("\"@query-param\";name=\"{}\"", key(number)));
    let parameters = format!("{FLOOR} {named}");
    let small = with(ours(&parameters), vec![digests(&parameters)]);
    attack("26 parameters of a query of 115 bytes", &many(29, "&", key), small);

    let labels = |count: usize, components: &dyn Fn(usize) -> String, tag: &str| {
        let all: Vec<_> =
            (0..count).map(|number| signature(&format!("s{number}"), &components(number), tag)).collect();
        let joined = |index: usize| all.iter().map(|one| one[index].1.clone()).collect::<Vec<_>>().join(",");
        vec![("signature-input", joined(0)), ("signature", joined(1))]
    };
    let none = |_: usize| FLOOR.to_owned();
    attack("32 signatures, none of them ours", "", labels(32, &none, ";tag=\"other\""));
    attack("33 signatures", "", labels(33, &none, ";tag=\"other\""));
    let some = |_: usize| format!("{FLOOR} {}", many(60, " ", |number| format!("\"x-{number}\"")));
    attack("16 signatures of 62 components, none of them ours", "", labels(16, &some, ";tag=\"other\""));
    attack("4 signatures of 62 components, ours", "", labels(4, &some, ";tag=\"countersign\""));
    let input = format!("sig1=();{}", many(3000, ";", |number| format!("{}=1", key(number))));
    attack("16 KiB of parameters", "", vec![("signature-input", input), ("signature", "sig1=::".into())]);
    let input = format!("sig1=({})", many(5000, " ", |_| "\"\"".into()));
    attack("16 KiB of components", "", vec![("signature-input", input), ("signature", "sig1=::".into())]);
    attack(
        "a signature of 15 KiB",
        "",
        vec![
            ("signature-input", ours(FLOOR).remove(0).1),
            ("signature", format!("sig1=:{}:", "A".repeat(15 * 1024))),
        ],
    );
    attack("30 KiB of signature headers", "", vec![("signature-input", "a".repeat(30 * 1024))]);

    let agent = "\"@authority\" \"signature-agent\"";
    let bot = signature("sig1", agent, ";tag=\"web-bot-auth\"");
    for (name, large) in [
        ("an agent in a dictionary of 2 KiB", many(512, ",", key)),
        ("an agent in 2 KiB of one member again and again", many(1024, ",", |_| "a".into())),
        ("an agent with 2 KiB of parameters", format!("\"x\";{}", many(511, ";", key))),
        ("an agent in a dictionary of 28 KiB", many(7100, ",", key)),
    ] {
        attack(name, "", with(bot.to_vec(), vec![("signature-agent", large)]));
    }
    attack(
        "an agent whose keys cannot be had",
        "",
        with(bot.to_vec(), vec![("signature-agent", "\"https://agent.example\"".into())]),
    );

    attack("an API key of 28 KiB", "", vec![("authorization", format!("Bearer {}", "c".repeat(28 * 1024)))]);
    attack("a wallet's header of 28 KiB", "", vec![("asymmetricauthentication", "0|".repeat(14 * 1024))]);
    attack("nothing, and Accept of 28 KiB", "", vec![("accept", "a,".repeat(14 * 1024))]);
    attack("nothing, and a query of 28 KiB", &"a&".repeat(14 * 1024), Vec::new());
    let marked = "scheme=AsymmetricAuthentication&nonce=1&publicKey=1&timestamp=1&signature=1&";
    attack("a wallet's query of 28 KiB", &format!("{marked}{}", "a&".repeat(13 * 1024)), Vec::new());
    let garbage = (0..100).map(|_| ("x-large", "x".repeat(280)));
    attack("nothing, and 100 lines", "", garbage.collect());
    attacks.push(wallets());
    attacks
}

/// Three good signatures by a wallet that anybody can make, and a fourth that is none.
fn wallets() -> Attack {
    let wallet = EthereumKey::from_bytes(Secret::new([7; 32])).expect("a key");
    let target = Uri::from_static("https://api.example/orders/1");
    let mut headers = HeaderMap::new();
    for label in ["a", "b", "c", "d"] {
        let parameters = Parameters {
            created: Some(NOW),
            expires: Some(Timestamp::from_secs(NOW.as_secs() + 60)),
            nonce: Some(label.to_owned()),
            ..Parameters::default()
        };
        sign_erc8128(
            &mut headers,
            &Method::GET,
            &target,
            false,
            label,
            SignAs::default(),
            &parameters,
            &wallet,
        )
        .expect("signed");
    }
    // The last one's bytes are those of the first.
    let mut lines: Vec<_> = headers.get_all("signature").iter().cloned().collect();
    let first = lines[0].to_str().expect("text").replacen("a=", "d=", 1);
    lines[3] = HeaderValue::try_from(first).expect("a value");
    headers.remove("signature");
    for line in lines {
        headers.append("signature", line);
    }
    Attack { name: "4 signatures by wallets, the last one wrong", target, headers }
}
