//! Upstreams: ones that we did not write, ones that fail, and ones that lie.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_testing::keep_alive::Connection;
use countersign_testing::raw::{Upstream, connect, ok, read_all, read_head, resident, routes};
use countersign_testing::{Gateway, Process, Request, Response, free_address, wait_for};

const LARGE: usize = 100 * 1024 * 1024;

/// The same bytes on both sides, without keeping them.
fn pattern(block: usize) -> Vec<u8> {
    (0..65_536_usize).map(|index| ((index ^ block).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn same(direct: &Response, through: &Response) {
    assert_eq!(through.status, direct.status);
    assert_eq!(through.text(), direct.text());
    for name in ["content-type", "last-modified", "location", "etag", "server", "content-length"] {
        // A redirect names the server that was asked.
        let theirs = direct.header(name);
        assert_eq!(through.header(name), theirs, "{name}");
    }
}

fn compare(address: std::net::SocketAddr, gateway: &Gateway) {
    for (method, path) in [
        ("GET", "/file.txt"),
        ("HEAD", "/file.txt"),
        ("GET", "/missing"),
        ("GET", "/folder"),
        ("POST", "/file.txt"),
    ] {
        let request = Request::new(method, path);
        let (direct, through) = (read(address, &request), read(gateway.address, &request));
        same(&direct, &through);
    }
}

fn read(address: std::net::SocketAddr, request: &Request<'_>) -> Response {
    let mut stream = connect(address);
    stream.write_all(&request.bytes()).unwrap();
    if !request.bytes().starts_with(b"HEAD") {
        return Response::read(&mut stream);
    }
    let head = read_head(&mut stream).unwrap();
    assert_eq!(read_all(&mut stream), "", "HEAD has no body");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Response { status, headers, body: Vec::new() }
}

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file.txt"), "hello\n").unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    folder
}

#[test]
fn pythons_server_answers_the_same_through_the_gateway() {
    let (folder, address) = (site(), free_address());
    let mut command = Command::new("python3");
    command
        .args(["-m", "http.server", &address.port().to_string(), "--bind", "127.0.0.1", "--directory"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Process::start(&mut command);
    wait_for(address);
    let gateway = Gateway::started(&routes(&format!("http://{address}"), ""));
    compare(address, &gateway);
}

#[test]
fn nginx_answers_the_same_and_large_bodies_pass_exactly_in_little_memory() {
    let (folder, address) = (site(), free_address());
    let root = folder.path().display();
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let configuration = format!(
        "daemon off; {user} worker_processes 1; pid {root}/nginx.pid; error_log {root}/error.log;
         events {{ worker_connections 64; }}
         http {{
           access_log off; default_type text/plain; client_max_body_size 0; absolute_redirect off;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           server {{ listen {address}; root {root}; location /up/ {{ dav_methods PUT; create_full_put_path on; }} }}
         }}"
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(folder.path()).arg("-c").arg(&file).arg("-e").arg(folder.path().join("error.log"));
    let nginx = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_for(address);
    let gateway = Gateway::started(&routes(&format!("http://{address}"), ""));
    compare(address, &gateway);

    let before = resident(gateway.pid());
    let mut stream = connect(gateway.address);
    write!(stream, "PUT /up/large HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
    for block in 0..LARGE / 65_536 {
        stream.write_all(&pattern(block)).unwrap();
    }
    assert_eq!(Response::read(&mut stream).status, 201);
    write!(stream, "GET /up/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let head = read_head(&mut stream).unwrap();
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")), "{head}");
    let mut block = vec![0; 65_536];
    for number in 0..LARGE / 65_536 {
        stream.read_exact(&mut block).unwrap();
        assert!(block == pattern(number), "block {number} differs");
    }
    assert_eq!(stream.read(&mut block).unwrap(), 0);
    let grown = resident(gateway.pid()).saturating_sub(before);
    eprintln!("100 MiB up and down: resident memory grew by {grown} KiB");
    assert!(grown < 32 * 1024, "{grown} KiB");
    nginx.signal("-QUIT");
}

#[test]
fn connections_to_an_upstream_are_used_again() {
    let upstream = Upstream::answering(|_| ok("x"));
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for _ in 0..20 {
        assert_eq!(gateway.get("/a", None).status, 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_upstream_that_closes_idle_connections_causes_no_error() {
    let upstream = Upstream::start(|mut stream| {
        if read_head(&mut stream).is_some() {
            let _ = stream.write_all(ok("x").as_bytes());
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for number in 0..40 {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(gateway.send(&Request::new(method, "/a")).status, 200);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(upstream.connections(), 40);
}

#[test]
fn a_request_of_which_a_byte_was_written_is_not_sent_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let upstream = Upstream::start(move |mut stream| {
        for answer in [ok("x"), String::new()] {
            let Some(head) = read_head(&mut stream) else { return };
            kept.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    assert_eq!(gateway.get("/first", None).status, 200);
    gateway.send(&Request::new("POST", "/second").body(b"pay")).is(502, "upstream_unreachable");
    assert_eq!(*seen.lock().unwrap(), ["GET /first HTTP/1.1", "POST /second HTTP/1.1"]);
}

#[test]
fn an_answer_of_an_older_version_is_framed_anew_and_leaves_the_connection_open() {
    let upstream = Upstream::start(|mut stream| {
        let _ = read_head(&mut stream).map(|_| stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold"));
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let mut connection = Connection::to(gateway.address).unwrap();
    for _ in 0..2 {
        let answer = connection.get("/x", None).expect("an answer on the same connection");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"old"[..]));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn answers_with_two_readings_are_502_and_their_connection_is_not_used_again() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nstale",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\0\0\0\0\0\0\r\n\r\n",
    ];
    let upstream = Upstream::answering(move |head| {
        let number: usize = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        answers[number].to_owned()
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for (number, answer) in answers.iter().enumerate() {
        let answered = gateway.get(&format!("/{number}"), None);
        assert_eq!((answered.status, answered.code().as_str()), (502, "upstream_unreachable"), "{answer:?}");
        assert_eq!(upstream.connections(), number + 1, "{answer:?}");
    }
}

#[test]
fn what_comes_behind_an_answer_never_answers_the_next_request() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (what, pause) in [("at once", 0), ("later", 50)] {
        let upstream = Upstream::start(move |mut stream: TcpStream| {
            while let Some(head) = read_head(&mut stream) {
                let bad = head.starts_with("GET /bad");
                let behind = if bad && pause == 0 { poison } else { "" };
                let _ = stream.write_all(format!("{}{behind}", ok("own")).as_bytes());
                if bad && pause > 0 {
                    std::thread::sleep(Duration::from_millis(pause));
                    let _ = stream.write_all(poison.as_bytes());
                }
            }
        });
        let gateway = Gateway::started(&routes(&upstream.url(), ""));
        for number in 1..=10 {
            assert_eq!(gateway.get("/bad", None).text(), "own", "{what}");
            std::thread::sleep(Duration::from_millis(pause * 2));
            assert_eq!(gateway.get("/next", None).text(), "own", "{what}");
            assert_eq!(upstream.connections(), number + 1, "{what}: the poisoned connection is dropped");
        }
    }
}

#[test]
fn an_upstream_that_dies_half_way_leaves_no_whole_answer() {
    let upstream = Upstream::start(|mut stream| {
        let Some(head) = read_head(&mut stream) else { return };
        let answer = match head.starts_with("GET /chunked") {
            true => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            false => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        };
        let _ = stream.write_all(answer.as_bytes());
        std::thread::sleep(Duration::from_millis(50));
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for path in ["/chunked", "/length"] {
        let mut stream = connect(gateway.address);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(read_head(&mut stream).unwrap().starts_with("HTTP/1.1 200"));
        let rest = read_all(&mut stream);
        assert!(rest.contains("hello") && !rest.contains("0\r\n\r\n"), "{path}: {rest:?}");
    }
}

#[test]
fn an_upstream_that_never_answers_is_504() {
    let upstream = Upstream::start(|mut stream| drop(read_all(&mut stream)));
    let gateway = Gateway::started(&routes(&upstream.url(), "[upstream]\nresponse_timeout = \"300ms\"\n"));
    gateway.get("/a", None).is(504, "upstream_timeout");
    let mut stream = connect(gateway.address);
    for _ in 0..2 {
        stream.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        Response::read(&mut stream).is(504, "upstream_timeout");
    }
}
