//! `countersign demo`: the seed's own demonstration, with real processes on the seed's own ports.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use countersign_testing::{Process, Redis, Request, countersign, eventually, has, wait_for};
use serde_json::{Value, json};

const ALICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
const EVE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5001);

/// The seed gives the ports away, so these tests take turns, in whatever processes they run.
fn turn() -> File {
    let file = File::create(std::env::temp_dir().join("countersign-demo-tests.lock")).unwrap();
    file.lock().unwrap();
    eventually("the ports are free", || [ALICE, EVE].iter().all(|port| TcpStream::connect(port).is_err()));
    file
}

fn is_alive(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A demonstration that stays up, and what it said when all scenes had been played.
struct Kept {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
    said: Value,
}

impl Kept {
    fn start(folder: &Path) -> Self {
        let mut command = countersign(&["demo", "webhook", "--keep", "--json", "--folder"]);
        let mut process = Process::start(command.arg(folder).stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let said = loop {
            let line = lines.next().expect("a line that says that it stays").unwrap();
            let said: Value = serde_json::from_str(&line).unwrap();
            if said["kept"] == true {
                break said;
            }
        };
        Self { process, lines, said }
    }

    fn pids(&self) -> Vec<Value> {
        self.said["pids"].as_array().unwrap().clone()
    }
}

#[test]
fn each_scene_ends_as_it_must_and_nothing_is_left() {
    let _turn = turn();
    let temporary = tempfile::tempdir().unwrap();
    let output =
        countersign(&["demo", "webhook", "--json"]).env("TMPDIR", temporary.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let scenes: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<Value> = scenes
        .iter()
        .map(|scene| {
            let answers: Vec<_> =
                scene["questions"].as_array().into_iter().flatten().map(|asked| &asked["status"]).collect();
            json!([scene["scene"], scene["status"], scene["code"], answers, scene["example"]])
        })
        .collect();
    let (allowed, refused) = ("{\"allowed\": true}", "{\"allowed\": false}");
    assert_eq!(
        told,
        [
            json!(["first-call", 200, null, [200], allowed]),
            json!(["second-call", 200, null, [], allowed]),
            json!(["eve-names-alice", 401, "webhook_denied", [404], refused]),
            json!(["eve-names-herself", 403, "webhook_caller", [], null]),
            json!(["eve-relays", 401, "webhook_denied", [404], null]),
            json!(["eve-replays-the-hash", 401, "webhook_denied", [404], null]),
            json!(["eve-replays-the-signature", 401, "signature_replayed", [], null]),
            json!(["end", null, null, [], null]),
        ]
    );
    assert!(scenes.iter().all(|scene| scene["as_expected"] == true), "{text}");
    assert!(scenes[0]["headers"]["authorization"].as_str().unwrap().contains("$2b$04$"));
    assert_eq!(scenes[1]["headers"]["authorization"], Value::Null);
    assert!(TcpStream::connect(ALICE).is_err() && TcpStream::connect(EVE).is_err());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "its folder is removed");
}

#[test]
fn people_read_who_calls_whom_and_why_eve_fails() {
    let _turn = turn();
    let output = countersign(&["demo", "webhook"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "Alice → Bob     GET /receiver",
        "Bob → Alice   POST https://127.0.0.1:",
        "Alice → Bob     200 yes",
        "http://127.0.0.1:5000/example answered {\"allowed\": true}",
        "http://127.0.0.1:5001/example answered {\"allowed\": false}",
        "Bob → Eve     403 webhook_caller",
        "Bob → Eve     401 signature_replayed",
        "Alice got in, and Eve did not",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour but on a terminal");
}

#[test]
fn while_it_is_kept_both_examples_answer_as_the_seed_says_and_ctrl_c_ends_everybody() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(folder.path());
    assert_eq!(kept.said["as_expected"], true);
    let pids = kept.pids();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(is_alive));
    for (address, allowed) in [(ALICE, "{\"allowed\": true}"), (EVE, "{\"allowed\": false}")] {
        for _ in 0..3 {
            let answer = Request::get("/example").send(address);
            assert_eq!((answer.status, answer.text().as_str()), (200, allowed));
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }

    // Bob is an API like any other: whoever trusts his authority can call him.
    let stage: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("bob/stage.json")).unwrap()).unwrap();
    let bob = stage["bob"]["front"].as_str().unwrap();
    let authority = folder.path().join("bob/ca.pem").display().to_string();
    let url = format!("https://{bob}/receiver");
    let output = countersign(&["call", "--cacert", &authority, &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("401 credential_missing"));
    let output = countersign(&["call", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "nobody vouches for him");

    kept.process.signal("-INT");
    assert_eq!(kept.process.0.wait().unwrap().code(), Some(0));
    assert!(kept.lines.next().is_none());
    assert!(!pids.iter().any(is_alive), "all have ended before it does");
    assert!(folder.path().join("alice/countersign.toml").exists(), "a folder that was named is kept");
    let log = std::fs::read_to_string(folder.path().join("bob/log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn a_demonstration_that_is_killed_leaves_nobody_behind() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::start(folder.path());
    let pids = kept.pids();
    kept.process.signal("-KILL");
    eventually("everybody ends", || !pids.iter().any(is_alive));
}

#[test]
fn as_in_containers_each_runs_alone_and_requesters_have_a_redis_each() {
    assert!(has("redis-server"), "./test installs redis-server");
    let _turn = turn();
    // The folders, certificates and places of a demonstration that has ended.
    let folder = tempfile::tempdir().unwrap();
    drop(Kept::start(folder.path()));
    eventually("the ports are free", || [ALICE, EVE].iter().all(|port| TcpStream::connect(port).is_err()));
    let redis = [Redis::durable(), Redis::durable()];
    let start = |name: &str, store: Option<&Redis>| {
        let mut command = countersign(&["demo", "webhook", "--as", name, "--folder"]);
        command.arg(folder.path().join(name)).stderr(Stdio::null());
        if let Some(store) = store {
            command.env("COUNTERSIGN_STORE_URL", store.url());
        }
        Process::start(&mut command)
    };
    let _players = [start("alice", Some(&redis[0])), start("bob", None), start("eve", Some(&redis[1]))];
    eventually("Alice gets in", || {
        TcpStream::connect(ALICE).is_ok()
            && Request::get("/example").send(ALICE).text() == "{\"allowed\": true}"
    });
    wait_for(EVE);
    assert_eq!(Request::get("/example").send(EVE).text(), "{\"allowed\": false}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let _turn = turn();
    for address in [ALICE, EVE] {
        let _taken = TcpListener::bind(address).unwrap();
        let output = countersign(&["demo", "webhook"]).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("Another program has port {}", address.port())), "{said}");
    }
}

#[test]
fn one_who_cannot_start_says_why_and_the_others_end() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("bob/store.redb")).unwrap();
    let mut command = countersign(&["demo", "webhook", "--folder"]);
    let output = command.arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("countersign: bob: cannot open "), "{said}");
    assert!(TcpStream::connect(ALICE).is_err() && TcpStream::connect(EVE).is_err());
}

#[test]
fn the_scenes_are_listed() {
    let list = countersign(&["demo"]).output().unwrap();
    assert!(list.status.success());
    let text = String::from_utf8(list.stdout).unwrap();
    for scene in ["webhook", "callback", "session", "wallet"] {
        assert!(text.contains(&format!("countersign demo {scene}")), "{text}");
    }
}

#[test]
fn what_of_a_session_scene_cannot_be_is_said_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, why) in [
        (&["webhook", "--port", "0"][..], "only `demo session` takes ports, hosts and --tls"),
        (&["session", "--port", "0", "--eve-port", &port], "Another program has port"),
        (&["session", "--port", "5100", "--eve-port", "5100"], "another host and port"),
        (&["session", "--host", "bank.test"], "--tls"),
        (&["session", "--tls"], "--folder"),
    ] {
        let output = countersign(&[&["demo"], arguments].concat()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}

#[test]
fn the_bank_says_what_to_open_serves_its_pages_and_ends_with_everybody() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = countersign(&["demo", "session", "--port", "0", "--eve-port", "0"]);
    let mut process = Process::start(command.env("TMPDIR", temporary.path()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("Ctrl-C")).collect();
    let said = said.join("\n");
    let bank = said.split("http://localhost:").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let bank = SocketAddr::from(([127, 0, 0, 1], bank.parse().unwrap()));
    for part in ["Sign in as alice@example.org", "XSS", "CSRF", "malware", "Eve waits at http://127.0.0.1:"] {
        assert!(said.contains(part), "{said}");
    }

    let page = Request::get("/").send(bank);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let unmarked = page.text();
    assert!(!unmarked.contains("style=") && !unmarked.contains("onclick"), "the policy would stop it");
    Request::get("/api/account").send(bank).is(401, "credential_missing");
    // What tells the story hands nothing out to a page that has no half.
    assert_eq!(Request::new("POST", "/demo/malware").send(bank).status, 401);

    process.signal("-INT");
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(bank).is_err());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "its folder is removed");
}

