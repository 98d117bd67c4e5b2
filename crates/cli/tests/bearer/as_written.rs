//! Tokens, sets of keys and files as issuers, providers and editors write them.

use countersign::crypto::Algorithm;

use super::*;

/// An RSA key, and its public half as a JWK that names neither itself nor an algorithm.
struct Rsa {
    key: SigningKey,
    jwk: Value,
}

fn rsa() -> [Rsa; 2] {
    std::array::from_fn(|_| {
        let mut openssl = std::process::Command::new("openssl");
        let made = openssl
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .unwrap();
        let pem = String::from_utf8(made.stdout).unwrap();
        let key = SigningKey::from_pem(&pem, Some(Algorithm::RsaV15Sha256)).unwrap();
        let jwk = serde_json::from_str(&key.verifying_key().to_jwk().unwrap()).unwrap();
        Rsa { key, jwk }
    })
}

/// A gateway whose issuer's keys are in a file with this text.
fn lab(before: &str, issuer: &str, more: &str, jwks: &str) -> (Gateway, Echo) {
    let echo = Echo::start();
    let text = configuration(&echo, issuer, &format!("jwks_file = \"jwks.json\"\n{more}"));
    let mut gateway = Gateway::new(&format!("{before}\n{text}"));
    std::fs::write(gateway.path("jwks.json"), jwks).unwrap();
    gateway.start();
    (gateway, echo)
}

fn jwks() -> String {
    format!("{{\"keys\":[{}]}}", key().verifying_key().to_jwk().unwrap())
}

/// As long as a token of somebody in 200 groups.
fn long_token(groups: usize) -> String {
    let group = |number| format!("{number:08x}-0000-4000-8000-00000000aaaa");
    signed("at+jwt", &claims(&json!({ "groups": (0..groups).map(group).collect::<Vec<_>>() })))
}

/// The cause of the last refusal, as the operator reads it.
fn told(gateway: &Gateway, status: u16, code: &str, answer: &Response) -> String {
    answer.is(status, code);
    gateway.explain_latest().to_string()
}

