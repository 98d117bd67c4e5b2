//! What outlives a crash, what the operator keeps of a subject, and what is left behind.

use std::time::Duration;

use super::*;

#[test]
fn what_was_used_or_ended_stays_so_after_a_crash() {
    let mut client = Client::started("");
    let (first, ended) = (client.tokens(), client.tokens());
    let second = client.refresh(&first).json();
    assert!(client.is_active(&ended["access_token"]));
    let body = format!("token={}&{}", text(&ended, "access_token"), client.proven());
    assert_eq!(client.post("/oauth/revoke", &body).status, 200);
    let assertion = client.proven();
    let token = format!("grant_type=client_credentials&{assertion}");
    assert_eq!(client.post("/oauth/token", &token).status, 200);
    client.gateway.kill();
    client.gateway.start();
    let again = client.post("/oauth/token", &token);
    assert!([401, 503].contains(&again.status), "{}", again.text());
    // Proofs from before the crash could be told from repeated ones by nobody: new ones pass a moment later.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!client.is_active(&ended["access_token"]) && client.is_active(&second["access_token"]));
    let third = client.refresh(&second);
    assert_eq!(third.status, 200, "{}", third.text());
    refused(&client.refresh(&first), 400, "invalid_grant");
    refused(&client.refresh(&third.json()), 400, "invalid_grant");
    assert!(!client.is_active(&second["access_token"]), "its family ended");
}

#[test]
fn what_is_kept_of_a_subject_is_audited_shown_and_in_its_next_token() {
    let client = Client::started("");
    let name = format!("jkt:{}", client.key.verifying_key().thumbprint().unwrap());
    let set = |more: &[&str]| client.gateway.json(&[&["subject", "set", &name], more].concat());
    let kept = set(&["--claim", "country=CH", "--claim", "age:=42", "--permission", "reports"]);
    assert_eq!(
        kept,
        json!({ "subject": name, "claims": { "country": "CH", "age": 42 }, "permissions": ["reports"] })
    );
    let audit = std::fs::read_to_string(client.gateway.path("audit.jsonl")).unwrap();
    assert!(audit.lines().any(|line| line.contains("subject-changed") && line.contains(&name)), "{audit}");
    let bare = name.trim_start_matches("jkt:");
    assert_eq!(client.gateway.json(&["subject", "show", bare]), kept);
    assert_eq!(client.gateway.json(&["subject", "show"]), json!([kept]));
    let tokens = client.tokens();
    assert_eq!(tokens["scope"], "orders:read reports");
    let body = format!("token={}&{}", text(&tokens, "access_token"), client.proven());
    let told = client.post("/oauth/introspect", &body).json();
    assert_eq!((&told["country"], &told["age"]), (&json!("CH"), &json!(42)));
    set(&["--claim", "age=", "--remove-permission", "reports"]);
    assert_eq!(client.tokens()["scope"], "orders:read");
    for wrong in [
        &["subject", "set", "nobody", "--claim", "a=b"][..],
        &["subject", "set", &name, "--claim", "sub=eve"],
        &["subject", "set", &name, "--claim", "x"],
        &["subject", "set", &name],
    ] {
        assert_eq!(client.gateway.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let shown = client.gateway.run(&["subject", "show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("country  CH"));
}

#[test]
fn no_token_is_left_in_a_log_a_metric_or_a_decision() {
    let mut client = Client::started("");
    let tokens = client.tokens();
    let next = client.refresh(&tokens).json();
    client.refresh(&tokens);
    let in_path = format!("/oauth/{}", text(&next, "access_token"));
    client.gateway.get(&in_path, None);
    client.gateway.get(&format!("/oauth/{}", text(&next, "refresh_token")), None);
    let metrics = metrics(&client.gateway);
    let decisions = client.gateway.explain_latest().to_string();
    client.gateway.stop();
    let audit = std::fs::read_to_string(client.gateway.path("audit.jsonl")).unwrap();
    for (name, left) in
        [("log", client.gateway.log()), ("metrics", metrics), ("decision", decisions), ("audit", audit)]
    {
        for tokens in [&tokens, &next] {
            let access = text(tokens, "access_token");
            let signature = access.rsplit('.').next().unwrap();
            assert!(!left.contains(signature), "{name} holds an access token");
            assert!(!left.contains(&text(tokens, "refresh_token")[30..]), "{name} holds a refresh token");
        }
    }
}
