//! The examples of `docs/how-to/sign.md`, as they stand: signed with openssl and curl, in Python, in JavaScript.

use std::path::PathBuf;
use std::process::Command;

use countersign_testing::{Echo, Gateway, installed, root};

/// A gateway that takes signatures, a new key's file, and the id of its public half.
struct Scene {
    gateway: Gateway,
    echo: Echo,
    key: PathBuf,
    id: String,
}

impl Scene {
    fn new() -> Self {
        let echo = Echo::start();
        let gateway = Gateway::started(&format!(
            "[[route]]\npath = \"/*\"\nupstream = \"{}\"\naccept = [\"signature\"]\n",
            echo.url()
        ));
        let (key, public) = (gateway.path("key.pem"), gateway.path("public.pem"));
        let openssl = |arguments: &[&str]| {
            let made = Command::new("openssl").args(arguments).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        let (key_name, public_name) = (key.display().to_string(), public.display().to_string());
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key_name]);
        openssl(&["pkey", "-in", &key_name, "-pubout", "-out", &public_name]);
        let added = gateway.json(&["key", "add", "--public", &public_name, "--label", "example"]);
        let id = added["id"].as_str().unwrap().to_owned();
        Self { gateway, echo, key, id }
    }

    /// Runs an example twice: without a body, and with one.
    fn runs(&self, command: &mut dyn FnMut() -> Command) {
        let url = format!("http://{}/orders/1?page=2&name=%20x", self.gateway.address);
        for (method, body) in [("GET", None), ("POST", Some("{\"cups\": 2}"))] {
            let mut command = command();
            command.arg(&self.key).args([&self.id, method, &url]).args(body);
            let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(said.trim(), format!("{method} /orders/1?page=2&name=%20x HTTP/1.1"));
            let seen = self.echo.last();
            assert_eq!(seen.body, body.unwrap_or_default().as_bytes());
            assert_eq!(seen.header("countersign-subject"), Some(&*format!("key:{}", self.id)));
        }
    }
}

fn example(name: &str) -> PathBuf {
    root().join("examples/signing").join(name)
}

#[test]
fn openssl_and_curl_are_enough() {
    Scene::new().runs(&mut || Command::new(example("sign.sh")));
}

#[test]
fn python_signs() {
    let python = installed("python/bin/python");
    Scene::new().runs(&mut || {
        let mut command = Command::new(&python);
        command.arg(example("sign.py"));
        command
    });
}

#[test]
fn javascript_signs() {
    Scene::new().runs(&mut || {
        let mut command = Command::new("node");
        command.arg(example("sign.mjs"));
        command
    });
}
