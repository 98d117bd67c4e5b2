//! openid-client, jose and ethers; Authlib, PyJWT and eth-account.

use countersign_testing::{installed, root};
use std::time::Duration;

use super::*;
use countersign_testing::peer::{Language, Peer};

/// Registers a peer's own key for this algorithm; its id is the client's.
fn registered(gateway: &Gateway, peer: &mut Peer, alg: &str, more: &[&str]) -> String {
    let public = peer.ask(&json!({ "do": "keys", "alg": alg }))["public"].as_str().unwrap().to_owned();
    let file = format!("{:?}.pem", peer.language);
    // Others write a line before the key, or after it.
    std::fs::write(gateway.path(&file), format!("the peer's key\n{public}\n\n")).unwrap();
    let add = ["key", "add", "--label", "peer", "--public", &file, "--permission", "orders:read"];
    gateway.json(&[&add[..], more].concat())["id"].as_str().unwrap().to_owned()
}

/// A gateway that runs, and a client in each language that discovered it.
fn with_peers(more: &str) -> (Gateway, Vec<(Peer, String)>) {
    with_keys("ES256", &[], more)
}

/// The same, with keys for this algorithm that are registered so.
fn with_keys(alg: &str, how: &[&str], more: &str) -> (Gateway, Vec<(Peer, String)>) {
    let mut gateway = Gateway::new("");
    let peers = Peer::both("token_peer");
    let peers: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let id = registered(&gateway, &mut peer, alg, how);
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

const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// Asks for a token with assertions of this algorithm, by both grants: the errors, if there are any.
fn errors(gateway: &Gateway, peer: &mut Peer, id: &str, alg: &str) -> Vec<String> {
    let order =
        json!({ "do": "discover", "issuer": url(gateway), "client": id, "how": "oauth2", "alg": alg });
    let metadata = peer.ask(&order);
    let listed = metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
    assert!(listed.contains(&json!(alg)), "{metadata}");
    let ask = |grant| peer.ask(&json!({ "do": "grant", "grant": grant, "scope": "orders:read" }));
    let answers = ["client_credentials", JWT_BEARER].map(ask);
    for answer in &answers {
        assert!(answer["error"].is_string() != answer["access_token"].is_string(), "{answer}");
    }
    answers.iter().filter_map(|answer| answer["error"].as_str()).map(str::to_owned).collect()
}

#[test]
fn a_client_s_rsa_key_signs_by_each_rsa_algorithm_that_discovery_lists_unless_one_was_named() {
    let (gateway, peers) = with_keys("RS256", &[], "");
    for (mut peer, id) in peers {
        for alg in RSA {
            assert_eq!(errors(&gateway, &mut peer, &id, alg), [""; 0], "{:?} {alg}", peer.language);
        }
    }
    let (gateway, peers) = with_keys("PS512", &["--algorithm", "rsa-pss-sha512"], "");
    for (mut peer, id) in peers {
        for alg in RSA {
            // openid-client says who it is beside every grant.
            let second = if peer.language == Language::Python { "invalid_grant" } else { "invalid_client" };
            let expected = if alg == "PS512" { vec![] } else { vec!["invalid_client", second] };
            assert_eq!(errors(&gateway, &mut peer, &id, alg), expected, "{:?} {alg}", peer.language);
            if alg != "PS512" {
                let told = gateway.explain_latest();
                let why = format!("no key of {id} signs with {alg}, which the assertion names: with PS512");
                assert!(told.to_string().contains(&why), "{told}");
            }
        }
    }
    // Whoever stored one before had it named, or could not have said so.
    let listed = gateway.json(&["key", "list"]);
    assert!(listed.as_array().unwrap().iter().all(|key| key["algorithm"] == "rsa-pss-sha512"), "{listed}");
}

/// A block of `docs/how-to/our-issuer.md`, as it stands.
fn of_the_page(language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/how-to/our-issuer.md"));
    let page = page.unwrap();
    let (_, block) = page.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language}"));
    block.split_once("```").unwrap().0.to_owned()
}

#[test]
fn what_the_page_says_of_clients_runs_with_keys_of_both_kinds() {
    for (kind, option) in [("EC", "ec_paramgen_curve:P-256"), ("RSA", "rsa_keygen_bits:2048")] {
        let mut gateway = Gateway::new("");
        let openssl = |arguments: &[&str]| {
            let mut command = std::process::Command::new("openssl");
            let made = command.current_dir(gateway.folder.path()).args(arguments).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        openssl(&["genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", "shop.pem"]);
        openssl(&["pkey", "-in", "shop.pem", "-pubout", "-out", "shop-public.pem"]);
        let add =
            ["key", "add", "--label", "shop", "--public", "shop-public.pem", "--permission", "orders:read"];
        let id = gateway.json(&add)["id"].as_str().unwrap().to_owned();
        configure(&gateway, &format!("\"{id}\""), "");
        gateway.start();
        let made_ours = |mut text: String| {
            if kind == "RSA" {
                text = text.replace("ECKey", "RSAKey").replace("\"ES256\"", "\"RS256\"");
            }
            text.replace("https://api.example.com", &url(&gateway)).replace("Ab3dEf6hIj9k", &id)
        };
        let python = made_ours(of_the_page("python")) + "print(token[\"access_token\"])\n";
        std::fs::write(gateway.path("shop.py"), python).unwrap();
        // Without TLS, which the page has, the library wants to be told so.
        let script = made_ours(of_the_page("js"))
            .replace("PrivateKeyJwt(key))", "PrivateKeyJwt(key), { execute: [oidc.allowInsecureRequests] })")
            + "console.log(token.access_token);\n";
        std::fs::write(gateway.path("shop.mjs"), script).unwrap();
        std::os::unix::fs::symlink(installed("node/node_modules"), gateway.path("node_modules")).unwrap();
        let programs = [(installed("python/bin/python"), "shop.py"), ("node".into(), "shop.mjs")];
        for (program, file) in programs {
            let mut command = std::process::Command::new(program);
            command.arg(file).current_dir(gateway.folder.path()).env("AUTHLIB_INSECURE_TRANSPORT", "1");
            let output = command.output().unwrap();
            let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert!(output.status.success() && token.split('.').count() == 3, "{kind} {file}: {output:?}");
        }
    }
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
