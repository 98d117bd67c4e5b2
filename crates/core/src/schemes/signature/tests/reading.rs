//! What is read of the two signature headers, and what is refused.

use http::HeaderMap;

use crate::denial::Code;
use crate::schemes::signature::input::{MAX_BYTES, SIGNATURE, SIGNATURE_INPUT};
use crate::schemes::signature::{Parameters, Signed};
use crate::time::Timestamp;

const OURS: &[&str] = &["ours"];
const GOOD: &str = r#"a=("@method");created=1;expires=2;nonce="n";keyid="k";alg="ed25519";new=x;tag="ours""#;

fn read(inputs: &[&str], signatures: &[&str]) -> Result<Vec<Signed>, Code> {
    let mut headers = HeaderMap::new();
    for (name, lines) in [(SIGNATURE_INPUT, inputs), (SIGNATURE, signatures)] {
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
    }
    Signed::read(&headers, OURS).map_err(|denial| denial.code())
}

fn malformed(inputs: &[&str], signatures: &[&str]) {
    assert_eq!(read(inputs, signatures).unwrap_err(), Code::CredentialMalformed, "{inputs:?} {signatures:?}");
}

fn ambiguous(inputs: &[&str], signatures: &[&str]) {
    assert_eq!(read(inputs, signatures).unwrap_err(), Code::CredentialAmbiguous, "{inputs:?} {signatures:?}");
}

#[test]
fn a_signature_is_read_whole() {
    let [signed] = &read(&[GOOD], &["a=:AQI=:"]).unwrap()[..] else { panic!("one") };
    assert_eq!((signed.label.as_str(), signed.signature.as_slice()), ("a", &[1, 2][..]));
    assert_eq!(signed.signature_params(), GOOD.strip_prefix("a=").unwrap());
    let text = |text: &str| Some(text.to_owned());
    let parameters = Parameters {
        created: Some(Timestamp::from_secs(1)),
        expires: Some(Timestamp::from_secs(2)),
        nonce: text("n"),
        alg: text("ed25519"),
        keyid: text("k"),
        tag: text("ours"),
    };
    assert_eq!(signed.parameters, parameters);
    assert!(!format!("{signed:?}").contains("AQI"));
}

