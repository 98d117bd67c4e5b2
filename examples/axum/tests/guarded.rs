//! The example as a process: who it lets in, and whom it turns away.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The running example, and the key and address that it printed.
struct Example {
    process: Child,
    address: String,
    key: String,
}

impl Example {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign-example-axum"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // curl -H 'Authorization: Bearer cs_…' http://127.0.0.1:…/orders
        let key = line.split("Bearer ").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { process, address, key }
    }

    /// The status and what follows the head.
    fn get(&self, path: &str, key: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let credential = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: example\r\nConnection: close\r\n{credential}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn code(&self, path: &str, key: Option<&str>) -> (u16, String) {
        let (status, body) = self.get(path, key);
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
fn whoever_holds_the_key_may_do_what_it_permits_and_nobody_else_anything() {
    let example = Example::start();
    assert_eq!(example.code("/orders", None), (401, "credential_missing".to_owned()));
    assert_eq!(example.code("/orders", Some("cs_mistyped")), (401, "key_invalid".to_owned()));
    let id = &example.key[3..15];
    assert_eq!(example.get("/orders", Some(&example.key)), (200, format!("Hello, key:{id}\n")));
    assert_eq!(example.code("/reports", Some(&example.key)), (403, "permission_missing".to_owned()));
}
