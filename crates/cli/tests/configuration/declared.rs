//! Each setting that is declared can be set by environment, is shown, and stands on the page.

use countersign_gateway::config::file::declared;
use countersign_gateway::config::overrides::variable;
use countersign_gateway::settings::declared::Default;

use super::{ROUTE, command, folder, said};

/// What `config show --json` says with these variables: `(setting, value, origin)`.
#[track_caller]
fn shown(text: &str, variables: &[(String, &str)]) -> Vec<(String, serde_json::Value, String)> {
    let folder = folder(text);
    let mut command = command(&folder, &["config", "show", "--origin", "--json"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let settings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let one = |setting: &serde_json::Value| {
        (text(&setting["setting"]), setting["value"].clone(), text(&setting["origin"]))
    };
    settings.iter().map(one).collect()
}

/// Every setting that has a variable of its own, and another value than its default.
const ELSEWHERE: &[(&str, &str)] = &[
    ("server.listen", "127.0.0.1:9001"),
    ("server.public_url", "https://bob.example"),
    ("server.admin_listen", "127.0.0.1:9002"),
    ("server.admin_token_file", "token"),
    ("server.management_socket", "other.sock"),
    ("server.tls.cert_file", "tls.pem"),
    ("server.tls.key_file", "tls.key"),
    ("server.plain_http", "true"),
    ("server.trusted_proxies", "10.0.0.0/8, 192.0.2.1"),
    ("server.drain_timeout", "31s"),
    ("store.url", "memory:"),
    ("store.timeout", "101ms"),
    ("store.seal_key_file", "other.key"),
    ("limits.max_head", "33KiB"),
    ("limits.max_headers", "101"),
    ("limits.max_signed_body", "2MiB"),
    ("limits.max_body", "3MiB"),
    ("limits.max_connections", "20001"),
    ("limits.max_streams", "101"),
    ("limits.http2_window", "128KiB"),
    ("limits.unproven", "600/min"),
    ("limits.nonces", "601/min"),
    ("limits.header_timeout", "11s"),
    ("limits.body_timeout", "31s"),
    ("limits.write_timeout", "61s"),
    ("limits.idle_timeout", "121s"),
    ("upstream.connect_timeout", "6s"),
    ("upstream.response_timeout", "61s"),
    ("upstream.stream_timeout", "6m"),
    ("upstream.idle_timeout", "5s"),
    ("upstream.max_idle", "257"),
    ("assertion.enabled", "false"),
    ("audit.file", "-"),
    ("audit.decisions", "false"),
    ("egress.ports", "443, 8443"),
    ("egress.ca_file", "ca.pem"),
    ("egress.allow_private", "10.1.0.0/16"),
    ("egress.allow_http_loopback", "true"),
    ("egress.idle_timeout", "2s"),
    ("webhook.callers", "https://alice.example, https://carol.example/hooks/auth"),
    ("webhook.permissions", "{ \"https://alice.example\" = [\"orders:read\"] }"),
    ("webhook.in_flight", "5"),
    ("signature.wallets", "true"),
    ("signature.web_bot_auth", "https://agent.example"),
    ("callback.max_body", "2MiB"),
    ("callback.max_ttl", "25h"),
    ("callback.strict", "true"),
    ("callback.secret_file", "callbacks.key"),
    ("bearer.dpop_nonces", "required"),
    ("bearer.max_token", "17KiB"),
    ("issuer.enabled", "true"),
    ("issuer.audience", "orders"),
    ("issuer.clients", "Ab3dEf6hIj9k"),
    ("issuer.wallets", "any"),
    ("issuer.access_ttl", "6m"),
    ("issuer.refresh_ttl", "31d"),
    ("issuer.rotate_every", "31d"),
    ("issuer.publish_before", "2h"),
    ("issuer.dpop_nonces", "required"),
    ("session.enabled", "true"),
    ("session.signup", "true"),
    ("session.handshake", "always"),
    ("session.key_bound", "true"),
    ("session.idle", "25h"),
    ("session.absolute", "31d"),
    ("session.dpop_nonces", "required"),
    ("cors.origins", "https://app.example"),
];

/// Lists of tables.
const TABLES: &[(&str, &str)] = &[
    (
        "bearer.issuer",
        r#"[{ issuer = "https://login.example", audience = "a", audience_claim = "client_id",
              jwks_uri = "https://login.example/keys", types = ["JWT"], id_tokens = true, names_keys = true,
              permissions_claim = "roles", permissions = { clerk = ["orders:read"] } },
            { issuer = "two", audience = ["b", "c"], jwks_file = "two.json" },
            { issuer = "three", audience = "a", hmac_secret_file = "three.key" }]"#,
    ),
    // For programs that write JSON.
    (
        "outbound",
        r#"[{"listen": "127.0.0.1:9101", "target": "https://carol.example",
             "prove": {"webhook": "https://bob.example/asked", "hash": "sha-256", "scope": "a b"}},
            {"listen": "127.0.0.1:9102", "target": "https://carol.example",
             "prove": {"key_file": "api.key", "bearer": true}},
            {"listen": "127.0.0.1:9103", "target": "https://carol.example",
             "prove": {"private_key_file": "key.pem", "key_id": "k1"}},
            {"listen": "127.0.0.1:9104", "target": "https://carol.example",
             "prove": {"hmac_secret_file": "hmac.key", "key_id": "k2"}},
            {"listen": "127.0.0.1:9105", "target": "https://carol.example",
             "prove": {"wallet_file": "wallet.json", "form": "erc8128", "password_file": "wallet.txt"}},
            {"listen": "127.0.0.1:9106", "target": "https://carol.example",
             "prove": {"token_file": "token", "dpop_key_file": "dpop.pem"}}]"#,
    ),
    (
        "route",
        r#"[{ path = "/a", upstream = "http://127.0.0.1:1", methods = ["GET", "POST"], anyone = true, limit = "1/s",
              accept = ["api-key", "asymmetric", "session"], pass_headers = ["X-Real-IP"], assertion = false,
              require = { permission = ["p", "q"], subject = ["key:k"], claim = { country = ["CH"] } },
              key_in_query = true, untagged = true, nonce = "rising", handshake = "always", key_bound = true },
            { path = "/p", upstream = "http://127.0.0.1:1", public = true },
            { path = "/r/{id}/{token}", upstream = "http://127.0.0.1:1", accept = ["callback-url"], strict = true }]"#,
    ),
];

