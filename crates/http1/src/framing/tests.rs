//! The scanner's reading: every form it takes and every form it refuses.

use http::{Method, Version};
use proptest::prelude::*;

use crate::framing::{BodyFraming, Facts, Scanner, Step};
use crate::limits::Limits;
use crate::violation::{Violation, ViolationKind};

const LIMITS: Limits = Limits {
    max_head_bytes: 256,
    max_fields: 8,
    max_trailer_bytes: 64,
    refuses_trailer: |name| name.eq_ignore_ascii_case(b"x-ours"),
};

/// What a stream of requests comes to, however it is cut.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    heads: Vec<Facts>,
    empty_lines: usize,
    body_bytes: usize,
    messages: usize,
    violation: Option<Violation>,
    left_over: usize,
}

/// Feeds `stream` cut at `cuts`, as a caller would: what a step does not take is presented again.
fn read_cut(stream: &[u8], cuts: &[usize]) -> Reading {
    let mut scanner = Scanner::new(LIMITS);
    let mut reading = Reading::default();
    let mut taken = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    for end in ends {
        while taken < end {
            let length = match scanner.step(&stream[taken..end]) {
                Ok(Step::Incomplete) => break,
                Ok(Step::EmptyLine { length }) => {
                    reading.empty_lines += 1;
                    length
                }
                Ok(Step::Head { length, facts }) => {
                    let ends = matches!(facts.body, BodyFraming::None | BodyFraming::Length(0));
                    reading.messages += usize::from(ends);
                    reading.heads.push(facts);
                    length
                }
                Ok(Step::Body { length, ends }) => {
                    reading.messages += usize::from(ends);
                    reading.body_bytes += length;
                    length
                }
                Err(violation) => {
                    reading.violation = Some(violation);
                    return reading;
                }
            };
            assert!(length > 0 && taken + length <= end, "a step takes what it was shown");
            taken += length;
        }
    }
    reading.left_over = stream.len() - taken;
    reading
}

/// Every reading is made whole and in single bytes: they must agree.
fn read(stream: impl AsRef<[u8]>) -> Reading {
    let stream = stream.as_ref();
    let whole = read_cut(stream, &[]);
    let dripping = read_cut(stream, &(0..stream.len()).collect::<Vec<_>>());
    assert_eq!(whole.heads, dripping.heads);
    assert_eq!(whole.violation, dripping.violation);
    whole
}

fn accepted(stream: impl AsRef<[u8]>) -> Facts {
    let reading = read(stream);
    assert_eq!(reading.violation, None);
    assert_eq!((reading.heads.len(), reading.messages, reading.left_over), (1, 1, 0));
    reading.heads.into_iter().next().expect("one head")
}

#[track_caller]
fn refused(stream: impl AsRef<[u8]>, reason: &str) {
    let violation = read(stream).violation;
    assert_eq!(violation.map(|violation| violation.reason), Some(reason));
}

fn get(line: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.example\r\n{line}\r\n\r\n")
}