/// RFC 9651 §4.1: one space, no optional white space, numbers as they are.
#[test]
fn the_parameters_are_serialised_as_the_standard_says() {
    let sent = r#"a=(  "@method"   "x"; sf ) ; created=1"#;
    malformed(&[sent], &["a=::"]);
    let sent = r#"a=(  "@method"   "x"; sf );  b;tag="ours";c=?1;d=1.50;e=:AQ==:;f=?0"#;
    let signed = read(&[sent], &["a=::"]).unwrap().remove(0);
    let expected = r#"("@method" "x";sf);b;tag="ours";c;d=1.5;e=:AQ==:;f=?0"#;
    assert_eq!(signed.signature_params(), expected);
    assert_eq!(signed.components[1].as_str(), r#""x";sf"#);
}

#[test]
fn nothing_at_all_is_no_credential() {
    assert!(read(&[], &[]).unwrap().is_empty());
    assert!(read(&[], &["a=::"]).unwrap().is_empty());
    assert!(read(&[""], &[]).unwrap().is_empty());
}

#[test]
fn signatures_for_others_are_none_of_ours() {
    let others = r#"a=("@unknown";new);tag="theirs", b=();created=-1"#;
    assert!(read(&[others], &["a=::, b=::"]).unwrap().is_empty());
    malformed(&[r#"a=("@unknown");tag="ours""#], &["a=::"]);
    malformed(&[r#"a=("x";new);tag="ours""#], &["a=::"]);
}

#[test]
fn several_lines_are_one_dictionary() {
    let lines = [r#"a=();tag="ours", c=();tag="theirs""#, r#"b=();tag="ours""#];
    let signed = read(&lines, &["b=:Ag==:", "c=:Aw==:, a=:AQ==:"]).unwrap();
    let found: Vec<_> = signed.iter().map(|one| (one.label.as_str(), one.signature[0])).collect();
    assert_eq!(found, [("a", 1), ("b", 2)]);
}

#[test]
fn a_label_twice_is_ambiguous() {
    ambiguous(&[r#"a=();tag="ours", a=();tag="ours""#], &["a=::"]);
    ambiguous(&[r#"a=();tag="ours""#, "a=()"], &["a=::"]);
    ambiguous(&[r#"a=();tag="ours""#], &["a=::, a=::"]);
    ambiguous(&[r#"a=();tag="ours""#], &["a=::", "a=::"]);
}

#[test]
fn a_parameter_twice_is_ambiguous() {
    ambiguous(&[r#"a=();tag="theirs";tag="ours""#], &["a=::"]);
    ambiguous(&[r#"a=();new;new=2;tag="ours""#], &["a=::"]);
}

#[test]
fn a_label_in_one_header_alone_is_malformed() {
    malformed(&[GOOD], &[]);
    malformed(&[GOOD], &["b=::"]);
    malformed(&[GOOD], &["a=::, b=::"]);
    malformed(&["b=()", GOOD], &["a=::"]);
}

#[test]
fn other_kinds_are_malformed() {
    malformed(&["("], &["a=::"]);
    malformed(&["a"], &["a=::"]);
    malformed(&[r#"a="b""#], &["a=::"]);
    malformed(&[GOOD], &["a=()"]);
    malformed(&[GOOD], &["a=\"AQ==\""]);
    malformed(&[GOOD], &["a=:*:"]);
    malformed(&["a=();tag=ours"], &["a=::"]);
    for parameter in [
        "created=-1",
        "created=1.0",
        "created=@1",
        "expires=\"1\"",
        "expires=-1",
        "nonce=1",
        "alg=ed25519",
        "keyid",
        "keyid=:AQ==:",
    ] {
        malformed(&[&format!("a=();{parameter};tag=\"ours\"")], &["a=::"]);
    }
}

#[test]
fn there_is_an_end_to_it() {
    let many = |count: usize, input: &str| {
        let inputs: Vec<_> = (0..count).map(|index| format!("s{index}={input}")).collect();
        let values: Vec<_> = (0..count).map(|index| format!("s{index}=::")).collect();
        read(&[&inputs.join(", ")], &[&values.join(", ")]).map(|ours| ours.len())
    };
    assert_eq!(many(4, r#"();tag="ours""#), Ok(4));
    assert_eq!(many(5, r#"();tag="ours""#), Err(Code::CredentialMalformed));
    assert_eq!(many(32, "()"), Ok(0));
    assert_eq!(many(33, "()"), Err(Code::CredentialMalformed));

    let covering = |count: usize| {
        let names: Vec<_> = (0..count).map(|index| format!("\"x{index}\"")).collect();
        read(&[&format!("a=({});tag=\"ours\"", names.join(" "))], &["a=::"]).map(|ours| ours.len())
    };
    assert_eq!(covering(64), Ok(1));
    assert_eq!(covering(65), Err(Code::CredentialMalformed));

    let with_parameters = |count: usize| {
        let parameters: String = (1..count).map(|index| format!(";p{index}")).collect();
        read(&[&format!("a=(){parameters};tag=\"ours\"")], &["a=::"]).map(|ours| ours.len())
    };
    assert_eq!(with_parameters(32), Ok(1));
    assert_eq!(with_parameters(33), Err(Code::CredentialMalformed));

    let long = |length: usize| read(&[GOOD], &["a=::", &" ".repeat(length)]).map(|ours| ours.len());
    assert_eq!(long(MAX_BYTES - GOOD.len() - 4), Ok(1));
    assert_eq!(long(MAX_BYTES - GOOD.len() - 3), Err(Code::CredentialMalformed));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_reading_panic(
        input in "[a-c=()\";@:, ?*0-9.-]{0,40}",
        value in "\\PC{0,20}",
        parameters in "(;[a-z]{1,3}(=[0-9\":?a-z-]{0,4})?){0,3}",
    ) {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            (SIGNATURE_INPUT, input),
            (SIGNATURE_INPUT, format!("a=(\"@method\"){parameters};tag=\"ours\"")),
            (SIGNATURE, value),
            (SIGNATURE, "a=:AQ==:".to_owned()),
        ] {
            let _ = Signed::read(&headers, OURS);
            if let Ok(text) = http::HeaderValue::from_bytes(text.as_bytes()) {
                headers.append(name, text);
            }
            let _ = Signed::read(&headers, OURS);
        }
    }
}
