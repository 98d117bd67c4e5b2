//! The example as a process: Alice reaches Bob, and nobody else does, not even in her name.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The running example, and the addresses that it printed.
struct Example {
    process: Child,
    alice: String,
    bob: String,
}

impl Example {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign-example-webhook"))
            .args(["127.0.0.1:0", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // curl http://127.0.0.1:…/orders
        let mut address = || {
            let line = lines.next().unwrap().unwrap();
            line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
        };
        let (alice, bob) = (address(), address());
        Self { process, alice, bob }
    }

    /// Status and body.
    fn send(address: &str, request: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        let head = format!("Host: example\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}");
        stream.write_all(format!("{request} HTTP/1.1\r\n{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// What Bob says to somebody who calls him with this `Authorization`: status and code.
    fn bob_says(&self, authorization: &str) -> (u16, String) {
        let (status, body) = Self::send(&self.bob, "GET /orders", authorization, "");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, problem["code"].as_str().unwrap().to_owned())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn alice_is_known_by_her_webhook_url_and_nobody_else_may_use_it() {
    let example = Example::start();
    let webhook = format!("http://{}/.well-known/webhook-auth", example.alice);
    let hello = (200, format!("Hello, webhook:{webhook}\n"));
    for _ in 0..3 {
        assert_eq!(Example::send(&example.alice, "GET /orders", "", ""), hello);
    }
    assert_eq!(example.bob_says(""), (401, "credential_missing".to_owned()));
    let hash = format!("sha-256.{}", "A".repeat(43));
    let as_alice = format!("Authorization: Webhook {webhook} {hash}\r\n");
    assert_eq!(example.bob_says(&as_alice), (401, "webhook_denied".to_owned()));
    let as_another = format!("Authorization: Webhook {webhook}/another {hash}\r\n");
    assert_eq!(example.bob_says(&as_another), (403, "webhook_caller".to_owned()));

    let question = format!("{{\"hash\":\"{hash}\",\"url\":\"http://{}/orders\"}}", example.bob);
    let asked = Example::send(&example.alice, "POST /.well-known/webhook-auth", "", &question);
    assert_eq!(asked, (404, String::new()));
}