fn post_chunks(chunks: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

#[test]
fn a_small_get_is_read() {
    let facts = accepted("GET /a?b=c HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let expected = Facts {
        method: Method::GET,
        version: Version::HTTP_11,
        upgrade: false,
        body: BodyFraming::None,
        expects_continue: false,
    };
    assert_eq!(facts, expected);
}

#[test]
fn a_length_frames_a_body() {
    let facts =
        accepted("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: \t 5 \r\nExpect: 100-Continue\r\n\r\nhello");
    assert_eq!(facts.body, BodyFraming::Length(5));
    assert!(facts.expects_continue);
    assert_eq!(accepted(get("Content-Length: 0")).body, BodyFraming::Length(0));
}

#[test]
fn chunks_frame_a_body_with_and_without_trailers() {
    let whole = post_chunks("5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n");
    assert_eq!(accepted(whole.replace("chunked", "CHUNKED")).body, BodyFraming::Chunked);
    accepted(post_chunks("1\r\nx\r\n0\r\nContent-Digest: a=:b=:\r\nb: c\r\n\r\n"));
    accepted(post_chunks("000000000000000f\r\n0123456789abcde\r\n0000\r\n\r\n"));
}

#[test]
fn http_1_0_is_read_without_a_host_and_without_its_upgrade() {
    let facts =
        accepted("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(facts.version, Version::HTTP_10);
    assert!(!facts.upgrade && !facts.expects_continue);
    accepted("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
}

#[test]
fn an_upgrade_is_one_that_connection_names() {
    assert!(accepted(get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket")).upgrade);
    assert!(!accepted(get("Upgrade: websocket")).upgrade);
    assert!(!accepted(get("Connection: close\r\nUpgrade: websocket")).upgrade);
    assert!(!accepted(get("Connection: upgrade")).upgrade);
    assert!(accepted("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").upgrade);
}

#[test]
fn every_form_of_a_target_is_read() {
    accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted("GET http://A.example:80/b?c HTTP/1.1\r\nHost: a.example:80\r\n\r\n");
    accepted("GET https://[::1]:8443?c HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
    accepted("GET /{a}|b\\c^?d=`e`&f=/?:@[]!$'()*+,;%00 HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn requests_follow_each_other() {
    let body = post_chunks("1\r\nx\r\n0\r\n\r\n");
    let reading = read(format!("{}{body}{}", get("a: b"), get("c: d")));
    assert_eq!((reading.heads.len(), reading.messages, reading.violation), (3, 3, None));
}

#[test]
fn one_empty_line_is_tolerated_before_a_request_and_two_are_not() {
    let reading = read(format!("\r\n{}\r\n{}", get("a: b"), get("c: d")));
    assert_eq!((reading.messages, reading.empty_lines), (2, 2));
    refused(format!("\r\n\r\n{}", get("a: b")), "two empty lines before a request");
    refused("\nGET / HTTP/1.1\r\n", "a line ends with LF alone");
}

#[test]
fn a_line_that_ends_with_lf_alone_is_refused_wherever_it_is() {
    let reason = "a line ends with LF alone";
    refused("GET / HTTP/1.1\nHost: a\r\n\r\n", reason);
    refused("GET / HTTP/1.1\r\nHost: a\nb: c\r\n\r\n", reason);
    refused("GET / HTTP/1.1\r\nHost: a\r\n\n", reason);
    refused(post_chunks("1\nx\r\n0\r\n\r\n"), reason);
    refused(post_chunks("0\r\na: b\n\r\n"), reason);
    refused(post_chunks("0\r\n\n"), reason);
}

#[test]
fn a_cr_inside_a_line_is_refused() {
    refused("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "a character in the request target that must be encoded");
    refused(get("a: b\rc: d"), "a control character in a field's value");
    refused(get("a: b\r"), "a control character in a field's value");
    refused(get("\ra: b"), "a field's name is not a token");
}

#[test]
fn a_request_line_has_two_spaces_and_no_more() {
    let reason = "the request line is not method, target and version with a space between";
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /",
        "GET",
        "GET / x",
        "GET\t/ HTTP/1.1",
    ] {
        let violation = read(format!("{line}\r\nHost: a\r\n\r\n")).violation.expect(line);
        assert_eq!(violation.kind, ViolationKind::Framing, "{line}");
    }
    refused("GET /\r\nHost: a\r\n\r\n", reason);
    refused("GET / xyz\r\nHost: a\r\n\r\n", reason);
    refused("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "the version is neither HTTP/1.1 nor HTTP/1.0");
    refused("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "the method is not a token");
    refused("\x16\x03\x01", "the method is not a token");
    refused(" GET / HTTP/1.1\r\n", "the method is not a token");
}

#[test]
fn other_versions_are_refused() {
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "HTTP/01.1", "HTTP/1,1"] {
        let reason = "the version is neither HTTP/1.1 nor HTTP/1.0";
        refused(format!("GET / {version}\r\nHost: a\r\n\r\n"), reason);
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "the version is neither HTTP/1.1 nor HTTP/1.0");
}

#[test]
fn a_target_holds_only_what_may_stand_there() {
    refused("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "the request target has a fragment");
    for byte in [0x00, 0x01, b'\t', 0x0b, 0x7f, 0x80, 0xff, b'"', b'<', b'>', b'`'] {
        let mut stream = b"GET /a".to_vec();
        stream.push(byte);
        stream.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(stream, "a character in the request target that must be encoded");
    }
    let forms =
        ["a", "*", "?a", "a.example:80", "ftp://a/", "http://", "http://b@a/", "http:///b", "http://a:b/"];
    for target in forms {
        let stream = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(stream, "the request target has none of the four forms");
    }
    refused("CONNECT b@a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT without a host and a port");
    refused("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT without a host and a port");
    refused("CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", "CONNECT without a host and a port");
}

#[test]
fn whatever_target_is_accepted_hyper_accepts_too() {
    for byte in 0..=255_u8 {
        for start in ["/a", "/a?b"] {
            let target = [start.as_bytes(), &[byte]].concat();
            let stream = [b"GET ", &target[..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            if read(stream).violation.is_none() {
                assert!(http::Uri::try_from(&target[..]).is_ok(), "{byte:#x}");
            }
        }
    }
}

#[test]
fn host_is_one_and_sound_and_the_targets() {
    refused("GET / HTTP/1.1\r\na: b\r\n\r\n", "no Host");
    refused(get("host: a.example"), "Host occurs twice");
    refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "Host occurs twice");
    let hosts = [
        "", "a b", "a/b", "a@b", "a,b", "a:b", "a:123456", "[::1", "[]", "[::g]", "[::1]x", ":80", "a:1:2",
        "é",
    ];
    for host in hosts {
        refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), "Host is not a host and a port");
    }
    let reason = "Host is not the target's authority";
    refused("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", reason);
    refused("CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", reason);
}

#[test]
fn a_folded_field_is_refused() {
    refused(get("a: b\r\n c"), "a field is folded over two lines");
    refused(get("a: b\r\n\tc: d"), "a field is folded over two lines");
    refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "a field is folded over two lines");
    refused(get("a: b\r\n "), "a field is folded over two lines");
}

#[test]
fn a_fields_name_is_a_token_up_to_the_colon() {
    let spaced = "white space between a field's name and the colon";
    refused(get("Content-Length : 5"), spaced);
    refused(get("Transfer-Encoding\t: chunked"), spaced);
    refused(get("a b: c"), spaced);
    refused(get(": b"), "a field has no name");
    refused(get("a"), "a field line without a colon");
    refused(get("a\0: b"), "a field's name is not a token");
    refused(get("é: b"), "a field's name is not a token");
    refused(get("(a): b"), "a field's name is not a token");
}

#[test]
fn a_fields_value_holds_no_control_characters() {
    for byte in (0..32).chain([127]).filter(|byte| !b"\t\r\n".contains(byte)) {
        let stream = [b"GET / HTTP/1.1\r\nHost: a\r\na: b", &[byte][..], b"c\r\n\r\n"].concat();
        refused(stream, "a control character in a field's value");
    }
    accepted([&b"GET / HTTP/1.1\r\nHost: a\r\na:\tb\x80\xff \r\nb:\r\nc: \t\r\n\r\n"[..]].concat());
}

#[test]
fn a_length_is_one_decimal_number() {
    let values = [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5 5",
        "0x5",
        "5.0",
        "5;a",
        "five",
        "\"5\"",
        "9223372036854775808",
        "18446744073709551616",
        "00000000000000000005",
    ];
    for value in values {
        refused(get(&format!("Content-Length: {value}")), "Content-Length is not one decimal number");
    }
    let reading = read(get("Content-Length: 9223372036854775807"));
    assert_eq!(reading.violation, None);
}

#[test]
fn a_second_length_is_refused_even_if_equal() {
    refused(get("Content-Length: 5\r\nContent-Length: 5"), "Content-Length occurs twice");
    refused(get("Content-Length: 5\r\ncontent-length: 6"), "Content-Length occurs twice");
}

#[test]
fn a_length_beside_a_transfer_encoding_is_refused_in_both_orders() {
    let reason = "Content-Length beside Transfer-Encoding";
    refused(get("Content-Length: 5\r\nTransfer-Encoding: chunked"), reason);
    refused(get("Transfer-Encoding: chunked\r\nContent-Length: 5"), reason);
}

#[test]
fn a_transfer_encoding_is_chunked_once_and_nothing_else() {
    let values = [
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunked;a=b",
        "\"chunked\"",
        "",
        ",chunked",
        "chunked,",
        "gzip",
    ];
    for value in values {
        let line = get(&format!("Transfer-Encoding: {value}"));
        refused(line, "Transfer-Encoding is not exactly `chunked`");
    }
    let twice = get("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked");
    refused(twice, "Transfer-Encoding occurs twice");
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(old, "Transfer-Encoding in HTTP/1.0");
}

#[test]
fn names_that_a_cgi_server_reads_as_framing_are_refused() {
    refused(get("Content_Length: 5"), "a field that looks like Content-Length");
    refused(get("Transfer_Encoding: chunked"), "a field that looks like Transfer-Encoding");
    for between in "!#$%&'*+.^_`|~".chars() {
        let (length, encoding) =
            (format!("Content{between}Length: 5"), format!("transfer{between}encoding: chunked"));
        refused(get(&length), "a field that looks like Content-Length");
        refused(get(&encoding), "a field that looks like Transfer-Encoding");
        let named = "Connection names a field that frames or routes the message";
        refused(get(&format!("Connection: content{between}length")), named);
    }
}

#[test]
fn connection_names_nothing_that_frames_or_routes() {
    let reason = "Connection names a field that frames or routes the message";
    for option in ["Content-Length", "transfer-encoding", "close, HOST", "content_length"] {
        refused(get(&format!("Connection: {option}")), reason);
    }
    let reason = "Connection names a field that is for the recipient";
    for option in ["content-type", "close, Content_Digest", "Signature-Input", "authorization", "cookie"] {
        refused(get(&format!("Connection: {option}")), reason);
    }
}

#[test]
fn a_chunks_size_is_hexadecimal_digits_and_no_more() {
    let reason = "a chunk's size is not hexadecimal digits";
    for size in ["", " 5", "5 ", "5\t", "0x5", "+5", "-5", "5g", "5\0", "\t5", "5_", "5,"] {
        refused(post_chunks(&format!("{size}\r\nhello\r\n0\r\n\r\n")), reason);
    }
    refused(post_chunks("00000000000000005\r\n"), "a chunk's size has more than 16 digits");
    refused(post_chunks("10000000000000005\r\n"), "a chunk's size has more than 16 digits");
    refused(post_chunks("8000000000000000\r\n"), "a chunk's size is beyond 2^63 - 1");
    refused(post_chunks("5\rhello"), "a chunk's size does not end with CRLF");
}

#[test]
fn chunk_extensions_are_refused() {
    refused(post_chunks("5;a=b\r\nhello\r\n0\r\n\r\n"), "a chunk extension");
    refused(post_chunks("5;\nhello"), "a chunk extension");
}

#[test]
fn a_chunks_data_ends_where_its_size_says() {
    refused(post_chunks("5\r\nhello!\r\n"), "a chunk is longer than its size says");
    refused(post_chunks("5\r\nhello\n"), "a chunk is longer than its size says");
    refused(post_chunks("5\r\nhello\r0"), "a chunk's data does not end with CRLF");
}

#[test]
fn trailers_neither_frame_nor_route_nor_authenticate() {
    let names = [
        "Content-Length",
        "Transfer_Encoding",
        "Transfer~Encoding",
        "Host",
        "authorization",
        "Cookie",
        "Connection",
        "X-API.Key",
        "Forwarded",
        "Proxy|Authorization",
        "X-Ours",
    ];
    for name in names {
        let stream = post_chunks(&format!("0\r\n{name}: 5\r\n\r\n"));
        refused(stream, "a trailer that frames, routes or authenticates");
    }
    refused(post_chunks("0\r\na : b\r\n\r\n"), "white space between a field's name and the colon");
    refused(post_chunks("0\r\na: b\r\n c\r\n\r\n"), "a field is folded over two lines");
    refused(post_chunks("0\r\nGET / HTTP/1.1\r\n\r\n"), "white space between a field's name and the colon");
}

fn too_large(stream: impl AsRef<[u8]>, reason: &str) {
    let violation = read(stream).violation;
    assert_eq!(
        violation,
        Some(Violation { kind: ViolationKind::HeadersTooLarge, reason: violation_reason(reason) })
    );
}

/// The tests' reasons are static; this only satisfies the type.
fn violation_reason(reason: &str) -> &'static str {
    Box::leak(reason.to_owned().into_boxed_str())
}

#[test]
fn a_method_has_an_end() {
    let too_long = "the method is longer than any that there is";
    refused("x".repeat(65), too_long);
    refused("x".repeat(300), too_long);
    refused(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(65)), too_long);
    accepted(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(64)));
}

#[test]
fn heads_and_trailers_end_at_their_limits() {
    let empty = get("a: ").len();
    let fits = get(&format!("a: {}", "x".repeat(LIMITS.max_head_bytes - empty)));
    assert_eq!(fits.len(), LIMITS.max_head_bytes);
    accepted(&fits);
    too_large(fits.replace("xx", "xxx"), "the head is larger than the limit");
    too_large(format!("GET /{}", "x".repeat(300)), "the head is larger than the limit");
    accepted(get("a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\ng: 7"));
    too_large(
        get("a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\ng: 7\r\nh: 8"),
        "more fields than the limit",
    );
    let trailers = format!("0\r\na: {}\r\n\r\n", "x".repeat(64));
    too_large(post_chunks(&trailers), "the trailers are larger than the limit");
    too_large(post_chunks(&format!("0\r\n{}\r\n", "a:\r\n".repeat(9))), "more trailers than the limit");
    let wide = Limits { max_head_bytes: 1 << 20, ..LIMITS };
    for stream in [
        format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", "x".repeat(257)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(65_534)),
    ] {
        let violation = Scanner::new(wide).step(stream.as_bytes()).expect_err("too long");
        assert_eq!(violation.kind, ViolationKind::HeadersTooLarge);
    }
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let chunk = "[a-z\r\n]{1,20}".prop_map(|data| format!("{:x}\r\n{data}\r\n", data.len()));
    let chunks = proptest::collection::vec(chunk, 0..4)
        .prop_map(|chunks| post_chunks(&(chunks.concat() + "0\r\n\r\n")));
    let length = "[ -~\r\n]{0,40}"
        .prop_map(|body| format!("{}{body}", get(&format!("Content-Length: {}", body.len()))));
    let trailers = "x[a-z]{1,7}: [a-z]{0,20}"
        .prop_map(|field| post_chunks(&format!("2\r\n\r\n\r\n0\r\n{field}\r\n\r\n")));
    let bare = "[!-~]{0,30}".prop_map(|value| get(&format!("a: {value}")));
    prop_oneof![chunks, length, trailers, bare.clone(), bare.prop_map(|request| format!("\r\n{request}"))]
        .prop_map(String::into_bytes)
}

/// Bytes that look enough like HTTP to get past the first line.
fn any_noise() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "GET / HTTP/1.1\r\n",
        "Host: a\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\n",
        "\r\n",
        "\n",
        "0\r\n",
        "3\r\nabc\r\n",
        ";",
        ":",
        " ",
        "\t",
        "\r",
        "ffffffffffffffff",
        "\0",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_valid_stream_reads_the_same_however_it_is_cut(
        requests in proptest::collection::vec(any_request(), 1..5),
        cuts in proptest::collection::vec(0..1000_usize, 0..40),
    ) {
        let stream = requests.concat();
        let whole = read_cut(&stream, &[]);
        prop_assert_eq!(whole.violation, None);
        prop_assert_eq!((whole.messages, whole.left_over), (requests.len(), 0));
        prop_assert_eq!(read_cut(&stream, &cuts), whole);
    }

    #[test]
    fn noise_is_refused_the_same_however_it_is_cut_and_never_panics(
        stream in any_noise(),
        cuts in proptest::collection::vec(0..400_usize, 0..40),
    ) {
        let whole = read_cut(&stream, &[]);
        let cut = read_cut(&stream, &cuts);
        prop_assert_eq!(whole.violation, cut.violation);
        prop_assert_eq!(whole.heads, cut.heads);
        prop_assert_eq!(whole.messages, cut.messages);
    }

    #[test]
    fn random_bytes_never_panic(stream in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_cut(&stream, &[stream.len() / 2]);
    }
}
