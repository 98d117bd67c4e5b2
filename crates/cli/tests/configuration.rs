//! What is wrong with a configuration is said with its line, a caret and a way out, before anything
//! is opened.

#[path = "configuration/declared.rs"]
mod declared;

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use countersign_gateway::config::{Overrides, load};
use countersign_testing::{Echo, Gateway, countersign};
use tempfile::TempDir;

const ROUTE: &str = "[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:1\"\n";

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("countersign.toml"), text).unwrap();
    folder
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = countersign(arguments);
    command.current_dir(folder.path());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asserts that `text` is refused with exit code 2, nothing opened, and all of `lines` said.
#[track_caller]
fn refused(text: &str, lines: &[&str]) {
    let folder = folder(text);
    for arguments in [&["config", "check"][..], &["serve"]] {
        let output = command(&folder, arguments).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{text}\n{said}");
        for line in lines {
            assert!(said.contains(line), "{line:?} is not in\n{said}");
        }
        assert!(!said.contains('\u{1b}'), "colours in a pipe: {said}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["countersign.toml"], "nothing is opened or made");
}

#[test]
fn unknown_names_are_shown_with_what_was_meant() {
    let text = "[server]\nlissen = \"127.0.0.1:1\"\n";
    refused(
        text,
        &[
            "unknown field `lissen`",
            "--> countersign.toml:2:1",
            "2 | lissen",
            "^^^^^^",
            "did you mean `listen`?",
        ],
    );
    let text = format!("{ROUTE}accept = [\"api-key\"]\nrequire = {{ permisson = [\"a\"] }}\n");
    refused(&text, &["unknown field `permisson`", "countersign.toml:5:13", "did you mean `permission`?"]);
    refused("[sevrer]\n", &["unknown field `sevrer`", "countersign.toml:1:2", "did you mean `server`?"]);
    let text = format!("{ROUTE}accept = [\"apikey\"]\n");
    refused(&text, &["no scheme is called `apikey`", "toml:4:11", "^^^^^^^^", "did you mean `api-key`?"]);
    let text = format!("{ROUTE}accept = [\"xyzzy\"]\n");
    refused(&text, &["no scheme is called `xyzzy`", "there are ", "api-key"]);
}

#[test]
fn wrong_types_and_broken_toml_are_shown_where_they_are() {
    refused("[server]\nlisten = 5\n", &["expected a string", "countersign.toml:2:10", "2 | listen = 5", "^"]);
    for (text, place) in [
        ("server = 5\n", "1:10"),
        ("[server]\ntls = \"a.pem\"\n", "2:7"),
        ("outbound = [\"a\"]\n", "1:13"),
        ("route = [5]\n", "1:10"),
        ("issuer = true\n", "1:10"),
    ] {
        refused(text, &["invalid type: ", "expected a table", &format!("countersign.toml:{place}")]);
    }
    refused("route = 5\n", &["invalid type: integer, expected a list of tables", "countersign.toml:1:9"]);
    refused("[route]\npath = \"/a\"\n", &["invalid type: table, expected a list of tables"]);
    refused("[server\n", &["countersign.toml:1:8", "unclosed table"]);
    refused("[server]\nlisten = \"a\"\nlisten = \"b\"\n", &["duplicate key", "countersign.toml:3:1"]);
    refused(&format!("{ROUTE}public = \"yes\"\n"), &["expected a boolean", "countersign.toml:4:10"]);
    refused(
        "[[route]]\npath = \"/a\"\npublic = true\n",
        &["missing field `upstream`", "countersign.toml:1:1"],
    );
}

#[test]
fn a_list_is_no_table_whose_fields_have_no_names() {
    let prove = "{ key_file = \"k\", typo = 1 }";
    for (text, found) in [
        (format!("outbound = [[\"127.0.0.1:9100\", \"https://x\", {prove}]]\n"), "expected a table"),
        (
            format!("[[outbound]]\nlisten = \"127.0.0.1:9100\"\ntarget = \"https://x\"\nprove = {prove}\n"),
            "unknown field `typo`",
        ),
        ("[server]\ntls = [\"a.pem\", \"b.pem\"]\n".to_owned(), "expected a table"),
        ("cors = [[\"https://app.example\"]]\n".to_owned(), "expected a table"),
        (format!("{ROUTE}accept = [\"api-key\"]\nrequire = [[\"a\"]]\n"), "expected a table"),
        ("route = [[\"/a\", \"http://127.0.0.1:1\"]]\n".to_owned(), "expected a table"),
        (
            "[issuer]\nclients = [[\"shop\", \"a.pem\"]]\n".to_owned(),
            "a client is an id or a table, and no array",
        ),
    ] {
        refused(&text, &[found]);
    }
}

#[test]
fn values_that_cannot_be_are_shown_all_at_once() {
    let text = "[server]\nlisten = \"localhost\"\nadmin_listen = \"127.0.0.1\"\n\
                [limits]\nmax_body = \"1MB\"\nmax_connections = 0\nunproven = \"5\"\nheader_timeout = \"0s\"\n\
                [upstream]\nconnect_timeout = \"fast\"\n";
    refused(
        text,
        &[
            "`localhost` is no address and port: write 127.0.0.1:8080",
            "countersign.toml:2:10",
            "`127.0.0.1` is no address and port",
            "countersign.toml:3:16",
            "`1MB` is no size",
            "countersign.toml:5:12",
            "limits.max_connections is from 1 to",
            "countersign.toml:6:19",
            "a rate is a whole number above 0",
            "countersign.toml:7:12",
            "limits.header_timeout cannot be zero",
            "countersign.toml:8:18",
            "`fast` is no duration: write a whole number and ms, s, m, h or d",
            "countersign.toml:10:19",
        ],
    );
    refused("[server]\npublic_url = \"ftp://x\"\n", &["neither https nor http", "countersign.toml:2:14"]);
    refused("[server]\ndrain_timeout = \"30\"\n", &["`30` is no duration", "countersign.toml:2:17"]);
    refused("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", &["no address or range", "toml:2:20"]);
    for number in ["9223372036854775807", "-1"] {
        for setting in
            ["limits.max_connections", "limits.max_headers", "limits.max_streams", "upstream.max_idle"]
        {
            let (section, name) = setting.split_once('.').unwrap();
            refused(&format!("[{section}]\n{name} = {number}\n"), &["countersign.toml:2:"]);
        }
    }
}

#[test]
fn a_header_that_is_ours_cannot_be_named_to_pass() {
    for (name, why) in [
        ("Countersign-Subject", "ours to say"),
        ("countersign.anything", "ours to say"),
        ("X-Forwarded-For", "is forwarded is ours"),
        ("x_forwarded_user", "is forwarded is ours"),
        ("Forwarded", "is forwarded is ours"),
        ("Content-Length", "frames a message"),
        ("Transfer-Encoding", "frames a message"),
        ("Connection", "next hop alone"),
        ("Host", "by its own name"),
        ("X-HTTP-Method-Override", "another request"),
        ("X-Original-URL", "another request"),
        ("X Real IP", "no name of a header"),
        ("", "no name of a header"),
    ] {
        let text = format!("{ROUTE}public = true\npass_headers = [\"X-Real-IP\", \"{name}\"]\n");
        refused(&text, &[&format!("`{name}`"), why, "countersign.toml:5:30", "^"]);
    }
    let text = format!("{ROUTE}public = true\npass_headers = [\"X-Real-IP\", \"x-real-ip\"]\n");
    refused(&text, &["is there twice", "countersign.toml:5:30"]);
    refused(&format!("{ROUTE}public = true\npass_headers = []\n"), &["`pass_headers` is empty"]);
}

#[test]
fn routes_that_cannot_be_are_shown() {
    let route = |path: &str, upstream: &str, rest: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"{upstream}\"\n{rest}\n")
    };
    let fine = "http://127.0.0.1:1";
    for (path, sentence) in [
        ("a", "does not begin with a slash"),
        ("/a*", "`*` stands alone at the end"),
        ("/{a}/{a}", "is there twice"),
        ("/a/../b", "no request can have the path"),
        ("/a%20b", "no request can have the path `/a%20b`: an upstream that decodes"),
        ("/a;b/*", "write `{name}` for such a segment"),
    ] {
        refused(&route(path, fine, "public = true"), &[sentence, "countersign.toml:2:8"]);
    }
    for (upstream, sentence) in [
        ("https://x", "https to upstreams is not in this version yet; write http://host:port"),
        ("127.0.0.1:1", "write http://host:port"),
        ("http://x/api", "paths are forwarded byte for byte"),
        ("http://a:b@x", "user information is not sent"),
    ] {
        refused(&route("/a", upstream, "public = true"), &[sentence, "countersign.toml:3:12"]);
    }
    for (rest, sentence, place) in [
        ("public = true\nmethods = [\"get\"]", "methods are written in capitals", ":5:12"),
        ("public = true\nmethods = [\"TRACE\"]", "TRACE is never served", ":5:12"),
        ("public = true\nmethods = []", "`methods` is empty", ":2:8"),
        ("accept = []", "`accept` is empty", ":4:10"),
        ("accept = [\"api-key\"]\npublic = true", "either public or accepts schemes", ":4:10"),
        ("public = true\nrequire = { permission = [\"a\"] }", "a public route asks nobody", ":2:8"),
        ("public = true\nkey_in_query = true", "a public route asks nobody", ":2:8"),
        ("public = true\nlimit = \"1/s\"", "a public route has no subjects", ":5:9"),
        ("accept = [\"api-key\"]\nlimit = \"fast\"", "a rate is a whole number", ":5:9"),
        ("accept = [\"api-key\"]\nrequire = { permission = [] }", "`permission` is empty", ":5:26"),
        (
            "accept = [\"api-key\"]\nrequire = { claim = { a = [] } }",
            "the claim `a` accepts no value",
            ":2:8",
        ),
        ("", "neither what it accepts nor that it is public", ":1:1"),
    ] {
        refused(&route("/a", fine, rest), &[sentence, place]);
    }
    refused(&route("/a", fine, ""), &["write `accept = [\"api-key\"]`, or `public = true`"]);
    let tie = route("/{a}/x", fine, "public = true") + &route("/{b}/x", fine, "public = true");
    refused(&tie, &["this route and `/{a}/x` serve the same path and method", "countersign.toml:6:8"]);
}