/// What is told of the settings in them.
const WITHIN: &[(&str, &str)] = &[
    ("bearer.issuer.issuer", "https://login.example"),
    ("bearer.issuer.audience", "b, c"),
    ("bearer.issuer.audience_claim", "client_id"),
    ("bearer.issuer.jwks_uri", "https://login.example/keys"),
    ("bearer.issuer.jwks_file", "two.json"),
    ("bearer.issuer.hmac_secret_file", "three.key"),
    ("bearer.issuer.types", "JWT"),
    ("bearer.issuer.id_tokens", "true"),
    ("bearer.issuer.names_keys", "true"),
    ("bearer.issuer.permissions_claim", "roles"),
    ("bearer.issuer.permissions", "{ clerk = [\"orders:read\"] }"),
    ("outbound.listen", "127.0.0.1:9101"),
    ("outbound.target", "https://carol.example"),
    ("outbound.prove.webhook", "https://bob.example/asked"),
    ("outbound.prove.hash", "sha-256"),
    ("outbound.prove.scope", "a b"),
    ("outbound.prove.key_file", "api.key"),
    ("outbound.prove.bearer", "true"),
    ("outbound.prove.private_key_file", "key.pem"),
    ("outbound.prove.hmac_secret_file", "hmac.key"),
    ("outbound.prove.key_id", "k2"),
    ("outbound.prove.wallet_file", "wallet.json"),
    ("outbound.prove.form", "erc8128"),
    ("outbound.prove.password_file", "wallet.txt"),
    ("outbound.prove.token_file", "token"),
    ("outbound.prove.dpop_key_file", "dpop.pem"),
    ("route.path", "/r/{id}/{token}"),
    ("route.upstream", "http://127.0.0.1:1"),
    ("route.methods", "GET, POST"),
    ("route.accept", "api-key, asymmetric, session"),
    ("route.public", "true"),
    ("route.require.permission", "p, q"),
    ("route.require.subject", "key:k"),
    ("route.require.claim", "{ country = [\"CH\"] }"),
    ("route.anyone", "true"),
    ("route.limit", "1/s"),
    ("route.pass_headers", "X-Real-IP"),
    ("route.assertion", "false"),
    ("route.key_in_query", "true"),
    ("route.untagged", "true"),
    ("route.nonce", "rising"),
    ("route.handshake", "always"),
    ("route.key_bound", "true"),
    ("route.strict", "true"),
];