#[test]
fn a_token_of_two_hundred_groups_passes_by_http_1_and_http_2_with_and_without_a_proof() {
    let (gateway, echo) = lab("", ISSUER, "", &jwks());
    let token = long_token(200);
    assert!((10_500..12_000).contains(&token.len()), "{}", token.len());
    assert_eq!(get(&gateway, "/orders/1", &token).status, 200);
    let url = format!("http://{}/orders/2", gateway.address);
    let mut curl = std::process::Command::new("curl");
    let curl =
        curl.args(["-s", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-o", "/dev/null"]);
    let answer = curl.args(["-H", &format!("Authorization: Bearer {token}"), &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "2 200");
    assert_eq!(echo.seen().len(), 2);
    assert!(echo.seen().iter().all(|seen| seen.header("authorization").is_none()));

    let holder = SigningKey::from(Ed25519Key::from_seed(Secret::new([8; 32])));
    let group = |number: usize| format!("{number:036}");
    let bound = claims(&json!({
        "cnf": { "jkt": holder.verifying_key().thumbprint().unwrap() },
        "groups": (0..200).map(group).collect::<Vec<_>>(),
    }));
    let token = signed("at+jwt", &bound);
    let proof = countersign_testing::oauth::proof(&holder, "GET", &url, Some(&token));
    assert_eq!(get_with_proof(&gateway, "/orders/2", &token, &proof).status, 200);
    assert_secret(&gateway, &[&token]);
}

#[test]
fn max_token_bounds_a_token_and_the_operator_learns_its_length() {
    let (gateway, _echo) = lab("", ISSUER, "", &jwks());
    let token = long_token(310);
    assert!((16_385..20_000).contains(&token.len()), "{}", token.len());
    let told_why = told(&gateway, 401, "token_invalid", &get(&gateway, "/orders/1", &token));
    assert!(
        told_why.contains(&format!("it has {} bytes, and max_token is 16384", token.len())),
        "{told_why}"
    );
    let (wide, _echo) = lab("[bearer]\nmax_token = \"20KiB\"", ISSUER, "", &jwks());
    assert_eq!(get(&wide, "/orders/1", &token).status, 200);
    let (narrow, _echo) = lab("[bearer]\nmax_token = \"1KiB\"", ISSUER, "", &jwks());
    get(&narrow, "/orders/1", &token).is(401, "token_invalid");
    assert_eq!(get(&narrow, "/orders/1", &signed("at+jwt", &claims(&json!({})))).status, 200);
    assert_secret(&gateway, &[&token]);
}

#[test]
fn an_access_token_of_cognito_passes_by_its_client_id() {
    let more = "types = [\"\"]\naudience_claim = \"client_id\"\npermissions_claim = \"cognito:groups\"\n\
                permissions = { staff = [\"orders:read\"] }";
    let echo = Echo::start();
    let text = configuration(&echo, ISSUER, &format!("jwks_file = \"jwks.json\"\n{more}"));
    let mut gateway = Gateway::new(&text.replace("\"orders\"", "\"shop\""));
    std::fs::write(gateway.path("jwks.json"), jwks()).unwrap();
    gateway.start();
    let token = |changes: Value| {
        let mut claims = claims(&json!({
            "token_use": "access", "scope": "openid", "cognito:groups": ["staff"], "username": "alice",
        }));
        let members = claims.as_object_mut().unwrap();
        members.remove("aud");
        members.extend(changes.as_object().unwrap().clone());
        sign(&key(), &JwtHeader::default(), &claims).unwrap()
    };
    assert_eq!(get(&gateway, "/orders/1", &token(json!({}))).status, 200);
    assert_eq!(echo.seen().len(), 1);
    for (changes, code) in [
        (json!({ "client_id": "another" }), "token_audience"),
        (json!({ "client_id": null }), "token_claims"),
        (json!({ "aud": "another" }), "token_audience"),
    ] {
        get(&gateway, "/orders/1", &token(changes)).is(401, code);
    }
    assert!(
        told(
            &gateway,
            401,
            "token_audience",
            &get(&gateway, "/orders/1", &token(json!({ "client_id": "x" })))
        )
        .contains("client_id is not shop")
    );
}

#[test]
fn two_rsa_keys_and_a_token_that_names_neither() {
    let [one, other] = rsa();
    let named = |rsa: &Rsa, name: &str| {
        let mut jwk = rsa.jwk.clone();
        (jwk["kid"], jwk["use"]) = (name.into(), "sig".into());
        jwk
    };
    let set = json!({ "keys": [named(&one, "a/../%2e"), named(&other, "b\u{e9}\"")] });
    // As a file really ends.
    for end in ["\n", "\r\n", ""] {
        let (gateway, _echo) = lab("", ISSUER, "types = [\"JWT\"]", &format!("{set}{end}"));
        let token = |key: &SigningKey, kid: Option<&str>| {
            let header = JwtHeader { typ: Some("JWT"), kid, jwk: None };
            sign(key, &header, &claims(&json!({}))).unwrap()
        };
        for (key, kid) in [(&one.key, "a/../%2e"), (&other.key, "b\u{e9}\"")] {
            assert_eq!(get(&gateway, "/orders/1", &token(key, None)).status, 200);
            assert_eq!(get(&gateway, "/orders/1", &token(key, Some(kid))).status, 200);
        }
        get(&gateway, "/orders/1", &token(&one.key, Some("b\u{e9}\""))).is(401, "token_invalid");
        get(&gateway, "/orders/1", &token(&one.key, Some("c"))).is(401, "token_invalid");
        // The alg of a header makes no signature another.
        let good = token(&one.key, None);
        let (_, rest) = good.split_once('.').unwrap();
        for alg in ["RS384", "RS512", "PS256", "PS512", "HS256", "none"] {
            let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{alg}\",\"typ\":\"JWT\"}}"));
            get(&gateway, "/orders/1", &format!("{header}.{rest}")).is(401, "token_invalid");
        }
        assert!(
            told(
                &gateway,
                401,
                "token_invalid",
                &get(&gateway, "/orders/1", &signed("JWT", &claims(&json!({}))))
            )
            .contains("of another algorithm than the token says")
        );
    }
}

#[test]
fn explain_says_which_key_of_a_set_was_left_out_and_why() {
    let [one, other] = rsa();
    let mut broken = other.jwk.clone();
    (broken["kid"], broken["e"]) = ("broken".into(), "AQAB=".into());
    let mut encrypts = other.jwk;
    (encrypts["kid"], encrypts["use"]) = ("encrypts".into(), "enc".into());
    let set = json!({ "keys": [one.jwk, broken, encrypts, { "kty": "EC", "crv": "P-521", "kid": "curve" }] });
    let (mut gateway, _echo) = lab("", ISSUER, "", &set.to_string());
    let refused = |kid: Option<&str>| {
        let header = JwtHeader { typ: Some("at+jwt"), kid, jwk: None };
        let token = sign(&other.key, &header, &claims(&json!({}))).unwrap();
        told(&gateway, 401, "token_invalid", &get(&gateway, "/orders/1", &token))
    };
    for (kid, why) in [
        ("broken", "key 2, \\\"broken\\\": this is not a JWK: a member is not base64url"),
        ("encrypts", "key 3, \\\"encrypts\\\": this JWK is not for signatures"),
        ("curve", "key 4, \\\"curve\\\": this is a key of a kind that is not taken here: EC P-521"),
    ] {
        let told = refused(Some(kid));
        assert!(told.contains(why), "{told}");
        let all = refused(None);
        assert!(all.contains("left out of its set") && all.contains(kid), "{all}");
    }
    // Where no key is left, the gateway says so and does not start.
    gateway.stop();
    std::fs::write(gateway.path("jwks.json"), json!({ "keys": [set["keys"][1]] }).to_string()).unwrap();
    let refused = gateway.refuses_to_start(&[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no key in it verifies tokens") && said.contains("not base64url"), "{said}");
}

#[test]
fn an_issuer_that_is_no_url_passes_where_its_keys_are_on_file() {
    for issuer in ["accounts.google.com", "https://login.example/{tid}/v2.0", "urn:example:orders"] {
        let (gateway, echo) = lab("", issuer, "", &jwks());
        assert_eq!(
            get(&gateway, "/orders/1", &signed("at+jwt", &claims(&json!({ "iss": issuer })))).status,
            200
        );
        assert_eq!(echo.last().header("countersign-subject"), Some(&*format!("{issuer}#alice")));
        let slash = signed("at+jwt", &claims(&json!({ "iss": format!("{issuer}/") })));
        let told = told(&gateway, 401, "token_invalid", &get(&gateway, "/orders/1", &slash));
        assert!(
            told.contains(&format!("{issuer}/")) && told.contains("is not among bearer.issuer"),
            "{told}"
        );
    }
}

#[test]
fn a_shared_secret_is_what_was_typed_without_the_line_break_behind_it() {
    let secret = "correct horse battery staple and more";
    let key = SigningKey::from_hmac_secret(&Secret::new(secret.as_bytes().to_vec())).unwrap();
    for end in ["\n", "\r\n", ""] {
        let echo = Echo::start();
        let mut gateway = Gateway::new(&configuration(&echo, "joe", "hmac_secret_file = \"secret\""));
        std::fs::write(gateway.path("secret"), format!("{secret}{end}")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(gateway.path("secret"), mode).unwrap();
        gateway.start();
        let header = JwtHeader { typ: Some("at+jwt"), kid: None, jwk: None };
        let token = sign(&key, &header, &claims(&json!({ "iss": "joe" }))).unwrap();
        assert_eq!(get(&gateway, "/orders/1", &token).status, 200, "{end:?}");
    }
}

#[test]
fn roles_of_a_client_whose_name_has_dots_are_asked_for_however_the_file_writes_it() {
    let echo = Echo::start();
    let route = |path: &str, claim: &str| {
        format!(
            "[[route]]\npath = \"{path}\"\nupstream = \"{}\"\naccept = [\"bearer\"]\nrequire = {{ claim = {{ {claim} }} }}\n",
            echo.url()
        )
    };
    let routes = [
        route("/literal", "'resource_access.\"my.app\".roles' = [\"clerk\"]"),
        route("/escaped", "\"resource_access.\\\"my.app\\\".roles\" = [\"clerk\"]"),
        route("/toml", "resource_access.\"my.app\".roles = [\"boss\", \"clerk\"]"),
        route("/other", "resource_access.\"my.other\".roles = [\"clerk\"]"),
        route("/unquoted", "'resource_access.my.app.roles' = [\"clerk\"]"),
        route("/values", "email_verified = [true], level = [3], city = [\"New York\"]"),
        route("/word", "city = [\"New\"]"),
        route("/groups", "'cognito:groups' = [\"staff\"]"),
        route("/namespaced", "'https://shop.example/roles' = [\"clerk\"]"),
    ];
    let more = "permissions_claim = 'resource_access.\"my.app\".roles'\n\
                permissions = { clerk = [\"orders:read\"] }";
    let text = configuration(&echo, ISSUER, &format!("jwks_file = \"jwks.json\"\n{more}"));
    let mut gateway = Gateway::new(&format!("{text}{}", routes.concat()));
    std::fs::write(gateway.path("jwks.json"), jwks()).unwrap();
    gateway.start();
    let token = |roles: &[&str]| {
        signed(
            "at+jwt",
            &claims(&json!({
                "scope": null, "resource_access": { "my.app": { "roles": roles }, "my": { "app": {} } },
                "email_verified": true, "level": 3, "city": "New York", "cognito:groups": ["staff"],
                "https://shop.example/roles": ["clerk"],
            })),
        )
    };
    let clerk = token(&["clerk"]);
    for path in ["/orders/1", "/literal", "/escaped", "/toml", "/values", "/groups", "/namespaced"] {
        assert_eq!(get(&gateway, path, &clerk).status, 200, "{path}");
    }
    for path in ["/other", "/unquoted", "/word"] {
        get(&gateway, path, &clerk).is(403, "permission_missing");
    }
    for path in ["/orders/1", "/literal", "/escaped"] {
        get(&gateway, path, &token(&["guest"])).is(403, "permission_missing");
    }
    let told = told(&gateway, 403, "permission_missing", &get(&gateway, "/other", &clerk));
    assert!(told.contains("my.other"), "{told}");
}

#[test]
fn types_and_dates_are_read_as_they_are_written_and_no_other_way() {
    let (gateway, _echo) = lab("", ISSUER, "types = [\"application/JWT\", \"\"]", &jwks());
    let seconds = now();
    let bare = |changes: Value| sign(&key(), &JwtHeader::default(), &claims(&changes)).unwrap();
    for token in [
        signed("JWT", &claims(&json!({}))),
        signed("application/jwt", &claims(&json!({}))),
        bare(json!({})),
        bare(json!({ "exp": seconds as f64 + 60.5, "iat": seconds as f64 - 0.25, "nbf": seconds as f64 })),
        bare(json!({ "aud": ["https://other.example", "orders"] })),
        bare(json!({ "scope": ["orders:read", "email"] })),
    ] {
        assert_eq!(get(&gateway, "/orders/1", &token).status, 200, "{token}");
    }
    get(&gateway, "/orders/1", &signed("at+jwt", &claims(&json!({})))).is(401, "token_type");
    for changes in [
        json!({ "exp": (seconds + 60).to_string() }),
        json!({ "iat": seconds.to_string() }),
        json!({ "nbf": "1700000000.0" }),
        json!({ "scope": ["orders:read", 7] }),
    ] {
        get(&gateway, "/orders/1", &bare(changes)).is(401, "token_claims");
    }
}

#[test]
fn a_proof_s_url_is_compared_in_its_normal_form_and_counts_once() {
    let (gateway, echo) = lab("", ISSUER, "", &jwks());
    let holder = SigningKey::from(Ed25519Key::from_seed(Secret::new([8; 32])));
    let jkt = holder.verifying_key().thumbprint().unwrap();
    let token = signed("at+jwt", &claims(&json!({ "cnf": { "jkt": jkt } })));
    let port = gateway.address.port();
    let send = |path: &str, htu: &str| {
        let proof = countersign_testing::oauth::proof(&holder, "GET", htu, Some(&token));
        (get_with_proof(&gateway, path, &token, &proof), proof)
    };
    let mut passed = 0;
    for (path, htu) in [
        ("/orders/~a%3Ab", "/orders/%7Ea%3ab"),
        ("/orders/~a%3Ab", "/orders/%7ea%3Ab?page=2#top"),
        ("/orders/%7Ea%3ab", "/orders/~a%3Ab"),
        ("/orders/1?page=2", "/%6Frders/1"),
        ("/orders/1", "/x/../orders/./1"),
    ] {
        for scheme in ["http", "HTTP"] {
            let (answer, proof) = send(path, &format!("{scheme}://127.0.0.1:0{port}{htu}"));
            assert_eq!(answer.status, 200, "{htu} for {path}");
            get_with_proof(&gateway, path, &token, &proof).is(401, "dpop_invalid");
            passed += 1;
            assert_eq!(echo.seen().len(), passed);
            assert!(echo.last().request_line().contains(path), "the bytes go on as they came");
        }
    }
    for (path, htu) in [
        ("/orders/a%3Ab", "/orders/a:b"),
        ("/orders/1", "/orders%2F1"),
        ("/orders/1", "/orders/%2531"),
        ("/orders/1", "/Orders/1"),
        ("/orders/1", "/orders/1/"),
        ("/orders/1", "/orders/1/.."),
    ] {
        send(path, &format!("http://127.0.0.1:{port}{htu}")).0.is(401, "dpop_invalid");
    }
    for origin in ["https://127.0.0.1", "http://127.0.0.1:80", "http://x@127.0.0.1", "http://127.0.0.1.evil"]
    {
        let with_port = if origin.ends_with(":80") { origin.to_owned() } else { format!("{origin}:{port}") };
        send("/orders/1", &format!("{with_port}/orders/1")).0.is(401, "dpop_invalid");
    }
    // Dot segments never arrive, whatever a proof says of them.
    for path in ["/x/../orders/1", "/x/%2e%2e/orders/1"] {
        send(path, &format!("http://127.0.0.1:{port}/orders/1")).0.is(400, "path_ambiguous");
    }
    assert_eq!(echo.seen().len(), passed);
}

#[test]
fn what_the_file_says_of_tokens_and_cannot_be_is_found_before_a_port_is_bound() {
    let echo = Echo::start();
    let gateway = Gateway::new("");
    let file = "jwks_file = \"jwks.json\"";
    for (before, issuer, more, expected) in [
        ("[bearer]\nmax_token = \"512\"", ISSUER, "", "bearer.max_token is from 1KiB to 1MiB"),
        ("[bearer]\nmax_token = \"2MiB\"", ISSUER, "", "bearer.max_token is from 1KiB to 1MiB"),
        ("[bearer]\nmax_token = \"64KiB\"", ISSUER, "", "lets no such token in"),
        ("[bearer]\nmax_token = \"lots\"", ISSUER, "", "is no size"),
        ("", ISSUER, "audience_claim = \"a..b\"", "has a name"),
        ("", ISSUER, "permissions_claim = 'a.\"b'", "quotes are around a whole member"),
        ("", ISSUER, "permissions_claim = \"\"", "has a name"),
        ("", ISSUER, "types = [\"application/callback+jwt\"]", "something else than access tokens"),
        ("", "accounts.google.com", "", "or say where its keys are"),
        ("", "a#b", file, "visible characters of ASCII, without #"),
        ("", "a b", file, "visible characters of ASCII, without #"),
        ("", "", file, "visible characters of ASCII, without #"),
    ] {
        gateway.configure("", &format!("{before}\n{}", configuration(&echo, issuer, more)));
        let output = gateway.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{before} {issuer} {more}: {said}");
    }
    for (claim, expected) in [
        ("a = []", "the claim `a` accepts no value"),
        ("a.b = {}", "the claim `a` accepts no value"),
        ("a = \"CH\"", "wants a list of the values"),
        ("'a..b' = [\"CH\"]", "has a name"),
    ] {
        let text = configuration(&echo, ISSUER, file).replace("client_id = [\"shop\"]", claim);
        gateway.configure("", &text);
        let output = gateway.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{claim}: {said}");
    }
    let wide = "[limits]\nmax_head = \"128KiB\"\n[bearer]\nmax_token = \"64KiB\"";
    gateway.configure("", &format!("{wide}\n{}", configuration(&echo, ISSUER, file)));
    let shown = gateway.run(&["config", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("bearer.max_token") && shown.contains("64KiB"), "{shown}");
    let schema = gateway.run(&["config", "schema"]);
    assert!(String::from_utf8_lossy(&schema.stdout).contains("audience_claim"));
}
