//! The example as a process: somebody signs up, in and out, and what they hold is worth nothing in parts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BODY: &str = r#"{"email":"ann@example.org","password":"correct horse battery"}"#;

/// The running example, and the address that it printed.
struct Example {
    process: Child,
    address: String,
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// Status and code.
    fn refused(&self) -> (u16, String) {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }
}

impl Example {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign-example-sessions"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { process, address }
    }

    fn send(&self, request: &str, headers: &[String], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        let mut head =
            format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.send(&format!("POST {path}"), &["Content-Type: application/json".to_owned()], body)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn somebody_signs_up_in_and_out_and_half_of_what_they_hold_opens_nothing() {
    let example = Example::start();
    let sign_up = r#"{"email":"ann@example.org","name":"Ann","password":"correct horse battery"}"#;
    assert_eq!(example.post("/auth/signup", sign_up).status, 201);
    let wrong = BODY.replace("horse", "house");
    assert_eq!(example.post("/auth/signin", &wrong).refused(), (401, "sign_in_refused".to_owned()));
    let begun = example.post("/auth/signin", BODY);
    assert_eq!((begun.status, begun.body.len()), (200, 43));
    let set = begun.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let token = format!("Authorization: Bearer {}", begun.body);
    let both = [cookie.clone(), token.clone()];

    let get = |headers: &[String]| example.send("GET /notes", headers, "");
    assert_eq!(get(&[]).refused(), (401, "credential_missing".to_owned()));
    assert_eq!(get(std::slice::from_ref(&cookie)).refused(), (401, "proof_half".to_owned()));
    assert_eq!(get(std::slice::from_ref(&token)).refused(), (401, "proof_half".to_owned()));
    let hello = get(&both);
    assert_eq!(hello.status, 200);
    assert!(hello.body.starts_with("Hello, user:usr_"), "{}", hello.body);
    let who = example.send("GET /auth/whoami", &both, "");
    assert_eq!((who.status, who.body.as_str()), (200, r#"{"email":"ann@example.org","name":"Ann"}"#));

    let change = |headers: &[String]| example.send("POST /notes", headers, "");
    assert_eq!(change(&both).refused(), (401, "handshake_missing".to_owned()));
    let handshake = example.send("POST /auth/handshake", &both, "");
    assert_eq!((handshake.status, handshake.body.len()), (200, 43));
    let proven = [cookie, token, format!("Handshake: {}", handshake.body)];
    let from_elsewhere = [&proven[..], &["Origin: https://evil.example".to_owned()]].concat();
    assert_eq!(change(&from_elsewhere).refused(), (403, "cross_site".to_owned()));
    assert_eq!(change(&proven).status, 200);
    assert_eq!(change(&proven).refused(), (401, "handshake_used".to_owned()));

    assert_eq!(
        example.send("GET /auth/signout", &both, "").refused(),
        (405, "method_not_allowed".to_owned())
    );
    assert_eq!(example.send("POST /auth/signout", &both, "").status, 200);
    assert_eq!(get(&both).refused(), (401, "proof_mismatch".to_owned()));
    for _ in 0..5 {
        assert_eq!(example.post("/auth/signin", &wrong).status, 401);
    }
    assert_eq!(example.post("/auth/signin", BODY).refused(), (429, "rate_limited".to_owned()));
}
