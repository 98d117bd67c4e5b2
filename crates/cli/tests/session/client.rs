//! The TypeScript client, as built, against a real gateway.

use std::process::Command;

use crate::site::Site;

#[test]
fn the_typescript_client_lives_through_a_whole_session() {
    let root = countersign_testing::root();
    let built = root.join("web/dist/index.js");
    assert!(built.is_file(), "web/dist is not there: cd web && npm ci && npm run build");
    let site = Site::new();
    let mut command = Command::new("node");
    command.arg(root.join("crates/cli/tests/session/client.mjs"));
    command.arg(format!("http://{}", site.gateway.address));
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", site.gateway.log());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "all is well");
}
