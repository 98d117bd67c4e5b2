//! Connections that are used many times: to the gateway, and to management on its Unix socket.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Response;

/// A connection. Everything answers `None` once it has ended.
pub struct Connection<S: Read + Write> {
    stream: BufReader<S>,
}

impl Connection<TcpStream> {
    pub fn to(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    /// `GET path` with an API key.
    pub fn get(&mut self, path: &str, key: Option<&str>) -> Option<Response> {
        let key = key.map(|key| format!("X-API-Key: {key}\r\n")).unwrap_or_default();
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n{key}\r\n"))
    }

    /// So many requests written at once, and their responses.
    pub fn pipeline(&mut self, request: &str, count: usize) -> Option<Vec<Response>> {
        self.stream.get_mut().write_all(request.repeat(count).as_bytes()).ok()?;
        (0..count).map(|_| Response::try_read(&mut self.stream)).collect()
    }
}

impl Connection<UnixStream> {
    /// To management.
    pub fn management(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Option<Response> {
        self.exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: countersign\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// A new key, id and whole key, once it has been acknowledged.
    pub fn new_key(&mut self, permissions: &[&str]) -> Option<(String, String)> {
        let body = json!({ "label": "test", "permissions": permissions }).to_string();
        let made = self.ask("POST", "/v1/keys", &body).filter(|made| made.status == 200)?.json();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some((text(&made["id"])?, text(&made["key"])?))
    }

    /// Revokes; whether that was acknowledged.
    pub fn revoke(&mut self, id: &str) -> bool {
        self.ask("POST", &format!("/v1/keys/{id}/revoke"), "").is_some_and(|answer| answer.status == 200)
    }
}

impl<S: Read + Write> Connection<S> {
    pub fn exchange(&mut self, request: &str) -> Option<Response> {
        self.stream.get_mut().write_all(request.as_bytes()).ok()?;
        Response::try_read(&mut self.stream)
    }
}