#[test]
fn an_upstream_is_never_one_of_our_own_listeners() {
    for host in [
        "127.0.0.1:8080",
        "localhost:8080",
        "LOCALHOST.:8080",
        "0.0.0.0:8080",
        "[::ffff:127.0.0.1]:8080",
        "127.0.0.1:8081",
    ] {
        let text = format!(
            "[server]\nadmin_listen = \"127.0.0.1:8081\"\n[[route]]\npath = \"/a\"\nupstream = \"http://{host}\"\npublic = true\n"
        );
        refused(&text, &["the upstream is one of our own listeners", "countersign.toml:5:12"]);
    }
    let other = folder("[[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:8082\"\npublic = true\n");
    assert!(command(&other, &["config", "check"]).status().unwrap().success());
}

#[test]
fn how_long_others_may_take_and_how_much_they_are_asked_has_bounds() {
    refused("[webhook]\nin_flight = 3\n", &["webhook.in_flight is from 4 to 32", "countersign.toml:2:13"]);
    refused("[webhook]\nin_flight = 33\n", &["webhook.in_flight is from 4 to 32"]);
    refused("[store]\ntimeout = \"0s\"\n", &["store.timeout cannot be zero", "countersign.toml:2:11"]);
    refused("[store]\ntimeout = \"soon\"\n", &["`soon` is no duration"]);
    refused("[egress]\nidle_timeout = \"1.5s\"\n", &["`1.5s` is no duration", "countersign.toml:2:16"]);
    let folder = folder("[egress]\nidle_timeout = \"0s\"\n[webhook]\nin_flight = 32\n");
    let output = command(&folder, &["config", "show"]).output().unwrap();
    for line in ["egress.idle_timeout", "0s", "webhook.in_flight", "32", "store.timeout", "100ms"] {
        assert!(said(&output).contains(line), "{line}: {}", said(&output));
    }
}

