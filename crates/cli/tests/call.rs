//! `countersign call`: a request with a proof, from the command line.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::crypto::SigningKey;
use countersign_testing::raw::{Upstream, ok, routes};
use countersign_testing::{Echo, Gateway, Redis, Request, countersign, eventually, free_address, has};
use serde_json::{Value, json};

const WALLET: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318\n";
const ACCOUNT: &str = "eip155:0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";

/// A call from a folder without any configuration.
fn call(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    countersign(&[&["call"], arguments].concat()).current_dir(folder.path()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A mistake in use: exit code 2, nothing on standard output, and a sentence that says what to do.
#[track_caller]
fn is_a_mistake(output: &Output, said: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", errors(output));
    assert_eq!(out(output), "");
    assert!(errors(output).contains(said), "{}", errors(output));
}

fn key_file(folder: &Path, key: &str) -> String {
    let path = folder.join("key");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "{key}").unwrap();
    path.display().to_string()
}

/// A gateway that lets whoever is asked at `webhook` call `/orders/*`.
fn receiver(echo: &Echo, webhook: &str) -> Gateway {
    Gateway::started(&format!(
        "[egress]\nallow_http_loopback = true\n[webhook]\ncallers = [\"{webhook}\"]\n[[route]]\n\
         path = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
        echo.url()
    ))
}

fn nobody_listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

#[test]
fn a_key_passes_as_itself_and_is_never_printed() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (_, key) = gateway.key(&[]);
    let file = key_file(gateway.folder.path(), &key);
    let url = format!("http://{}/guarded/1", gateway.address);
    for proof in [["--key", key.as_str()], ["--key-file", file.as_str()]] {
        let output = call(&[&proof[..], &["--bearer", "--verbose", &url]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert!(errors(&output).contains("authorization: (hidden)"), "{}", errors(&output));
        assert!(!errors(&output).contains(&key));
        assert!(echo.last().request_line().starts_with("GET /guarded/1 "));
    }
}

#[test]
fn a_refusal_by_a_gateway_of_ours_is_told_with_its_code_and_ends_with_1() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (id, key) = gateway.key(&[]);
    assert!(gateway.run(&["key", "revoke", &id]).status.success());
    let url = format!("http://{}/guarded/1", gateway.address);
    let output = call(&["--key", &key, "--bearer", &url]);
    assert_eq!(output.status.code(), Some(1));
    let problem: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(problem["code"], "key_invalid");
    let said = errors(&output);
    assert!(said.starts_with("countersign: 401 key_invalid: "), "{said}");
    assert!(said.contains(problem["decision"].as_str().unwrap()), "{said}");

    let output = call(&[&url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).starts_with("countersign: 401 credential_missing: "), "{}", errors(&output));
}

#[test]
fn a_key_signs_unless_it_is_sent_as_itself() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let made = gateway.json(&["key", "new", "--label", "x", "--signed-only"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let file = key_file(gateway.folder.path(), key);
    let url = format!("http://{}/guarded/1?page=2", gateway.address);
    // Until then, what was made in the second of the start may have been made before it.
    eventually("signatures are of after the start", || call(&["--key", key, &url]).status.success());
    for proof in [["--key", key], ["--key-file", &file]] {
        for more in [&["-d", "{\"item\":\"tea\"}"][..], &["-X", "POST", "-d", ""], &["--base-digests"]] {
            let output = call(&[&proof[..], more, &["--verbose", &url]].concat());
            assert_eq!(output.status.code(), Some(0), "{}{}", errors(&output), out(&output));
            let said = errors(&output);
            assert!(
                said.contains("> signature-input: sig1=(\"@method\"") && said.contains("the key stays here"),
                "{said}"
            );
            assert_eq!(said.contains("> countersign-base-digests: "), more == ["--base-digests"]);
            assert!(!said.contains(&key[16..]));
            let seen = echo.last();
            assert_eq!(seen.header("countersign-scheme"), Some("api-key"));
            assert_eq!(seen.header("countersign-subject"), Some(&*format!("key:{id}")));
            assert_eq!((seen.header("signature"), seen.header("countersign-base-digests")), (None, None));
        }
    }
    let json = call(&["--key", key, "--json", &url]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["proof"], "signature");
    let refused = call(&["--key", key, "--bearer", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors(&refused).starts_with("countersign: 401 key_invalid: "), "{}", errors(&refused));
}

#[test]
fn keys_and_wallets_on_file_prove_calls() {
    let echo = Echo::start();
    let route = |path: &str, accept: &str| {
        format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"{}\"\naccept = [\"{accept}\"]\nanyone = true\n",
            echo.url()
        )
    };
    let gateway = Gateway::started(&format!(
        "[signature]\nwallets = true\n{}{}",
        route("/signature", "signature"),
        route("/asymmetric", "asymmetric")
    ));
    let pem = include_str!("registered_keys_files/private.pem");
    let public = SigningKey::from_pem(pem, None).unwrap().verifying_key().to_jwk().unwrap();
    std::fs::write(gateway.path("public.jwk"), public).unwrap();
    let files =
        [("private.pem", pem), ("secret", "correct horse battery staple and so on"), ("wallet", WALLET)];
    let [private, secret, wallet] = files.map(|(name, content)| {
        std::fs::write(gateway.path(name), content).unwrap();
        std::fs::set_permissions(gateway.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        gateway.path(name).display().to_string()
    });
    let id = |arguments: &[&str]| {
        let added = gateway.json(&[&["key", "add", "--label", "x"], arguments].concat());
        added["id"].as_str().unwrap().to_owned()
    };
    let (own, shared) = (id(&["--public", "public.jwk"]), id(&["--hmac-secret-file", "secret"]));
    let (by_own, by_shared) = (format!("key:{own}"), format!("key:{shared}"));
    for (proof, scheme, subject) in [
        (&["--private-key", &private, "--key-id", &own][..], "signature", &*by_own),
        (&["--hmac-secret-file", &secret, "--key-id", &shared], "signature", &by_shared),
        (&["--wallet", &wallet, "--form", "erc8128"], "signature", ACCOUNT),
        (&["--wallet", &wallet, "--form", "erc8128-untagged"], "signature", ACCOUNT),
        (&["--wallet", &wallet], "asymmetric", ACCOUNT),
    ] {
        let url = format!("http://{}/{scheme}?page=2", gateway.address);
        let arguments = [proof, &["-d", "{\"item\":\"tea\"}", "--json", "--verbose", &url]].concat();
        eventually("signatures are of after the start", || call(&arguments).status.success());
        let output = call(&arguments);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&said["status"], &said["proof"]), (&json!(200), &json!(scheme)), "{said}");
        // It names no host, so that it is not for a terminal.
        assert_eq!(errors(&output).contains("> asymmetricauthentication: (hidden)"), scheme == "asymmetric");
        assert_eq!(echo.last().header("countersign-scheme"), Some(scheme));
        assert_eq!(echo.last().header("countersign-subject"), Some(subject));
    }
}

#[test]
fn what_is_wrong_with_a_key_is_said_without_it() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (_, key) = gateway.key(&[]);
    let url = format!("http://{}/guarded/1", gateway.address);
    is_a_mistake(&call(&["--bearer", &url]), "--key-file FILE");
    let mistyped = call(&["--bearer", "--key", &key[..key.len() - 1], &url]);
    is_a_mistake(&mistyped, "--key holds no API key");
    assert!(!errors(&mistyped).contains(&key[..40]));
    let readable = gateway.path("readable");
    std::fs::write(&readable, &key).unwrap();
    is_a_mistake(&call(&["--bearer", "--key-file", &readable.display().to_string(), &url]), "chmod 600");
    is_a_mistake(&call(&["--key", &key, "--listen", "127.0.0.1:1", &url]), "cannot be used with");
    assert!(echo.seen().is_empty());
}