#[test]
fn every_setting_can_be_set_by_environment_and_is_shown_with_its_variable() {
    let variables: Vec<_> =
        ELSEWHERE.iter().chain(TABLES).map(|(path, text)| (variable(path), *text)).collect();
    let shown = shown("", &variables);
    for (path, field) in declared().settings() {
        let (value, origin) = match ELSEWHERE.iter().find(|(known, _)| *known == path) {
            Some((_, value)) => (value, variable(&path)),
            None => {
                let within = WITHIN.iter().find(|(known, _)| *known == path);
                let table = TABLES
                    .iter()
                    .find(|(table, _)| path.starts_with(table))
                    .map(|(table, _)| variable(table));
                (&within.unwrap_or_else(|| panic!("say another value of {path} here")).1, table.unwrap())
            }
        };
        assert_ne!(format!("`{value}`"), field.default.to_string(), "{path}: that is the default");
        let found = (path.clone(), (*value).into(), origin);
        assert!(shown.contains(&found), "{found:?} is not in {shown:#?}");
    }
}

#[test]
fn every_setting_is_shown_where_nothing_is_set() {
    let text = format!(
        "{ROUTE}accept = [\"api-key\"]\n[[bearer.issuer]]\nissuer = \"a\"\naudience = \"b\"\njwks_file = \"c\"\n\
         [[outbound]]\nlisten = \"127.0.0.1:0\"\ntarget = \"https://a.example\"\nprove = {{ key_file = \"k\" }}\n"
    );
    let shown = shown(&text, &[]);
    for (path, field) in declared().settings() {
        let (_, value, origin) =
            shown.iter().find(|(shown, ..)| *shown == path).unwrap_or_else(|| panic!("{path}"));
        if origin == "default"
            && let Default::Value(default) = &field.default
            && path != "store.url"
        {
            assert_eq!(
                value.as_str().unwrap().trim_matches(['[', ']']),
                default.replace('"', "").trim_matches(['[', ']']),
                "{path}"
            );
        }
    }
    let of = |path: &str| shown.iter().find(|(shown, ..)| shown == path).unwrap().1.clone();
    assert_eq!(of("limits.max_body"), serde_json::Value::Null);
    assert_eq!(of("server.public_url"), "http://127.0.0.1:8080");
}

