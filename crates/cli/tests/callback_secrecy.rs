//! Everything that a gateway leaves behind is searched for tokens, and whatever looks like one is tried.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_testing::callbacks::{Callback, Does, ROUTE, Results, lab, post};
use countersign_testing::{Process, Request, wait_for};

/// So many characters of a token give it away.
const WINDOW: usize = 16;

/// All stretches of a text that could be a token or a good part of one.
fn token_like(text: &str) -> BTreeSet<String> {
    let of_tokens = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '%');
    let words = text.split(|c: char| !of_tokens(c)).filter(|word| word.len() >= 20);
    words.map(str::to_owned).collect()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A token where it belongs and where it does not.
fn misuse(gateway: &countersign_testing::Gateway, callback: &Callback) {
    let token = callback.token().to_owned();
    for target in [
        format!("/v1/results/43/{token}"),
        format!("/v2/results/42/{token}"),
        format!("/nowhere/{token}"),
        format!("/v1/results/42/x/{token}"),
        format!("/v1/results/42{token}"),
        format!("/v1/results/{token}/42"),
        format!("/v1/results/42/{token}/"),
        format!("/v1/results/42/{}", escaped(&token)),
        format!("/v1/results/../42/{token}"),
        format!("/v1/results/42/%2f{token}"),
        format!("/v1/results/42/{token};x"),
        format!("/v1/results/42/{token}x"),
        format!("/v1/results/42/x?token={token}"),
        format!("/api/{token}"),
        format!("/only-put/42/{token}"),
        format!("/callbacks/{token}"),
        format!("http://gateway/v1/results/43/{token}"),
    ] {
        let answer = post(gateway, &target, "x");
        assert!(answer.status >= 400, "{target}: {}", answer.status);
        assert!(!answer.text().contains(&token[..WINDOW]), "{target}: {}", answer.text());
    }
    for method in ["GET", "DELETE", "TRACE", "OPTIONS"] {
        gateway.send(&Request::new(method, &callback.target));
    }
    let bearer = format!("Bearer {token}");
    gateway
        .send(&Request::get("/api/x").header("Authorization", &bearer).header("Referer", &callback.target));
    let request = format!("POST {} HTTP/1.1\r\nHost: x\r\n\r\n", callback.target);
    std::fs::write(gateway.path("request"), request).unwrap();
    for more in [&["--json"][..], &[]] {
        let output = gateway.run(&[&["explain", "--request", "request"][..], more].concat());
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!told.contains(&token[..WINDOW]), "{told}");
    }
}

#[test]
fn what_is_left_behind_holds_no_token_that_opens_anything() {
    let results = Results::start();
    let mut gateway = lab(results.address);
    let log = std::fs::File::create(gateway.path("log")).unwrap();
    let mut serve = gateway.command(&["serve"]);
    serve.env("COUNTERSIGN_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
    let process = Process::start(&mut serve);
    wait_for(gateway.admin);
    wait_for(gateway.address);

    let mut callbacks = Vec::new();
    for number in 0..24 {
        let more: &[&str] = if number % 3 == 2 { &["--static"] } else { &[] };
        let callback = Callback::mint(&gateway, more);
        misuse(&gateway, &callback);
        match number % 4 {
            0 => results.then(&[Does::Answer(500)]),
            1 => results.then(&[Does::Breaks]),
            2 => results.then(&[Does::Answer(404)]),
            _ => {}
        }
        // Half of them stay open: if anything holds their tokens, it opens something.
        if number % 2 == 0 {
            callback.post(&gateway, "result");
            callback.post(&gateway, "another");
        }
        callbacks.push(callback);
    }
    std::thread::sleep(Duration::from_millis(300));
    let mut left = vec![
        ("metrics", Request::get("/metrics").send(gateway.admin).text()),
        ("callbacks", gateway.json(&["callback", "list"]).to_string()),
        ("people", String::from_utf8(gateway.run(&["callback", "list"]).stdout).unwrap()),
        ("latest", gateway.explain_latest().to_string()),
    ];
    process.signal("-TERM");
    countersign_testing::eventually("the end", || std::net::TcpStream::connect(gateway.address).is_err());
    std::thread::sleep(Duration::from_millis(500));
    drop(process);
    for name in ["log", "audit.jsonl", "countersign.redb"] {
        let bytes = std::fs::read(gateway.path(name)).unwrap();
        assert!(!bytes.is_empty());
        left.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (name, hay) in &left {
        for callback in &callbacks {
            let token = callback.token();
            // The signature alone, or what comes before it: a JWT is told by the parts that only it has.
            let (head, tail) = (token, &token[token.len() - WINDOW..]);
            assert!(!hay.contains(head) && !hay.contains(tail), "{name} holds {token}");
            if let Some((_, rest)) = token.split_once('.') {
                assert!(!hay.contains(&rest[80..80 + WINDOW]), "{name} holds a part of {token}");
            } else {
                assert!(!hay.contains(&token[..WINDOW]), "{name} holds a part of {token}");
            }
        }
    }

    // Whatever else looks like a token is tried where it could open something.
    gateway.start();
    let before = results.seen().len();
    let mut tried = 0;
    for (name, hay) in left.iter().filter(|(name, _)| *name != "countersign.redb") {
        for word in token_like(hay) {
            let answer = post(&gateway, &format!("/v1/results/42/{word}"), "stolen");
            assert!(answer.status >= 400, "{name}: {word} opens something");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
    assert_eq!(results.seen().len(), before);
    let good = callbacks.iter().filter(|callback| callback.post(&gateway, "late").status == 200).count();
    assert!(good > 6, "the others would have opened: {good} of {ROUTE}");
}
