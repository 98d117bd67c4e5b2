//! The sealing key: whose file it may be, and that a store is used with its own key or not at all.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};

use countersign_testing::sealed::exchange_keyrings;
use countersign_testing::{Echo, Gateway};

fn keyed(echo: &Echo) -> String {
    format!("[[route]]\npath = \"/*\"\nupstream = \"{}\"\naccept = [\"api-key\"]\n", echo.url())
}

/// A gateway that has served a request, so that its store holds an assertion key; and the API key.
fn used(echo: &Echo) -> (Gateway, String) {
    let mut gateway = Gateway::started(&keyed(echo));
    let (_, key) = gateway.key(&[]);
    gateway.get("/", Some(&key)).is(200, "");
    gateway.stop();
    (gateway, key)
}

fn refusal(gateway: &Gateway) -> String {
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_store_that_another_key_sealed_does_not_open_and_the_right_key_still_helps() {
    let echo = Echo::start();
    let (mut gateway, key) = used(&echo);
    let right = std::fs::read(gateway.path("seal.key")).unwrap();
    std::fs::write(gateway.path("seal.key"), [7; 32]).unwrap();
    let said = refusal(&gateway);
    for part in ["countersign.redb", "seal.key", "sealed with another key", "store give-up-sealed"] {
        assert!(said.contains(part), "{said}");
    }
    // Nor does the command line work on it, which would seal anew.
    let output = gateway.run(&["key", "new", "--label", "x"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("sealed with another key"));
    std::fs::write(gateway.path("seal.key"), right).unwrap();
    gateway.start();
    gateway.get("/", Some(&key)).is(200, "");
}

#[test]
fn a_sealing_key_is_made_with_a_new_store_and_never_for_an_old_one() {
    let echo = Echo::start();
    let (mut gateway, key) = used(&echo);
    let right = std::fs::read(gateway.path("seal.key")).unwrap();
    std::fs::remove_file(gateway.path("seal.key")).unwrap();
    let said = refusal(&gateway);
    assert!(said.contains("seal.key is missing") && said.contains("bring it back"), "{said}");
    assert!(!gateway.path("seal.key").exists());
    std::fs::write(gateway.path("seal.key"), right).unwrap();
    std::fs::set_permissions(gateway.path("seal.key"), Permissions::from_mode(0o600)).unwrap();
    gateway.start();
    gateway.get("/", Some(&key)).is(200, "");
}

#[test]
fn a_new_store_is_said_once_and_louder_where_one_may_have_been() {
    let echo = Echo::start();
    let (mut gateway, key) = used(&echo);
    assert_eq!(gateway.log().matches("a new store was made").count(), 1);
    gateway.start();
    gateway.get("/", Some(&key)).is(200, "");
    gateway.stop();
    assert_eq!(gateway.log().matches("a new store was made").count(), 1, "{}", gateway.log());
    assert!(!gateway.log().contains("is new and empty"));
}

#[test]
fn root_may_own_the_key_where_its_group_is_ours_and_nobody_else_reads_it() {
    let echo = Echo::start();
    let (mut gateway, key) = used(&echo);
    let file = gateway.path("seal.key");
    let mode = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    // Whether root owns it depends on who runs this.
    if chown(&file, Some(0), None).is_ok() {
        mode(0o440);
        gateway.start();
        gateway.get("/", Some(&key)).is(200, "");
        gateway.stop();
        chown(&file, Some(0), Some(54_321)).unwrap();
        assert!(refusal(&gateway).contains("can be read by others (mode 440)"));
        chown(&file, Some(54_321), Some(0)).unwrap();
        assert!(refusal(&gateway).contains("can be read by others (mode 440)"));
        chown(&file, Some(0), Some(0)).unwrap();
    }
    for wrong in [0o444, 0o660, 0o644] {
        mode(wrong);
        assert!(refusal(&gateway).contains(&format!("can be read by others (mode {wrong:o})")));
    }
}

#[test]
fn a_store_that_two_keys_sealed_says_so_and_has_a_way_out() {
    let echo = Echo::start();
    let (mut gateway, key) = used(&echo);
    std::fs::write(gateway.path("secret"), [0xff; 32]).unwrap();
    std::fs::set_permissions(gateway.path("secret"), Permissions::from_mode(0o600)).unwrap();
    gateway.json(&["key", "add", "--label", "partner", "--hmac-secret-file", "secret"]);
    exchange_keyrings(&gateway, Some(7), &Vec::new());
    // As a store from before there was a value to check.
    countersign_testing::sealed::forget_check(&gateway);
    let said = refusal(&gateway);
    assert!(said.contains("does not open the assertion key") && said.contains("two keys"), "{said}");

    let looked = gateway.json(&["store", "give-up-sealed"]);
    assert_eq!((&looked["given_up"], looked["signing"].as_array().unwrap().len()), (&false.into(), 1));
    assert!(refusal(&gateway).contains("two keys"), "nothing was changed");
    let done = gateway.json(&["store", "give-up-sealed", "--yes"]);
    assert_eq!((&done["given_up"], &done["signing"]), (&true.into(), &looked["signing"]));
    assert_eq!(done["secrets"], serde_json::json!([]));
    gateway.start();
    gateway.get("/", Some(&key)).is(200, "");
    let audit = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap();
    assert_eq!(audit.matches("store.sealed_given_up").count(), 1);
    assert!(echo.last().header("countersign-assertion").is_some());
}
