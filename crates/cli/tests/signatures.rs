//! Signed requests: what passes, and each change on the way that must not.

use countersign::crypto::{Algorithm, SystemRandom, ethereum::EthereumKey};
use countersign::schemes::signature::{Parameters, SignAs, sign_erc8128};
use countersign::time::Timestamp;
use countersign_testing::signed::{
    Draft, Key, Lab, PUBLIC, Terms, derived, now, order, parameters, private_key, registered, shared,
};
use http::Uri;

#[test]
fn registered_keys_of_every_algorithm_sign_requests_that_pass() {
    let lab = Lab::start();
    let rsa = private_key("rsa", Some(Algorithm::RsaPssSha512));
    let keys = [
        registered(&lab.gateway, private_key("ed25519", None), &[]),
        registered(&lab.gateway, private_key("p256", None), &[]),
        registered(&lab.gateway, private_key("p384", None), &[]),
        registered(&lab.gateway, rsa, &[]),
        shared(&lab.gateway, b"forty bytes that both know and nobody el"),
    ];
    for key in &keys {
        for route in ["/signature/1?a=b", "/either/1"] {
            let seen = lab.passes(&order(route).signed(key));
            assert_eq!(seen.header("countersign-scheme"), Some("signature"));
            assert_eq!(seen.header("countersign-subject"), Some(&*format!("key:{}", key.id)));
            assert_eq!(seen.header("content-type"), Some("application/json"));
            lab.passes(&Draft::get(route).signed(key));
        }
        lab.refuses(&order("/key/1").signed(key), 401, "credential_missing");
    }
}

#[test]
fn an_api_key_in_signed_form_passes_wherever_either_scheme_does() {
    let lab = Lab::start();
    let (id, whole) = lab.gateway.key(&[]);
    let key = derived(&whole);
    for (route, scheme) in
        [("/key/1?a=b", "api-key"), ("/signature/1", "signature"), ("/either/1", "signature")]
    {
        let seen = lab.passes(&order(route).signed(&key));
        assert_eq!(seen.header("countersign-subject"), Some(&*format!("key:{id}")));
        assert_eq!(seen.header("countersign-scheme"), Some(scheme), "{route}");
    }
}

#[test]
fn connection_takes_away_nothing_that_was_signed() {
    let (lab, key) = Lab::keyed();
    let order = || Draft::get("/signature/1").with("x-tenant", "a").with("x-other", "b");
    let signed = |connection: &str| {
        order().signed_on(&key, |terms| terms.also = &["x-tenant"]).with("connection", connection)
    };
    for connection in ["x-tenant", "close, X-Tenant", "keep-alive,x-other ,\tx-tenant"] {
        lab.refuses(&signed(connection), 400, "framing");
    }
    let seen = lab.passes(&signed("keep-alive, x-other"));
    assert_eq!((seen.header("x-tenant"), seen.header("x-other")), (Some("a"), None));
}

#[test]
fn a_signed_only_key_passes_signed_and_not_as_itself() {
    let lab = Lab::start();
    let made = lab.gateway.json(&["key", "new", "--label", "x", "--signed-only"]);
    let whole = made["key"].as_str().unwrap();
    lab.passes(&order("/key/1").signed(&derived(whole)));
    lab.refuses(&order("/key/1").with("authorization", &format!("Bearer {whole}")), 401, "key_invalid");
}

fn signed_by_wallet(mut draft: Draft, wallet: &EthereumKey) -> Draft {
    let target: Uri = format!("{PUBLIC}{}", draft.target).parse().unwrap();
    let (own, body) = (parameters(""), !draft.body.is_empty());
    sign_erc8128(&mut draft.headers, &draft.method, &target, body, "eth", SignAs::default(), &own, wallet)
        .unwrap();
    draft
}

