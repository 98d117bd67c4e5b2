//! Frames that carry nothing, on HTTP/2: whoever sends too many is told to calm down, and whoever only says that
//! something came is not (RFC 9113, 10.5).

use std::io::Write as _;

use bytes::Bytes;
use countersign_testing::http2::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request,
};
use countersign_testing::raw::{Upstream, ok, read_head, routes};
use countersign_testing::{Echo, Gateway, Request, eventually};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// An upstream whose answer is of chunks of so many bytes, one write for each.
fn chunks(count: usize, size: usize) -> Upstream {
    Upstream::start(move |mut stream| {
        stream.set_nodelay(true).unwrap();
        let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        while read_head(&mut stream).is_some() {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut answer = vec![head.to_owned()];
            answer.extend(std::iter::repeat_n(chunk.clone(), count));
            answer.push("0\r\n\r\n".to_owned());
            if answer.iter().any(|piece| stream.write_all(piece.as_bytes()).is_err()) {
                return;
            }
        }
    })
}

fn flooding(gateway: &Gateway) -> u64 {
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let line = metrics.lines().find(|line| line.starts_with("countersign_connections_flooding_total "));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap()
}

#[test]
fn a_flood_of_frames_that_carry_nothing_ends_the_connection() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let floods = [
        ("ping", frame(PING, 0, 0, &[0; 8])),
        ("answers to no ping", frame(PING, 1, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("settings that change", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])),
        ("priority", frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 16])),
        ("priority of what is over", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("updates of the connection's window", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("updates of a window that is gone", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("resets of what is over", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        ("frames of no kind that is known", frame(0xfa, 0, 0, &[0; 4])),
        ("updates of priorities", frame(0x10, 0, 0, b"\0\0\0\x01u=1")),
    ];
    for (number, (name, flood)) in floods.iter().enumerate() {
        let mut connection = Connection::open(gateway.address, &[]);
        connection.write(&request(1, END_STREAM, "GET", "/x", &[]));
        while connection.frame().is_some_and(|frame| frame.stream != 1 || frame.flags & END_STREAM == 0) {}
        connection.write(&flood.repeat(3000));
        assert_eq!(connection.gone_away(), Some(ENHANCE_YOUR_CALM), "{name}");
        eventually("it is counted", || flooding(&gateway) == number as u64 + 1);
    }
    // However slowly they come.
    let mut connection = Connection::open(gateway.address, &[]);
    for _ in 0..300 {
        if !connection.write(&frame(PING, 0, 0, &[0; 8]).repeat(10)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    assert_eq!(connection.gone_away(), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn a_flood_that_h2_counts_itself_ends_the_connection_too() {
    let upstream = Upstream::start(|mut stream| {
        read_head(&mut stream);
        std::thread::sleep(std::time::Duration::from_secs(30));
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let open = request(1, 0, "POST", "/x", &[]);
    let begun = frame(HEADERS, 0, 1, &block(&[(":method", "GET")]));
    let reset =
        |stream| [request(stream, END_STREAM, "GET", "/x", &[]), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])];
    for (name, start, flood) in [
        ("empty DATA", open, frame(DATA, 0, 1, &[]).repeat(3000)),
        ("CONTINUATION without end", begun, frame(CONTINUATION, 0, 1, &[]).repeat(3000)),
        (
            "requests that are reset",
            Vec::new(),
            (0..3000).flat_map(|number| reset(2 * number + 1).concat()).collect(),
        ),
    ] {
        let mut connection = Connection::open(gateway.address, &[]);
        connection.write(&start);
        connection.write(&flood);
        assert_eq!(connection.gone_away(), Some(ENHANCE_YOUR_CALM), "{name}");
    }
}

#[test]
fn requests_that_are_taken_and_then_reset_are_bounded() {
    let upstream = Upstream::start(|mut stream| while read_head(&mut stream).is_some() {});
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut connection = Connection::open(gateway.address, &[]);
    let mut sent = 0;
    // One at a time, so that each is looked at before it goes.
    while sent < 3000 {
        let stream = 2 * sent + 1;
        let head = request(stream, END_STREAM, "GET", "/x", &[]);
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        if !connection.write(&head) || !connection.write(&reset) {
            break;
        }
        sent += 1;
        std::thread::sleep(std::time::Duration::from_micros(500));
    }
    assert_eq!(connection.gone_away(), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn a_window_that_is_opened_byte_by_byte_ends_the_connection() {
    let upstream = Upstream::answering(|_| ok(&"x".repeat(100_000)));
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    // SETTINGS_INITIAL_WINDOW_SIZE of nothing.
    let mut connection = Connection::open(gateway.address, &[(4, 0)]);
    connection.write(&request(1, END_STREAM, "GET", "/x", &[]));
    assert!(connection.next_of(HEADERS).is_some());
    let mut bytes = 0;
    for _ in 0..3000 {
        if !connection.write(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])) {
            break;
        }
        match connection.frame() {
            Some(frame) if frame.kind == DATA => bytes += frame.payload.len(),
            Some(frame) if frame.kind == GOAWAY => {
                assert_eq!(frame.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
                assert!((900..1500).contains(&bytes), "{bytes}");
                return;
            }
            Some(_) => {}
            None => break,
        }
    }
    panic!("{bytes} bytes, one by one");
}

#[test]
fn what_a_caller_says_within_the_bound_is_answered() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut connection = Connection::open(gateway.address, &[]);
    connection.write(&frame(PING, 0, 0, &[7; 8]).repeat(900));
    for number in 0..900 {
        let answer = connection.next_of(PING).unwrap_or_else(|| panic!("{number} answers"));
        assert_eq!((answer.flags, &answer.payload[..]), (1, &[7; 8][..]));
    }
    connection.write(&request(1, END_STREAM, "GET", "/x", &[]));
    assert_eq!(connection.next_of(HEADERS).unwrap().stream, 1);
    assert_eq!(echo.seen().len(), 1);
    assert_eq!(flooding(&gateway), 0);
}

#[test]
fn a_caller_that_confirms_each_small_message_is_not_cut_off() {
    const MESSAGES: usize = 20_000;
    let upstream = chunks(MESSAGES, 100);
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut connection = Connection::open(gateway.address, &[]);
    connection.write(&request(1, END_STREAM, "GET", "/x", &[]));
    let (mut bytes, mut confirmed) = (0, 0);
    while let Some(found) = connection.frame() {
        assert_ne!(found.kind, GOAWAY, "after {bytes} bytes and {confirmed} updates");
        if found.kind == DATA && !found.payload.is_empty() {
            bytes += found.payload.len();
            let length = (found.payload.len() as u32).to_be_bytes();
            let mut answer = frame(WINDOW_UPDATE, 0, 0, &length);
            if found.flags & END_STREAM == 0 {
                answer.extend(frame(WINDOW_UPDATE, 0, 1, &length));
            }
            // How gRPC measures the way.
            answer.extend(frame(PING, 0, 0, &[1; 8]));
            assert!(connection.write(&answer), "after {bytes} bytes");
            confirmed += 2;
        }
        if found.stream == 1 && found.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(bytes, MESSAGES * 100);
    assert!(confirmed > 3000, "more than are allowed for nothing: {confirmed}");
    assert_eq!(flooding(&gateway), 0);
}

#[tokio::test]
async fn a_large_download_is_not_cut_off() {
    let upstream = chunks(100, 1 << 20);
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = http::Request::get(format!("http://{}/x", gateway.address));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let mut body = client.send_request(request).await.unwrap().into_body();
        let mut length = 0;
        while let Some(piece) = body.frame().await {
            length += piece.unwrap().data_ref().map_or(0, Bytes::len);
        }
        assert_eq!(length, 100 << 20);
    }
}

#[test]
fn a_question_about_the_server_as_a_whole_is_answered_by_us() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut connection = Connection::open(gateway.address, &[]);
    connection.write(&request(1, END_STREAM, "OPTIONS", "*", &[]));
    let answer = connection.next_of(HEADERS).unwrap();
    // 204 of the static table.
    assert_eq!((answer.payload[0], answer.flags), (0x89, END_STREAM | END_HEADERS));
    assert_eq!(echo.seen().len(), 0);
    // A method without end is no request here either.
    connection.write(&request(3, END_STREAM, &"M".repeat(65), "/x", &[]));
    let answer = connection.next_of(HEADERS).unwrap();
    assert_eq!((answer.payload[0], answer.stream), (0x8c, 3), "400 of the static table");
    assert_eq!(echo.seen().len(), 0);
}