#[test]
fn what_is_not_safe_beyond_loopback_is_refused() {
    let text = "[server]\nlisten = \"0.0.0.0:8080\"\npublic_url = \"https://a.example\"\n";
    refused(
        text,
        &["0.0.0.0:8080 is not loopback, and there is no server.tls", "toml:2:10", "plain_http = true"],
    );
    let text = "[server]\nlisten = \"0.0.0.0:8080\"\nplain_http = true\n";
    refused(text, &["server.public_url is needed", "countersign.toml:2:10"]);
    let text = "[store]\nurl = \"redis://127.0.0.1\"\n";
    refused(text, &["a Redis store needs store.seal_key_file", "countersign.toml:2:7", "chmod 600 seal.key"]);
    let text = format!("[server]\nmanagement_socket = \"{}\"\n", "a".repeat(120));
    refused(&text, &["the management socket is longer than 107 bytes", "countersign.toml:2:21"]);
    // Beside the store it would be too long, and in the folder for temporary files too.
    let deep = folder(&format!("[store]\nurl = \"redb:{}/store.redb\"\n", "a".repeat(120)));
    let check = |temporary: &str| {
        let output = command(&deep, &["config", "check"]).env("TMPDIR", temporary).output().unwrap();
        (output.status.code(), said(&output))
    };
    assert_eq!(check("/tmp").0, Some(0));
    let (status, said) = check(&format!("/{}", "t".repeat(120)));
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("the management socket is longer than 107 bytes: /tttt"), "{said}");
}

