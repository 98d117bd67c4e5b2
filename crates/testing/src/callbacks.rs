//! An API that takes results and answers as it is told, behind a gateway that lets callbacks through.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::{Gateway, Request, Response, Seen};

pub const ROUTE: &str = "/v1/results/{res_id}/{token}";

/// What the API does with one request.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    Answer(u16),
    /// Answers so late.
    After(Duration, u16),
    /// Reads the request, and closes the connection.
    Breaks,
}

/// The API. It answers 200 unless it is told otherwise.
#[derive(Clone)]
pub struct Results {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<VecDeque<Does>>>,
}

impl Results {
    pub fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let results =
            Self { address: listener.local_addr().unwrap(), seen: Arc::default(), script: Arc::default() };
        let shared = results.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || while shared.answer(&stream).is_some() {});
            }
        });
        results
    }

    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let seen = Seen::read(stream)?;
        self.seen.lock().unwrap().push(seen);
        let does = self.script.lock().unwrap().pop_front().unwrap_or(Does::Answer(200));
        let status = match does {
            Does::Breaks => return None,
            Does::Answer(status) => status,
            Does::After(pause, status) => {
                std::thread::sleep(pause);
                status
            }
        };
        let head = format!("HTTP/1.1 {status} Told\r\nContent-Length: 2\r\n\r\nok");
        stream.write_all(head.as_bytes()).ok()
    }

    /// What it does next, one for each request.
    pub fn then(&self, script: &[Does]) {
        self.script.lock().unwrap().extend(script);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn bodies(&self) -> Vec<String> {
        self.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect()
    }
}

/// A configuration with routes for callbacks, in front of `upstream`.
pub fn configuration(upstream: SocketAddr) -> String {
    let route = |path: &str, more: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"http://{upstream}\"\n{more}\n")
    };
    let callback = "accept = [\"callback-url\"]";
    [
        "[upstream]\nconnect_timeout = \"500ms\"\nresponse_timeout = \"700ms\"\n".to_owned(),
        "[callback]\nmax_body = \"1KiB\"\nmax_ttl = \"1h\"\nsecret_file = \"{folder}/callback.secret\"\n"
            .to_owned(),
        route(ROUTE, callback),
        route("/v2/results/{res_id}/{token}", callback),
        route("/strict/{res_id}/{token}", &format!("{callback}\nstrict = true")),
        route("/only-put/{res_id}/{token}", &format!("{callback}\nmethods = [\"PUT\"]")),
        route("/signed/{res_id}/{token}", "accept = [\"callback-url+signature\"]"),
        route("/api/*", "accept = [\"api-key\"]"),
    ]
    .concat()
}

/// The secret that an application of the operator's shares with the gateway.
pub const SECRET: &[u8; 32] = b"thirty-two bytes that are shared";

/// A gateway in front of an API, not started.
pub fn lab(upstream: SocketAddr) -> Gateway {
    let gateway = Gateway::new(&configuration(upstream));
    let file = gateway.path("callback.secret");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    gateway
}

/// What was minted.
#[derive(Clone, Debug)]
pub struct Callback {
    pub id: String,
    /// `/v1/results/42/…`
    pub target: String,
    pub expires: String,
}

impl Callback {
    pub fn of(minted: &Value) -> Self {
        let text = |name: &str| minted[name].as_str().unwrap_or_else(|| panic!("{minted}")).to_owned();
        assert_eq!(minted.as_object().unwrap().len(), 3, "{minted}");
        let target = text("url").splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap();
        Self { id: text("id"), target, expires: text("expires") }
    }

    /// Mints with the command line: `--route ROUTE --user u1 --resource 42 --ttl 15m`, and more.
    pub fn mint(gateway: &Gateway, more: &[&str]) -> Self {
        Self::mint_for(gateway, ROUTE, "42", more)
    }

    pub fn mint_for(gateway: &Gateway, route: &str, resource: &str, more: &[&str]) -> Self {
        let mut arguments =
            vec!["callback", "mint", "--route", route, "--user", "u1", "--resource", resource];
        if !more.contains(&"--ttl") {
            arguments.extend(["--ttl", "15m"]);
        }
        arguments.extend(more);
        Self::of(&gateway.json(&arguments))
    }

    pub fn token(&self) -> &str {
        self.target.rsplit('/').next().unwrap()
    }

    pub fn post(&self, gateway: &Gateway, body: &str) -> Response {
        post(gateway, &self.target, body)
    }

    /// What `callback list` says of it.
    pub fn state(&self, gateway: &Gateway) -> String {
        let listed = gateway.json(&["callback", "list"]);
        let one = listed.as_array().unwrap().iter().find(|one| one["id"] == *self.id).unwrap().clone();
        one["state"].as_str().unwrap().to_owned()
    }
}

pub fn post(gateway: &Gateway, target: &str, body: &str) -> Response {
    gateway.send(&Request::new("POST", target).body(body.as_bytes()))
}