#[test]
fn wallets_pass_where_they_are_let_in_and_nowhere_else() {
    let wallet = EthereumKey::generate(&SystemRandom);
    let lab = Lab::with("[signature]\nwallets = true\n", "");
    let draft = signed_by_wallet(order("/signature/1?a=b"), &wallet);
    let seen = lab.passes(&draft);
    assert_eq!(seen.header("countersign-subject"), Some(&*format!("eip155:{}", wallet.address())));
    lab.refuses(&draft, 401, "signature_replayed");
    let other = signed_by_wallet(order("/signature/1?a=b"), &wallet).to("/signature/1?a=c");
    lab.refuses(&other, 401, "signature_invalid");
    lab.refuses(&signed_by_wallet(order("/permitted/1"), &wallet), 403, "permission_missing");
    lab.refuses(&signed_by_wallet(order("/key/1"), &wallet), 401, "credential_missing");
    for (target, is_asked) in [("/signature/1", true), ("/key/1", false)] {
        let answer = lab.refuses(&order(target), 401, "credential_missing");
        let asks = |name: &str, what: &str| {
            answer.headers.iter().any(|(header, value)| header == name && value.contains(what))
        };
        assert!(asks("www-authenticate", "Signature"));
        assert_eq!(asks("www-authenticate", "ERC8128"), is_asked, "{target}");
        assert_eq!(asks("accept-signature", "eth=("), is_asked, "{target}");
    }
    Lab::start().refuses(&signed_by_wallet(order("/signature/1"), &wallet), 401, "credential_missing");
}

#[test]
fn a_signature_without_a_tag_passes_where_the_route_says_so_alone() {
    let (lab, key) = Lab::keyed();
    let untagged = |target: &str| order(target).signed_on(&key, |terms| terms.parameters.tag = None);
    lab.passes(&untagged("/untagged/1"));
    lab.passes(&order("/untagged/1").signed(&key));
    lab.refuses(&untagged("/signature/1"), 401, "credential_missing");
    let foreign = order("/untagged/1").signed_on(&key, |terms| terms.parameters.tag = Some("app".into()));
    lab.refuses(&foreign, 401, "credential_missing");
}

#[test]
fn no_argument_can_be_added_doubled_reordered_moved_or_split_elsewhere() {
    let (lab, key) = Lab::keyed();
    let draft = Draft::get("/signature/pay?to=ab&from=c").signed(&key);
    for target in [
        "/signature/pay?to=ab&from=c&as=admin",
        "/signature/pay?to=ab&to=ab&from=c",
        "/signature/pay?from=c&to=ab",
        "/signature/pay?to=a&from=bc",
        "/signature/pay?to=ab",
        "/signature/pay?",
        "/signature/pay",
        "/signature/pay?to=%61b&from=c",
        "/signature/payee?to=ab&from=c",
    ] {
        lab.refuses(&draft.clone().to(target), 401, "signature_invalid");
    }
    let mut moved = draft.clone().to("/signature/pay?to=ab");
    moved.body = b"from=c".to_vec();
    lab.refuses(&moved, 401, "signature_coverage");
    moved = moved.with_digest();
    lab.refuses(&moved, 401, "signature_coverage");
    let mut method = draft.clone();
    method.method = http::Method::DELETE;
    lab.refuses(&method, 401, "signature_invalid");
    lab.passes(&draft);
    let posted = order("/signature/pay?to=ab").signed(&key);
    let mut moved = posted.clone().to("/signature/pay");
    moved.body = b"{\"amount\":1,\"to\":\"ab\"}".to_vec();
    lab.refuses(&moved, 401, "signature_invalid");
    lab.passes(&posted);
}

#[test]
fn another_body_or_content_type_under_a_good_signature_is_refused_and_burns_nothing() {
    let (lab, key) = Lab::keyed();
    let draft = order("/signature/1").signed(&key);
    let mut swapped = draft.clone();
    swapped.body = b"{\"amount\":9}".to_vec();
    lab.refuses(&swapped, 401, "content_digest");
    lab.refuses(&swapped.with_digest(), 401, "signature_invalid");
    let mut longer = draft.clone();
    longer.body.push(b' ');
    lab.refuses(&longer, 401, "content_digest");
    lab.refuses(&draft.clone().with("content-type", "text/plain"), 401, "signature_invalid");
    let mut untyped = draft.clone();
    untyped.headers.remove("content-type");
    lab.refuses(&untyped, 401, "signature_invalid");
    let mut emptied = draft.clone();
    emptied.body.clear();
    lab.refuses(&emptied, 401, "content_digest");
    lab.passes(&draft);
}

#[test]
fn the_public_url_decides_which_host_was_meant_and_no_header_does() {
    let (lab, key) = Lab::keyed();
    let signed_for = |public| Draft::get("/signature/1").signed_on(&key, |terms| terms.public = public);
    for public in ["https://other.example", "http://orders.example", "https://orders.example:8443"] {
        lab.refuses(&signed_for(public), 401, "signature_invalid");
        let persuaded = signed_for(public)
            .with("x-forwarded-host", "other.example")
            .with("x-forwarded-proto", "http")
            .with("forwarded", "host=other.example;proto=http");
        lab.refuses(&persuaded, 401, "signature_invalid");
    }
    let bytes = String::from_utf8(signed_for("https://other.example").bytes()).unwrap();
    let named = bytes.replace("Host: gateway", "Host: other.example");
    countersign_testing::exchange(lab.gateway.address, named.as_bytes()).is(401, "signature_invalid");
    lab.passes(&signed_for(PUBLIC));
    lab.passes(&signed_for("https://ORDERS.example:443"));
}