#[test]
fn a_sealing_key_that_others_can_read_is_not_used() {
    let gateway = Gateway::new("[store]\nseal_key_file = \"k\"\n");
    let key = gateway.path("k");
    std::fs::write(&key, [1; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("can be read by others (mode 644): run `chmod 600 "), "{said}");
    std::fs::remove_file(&key).unwrap();
    let output = gateway.refuses_to_start(&[]);
    assert_eq!(output.status.code(), Some(2), "one that was named is not made");
}

#[test]
fn a_missing_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder, &["serve"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`countersign init` writes one"), "{}", said(&output));
}

#[test]
fn a_flag_counts_more_than_a_variable_and_a_variable_more_than_the_file() {
    let folder = folder(
        "[server]\nlisten = \"127.0.0.1:1\"\nplain_http = true\n[audit]\ndecisions = false\n\
         [[route]]\npath = \"/a\"\nupstream = \"http://127.0.0.1:9\"\naccept = [\"api-key\"]\n\
         require = { permission = [\"p\", \"q\"] }\n",
    );
    let show = |variable: Option<&str>, flag: Option<&str>| {
        let mut arguments = vec!["config", "show", "--origin"];
        arguments.extend(flag.iter().flat_map(|flag| ["--listen", flag]));
        let mut command = command(&folder, &arguments);
        if let Some(value) = variable {
            command.env("COUNTERSIGN_SERVER_LISTEN", value);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let shown = said(&output);
        move |setting: &str| {
            let line = shown.lines().find(|line| line.split(' ').next() == Some(setting));
            line.unwrap_or_else(|| panic!("{setting} is not in\n{shown}"))[setting.len()..].trim().to_owned()
        }
    };
    let shown = show(None, None);
    assert_eq!(shown("server.listen"), "127.0.0.1:1  (line 2)");
    assert_eq!(shown("server.plain_http"), "true  (line 3)");
    assert_eq!(shown("audit.decisions"), "false  (line 5)");
    assert_eq!(shown("route.accept"), "api-key  (line 9)");
    assert_eq!(shown("route.require.permission"), "p, q  (line 10)");
    assert_eq!(shown("server.drain_timeout"), "30s  (default)");
    let shown = show(Some("127.0.0.1:2"), None);
    assert_eq!(shown("server.listen"), "127.0.0.1:2  (COUNTERSIGN_SERVER_LISTEN)");
    assert_eq!(show(Some("127.0.0.1:2"), Some("127.0.0.1:3"))("server.listen"), "127.0.0.1:3  (--listen)");
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let folder = folder("");
    let mut check = command(&folder, &["config", "check"]);
    let output = check.env("COUNTERSIGN_LIMITS_MAX_HEADERS", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output)
            .contains("`many` is no whole number (from the variable COUNTERSIGN_LIMITS_MAX_HEADERS)")
    );

    let output = command(&folder, &["serve", "--listen", "here"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("(from the flag --listen)"), "{}", said(&output));

    let mut check = command(&folder, &["config", "check"]);
    let output = check.env("COUNTERSIGN_SERVER_LISSEN", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    assert!(said.contains("no setting is called COUNTERSIGN_SERVER_LISSEN"), "{said}");
    assert!(said.contains("did you mean `COUNTERSIGN_SERVER_LISTEN`?"), "{said}");
}

/// Whether what a schema refers to is there, seen from its root.
fn leads_somewhere(root: &serde_json::Value, schema: &serde_json::Value) {
    if let Some(reference) = schema.get("$ref") {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(root.pointer(pointer).is_some(), "{reference} is nowhere");
    }
    match schema {
        serde_json::Value::Object(members) => {
            members.values().for_each(|member| leads_somewhere(root, member));
        }
        serde_json::Value::Array(members) => members.iter().for_each(|member| leads_somewhere(root, member)),
        _ => {}
    }
}

#[test]
fn the_schema_lists_every_section() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder, &["config", "schema"]).output().unwrap();
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{schema}");
    assert_eq!(schema["additionalProperties"], false);
    let mut sections: Vec<_> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    sections.sort_unstable();
    assert_eq!(
        sections,
        [
            "assertion",
            "audit",
            "bearer",
            "callback",
            "cors",
            "egress",
            "issuer",
            "limits",
            "outbound",
            "route",
            "server",
            "session",
            "signature",
            "store",
            "upstream",
            "webhook"
        ]
    );
    leads_somewhere(&schema, &schema);
    let of_route = &schema["properties"]["route"]["items"]["properties"];
    let claim = &of_route["require"]["properties"]["claim"]["additionalProperties"]["anyOf"];
    assert_eq!(claim[0]["items"]["type"], serde_json::json!(["string", "number", "boolean"]), "{of_route}");
    let issuer = &schema["properties"]["issuer"]["properties"];
    assert_eq!(issuer["wallets"]["anyOf"][0]["const"], "any", "{issuer}");
    assert_eq!(issuer["clients"]["items"]["anyOf"][1]["required"], serde_json::json!(["id"]), "{issuer}");
    let text = schema.to_string();
    for setting in ["public_url", "seal_key_file", "max_signed_body", "response_timeout", "key_in_query"] {
        assert!(text.contains(&format!("\"{setting}\"")), "{setting}");
    }
}

#[test]
fn what_holds_no_password_is_shown_as_it_is_written() {
    let subjects =
        "[\"https://login.example#ann@example.org\", \"https://login.example/b\", \"bob@example.org\"]";
    let folder = folder(&format!("{ROUTE}accept = [\"api-key\"]\nrequire = {{ subject = {subjects} }}\n"));
    let shown = said(&command(&folder, &["config", "show", "--origin"]).output().unwrap());
    assert!(
        shown.contains("https://login.example#ann@example.org, https://login.example/b, bob@example.org"),
        "{shown}"
    );
}

#[test]
fn the_password_of_a_redis_is_never_shown() {
    const PASSWORD: &str = "hunter2";
    let url = "redis://alice:hunter2@127.0.0.1:1/0";
    for text in [
        format!("[store]\nurl = \"{url}\"\nseal_key_file = \"seal.key\"\n"),
        format!("[store]\nurl = \"{url}\"\n"),
        format!("[store]\nurl = \"{url}x\"\n"),
        "[store]\nurl = \"redis://alice:hun/hunter2@127.0.0.1:x/0\"\n".to_owned(),
        "[store]\nurl = \"redis://alice:it's-hunter2@127.0.0.1:x/0\"\n".to_owned(),
        "[store]\nurl = \"redis://alice:it`s-hunter2@127.0.0.1:x/0\"\n".to_owned(),
        "[store]\nurl = 'redis://alice:a\"hunter2@127.0.0.1:x/0'\n".to_owned(),
        "[store]\nurl = \"redis://alice:a\\\"hunter2@127.0.0.1:x/0\"\n".to_owned(),
        format!("[store]\nurl = '{url}'\nurl = 5\n"),
        format!("[store]\nurl = [\"{url}\"]\n"),
        format!("store = \"{url}\"\n"),
        format!("store = {{ url = \"{url}\", sael_key_file = \"x\" }}\n"),
        format!("[store]\nurl = \"{url}\n"),
    ] {
        let folder = folder(&text);
        let key = folder.path().join("seal.key");
        std::fs::write(&key, [1; 32]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        for arguments in [
            &["config", "check"][..],
            &["config", "show", "--origin"],
            &["config", "show", "--json"],
            &["serve"],
            &["key", "list"],
        ] {
            let mut command = command(&folder, arguments);
            let said = said(&command.env("COUNTERSIGN_LOG", "trace").output().unwrap());
            assert!(!said.contains(PASSWORD), "{arguments:?} {said}");
        }
        let loaded = load(&folder.path().join("countersign.toml"), &Overrides::default());
        assert!(!format!("{loaded:?}").contains(PASSWORD), "{loaded:?}");
    }
    for value in [url, "redis://alice:hunter2@127.0.0.1:x", "hunter2://a:hunter2@b"] {
        let folder = folder("[server]\nlisten = 5\n");
        let mut check = command(&folder, &["config", "check"]);
        assert!(!said(&check.env("COUNTERSIGN_STORE_URL", value).output().unwrap()).contains(PASSWORD));
        let output = command(&folder, &["config", "check", "--store", value]).output().unwrap();
        assert!(!said(&output).contains(PASSWORD));
        let variable = ("COUNTERSIGN_STORE_URL".to_owned(), value.to_owned());
        let overrides = Overrides::from_environment([variable]).unwrap();
        assert!(!format!("{overrides:?}").contains(PASSWORD));
    }
}

#[test]
fn a_configuration_without_problems_is_said_to_be_sound() {
    let route = format!("[[route]]\npath = \"/*\"\nupstream = \"{}\"\npublic = true\n", Echo::start().url());
    let gateway = Gateway::new(&route);
    let output = gateway.run(&["config", "check"]);
    assert_eq!((output.status.code(), &*said(&output)), (Some(0), "countersign.toml is sound: 1 routes\n"));
    assert_eq!(gateway.json(&["config", "check"])["ok"], true);
}

#[test]
fn whoever_is_let_in_where_no_route_takes_them_is_a_warning() {
    let said = |signature: &str, accept: &str| {
        let route = format!(
            "[[route]]\npath = \"/*\"\nupstream = \"http://127.0.0.1:9\"\naccept = [{accept}]\nanyone = true\n"
        );
        let folder =
            folder(&format!("[server]\nlisten = \"127.0.0.1:0\"\n[signature]\n{signature}\n{route}"));
        load(&folder.path().join("countersign.toml"), &Overrides::default()).unwrap().warnings
    };
    let agents = "web_bot_auth = [\"https://agent.example\"]";
    let wallets = "signature.wallets lets wallets in, and no route accepts signature: nobody can call so";
    let bots = "signature.web_bot_auth lists agents, and no route accepts signature: nobody can call so";
    assert_eq!(said("wallets = true", "\"api-key\""), [wallets]);
    assert_eq!(said(agents, "\"api-key\""), [bots]);
    assert_eq!(said(&format!("wallets = true\n{agents}"), "\"asymmetric\""), [wallets, bots]);
    for accept in ["\"signature\"", "\"api-key\", \"signature\""] {
        assert_eq!(said(&format!("wallets = true\n{agents}"), accept), [""; 0]);
    }
    assert_eq!(said("", "\"api-key\""), [""; 0]);
}
