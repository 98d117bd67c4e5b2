//! openid-client, jose and ethers; Authlib, PyJWT and eth-account.

use std::time::Duration;

use super::*;
use crate::support::peer::{Language, Peer};

/// Registers a peer's own key; its id is the client's.
fn registered(gateway: &Gateway, peer: &mut Peer) -> String {
    let public = peer.ask(&json!({ "do": "keys" }))["public"].as_str().unwrap().to_owned();
    let file = format!("{:?}.pem", peer.language);
    std::fs::write(gateway.path(&file), public).unwrap();
    let add = ["key", "add", "--label", "peer", "--public", &file, "--permission", "orders:read"];
    gateway.json(&add)["id"].as_str().unwrap().to_owned()
}

/// A gateway that runs, and a client in each language that discovered it.
fn with_peers(more: &str) -> (Gateway, Vec<(Peer, String)>) {
    let mut gateway = Gateway::new("");
    let peers = Peer::both("token_peer");
    let peers: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let id = registered(&gateway, &mut peer);
            (peer, id)
        })
        .collect();
    let ids: Vec<_> = peers.iter().map(|(_, id)| format!("\"{id}\"")).collect();
    configure(&gateway, &ids.join(", "), more);
    gateway.start();
    (gateway, peers)
}

#[test]
fn clients_that_others_wrote_get_refresh_judge_and_end_tokens() {
    let (gateway, peers) = with_peers("");
    for (mut peer, id) in peers {
        let language = peer.language;
        for how in ["oidc", "oauth2"] {
            let order = json!({ "do": "discover", "issuer": url(&gateway), "client": id, "how": how });
            let metadata = peer.ask(&order);
            assert_eq!(text(&metadata, "issuer"), url(&gateway), "{language:?} {metadata}");
        }
        for (grant, dpop) in [
            ("client_credentials", false),
            ("client_credentials", true),
            (JWT_BEARER, false),
            (JWT_BEARER, true),
        ] {
            let order = json!({ "do": "grant", "grant": grant, "dpop": dpop, "scope": "openid orders:read" });
            let tokens = peer.ask(&order);
            let what = format!("{language:?} {grant} {dpop}: {tokens}");
            let kind = if dpop { "dpop" } else { "bearer" };
            assert_eq!(tokens["token_type"].as_str().unwrap_or_default().to_lowercase(), kind, "{what}");
            let access =
                peer.ask(&json!({ "do": "access", "token": tokens["access_token"], "audience": "orders" }));
            assert_eq!(
                (text(&access, "client_id"), text(&access, "scope")),
                (&*id, "openid orders:read"),
                "{what}"
            );
            assert_eq!(access["cnf"]["jkt"].is_string(), dpop, "{what}");
            let who = peer.ask(&json!({ "do": "id", "token": tokens["id_token"], "audience": id }));
            assert_eq!(who["sub"], access["sub"], "{what}");
            // An ID token is no access token, and the other way round.
            for (what, token) in [("access", &tokens["id_token"]), ("id", &tokens["access_token"])] {
                let refused = peer.ask(&json!({ "do": what, "token": token, "audience": "orders" }));
                assert!(refused["error"].is_string(), "{language:?} {refused}");
            }
            let told = peer.ask(&json!({ "do": "introspect", "token": tokens["access_token"] }));
            assert_eq!((&told["active"], &told["sub"]), (&json!(true), &access["sub"]), "{what}");
            if grant == JWT_BEARER {
                keeps_and_ends(&mut peer, tokens, dpop);
            } else {
                let order = json!({ "do": "revoke", "token": tokens["access_token"] });
                assert_eq!(peer.ask(&order), json!({ "revoked": true }), "{what}");
                let told = peer.ask(&json!({ "do": "introspect", "token": tokens["access_token"] }));
                assert_eq!(told["active"], false, "{what}");
            }
        }
        let refused = peer.ask(&json!({ "do": "grant", "grant": "client_credentials", "scope": "admin" }));
        assert_eq!(text(&refused, "error"), "invalid_scope", "{language:?}");
    }
}