#[test]
fn everything_that_must_be_covered_is_asked_for_by_name() {
    let (lab, key) = Lab::keyed();
    for component in ["@method", "@scheme", "@authority", "@path", "@query", "content-digest", "content-type"]
    {
        let draft = order("/signature/1").signed_on(&key, |terms| terms.without = component);
        lab.refuses(&draft, 401, "signature_coverage");
        let cause = lab.gateway.explain_latest()["cause"].to_string();
        assert!(cause.contains(&format!("{component} is not covered")), "{cause}");
    }
}

type Change = fn(&mut Parameters);

#[test]
fn a_signature_lives_a_minute_and_says_so_and_names_its_key_and_nonce() {
    let (lab, key) = Lab::keyed();
    let at = |seconds: i64| Some(Timestamp::from_secs(now().as_secs().checked_add_signed(seconds).unwrap()));
    let refused = |code, created, expires| {
        let answer = lab.refuses(
            &order("/signature/1").signed_on(&key, |Terms { parameters, .. }| {
                (parameters.created, parameters.expires) = (created, expires);
            }),
            401,
            code,
        );
        assert!(answer.header("date").is_some());
    };
    refused("proof_expired", at(-100), at(-41));
    refused("proof_expired", at(0), at(61));
    refused("proof_expired", at(0), at(-1));
    refused("proof_expired", at(-1000), at(50));
    refused("proof_future", at(35), at(90));
    refused("signature_coverage", None, at(50));
    refused("signature_coverage", at(0), None);
    let changes: [Change; 4] = [
        |parameters| parameters.nonce = None,
        |parameters| parameters.nonce = Some(String::new()),
        |parameters| parameters.nonce = Some("n".repeat(257)),
        |parameters| parameters.keyid = None,
    ];
    for change in changes {
        let draft = order("/signature/1").signed_on(&key, |terms| change(&mut terms.parameters));
        lab.refuses(&draft, 401, "signature_coverage");
    }
    let skewed = order("/signature/1").signed_on(&key, |terms| {
        terms.parameters.created = at(20);
        terms.parameters.expires = at(80);
    });
    lab.passes(&skewed);
    lab.refuses(&skewed, 401, "signature_replayed");
}

#[test]
fn a_request_passes_once_and_a_nonce_is_its_own_keys() {
    let (lab, key) = Lab::keyed();
    let other = registered(&lab.gateway, private_key("p256", None), &[]);
    let with_nonce = |key: &Key, target: &str| {
        order(target).signed_on(key, |terms| terms.parameters.nonce = Some("the same".into()))
    };
    let draft = with_nonce(&key, "/signature/1");
    lab.passes(&draft);
    for _ in 0..3 {
        lab.refuses(&draft, 401, "signature_replayed");
    }
    lab.refuses(&with_nonce(&key, "/signature/2"), 401, "signature_replayed");
    lab.passes(&with_nonce(&other, "/signature/1"));
}

#[test]
fn what_is_refused_for_another_reason_burns_no_nonce() {
    let lab = Lab::start();
    let key = registered(&lab.gateway, private_key("ed25519", None), &[]);
    let with_nonce =
        |target: &str| order(target).signed_on(&key, |terms| terms.parameters.nonce = Some("kept".into()));
    lab.refuses(&with_nonce("/permitted/1"), 403, "permission_missing");
    let mut bad = with_nonce("/signature/1");
    bad.body = b"{}".to_vec();
    lab.refuses(&bad, 401, "content_digest");
    lab.refuses(&with_nonce("/signature/1").to("/signature/2"), 401, "signature_invalid");
    lab.passes(&with_nonce("/signature/1"));
}