#[test]
fn method_headers_and_body_are_sent_as_typed() {
    let server = Echo::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, b"\x00\xff\n").unwrap();
    let url = format!("{}/path?a=1", server.url());

    assert_eq!(call(&["-H", "X-Mine: 1", "-H", "x-mine: 2", &url]).status.code(), Some(0));
    let seen = server.last();
    assert_eq!(seen.request_line(), "GET /path?a=1 HTTP/1.1");
    assert_eq!(seen.headers("x-mine"), ["1", "2"]);

    call(&["-d", r#"{"item":"tea"}"#, &url]);
    let seen = server.last();
    assert_eq!(seen.request_line(), "POST /path?a=1 HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.body, br#"{"item":"tea"}"#);

    call(&["-X", "PUT", "-H", "Content-Type: text/x", "-d", &format!("@{}", file.display()), &url]);
    let seen = server.last();
    assert_eq!(seen.request_line(), "PUT /path?a=1 HTTP/1.1");
    assert_eq!((seen.header("content-type"), seen.body.as_slice()), (Some("text/x"), &b"\x00\xff\n"[..]));

    let mut process =
        countersign(&["call", "-d", "@-", &url]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(b"a=1").unwrap();
    assert!(process.wait().unwrap().success());
    let seen = server.last();
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.body, b"a=1");
}

#[test]
fn the_body_is_printed_as_it_came_and_json_marks_what_is_no_text() {
    let server = Upstream::start(|mut stream| {
        while countersign_testing::raw::read_head(&mut stream).is_some() {
            let head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nX-A: \xe2\x80\xae\r\nContent-Length: 3\r\n\r\n";
            let _ = stream.write_all(&[&head[..], b"\x00\xff\x1b"].concat());
        }
    });
    // A redirect is an answer, and is not followed.
    let output = call(&[&server.url()]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"\x00\xff\x1b"[..]));

    let output = call(&["-i", &server.url()]);
    let text = out(&output);
    assert!(text.starts_with("HTTP/1.1 302 Found\n"), "{text}");
    assert!(text.contains("location: http://127.0.0.1:1/\n") && text.contains("x-a: \\u{202e}\n"), "{text}");

    let output = call(&["--json", &server.url()]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&answer["status"], &answer["body"], &answer["body_encoding"]),
        (&json!(302), &json!("AP8b"), &json!("base64"))
    );
    assert_eq!(answer["headers"]["location"], json!(["http://127.0.0.1:1/"]));
    assert_eq!((&answer["proof"], &answer["retried"]), (&json!("none"), &json!(false)));
}