/// Refreshes, ends, and finds the end.
fn keeps_and_ends(peer: &mut Peer, mut tokens: Value, dpop: bool) {
    let language = peer.language;
    for _ in 0..2 {
        let order = json!({ "do": "refresh", "token": tokens["refresh_token"], "dpop": dpop });
        let next = peer.ask(&order);
        assert_ne!(text(&next, "refresh_token"), text(&tokens, "refresh_token"), "{language:?} {next}");
        tokens = next;
    }
    let order = json!({ "do": "revoke", "token": tokens["refresh_token"] });
    assert_eq!(peer.ask(&order), json!({ "revoked": true }), "{language:?}");
    for token in ["access_token", "refresh_token"] {
        let told = peer.ask(&json!({ "do": "introspect", "token": tokens[token] }));
        assert_eq!(told["active"], false, "{language:?} {token} {told}");
    }
    let refused = peer.ask(&json!({ "do": "refresh", "token": tokens["refresh_token"], "dpop": dpop }));
    assert_eq!(text(&refused, "error"), "invalid_grant", "{language:?}");
}

#[test]
fn wallets_that_others_wrote_sign_in_with_no_page_and_no_client() {
    let mut gateway = Gateway::new("");
    configure(&gateway, "", "");
    gateway.start();
    let address = wallet().address().to_string();
    let set = ["subject", "set", &wallet().address().checksummed(), "--claim", "country=CH"];
    gateway.json(&[&set[..], &["--permission", "orders:read"]].concat());
    for mut peer in Peer::both("token_peer") {
        let language = peer.language;
        peer.ask(&json!({ "do": "wallet", "issuer": url(&gateway), "key": format!("0x{WALLET}") }));
        for (dpop, names_key) in [(false, false), (true, false), (true, true)] {
            let order = json!({ "do": "sign_in", "scope": "openid orders:read", "dpop": dpop, "names_key": names_key });
            let tokens = peer.ask(&order);
            let access =
                peer.ask(&json!({ "do": "access", "token": tokens["access_token"], "audience": "orders" }));
            assert_eq!(
                (text(&access, "sub"), text(&access, "country")),
                (&*address, "CH"),
                "{language:?} {tokens}"
            );
            assert_eq!(access["cnf"]["jkt"].is_string(), dpop, "{language:?}");
            let who = peer.ask(&json!({ "do": "id", "token": tokens["id_token"], "audience": address }));
            assert_eq!((text(&who, "sub"), text(&who, "country")), (&*address, "CH"), "{language:?}");
            assert_eq!(tokens["refresh_token"].is_string(), dpop, "{language:?}");
            if dpop {
                let first = tokens["refresh_token"].clone();
                let order = json!({ "do": "refresh", "token": first, "dpop": true });
                assert!(peer.ask(&order)["refresh_token"].is_string(), "{language:?}");
                assert_eq!(text(&peer.ask(&order), "error"), "invalid_grant", "{language:?}: used before");
            }
        }
    }
}

#[test]
fn keys_rotate_and_every_request_succeeds() {
    let (gateway, mut peers) = with_peers("publish_before = \"10s\"");
    let (peer, id) = peers.iter_mut().find(|(peer, _)| peer.language == Language::JavaScript).unwrap();
    peer.ask(&json!({ "do": "discover", "issuer": url(&gateway), "client": id, "how": "oauth2" }));
    peer.order(&json!({ "do": "hammer", "seconds": 14, "audience": "orders" }));
    std::thread::sleep(Duration::from_secs(1));
    let states = |keys: &Value| -> Vec<String> {
        keys["keys"].as_array().unwrap().iter().map(|key| text(key, "state").to_owned()).collect()
    };
    assert_eq!(states(&gateway.json(&["issuer", "rotate"])), ["active", "published"]);
    // Once more publishes no third key.
    assert_eq!(states(&gateway.json(&["issuer", "rotate"])), ["active", "published"]);
    let published = gateway.get("/oauth/jwks.json", None);
    assert_eq!(published.header("cache-control"), Some("public, max-age=5"));
    let published = published.json();
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    assert!(published["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    let count = peer.answer();
    assert_eq!(count["failed"], json!([]));
    assert_eq!(count["keys"].as_array().unwrap().len(), 2, "{count}");
    assert!(count["requests"].as_u64().unwrap() > 50, "{count}");
}
