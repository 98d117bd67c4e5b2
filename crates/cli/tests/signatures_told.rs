//! What a refused signature tells: its caller what to do next, its operator why, and nobody a secret.

use countersign::crypto::Algorithm;
use countersign::schemes::signature::{ACCEPT_SIGNATURE, Wanted, sign};
use countersign_testing::signed::{Draft, Lab, PUBLIC, order, parameters, private_key, registered};
use http::{HeaderMap, Uri};
use serde_json::Value;

fn without_decision(mut answer: Value) -> Value {
    answer["decision"] = Value::Null;
    answer
}

#[test]
fn unknown_revoked_and_wrong_keys_answer_alike() {
    let (lab, key) = Lab::keyed();
    let draft = order("/signature/1").signed(&key);
    let wrong = registered(&lab.gateway, private_key("p256", None), &[]);
    let as_other = |keyid: &str| {
        order("/signature/1").signed_on(&key, |terms| terms.parameters.keyid = Some(keyid.to_owned()))
    };
    let refused = |draft: &Draft| {
        let answer = lab.refuses(draft, 401, "signature_invalid");
        let headers: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (headers, without_decision(answer.json()))
    };
    let unknown = refused(&as_other("abcdefABCDEF"));
    assert_eq!(refused(&as_other("no such name at all")), unknown);
    assert_eq!(refused(&as_other(&wrong.id)), unknown);
    let mut named = order("/signature/1").signed(&key);
    let bytes = format!("sig1=:{}:", "A".repeat(86) + "==");
    named = named.with("signature", &bytes);
    assert_eq!(refused(&named), unknown);
    lab.passes(&draft);
    assert!(lab.gateway.run(&["key", "revoke", &key.id]).status.success());
    assert_eq!(refused(&order("/signature/1").signed(&key)), unknown);
}

#[test]
fn a_refusal_says_what_to_sign_in_a_form_that_clients_can_follow() {
    let (lab, key) = Lab::keyed();
    let answer = lab.refuses(&order("/signature/1"), 401, "credential_missing");
    assert_eq!(answer.header("www-authenticate"), Some("Signature"));
    let asked = answer.header("accept-signature").unwrap();
    let headers = HeaderMap::from_iter([(ACCEPT_SIGNATURE, asked.parse().unwrap())]);
    let wanted = Wanted::read(&headers).unwrap().remove(0);
    let components: Vec<_> = wanted.components.iter().map(ToString::to_string).collect();
    for needed in ["@method", "@authority", "content-digest", "content-type"] {
        assert!(components.contains(&format!("{needed:?}")), "{asked}");
    }
    assert!(wanted.created && wanted.expires && wanted.tag.as_deref() == Some("countersign"), "{asked}");
    let follow = wanted.follow(&[], parameters(&key.id), Algorithm::Ed25519).unwrap();
    let mut draft = order("/signature/1");
    let target: Uri = format!("{PUBLIC}/signature/1").parse().unwrap();
    sign(&mut draft.headers, &draft.method, &target, &wanted.label, &follow.0, &follow.1, &*key.signer)
        .unwrap();
    lab.passes(&draft);
}

#[test]
fn a_caller_that_says_what_it_signed_learns_where_it_differs_and_nothing_of_ours() {
    let (lab, key) = Lab::keyed();
    let draft = Draft::get("/signature/1?secret=theirs").signed_on(&key, |terms| terms.digests = true);
    let answer = lab.refuses(&draft.clone().to("/signature/1?secret=other"), 401, "signature_invalid").json();
    assert_eq!(answer["differs"], "\"@query\" is not what was signed");
    let covered: Vec<_> =
        ["@method", "@scheme", "@authority", "@path", "@query"].map(|name| format!("{name:?}")).into();
    assert_eq!(answer["covered"], serde_json::json!(covered));
    let text = answer.to_string();
    for ours in ["orders.example", "=other", "=theirs", &key.id] {
        assert!(!text.contains(ours), "{ours} in {text}");
    }
    let elsewhere = Draft::get("/signature/1").signed_on(&key, |terms| {
        terms.digests = true;
        terms.public = "https://other.example";
    });
    let answer = lab.refuses(&elsewhere, 401, "signature_invalid").json();
    assert_eq!(answer["differs"], "\"@authority\" is not what was signed");
    let broken = draft.clone().with("signature", &format!("sig1=:{}==:", "A".repeat(86)));
    let answer = lab.refuses(&broken, 401, "signature_invalid").json();
    assert!(answer["differs"].as_str().unwrap().contains("the key or the signature is another"), "{answer}");
    let silent = Draft::get("/signature/1").signed(&key).to("/signature/2");
    assert_eq!(lab.refuses(&silent, 401, "signature_invalid").json()["differs"], Value::Null);
    lab.passes(&draft);
}

#[test]
fn the_operator_is_told_the_base_and_no_secret_in_it() {
    let (lab, key) = Lab::keyed();
    let target = "/signature/1?api_key=hunter2hunter2&to=bob";
    let answer = lab.refuses(&Draft::get("/signature/1").signed(&key).to(target), 401, "signature_invalid");
    let explained = lab.gateway.explain_latest();
    assert_eq!((&explained["code"], &explained["outcome"]), (&"signature_invalid".into(), &"deny".into()));
    let cause = explained["cause"].as_str().unwrap();
    assert!(cause.contains("the base as it is here:"), "{cause}");
    assert!(cause.contains("\"@authority\": orders.example"), "{cause}");
    assert!(cause.contains("to=bob"), "{cause}");
    assert!(!explained.to_string().contains("hunter2"), "{explained}");
    assert!(!answer.text().contains("orders.example"));
    lab.refuses(
        &order("/signature/1").signed_on(&key, |terms| terms.parameters.keyid = Some("abcdefABCDEF".into())),
        401,
        "signature_invalid",
    );
    assert!(
        lab.gateway.explain_latest()["cause"].as_str().unwrap().contains("no key is called abcdefABCDEF")
    );
    assert!(!lab.gateway.log().contains("hunter2"));
}