#[test]
fn without_an_answer_it_ends_with_2_and_says_why() {
    let nobody = format!("http://{}/", free_address());
    is_a_mistake(&call(&[&nobody]), "no answer: not reached");
    is_a_mistake(&call(&["http://192.0.2.1/"]), "plain http is for this machine alone");
    is_a_mistake(&call(&["bob.example"]), "write https://bob.example");
    is_a_mistake(&call(&["ftp://bob.example/"]), "write https://");
    is_a_mistake(&call(&["-X", "BAD METHOD", &nobody]), "is no method");
    is_a_mistake(&call(&["-H", "hunter2", &nobody]), "there is no colon");
    let silent = Upstream::start(|stream| {
        std::thread::sleep(std::time::Duration::from_secs(20));
        drop(stream);
    });
    is_a_mistake(&call(&["--timeout", "200ms", &silent.url()]), "no whole answer within 200ms");
}

#[test]
fn a_call_answers_the_question_about_itself_and_introduces_a_key() {
    let echo = Echo::start();
    let listen = free_address();
    let webhook = format!("http://{listen}/hook");
    let gateway = receiver(&echo, &webhook);
    let url = format!("http://{}/orders/1?a=1", gateway.address);
    let listens = listen.to_string();
    let arguments = ["--webhook", &webhook, "--listen", &listens, "--repeat", "3", "--json", "-v"];
    let output = call(&[&arguments[..], &["-d", "{}", &url]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let answers: Vec<Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let how: Vec<_> = answers.iter().map(|answer| (&answer["status"], &answer["proof"])).collect();
    let (passed, asked, key) = (json!(200), json!("webhook"), json!("introduced-key"));
    assert_eq!(how, [(&passed, &asked), (&passed, &key), (&passed, &key)]);

    let said = errors(&output);
    assert!(said.contains("hashed by bcrypt"), "{said}");
    let question = format!("asked for http://{}/orders/1 whether", gateway.address);
    assert_eq!(said.matches(&question).count(), 1, "{said}");
    assert_eq!(said.matches("by the key that was introduced before").count(), 2, "{said}");
    assert_eq!(echo.last().header("countersign-subject"), Some(format!("webhook:{webhook}").as_str()));
    assert!(nobody_listens(listen), "it answers while the call lasts, and no longer");
}

#[test]
fn somebody_else_webhook_url_does_not_pass() {
    let echo = Echo::start();
    let (listen, other) = (free_address(), free_address());
    let gateway = receiver(&echo, &format!("http://{other}/hook"));
    let url = format!("http://{}/orders/1", gateway.address);
    let webhook = format!("http://{listen}/hook");
    let output = call(&["--webhook", &webhook, "--listen", &listen.to_string(), &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).starts_with("countersign: 403 webhook_caller: "), "{}", errors(&output));
    assert!(echo.seen().is_empty());
}

#[test]
fn while_a_call_lasts_its_answerer_gives_the_token_once_and_refuses_all_else_alike() {
    let listen = free_address();
    let tried = Arc::new(Mutex::new(Vec::new()));
    let kept = tried.clone();
    let server = Upstream::answering(move |head| {
        let credential = head.lines().find_map(|line| line.strip_prefix("authorization: Webhook ")).unwrap();
        let hash = credential.split(' ').nth(1).unwrap();
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let right = json!({ "hash": hash, "url": format!("http://{host}/") }).to_string();
        let wrong_url = json!({ "hash": hash, "url": "http://eve.example/" }).to_string();
        let wrong_hash = json!({ "hash": "sha-256.x", "url": format!("http://{host}/") }).to_string();
        let post =
            |path: &'static str, body: &str| Request::new("POST", path).body(body.as_bytes()).send(listen);
        let mut kept = kept.lock().unwrap();
        kept.push(post("/elsewhere", &right));
        kept.push(Request::new("PUT", "/hook").body(right.as_bytes()).send(listen));
        kept.push(Request::get("/hook").send(listen));
        kept.push(post("/hook", &wrong_url));
        kept.push(post("/hook", &wrong_hash));
        kept.push(post("/hook", "no json"));
        kept.push(post("/hook", &"x".repeat(9000)));
        kept.push(post("/hook", &right));
        kept.push(post("/hook", &right));
        ok("thank you")
    });
    let webhook = format!("http://{listen}/hook");
    let arguments = ["--webhook", &webhook, "--listen", &listen.to_string(), "--hash", "sha-256"];
    let output = call(&[&arguments[..], &["-v", &server.url()]].concat());
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "thank you"), "{}", errors(&output));
    let tried = tried.lock().unwrap();
    let [refused @ .., token, again] = &tried[..] else { panic!() };
    assert_eq!(token.status, 200);
    assert_eq!(token.body.len(), 66);
    assert!(!errors(&output).contains(&token.text()), "the token is not printed");
    let plain = |response: &countersign_testing::Response| {
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| name != "date");
        (response.status, headers, response.body.clone())
    };
    for refusal in refused {
        assert_eq!((refusal.status, plain(refusal)), (404, plain(again)));
    }
    assert_eq!(errors(&output).matches(": refused, ").count(), 8, "{}", errors(&output));
}