#[test]
fn a_variable_takes_the_place_of_what_the_file_says_there() {
    let file = "[server]\ntls = { cert_file = \"a\", key_file = \"b\" }\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
                [[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:1\"\npublic = true\n";
    let with = |variables: &[(&str, &'static str)]| {
        let variables: Vec<_> = variables.iter().map(|(path, text)| (variable(path), *text)).collect();
        let shown = shown(file, &variables);
        move |path: &str| {
            let of = |(_, value, origin): &(_, serde_json::Value, String)| {
                format!("{} {origin}", value.as_str().unwrap_or("none"))
            };
            shown.iter().filter(|(shown, ..)| shown == path).map(of).collect::<Vec<_>>().join("; ")
        }
    };
    let shown = with(&[("server.tls.key_file", "c")]);
    assert_eq!(shown("server.tls.cert_file"), "a line 2");
    assert_eq!(shown("server.tls.key_file"), "c COUNTERSIGN_SERVER_TLS_KEY_FILE");
    let shown = with(&[("server.tls", "{ cert_file = 'd', key_file = 'e' }"), ("server.tls.key_file", "c")]);
    assert_eq!(shown("server.tls.cert_file"), "d COUNTERSIGN_SERVER_TLS");
    assert_eq!(shown("server.tls.key_file"), "c COUNTERSIGN_SERVER_TLS_KEY_FILE");
    for list in [
        "['192.0.2.1', '192.0.2.2']",
        "[\"192.0.2.1\", \"192.0.2.2\"]",
        "192.0.2.1,192.0.2.2",
        " 192.0.2.1 , 192.0.2.2 ",
    ] {
        let shown = with(&[("server.trusted_proxies", list)]);
        assert_eq!(
            shown("server.trusted_proxies"),
            "192.0.2.1, 192.0.2.2 COUNTERSIGN_SERVER_TRUSTED_PROXIES"
        );
    }
    for (value, shown) in [("0100", "100"), ("+7", "7"), ("1000", "1000")] {
        let told = with(&[("limits.max_headers", value)])("limits.max_headers");
        assert_eq!(told, format!("{shown} COUNTERSIGN_LIMITS_MAX_HEADERS"));
    }
    assert_eq!(with(&[("egress.ports", "0443,8443")])("egress.ports"), "443, 8443 COUNTERSIGN_EGRESS_PORTS");
    let shown = with(&[("server.trusted_proxies", "")]);
    assert_eq!(shown("server.trusted_proxies"), "[] COUNTERSIGN_SERVER_TRUSTED_PROXIES");
    let shown = with(&[("route", "[{ path = '/b', upstream = 'http://127.0.0.1:1', public = true }]")]);
    assert_eq!(shown("route.path"), "/b COUNTERSIGN_ROUTE");
}

#[test]
fn a_variable_that_cannot_be_is_named_whatever_it_sets() {
    for (path, value, sentence) in [
        ("limits.max_headers", "many", "`many` is no whole number"),
        ("limits.max_headers", "0", "limits.max_headers is from 1 to"),
        ("limits.max_headers", "-1", "`-1` is no whole number"),
        ("limits.max_headers", "0x10", "`0x10` is no whole number"),
        ("egress.ports", "443,-1", "`-1` is no whole number"),
        ("session.enabled", "yes", "`yes` is neither true nor false"),
        ("session.idle", "1s", "session.idle is from"),
        ("egress.ports", "443,many", "`many` is no whole number"),
        ("egress.ports", "443,70000", "70000"),
        ("server.trusted_proxies", "10.0.0.0/33", "no address or range"),
        ("server.trusted_proxies", "['10.0.0.0/8'", "unclosed array"),
        ("server.tls", "{ cert_file = 'a' }", "missing field `key_file`"),
        ("server.tls", "a.pem", ""),
        ("server.tls.cert_file", "a", "missing field `key_file`"),
        ("webhook.permissions", "{ 'https://a.example' = ['p'] }", "not among the callers"),
        ("issuer.wallets", "all", "40 hexadecimal digits"),
        ("route", "/a", ""),
        ("route", "[{ pth = '/a' }]", "unknown field `pth`"),
        ("route", "[{ path = '/a' }]", "missing field `upstream`"),
        ("route", "[{ path = '/a', upstream = 'http://127.0.0.1:1' }]", "neither what it accepts"),
        ("route", "[{ path = 'a', upstream = 'http://127.0.0.1:1', public = true }]", "begin with a slash"),
        ("bearer.issuer", "[{ issuer = 'https://a.example' }]", "name the audience that means us"),
        ("outbound", "[{ listen = 'a', target = 'b', prove = {} }]", "`prove` says nothing"),
    ] {
        let (folder, name) = (folder(""), variable(path));
        let output = command(&folder, &["config", "check"]).env(&name, value).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{path} {value} {said}");
        assert!(
            said.contains(sentence) && said.contains(&format!("(from the variable {name})")),
            "{value} {said}"
        );
    }
    for (name, meant) in [
        ("COUNTERSIGN_SESSION_ENABELD", "COUNTERSIGN_SESSION_ENABLED"),
        ("COUNTERSIGN_ROUTES", "COUNTERSIGN_ROUTE"),
        ("COUNTERSIGN_SERVER_TLS_CERT", "COUNTERSIGN_SERVER_TLS_CERT_FILE"),
    ] {
        let folder = folder("");
        let output = command(&folder, &["config", "check"]).env(name, "x").output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("no setting is called {name}")), "{said}");
        assert!(said.contains(&format!("did you mean `{meant}`?")), "{said}");
    }
}

/// The tables of docs/reference/configuration.md: each setting and its default.
fn documented() -> Vec<(String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut table = None;
    let mut settings = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.strip_prefix("`[").and_then(|name| name.split_once("]"));
            table = name.map(|(name, _)| name.trim_start_matches('['));
        }
        let (Some(table), Some(row)) = (table, line.strip_prefix("| `")) else { continue };
        let mut cells = row.split('|').map(str::trim);
        let (name, default) = (cells.next().unwrap(), cells.next().unwrap());
        settings.push((format!("{table}.{}", name.trim_end_matches('`')), default.to_owned()));
    }
    settings.sort();
    settings
}

#[test]
fn the_page_lists_the_settings_that_there_are_with_their_defaults() {
    let settings = declared().settings().into_iter();
    let mut declared: Vec<_> = settings.map(|(path, field)| (path, field.default.to_string())).collect();
    declared.sort();
    let documented = documented();
    let only = |these: &[(String, String)], those: &[(String, String)]| {
        these.iter().filter(|one| !those.contains(one)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(only(&declared, &documented), [], "declared, and not on the page");
    assert_eq!(only(&documented, &declared), [], "on the page, and not declared");
    assert_eq!(documented.len(), declared.len(), "a setting stands twice on the page");
}
