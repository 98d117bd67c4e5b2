//! The response scanner's reading: every form it takes and every form it refuses.

use proptest::prelude::*;

use crate::framing::BodyFraming;
use crate::limits::Limits;
use crate::response::{Asked, Follows, ResponseScanner, ResponseStep};
use crate::violation::Violation;

const GET: Asked = Asked { head: false, upgrade: false };
const HEAD: Asked = Asked { head: true, upgrade: false };
const UPGRADE: Asked = Asked { head: false, upgrade: true };

/// Feeds `stream` in pieces of `size`; returns what follows each head, and how many bytes were settled.
fn read_in(stream: &[u8], asked: Asked, size: usize) -> Result<(Vec<Follows>, usize), Violation> {
    let mut scanner = ResponseScanner::new(Limits::default());
    let (mut heads, mut taken, mut end) = (Vec::new(), 0, 0);
    while end < stream.len() {
        end = (end + size).min(stream.len());
        while taken < end {
            taken += match scanner.step(&stream[taken..end], asked)? {
                ResponseStep::Incomplete => break,
                ResponseStep::Head { length, follows } => {
                    heads.push(follows);
                    length
                }
                ResponseStep::Body { length, .. } => length,
            };
        }
    }
    Ok((heads, taken))
}

fn read(stream: &str, asked: Asked) -> Result<Vec<Follows>, &'static str> {
    let whole = read_in(stream.as_bytes(), asked, stream.len());
    assert_eq!(whole, read_in(stream.as_bytes(), asked, 1));
    whole.map(|(heads, _)| heads).map_err(|violation| violation.reason)
}

fn ok(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n")
}

#[test]
fn every_framing_is_read() {
    let chunked = ok("Transfer-Encoding: chunked\r\n") + "2\r\nhi\r\n0\r\na: b\r\n\r\n";
    let length = ok("Content-Length: 2\r\n") + "hi";
    let both = read(&format!("{chunked}{length}"), GET);
    let expected = vec![Follows::Body(BodyFraming::Chunked), Follows::Body(BodyFraming::Length(2))];
    assert_eq!(both, Ok(expected));
    assert_eq!(read(&(ok("") + "until close"), GET), Ok(vec![Follows::Body(BodyFraming::UntilClose)]));
    assert_eq!(
        read("HTTP/1.0 404\r\n\r\nuntil close", GET),
        Ok(vec![Follows::Body(BodyFraming::UntilClose)])
    );
}

#[test]
fn what_has_no_body_has_none_whatever_its_fields_say() {
    let none = Ok(vec![Follows::Body(BodyFraming::None)]);
    assert_eq!(read(&ok("Content-Length: 9\r\n"), HEAD), none);
    assert_eq!(read(&ok("Transfer-Encoding: chunked\r\n"), HEAD), none);
    assert_eq!(read("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", GET), none);
    assert_eq!(read("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", GET), none);
    let reason = Err("a response that has no body announces one");
    assert_eq!(read("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", GET), reason);
    assert_eq!(read("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", GET), reason);
    assert_eq!(read("HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n", GET), reason);
}

#[test]
fn interim_responses_are_followed_by_another_head() {
    let stream = format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok("Content-Length: 0\r\n"));
    let expected = vec![Follows::AnotherHead, Follows::Body(BodyFraming::Length(0))];
    assert_eq!(read(&stream, GET), Ok(expected));
}

#[test]
fn an_upgrade_must_have_been_asked_for() {
    let stream = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    assert_eq!(read(stream, GET), Err("an upgrade that was not asked for"));
    assert_eq!(read(stream, UPGRADE), Ok(vec![Follows::AnotherProtocol]));
}

#[test]
fn what_two_parsers_read_differently_is_refused() {
    let beside = Err("Content-Length beside Transfer-Encoding");
    assert_eq!(read(&ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), GET), beside);
    assert_eq!(read(&ok("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), GET), beside);
    assert_eq!(
        read(&ok("Content-Length: 2\r\nContent-Length: 2\r\n"), GET),
        Err("Content-Length occurs twice")
    );
    let length = Err("Content-Length is not one decimal number");
    assert_eq!(read(&ok("Content-Length: 2, 2\r\n"), GET), length);
    for coding in ["gzip, chunked", "gzip", "identity", "chunked, chunked"] {
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        assert_eq!(read(&ok(&fields), GET), Err("Transfer-Encoding is not exactly `chunked`"));
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(old, GET), Err("Transfer-Encoding in HTTP/1.0"));
    assert_eq!(read("HTTP/1.1 200 OK\nA: b\r\n\r\n", GET), Err("a line ends with LF alone"));
    assert_eq!(read(&ok("A: b\r\n c\r\n"), GET), Err("a field is folded over two lines"));
    let chunks = ok("Transfer-Encoding: chunked\r\n");
    let trailers = format!("{chunks}0\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(read(&trailers, GET), Err("a trailer that frames, routes or authenticates"));
}

#[test]
fn a_status_line_is_version_three_digits_and_a_reason() {
    let lines = [
        "HTTP/2.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200\tOK",
        "200 OK",
        "",
        "ICY 200 OK",
        "HTTP/1.1 200 O\rK",
    ];
    for line in lines {
        let expected = Err("the status line is not version, three digits and a reason");
        assert_eq!(read(&format!("{line}\r\n\r\n"), GET), expected, "{line:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        stream in proptest::collection::vec(any::<u8>(), 0..400),
        size in 1..40_usize,
    ) {
        let prefixed = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &stream[..]].concat();
        for stream in [&stream, &prefixed] {
            let whole = read_in(stream, GET, stream.len().max(1)).map(|(heads, _)| heads);
            let cut = read_in(stream, GET, size).map(|(heads, _)| heads);
            prop_assert_eq!(whole, cut);
        }
    }
}
