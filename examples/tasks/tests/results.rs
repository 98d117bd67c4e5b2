//! The example as a process: a result arrives, and whoever stole the service's database rewrites none.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Example {
    process: Child,
    api: String,
    service: String,
}

impl Example {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_countersign-example-tasks"))
            .args(["127.0.0.1:0", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // curl http://127.0.0.1:…/results/42
        let addresses: Vec<String> = lines
            .take(3)
            .map(|line| line.unwrap().split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned())
            .collect();
        Self { process, api: addresses[0].clone(), service: addresses[2].clone() }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Status and JSON.
fn send(address: &str, request: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let head = format!(
        "Host: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    );
    stream.write_all(format!("{request} HTTP/1.1\r\n{head}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn a_result_arrives_once_and_a_stolen_database_rewrites_nothing() {
    let example = Example::start();
    for id in ["42", "43"] {
        assert_eq!(send(&example.api, &format!("POST /jobs/{id}"), "").0, 202);
    }
    let results = ["42", "43"].map(|id| {
        let start = Instant::now();
        loop {
            let (_, result) = send(&example.api, &format!("GET /results/{id}"), "");
            if !result.is_null() {
                return result;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no result");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(results[0], json!({ "by": "callback:u1", "result": { "done": "job 42" } }));

    let (_, stolen) = send(&example.service, "GET /tasks", "");
    let urls: Vec<&str> =
        stolen.as_array().unwrap().iter().map(|task| task["callback_url"].as_str().unwrap()).collect();
    let path = |url: &str| format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    for (target, status, code) in [
        (path(urls[0]), 409, "callback_consumed"),
        (path(urls[0]).replace("/42/", "/43/"), 403, "callback_scope"),
        (path(urls[1]).replace("/43/", "/44/"), 403, "callback_scope"),
        ("/v1/results/42".to_owned(), 401, "credential_missing"),
        (format!("/v1/results/42/{}", "A".repeat(43)), 401, "token_invalid"),
    ] {
        let (answered, problem) = send(&example.api, &format!("POST {target}"), "{\"forged\":1}");
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{target}");
        assert!(!problem.to_string().contains("eyJ"));
    }
    assert_eq!(send(&example.api, "GET /results/42", "").1, results[0], "the first result stands");
}
