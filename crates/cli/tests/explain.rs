//! `explain`: a past request, or one on file, judged without spending anything.

use std::io::Write as _;
use std::process::{Output, Stdio};

use countersign_testing::{Echo, Gateway, Request};
use serde_json::Value;

fn configuration(echo: &Echo) -> String {
    format!(
        "[[route]]\npath = \"/orders/*\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\nlimit = \"1/h\"\n\
         [[route]]\npath = \"/open\"\nupstream = \"{0}\"\npublic = true\n",
        echo.url()
    )
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn request(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n").into_bytes()
}

/// `explain --request -` with `request` on standard input.
fn explain(gateway: &Gateway, request: &[u8], more: &[&str]) -> Output {
    let mut command = gateway.command(&[&["explain", "--request", "-"][..], more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(request).unwrap();
    child.wait_with_output().unwrap()
}

fn story(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

#[test]
fn a_request_on_file_is_judged_with_a_running_gateway_and_without_one() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&configuration(&echo));
    let (id, key) = gateway.key(&[]);
    for round in 0..2 {
        let permitted = explain(&gateway, &request("/orders/1", &key), &["--json"]);
        assert_eq!(permitted.status.code(), Some(0), "{}", said(&permitted));
        let judged = story(&permitted);
        assert_eq!((&judged["outcome"], &judged["code"]), (&"permit".into(), &Value::Null));
        assert_eq!((&judged["scheme"], &judged["subject"]), (&"api-key".into(), &format!("key:{id}").into()));
        let checks: Vec<_> = judged["steps"].as_array().unwrap().iter().map(|step| &step["check"]).collect();
        assert!(checks.contains(&&"verify".into()) && checks.contains(&&"policy".into()), "{judged}");

        let denied = explain(&gateway, &request("/orders/1", "cs_x"), &["--json"]);
        assert_eq!(denied.status.code(), Some(1));
        let judged = story(&denied);
        assert_eq!((&judged["outcome"], &judged["code"]), (&"deny".into(), &"key_invalid".into()));
        assert_eq!((&judged["scheme"], &judged["subject"]), (&"api-key".into(), &Value::Null));
        assert_eq!(judged["steps"].as_array().unwrap().last().unwrap()["passed"], false);

        let human = explain(&gateway, &request("/orders/1", &key), &[]);
        assert!(said(&human).contains(&format!("permitted as key:{id} by api-key")), "{}", said(&human));
        let file = gateway.path("request");
        std::fs::write(&file, request("/open", "x")).unwrap();
        let output = gateway.run(&["explain", "--request", "request"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("permitted: the route is public"));
        if round == 0 {
            gateway.start();
        }
    }
    assert_eq!(echo.seen().len(), 0, "nothing is forwarded");
}

#[test]
fn explaining_spends_nothing_and_is_no_use_of_a_key() {
    let echo = Echo::start();
    let gateway = Gateway::started(&configuration(&echo));
    let (id, key) = gateway.key(&[]);
    for _ in 0..3 {
        assert_eq!(explain(&gateway, &request("/orders/1", &key), &[]).status.code(), Some(0));
    }
    assert_eq!(gateway.json(&["key", "show", &id])["last_used"], Value::Null);
    let latest = gateway.run(&["explain", "latest"]);
    assert_eq!(latest.status.code(), Some(2), "an explanation is no decision");
    assert_eq!(gateway.get("/orders/1", Some(&key)).status, 200, "the limit of one was not taken");
    gateway.get("/orders/1", Some(&key)).is(429, "rate_limited");
    let over = explain(&gateway, &request("/orders/1", &key), &["--json"]);
    assert_eq!(story(&over)["code"], "rate_limited");
    assert!(gateway.json(&["key", "show", &id])["last_used"].is_string());
}

#[test]
fn a_request_to_a_path_of_ours_is_explained_by_the_rule_of_that_path() {
    let gateway = Gateway::new("[session]\nenabled = true\n");
    for (line, outcome, code) in [
        ("POST /auth/signin", "permit", Value::Null),
        ("GET /auth/whoami", "deny", "credential_missing".into()),
        ("GET /auth/signin", "deny", "method_not_allowed".into()),
        ("DELETE /auth/sessions/%2e%2e", "deny", "path_ambiguous".into()),
        ("GET /auth/else", "deny", "route_unknown".into()),
    ] {
        let judged =
            story(&explain(&gateway, format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), &["--json"]));
        assert_eq!((&judged["outcome"], &judged["code"]), (&outcome.into(), &code), "{line}: {judged}");
    }
}

#[test]
fn an_expiring_key_is_judged_by_the_time_that_is_given() {
    let gateway = Gateway::started(&configuration(&Echo::start()));
    let made = gateway.json(&["key", "new", "--label", "x", "--expires", "30d"]);
    let (key, expires) = (made["key"].as_str().unwrap(), made["expires"].as_str().unwrap());
    let at = |time: &str| explain(&gateway, &request("/orders/1", key), &["--json", "--at", time]);
    assert_eq!(at("2000-01-01T00:00:00Z").status.code(), Some(0));
    let after = at(expires);
    assert_eq!(after.status.code(), Some(1));
    assert!(story(&after)["cause"].as_str().unwrap().ends_with("is expired"), "{}", said(&after));
    assert_eq!(at("9999-12-30T00:00:00Z").status.code(), Some(1));
    let wrong = at("yesterday");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("write RFC 3339"), "{}", said(&wrong));
}

#[test]
fn every_response_names_a_decision_that_can_be_explained() {
    let echo = Echo::start();
    let gateway = Gateway::started(&configuration(&echo));
    let (_, key) = gateway.key(&[]);
    for (response, code) in [
        (gateway.get("/orders/1", Some(&key)), 0),
        (gateway.get("/orders/1", None), 1),
        (gateway.get("/orders//1", None), 1),
        (gateway.get("/nowhere", None), 1),
        (gateway.get("/open", None), 0),
    ] {
        let id = response.header("countersign-decision").expect("a decision");
        let output = gateway.run(&["explain", id, "--json"]);
        assert_eq!((output.status.code(), &story(&output)["id"]), (Some(code), &id.into()));
        assert_eq!(story(&output)["code"].as_str().unwrap_or_default(), response.code());
        assert_eq!(gateway.run(&["explain", id]).status.code(), Some(code));
    }
    let framing =
        countersign_testing::exchange(gateway.address, b"GET /open HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let id = framing.is(400, "framing").header("countersign-decision").expect("a decision").to_owned();
    assert_eq!(gateway.json_of(&["explain", &id])["code"], "framing");
}

/// `explain` says what was there, and whoever sent it learns the code alone.
#[test]
fn near_misses_are_told_to_the_operator_and_the_code_to_the_caller() {
    let echo = Echo::start();
    let route = |path: &str, more: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{more}\n", echo.url())
    };
    let gateway = Gateway::started(&format!(
        "[cors]\norigins = [\"https://shop.example\"]\n{}{}{}",
        route("/keys/*", "accept = [\"api-key\"]"),
        route("/signed/*", "accept = [\"signature\"]"),
        route("/reads/*", "accept = [\"api-key\"]\nmethods = [\"GET\"]"),
    ));
    let (_, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let basic = "Basic YWxpY2U6aHVudGVyMmh1bnRlcjI=";
    let asked = ("Access-Control-Request-Method", "GET");
    let origin = ("Origin", "https://eve.example");
    let input = "a=(\"@method\");created=1;keyid=\"k\"";
    let query = format!("/keys/1?api_key={key}");
    let access = "/keys/1?access_token=hunter2hunter2";
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], (u16, &'a str), &'a str);
    let cases: [Case<'_>; 14] = [
        ("GET", "/keys/1", &[("Authorization", &key)], MISSING, "an API key without `Bearer` before it"),
        ("GET", "/keys/1", &[("Authorization", basic)], MISSING, "Authorization is Basic"),
        ("GET", "/keys/1", &[("Authorization", "Token hunter2hunter2")], MISSING, "the scheme Token"),
        ("GET", "/keys/1", &[("Authorization", "Bearer a.b.c")], MISSING, "does not name bearer"),
        (
            "GET",
            "/keys/1",
            &[("Authorization", "Webhook https://a.example h")],
            MISSING,
            "does not name webhook",
        ),
        ("GET", &query, &[], MISSING, "the query has a parameter `api_key`"),
        ("GET", access, &[], MISSING, "the query has a parameter `access_token`"),
        ("GET", "/keys/1?key=hunter2hunter2", &[], MISSING, "the query has a parameter `key`"),
        (
            "GET",
            "/keys/1",
            &[("X-Auth-Token", "hunter2hunter2")],
            MISSING,
            "x-auth-token is there, and not read",
        ),
        ("GET", "/keys/1", &[("AsymmetricAuthentication", "{}")], MISSING, "does not name asymmetric"),
        ("GET", "/signed/1", &[("Authorization", &bearer)], MISSING, "does not name api-key"),
        (
            "GET",
            "/signed/1",
            &[("Signature-Input", input), ("Signature", "a=:AA==:")],
            MISSING,
            "without a tag",
        ),
        ("OPTIONS", "/keys/1", &[asked, origin], MISSING, "[cors] origins"),
        ("OPTIONS", "/reads/1", &[asked, origin], (405, "method_not_allowed"), "[cors] origins"),
    ];
    for (method, target, lines, (status, code), says) in cases {
        let request = lines
            .iter()
            .fold(Request::new(method, target), |request, (name, value)| request.header(name, value));
        let answer = gateway.send(&request);
        let told = answer.is(status, code);
        assert!(!told.text().contains(says), "{}", told.text());
        let id = told.header("countersign-decision").unwrap();
        for shown in [gateway.json_of(&["explain", id]).to_string(), said(&gateway.run(&["explain", id]))] {
            assert!(shown.contains(&says.replace('"', "\\\"")), "{says:?} is not in {shown}");
            assert!(!shown.contains("hunter2") && !shown.contains(&key[16..]), "{shown}");
        }
    }
    let listed = gateway.send(
        &Request::new("OPTIONS", "/keys/1").header("Origin", "https://shop.example").header(asked.0, asked.1),
    );
    assert_eq!(listed.status, 204);
    let nothing = gateway.get("/keys/1", None);
    let id = nothing.is(401, "credential_missing").header("countersign-decision").unwrap();
    let cause = &gateway.json_of(&["explain", id])["cause"];
    assert_eq!(cause, "nothing was presented where api-key is accepted");
    assert!(!gateway.log().contains("hunter2") && echo.seen().is_empty());
}

const MISSING: (u16, &str) = (401, "credential_missing");

#[test]
fn mistakes_in_use_are_sentences_and_exit_code_2() {
    let mut gateway = Gateway::started(&configuration(&Echo::start()));
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (arguments, sentence) in [
        (
            &["explain", unknown][..],
            "no such decision among the last 10,000; older ones are in the audit log",
        ),
        (&["explain", "latest"], "no such decision"),
        (&["explain", "nonsense\u{1b}[31m"], "`nonsense\\u{1b}[31m` is no decision: give the UUID"),
        (&["explain", "--request", "missing"], "missing: No such file"),
        (&["explain"], "required"),
        (&["explain", "latest", "--request", "x"], "cannot be used with"),
        (&["explain", "latest", "--at", "2026-01-01T00:00:00Z"], "cannot be used with"),
    ] {
        let output = gateway.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(sentence), "{sentence:?} is not in {}", said(&output));
    }
    let output = explain(&gateway, b"nonsense\r\n\r\n", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not an HTTP/1.1 request"), "{}", said(&output));
    gateway.stop();
    let output = gateway.run(&["explain", "latest"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no gateway answers on"), "{}", said(&output));
    assert!(said(&output).contains("audit.jsonl"), "{}", said(&output));
}

#[test]
fn what_a_request_says_does_not_command_a_terminal() {
    let gateway = Gateway::started(&configuration(&Echo::start()));
    for (path, escaped) in [
        ("/orders/\u{202e}x", "/orders/\\u{202e}x"),
        ("/orders/\u{9b}31mx", "/orders/\\u{9b}31mx"),
        ("/orders/\u{200f}\u{2066}x", "/orders/\\u{200f}\\u{2066}x"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let human = explain(&gateway, request.as_bytes(), &[]);
        assert!(said(&human).starts_with(&format!("GET {escaped}  denied")), "{:?}", said(&human));
        let json = explain(&gateway, request.as_bytes(), &["--json"]);
        assert_eq!(story(&json)["path"], path, "programs get what was sent");
        for output in [human, json] {
            let obeyed = |c: char| {
                c != '\n'
                    && (c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{2069}'))
            };
            assert!(!said(&output).contains(obeyed), "{:?}", said(&output));
        }
    }
    let odd = explain(&gateway, b"GET /orders/\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n", &[]);
    assert_eq!(odd.status.code(), Some(2));
    assert!(!said(&odd).contains('\u{1b}'));
}
