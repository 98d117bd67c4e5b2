//! Browser sessions in a real Chromium, on HTTPS origins under an authority that it has been told to trust: the
//! life of a session in several tabs, pages of other origins and sites, and everything that Eve tries in
//! `demo session`.
//!
//! With `UPDATE_SCREENSHOTS=1` the pictures of the documentation are taken anew.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign_testing::{Gateway, Process, countersign, free_address, has, root};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Pictures that the documentation shows.
const PICTURES: [&str; 6] = ["session", "xss", "csrf", "both-halves", "key-bound", "phone"];

/// A folder that Chromium takes for a person's home, in which `authority` (a PEM file) is trusted.
fn home(authority: &Path) -> TempDir {
    assert!(has("certutil"), "./test installs libnss3-tools");
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join(".pki/nssdb");
    std::fs::create_dir_all(&database).unwrap();
    let database = format!("sql:{}", database.display());
    let certutil = |arguments: &[&str]| {
        let output = Command::new("certutil").args(["-d", &database]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    certutil(&["-N", "--empty-password"]);
    certutil(&["-A", "-n", "tests", "-t", "C,,", "-i", &authority.display().to_string()]);
    home
}

/// Runs a script with a Chromium of its own, and all that it has to know.
fn drive(script: &str, authority: &Path, world: &Value) {
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    let program = programs.into_iter().find(|program| has(program)).expect("./test installs chromium");
    let home = home(authority);
    let pictures = root().join("target/browser");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut known = json!({
        "program": program, "home": home.path(), "authority": authority, "pictures": pictures,
        "client": root().join("web/dist/countersign.min.js"),
    });
    known.as_object_mut().unwrap().extend(world.as_object().unwrap().clone());
    let mut command = Command::new("node");
    command.arg(root().join("crates/cli/tests/browser").join(script)).arg(known.to_string());
    command.env("NODE_PATH", root().join("target/node/node_modules")).env("HOME", home.path());
    // What Eve's program calls from elsewhere is under the same authority.
    command.env("NODE_EXTRA_CA_CERTS", authority);
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "all is well", "{said}");
}

/// `demo session` on HTTPS origins, as long as a script drives a browser in it.
fn drive_in_demonstration(script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = countersign(&["demo", "session", "--json", "--tls"]);
    command.args(["--host", "bank.test", "--eve-host", "eve.test", "--port", "0", "--eve-port", "0"]);
    command.arg("--folder").arg(folder.path()).stdout(Stdio::piped());
    let mut demonstration = Process::start(&mut command);
    let mut line = String::new();
    BufReader::new(demonstration.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let stage: Value = serde_json::from_str(&line).unwrap();
    drive(script, &folder.path().join("ca.pem"), &json!({ "stage": stage }));
    demonstration.signal("-INT");
    assert_eq!(demonstration.0.wait().unwrap().code(), Some(0));
    let pids = stage["pids"].as_array().unwrap();
    assert!(pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()), "all have ended before it");
}

#[test]
fn what_eve_tries_in_the_demonstration_opens_nothing_but_an_unbound_session_of_which_she_has_both_halves() {
    drive_in_demonstration("demo.mjs");
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        for name in PICTURES {
            let picture = std::fs::read(root().join(format!("target/browser/{name}.png"))).unwrap();
            std::fs::write(root().join(format!("docs/how-to/images/{name}.png")), picture).unwrap();
        }
    }
}

#[test]
fn on_a_phone_what_happened_comes_into_view_the_focus_follows_and_each_comparison_starts_clean() {
    drive_in_demonstration("phone.mjs");
}

/// A gateway at `https://api.bank.test`, in front of an upstream that the script plays; it also serves pages of
/// other origins.
struct Site {
    gateway: Gateway,
    upstream: SocketAddr,
    pages: SocketAddr,
}

impl Site {
    fn start() -> Self {
        let (upstream, pages) = (free_address(), free_address());
        let mut gateway = Gateway::new("");
        let own = format!("https://api.bank.test:{}", gateway.address.port());
        let server =
            format!("public_url = \"{own}\"\ntls = {{ cert_file = \"tls.pem\", key_file = \"tls.key\" }}");
        let route = |path: &str, more: &str| {
            format!("[[route]]\npath = \"{path}\"\nupstream = \"http://{upstream}\"\n{more}\n")
        };
        let session = "accept = [\"session\"]\nanyone = true";
        let more = [
            "[session]\nenabled = true\nsignup = true".to_owned(),
            format!("[cors]\norigins = [\"https://app.bank.test:{}\"]", pages.port()),
            route("/api/*", session),
            route("/vault/*", &format!("{session}\nkey_bound = true")),
            route("/*", "methods = [\"GET\"]\npublic = true"),
        ];
        gateway.configure(&server, &more.join("\n"));
        certify(gateway.folder.path(), &["api.bank.test", "app.bank.test", "other.bank.test", "eve.test"]);
        gateway.start();
        Self { gateway, upstream, pages }
    }

    fn drive(&self, script: &str) {
        let folder = self.gateway.folder.path();
        let world = json!({
            "folder": folder, "gateway": self.gateway.address.port(),
            "upstream": self.upstream.port(), "pages": self.pages.port(),
        });
        drive(script, &folder.join("ca.pem"), &world);
    }
}

/// Writes `ca.pem`, and a certificate of that authority for all these names.
fn certify(folder: &Path, names: &[&str]) {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // Of the same name as what it certifies, it would look as if that had certified itself.
    parameters.distinguished_name.push(DnType::CommonName, "tests");
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, mode).unwrap();
    };
    write("ca.pem", authority.pem());
    write("tls.pem", certificate.pem());
    write("tls.key", key.serialize_pem());
}

#[test]
fn a_session_lives_in_all_tabs_and_ends_in_all() {
    Site::start().drive("life.mjs");
}

#[test]
fn pages_of_listed_origins_may_call_and_those_of_others_reach_nothing() {
    Site::start().drive("origins.mjs");
}