#[test]
fn a_receiver_that_takes_another_hash_is_called_once_more() {
    let hashes = Arc::new(Mutex::new(Vec::new()));
    let kept = hashes.clone();
    let server = Upstream::answering(move |head| {
        let line = head.lines().find(|line| line.starts_with("authorization: ")).unwrap();
        let hash = line.rsplit(' ').next().unwrap().to_owned();
        let taken = hash.starts_with("sha-256.");
        kept.lock().unwrap().push(hash);
        match taken {
            true => ok("hello"),
            false => {
                "HTTP/1.1 401 x\r\nWWW-Authenticate: Webhook alg=\"sha-256\"\r\nContent-Length: 0\r\n\r\n"
                    .into()
            }
        }
    });
    let listen = free_address();
    let webhook = format!("http://{listen}/hook");
    let output =
        call(&["--webhook", &webhook, "--listen", &listen.to_string(), "--json", "-v", &server.url()]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["status"], &answer["retried"]), (&json!(200), &json!(true)));
    assert!(errors(&output).contains("once more, proven anew"));
    let hashes = hashes.lock().unwrap();
    assert_eq!(hashes.len(), 2);
    assert!(hashes[0].starts_with("$2b$04$") && hashes[1].starts_with("sha-256."));
}

/// When each call came in, and its head.
type Calls = Arc<Mutex<Vec<(Instant, String)>>>;