#[test]
fn signatures_of_several_keys_are_about_nobody_and_a_label_is_there_once() {
    let (lab, key) = Lab::keyed();
    let other = registered(&lab.gateway, private_key("p256", None), &[]);
    let both = order("/signature/1").signed(&key).signed_on(&other, |terms| terms.label = "sig2");
    lab.refuses(&both, 401, "subject_mismatch");
    let twice = order("/signature/1").signed(&key).signed_on(&key, |terms| terms.label = "sig2");
    lab.passes(&twice);
    let draft = order("/signature/1").signed(&key);
    let (input, signature) = (draft.header("signature-input"), draft.header("signature"));
    let doubled = draft.clone().and("signature-input", &input).and("signature", &signature);
    lab.refuses(&doubled, 400, "credential_ambiguous");
    let doubled = draft.clone().with("signature", &format!("{signature}, {signature}"));
    lab.refuses(&doubled, 400, "credential_ambiguous");
    let mut halved = draft.clone();
    halved.headers.remove("signature");
    lab.refuses(&halved, 400, "credential_malformed");
    lab.refuses(&draft.clone().with("signature", "sig1=:AAAA:"), 401, "signature_invalid");
    let beside = order("/signature/1")
        .signed_on(&other, |terms| {
            terms.label = "cdn";
            terms.parameters.tag = Some("somebody-elses".into());
        })
        .signed(&key);
    lab.passes(&beside);
    lab.passes(&draft);
}

#[test]
fn a_key_and_a_signature_at_once_are_ambiguous() {
    let lab = Lab::start();
    let (_, whole) = lab.gateway.key(&[]);
    let key = derived(&whole);
    let bearer = format!("Bearer {whole}");
    let draft = order("/either/1").signed(&key);
    lab.refuses(&draft.clone().with("authorization", &bearer), 400, "credential_ambiguous");
    lab.refuses(&draft.clone().with("x-api-key", &whole), 400, "credential_ambiguous");
    let draft = order("/key/1").signed(&key).with("authorization", &bearer);
    lab.refuses(&draft, 400, "credential_ambiguous");
}

#[test]
fn an_algorithm_is_the_keys_and_not_the_requests() {
    let (lab, key) = Lab::keyed();
    let with_alg = |alg: &str| {
        order("/signature/1").signed_on(&key, |terms| terms.parameters.alg = Some(alg.to_owned()))
    };
    for alg in ["hmac-sha256", "ecdsa-p256-sha256", "none", ""] {
        lab.refuses(&with_alg(alg), 401, "signature_invalid");
    }
    lab.passes(&with_alg("ed25519"));
}

#[test]
fn a_body_under_a_signature_has_a_limit() {
    let lab = Lab::with("[limits]\nmax_signed_body = \"1KiB\"\n", "");
    let key = registered(&lab.gateway, private_key("ed25519", None), &[]);
    let of_length = |length: usize| Draft::post("/signature/1", &vec![b'x'; length]).signed(&key);
    lab.passes(&of_length(1024));
    lab.refuses(&of_length(1025), 413, "body_too_large");
    let whole = String::from_utf8(of_length(1025).bytes()).unwrap();
    let chunked = whole.replace("Content-Length: 1025\r\n", "Transfer-Encoding: chunked\r\n");
    let chunked = chunked.replace("Connection: close\r\n", "");
    let chunked = chunked.replace("\r\n\r\n", "\r\n\r\n401\r\n") + "\r\n0\r\n\r\n";
    let answer = countersign_testing::exchange(lab.gateway.address, chunked.as_bytes());
    assert_eq!(answer.is(413, "body_too_large").header("connection"), Some("close"));
}

#[test]
fn a_signature_holds_in_chunks_as_it_does_whole() {
    let (lab, key) = Lab::keyed();
    let draft = order("/signature/1").signed(&key);
    let whole = String::from_utf8(draft.bytes()).unwrap();
    let chunked = |body: &str| {
        let (head, _) = whole.split_once("\r\n\r\n").unwrap();
        let head = head.replace("Content-Length: 12", "Transfer-Encoding: chunked");
        let head = head.replace("\r\nConnection: close", "");
        format!("{head}\r\n\r\n5\r\n{}\r\n7\r\n{}\r\n0\r\n\r\n", &body[..5], &body[5..])
    };
    let send = |text: &str| countersign_testing::exchange(lab.gateway.address, text.as_bytes());
    let answer = send(&chunked("{\"amount\":2}"));
    assert_eq!(answer.is(401, "content_digest").header("connection"), None, "its body was read whole");
    assert!(lab.echo.seen().is_empty());
    assert_eq!(send(&chunked("{\"amount\":1}")).status, 200);
    assert_eq!(lab.echo.last().body, b"{\"amount\":1}");
}