#[test]
fn the_authority_of_containers_writes_a_folder_for_each_that_nobody_else_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut command = countersign(&["demo", "webhook", "--as", "authority", "--folder"]);
    assert!(command.arg(folder.path()).status().unwrap().success());
    for name in ["alice", "bob", "eve"] {
        for file in ["ca.pem", "tls.pem", "tls.key"] {
            let file = folder.path().join(name).join(file);
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_wallet_signs_in_and_calls_and_eve_gets_nothing_where_a_signature_is_asked_for() {
    let temporary = tempfile::tempdir().unwrap();
    let output = countersign(&["demo", "wallet", "--json"]).env("TMPDIR", temporary.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let scenes: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<Value> =
        scenes.iter().map(|scene| json!([scene["scene"], scene["status"], scene["code"]])).collect();
    assert_eq!(
        told,
        [
            json!(["alice-signs-in", 200, null]),
            json!(["alice-calls", 200, null]),
            json!(["eve-shows-the-token", 401, "credential_missing"]),
            json!(["eve-signs-herself", 401, "subject_mismatch"]),
            json!(["eve-repeats", 401, "signature_replayed"]),
            json!(["eve-changes", 401, "signature_invalid"]),
            json!(["eve-signs-in-again", 400, "invalid_grant"]),
            json!(["eve-where-a-token-is-enough", 200, null]),
            json!(["end", null, null]),
        ]
    );
    assert!(scenes.iter().all(|scene| scene["as_expected"] == true), "{text}");
    assert!(scenes[1]["subject"].as_str().unwrap().starts_with("eip155:0x"));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "its folder is removed");
    let drawn = countersign(&["demo", "wallet"]).output().unwrap();
    let drawn = String::from_utf8(drawn.stdout).unwrap();
    for line in ["Alice → Bob     POST /oauth/token", "Bob → Eve     401 subject_mismatch", "Eve did not"]
    {
        assert!(drawn.contains(line), "{line}: {drawn}");
    }
    // Nothing that was drawn opens anything: tokens are cut short.
    assert!(
        drawn.split_whitespace().all(|word| word.len() < 150 && word.matches('.').count() < 7),
        "{drawn}"
    );
}

#[test]
fn what_each_kind_of_callback_lost_to_eve_is_read_from_the_database() {
    let temporary = tempfile::tempdir().unwrap();
    let output =
        countersign(&["demo", "callback", "--json"]).env("TMPDIR", temporary.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let scenes: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lost: Vec<Value> = scenes.iter().map(|scene| json!([scene["scene"], scene["lost"]])).collect();
    assert_eq!(
        lost,
        [
            json!(["none", [1, 2, 3, 4, 5]]),
            json!(["static", [1, 2, 3, 4]]),
            json!(["jwt", [2]]),
            json!(["end", null]),
        ]
    );
    let tried = |result: u32| {
        let attempts = scenes[2]["attempts"].as_array().unwrap().iter();
        let of = |name: &'static str| move |one: &&Value| one["url_of"] == result && one[name] == result;
        attempts.filter(of("result")).map(|one| json!([one["status"], one["code"]])).collect::<Vec<_>>()
    };
    assert_eq!(tried(1), [json!([409, "callback_consumed"])]);
    assert_eq!(tried(2), [json!([200, null])]);
    assert_eq!(tried(4), [json!([401, "token_expired"])]);
    assert_eq!(scenes[2]["finished"][0]["code"], "callback_consumed", "the service learns of it");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "its folder is removed");

    let people = countersign(&["demo", "callback"]).output().unwrap();
    let text = String::from_utf8(people.stdout).unwrap();
    for line in ["lost                              5 of 5", "kept: 403 callback_scope", "As it must be."] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_demonstration_of_callbacks_that_is_killed_leaves_nobody_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = countersign(&["demo", "callback", "--keep", "--json", "--folder"]);
    let mut process = Process::start(command.arg(folder.path()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let kept = loop {
        let said: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        if said["kept"] == true {
            break said;
        }
    };
    let address = |name: &str| kept[name].as_str().unwrap().parse::<SocketAddr>().unwrap();
    assert!(TcpStream::connect(address("api")).is_ok() && TcpStream::connect(address("service")).is_ok());
    process.signal("-KILL");
    eventually("everybody ends", || {
        ["api", "service"].iter().all(|name| TcpStream::connect(address(name)).is_err())
    });
}
