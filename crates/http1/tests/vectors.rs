//! `vectors/http1.json`, which others can test their parsers with: each stream whole, and one byte after another.

use countersign_http1::{
    Asked, BodyFraming, Facts, Follows, Limits, ResponseScanner, ResponseStep, Scanner, Step, Violation,
};
use serde_json::{Value, json};

/// The streams of one side, each with the rule that it stands under.
fn streams(side: &str) -> Vec<(String, Value)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/http1.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let rules = vectors[side].as_array().unwrap();
    let of = |rule: &Value| -> Vec<(String, Value)> {
        let name = rule["rule"].as_str().unwrap();
        rule["streams"].as_array().unwrap().iter().map(|stream| (name.to_owned(), stream.clone())).collect()
    };
    rules.iter().flat_map(of).collect()
}

/// Each character is one byte.
fn bytes(stream: &Value) -> Vec<u8> {
    stream["bytes"].as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// Shows `step` the bytes that it has not taken, `size` more each time; how many it left at the end.
fn fed<E>(
    bytes: &[u8],
    size: usize,
    mut step: impl FnMut(&[u8]) -> Result<Option<usize>, E>,
) -> Result<usize, E> {
    let (mut taken, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + size).min(bytes.len());
        while taken < end {
            let Some(length) = step(&bytes[taken..end])? else { break };
            taken += length;
        }
    }
    Ok(bytes.len() - taken)
}

fn body(framing: BodyFraming) -> Value {
    match framing {
        BodyFraming::None => json!("none"),
        BodyFraming::Length(length) => json!(length),
        BodyFraming::Chunked => json!("chunked"),
        BodyFraming::UntilClose => json!("until close"),
    }
}

fn message(facts: &Facts) -> Value {
    let version = format!("{:?}", facts.version);
    let mut message =
        json!({ "method": facts.method.as_str(), "version": version, "body": body(facts.body) });
    for (name, is_so) in [("upgrade", facts.upgrade), ("expects_continue", facts.expects_continue)] {
        if is_so {
            message[name] = json!(true);
        }
    }
    message
}

fn requests(bytes: &[u8], size: usize) -> Value {
    let mut scanner = Scanner::new(Limits::default());
    let mut messages = Vec::new();
    let left = fed(bytes, size, |window| {
        Ok::<_, Violation>(match scanner.step(window)? {
            Step::Incomplete => None,
            Step::EmptyLine { length } | Step::Body { length, .. } => Some(length),
            Step::Head { length, facts } => {
                messages.push(message(&facts));
                Some(length)
            }
        })
    });
    match left {
        Err(violation) => json!({ "refused": violation.reason }),
        Ok(0) if scanner.is_between_messages() => json!({ "messages": messages }),
        Ok(_) => json!({ "messages": messages, "unfinished": true }),
    }
}

fn responses(bytes: &[u8], size: usize, asked: Asked) -> Value {
    let mut scanner = ResponseScanner::new(Limits::default());
    let mut heads = Vec::new();
    let left = fed(bytes, size, |window| {
        Ok::<_, Violation>(match scanner.step(window, asked)? {
            ResponseStep::Incomplete => None,
            ResponseStep::Body { length, .. } => Some(length),
            ResponseStep::Head { length, follows } => {
                heads.push(match follows {
                    Follows::AnotherHead => json!("another head"),
                    Follows::AnotherProtocol => json!("another protocol"),
                    Follows::Body(framing) => json!({ "body": body(framing) }),
                });
                Some(length)
            }
        })
    });
    match left {
        Err(violation) => json!({ "refused": violation.reason }),
        Ok(left) => {
            assert!(left == 0 && !scanner.is_within_body(), "{heads:?} end too early");
            json!({ "follows": heads })
        }
    }
}

/// What is expected of a stream: all but what it is asked for.
fn expected(stream: &Value) -> Value {
    let mut expected = stream.clone();
    let members = expected.as_object_mut().unwrap();
    members.retain(|name, _| name != "bytes" && name != "asked");
    expected
}

#[test]
fn requests_are_read_and_refused_as_the_vectors_say() {
    let streams = streams("requests");
    assert!(streams.len() > 150, "{}", streams.len());
    for (rule, stream) in streams {
        let bytes = bytes(&stream);
        for size in [bytes.len(), 1] {
            assert_eq!(requests(&bytes, size), expected(&stream), "{rule}: {stream}");
        }
    }
}

#[test]
fn responses_are_read_and_refused_as_the_vectors_say() {
    let streams = streams("responses");
    assert!(streams.len() > 30, "{}", streams.len());
    for (rule, stream) in streams {
        let asked = match stream["asked"].as_str() {
            None => Asked::default(),
            Some("head") => Asked { head: true, upgrade: false },
            Some("upgrade") => Asked { head: false, upgrade: true },
            Some(other) => panic!("{other}"),
        };
        let bytes = bytes(&stream);
        for size in [bytes.len(), 1] {
            assert_eq!(responses(&bytes, size, asked), expected(&stream), "{rule}: {stream}");
        }
    }
}