/// A receiver that refuses so many calls with these header lines and this code.
fn forgetful(times: usize, lines: &'static str, code: &'static str) -> (Upstream, Calls) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let kept = calls.clone();
    let server = Upstream::answering(move |head| {
        let mut kept = kept.lock().unwrap();
        kept.push((Instant::now(), head.to_owned()));
        if kept.len() > times {
            return ok("hello");
        }
        let problem = json!({ "code": code }).to_string();
        format!("HTTP/1.1 401 x\r\n{lines}Content-Length: {}\r\n\r\n{problem}", problem.len())
    });
    (server, calls)
}

#[test]
fn a_receiver_that_started_anew_is_called_once_more_when_it_says_so() {
    const PROBLEM: &str = "Content-Type: application/problem+json\r\nRetry-After: 1\r\n";
    let folder = tempfile::tempdir().unwrap();
    let wallet = key_file(folder.path(), WALLET);
    let proof = ["--wallet", wallet.as_str(), "--form", "erc8128", "--json", "-v"];
    for (times, lines, code, passes, called) in [
        (1, PROBLEM, "proof_predates_boot", true, 2),
        (2, PROBLEM, "proof_predates_boot", false, 2),
        (1, PROBLEM, "signature_replayed", false, 1),
        (1, "Content-Type: application/json\r\nRetry-After: 1\r\n", "proof_predates_boot", false, 1),
        (1, "Content-Type: application/problem+json\r\nRetry-After: 6\r\n", "proof_predates_boot", false, 1),
        (1, "Content-Type: application/problem+json\r\n", "proof_predates_boot", false, 1),
    ] {
        let (server, calls) = forgetful(times, lines, code);
        let output = call(&[&proof[..], &[&server.url()]].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["status"], json!(if passes { 200 } else { 401 }), "{lines}");
        assert_eq!(answer["retried"], json!(called == 2), "{lines}");
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), called, "{lines}");
        if let [(first, one), (second, other)] = &calls[..] {
            assert!(second.duration_since(*first) >= Duration::from_secs(1));
            let input = |head: &str| {
                head.lines().find(|line| line.starts_with("signature-input")).unwrap().to_owned()
            };
            assert_ne!(input(one), input(other), "signed anew");
            assert!(errors(&output).contains("once more, proven anew"));
        }
    }
    // A key that is sent as itself has no date that could be wrong.
    let (server, calls) = forgetful(1, PROBLEM, "proof_predates_boot");
    let gateway = Gateway::started(&routes(&server.url(), ""));
    let (_, key) = gateway.key(&[]);
    call(&["--key", &key, "--bearer", &server.url()]);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[test]
fn who_answers_must_be_said() {
    let url = format!("http://{}/", free_address());
    let webhook = ["--webhook", "https://alice.example/hook"];
    is_a_mistake(&call(&[&webhook[..], &[&url]].concat()), "add --listen ADDRESS");
    let gateway = Gateway::new("");
    let output = gateway.run(&[&["call"], &webhook[..], &[&url]].concat());
    is_a_mistake(&output, "belongs to one process");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    is_a_mistake(&call(&[&webhook[..], &["--listen", &listen, &url]].concat()), "--listen");
    is_a_mistake(
        &call(&["--webhook", "http://alice.example/", "--listen", "127.0.0.1:0", &url]),
        "not https",
    );
    let both = ["-H", "Authorization: x", "--listen", "127.0.0.1:0", url.as_str()];
    is_a_mistake(&call(&[&webhook[..], &both].concat()), "exclude each other");
}

#[test]
fn the_api_at_the_webhook_url_answers_from_a_store_that_it_shares_with_us() {
    if !has("redis-server") {
        panic!("./test installs redis-server");
    }
    let echo = Echo::start();
    let redis = Redis::durable();
    let mut alice = Gateway::new("");
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(alice.path("seal.key"))
        .unwrap()
        .write_all(&[7; 32])
        .unwrap();
    alice.configure(
        "management_socket = \"management.sock\"",
        &format!("[store]\nurl = \"{}\"\ntimeout = \"2s\"\nseal_key_file = \"seal.key\"\n", redis.url()),
    );
    alice.start();
    let webhook = format!("http://{}/.well-known/webhook-auth", alice.address);
    let bob = receiver(&echo, &webhook);
    let output = alice.run(&["call", "--webhook", &webhook, &format!("http://{}/orders/1", bob.address)]);
    assert_eq!(output.status.code(), Some(0), "{} {}", errors(&output), bob.log());
    assert_eq!(echo.last().header("countersign-subject"), Some(format!("webhook:{webhook}").as_str()));
}
