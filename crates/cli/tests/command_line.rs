//! The command line as people meet it: `dev`, `init`, help, completions, and how it fails.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use countersign_testing::{Echo, Gateway, Process, Request, countersign, eventually, free_address, wait_for};
use tempfile::TempDir;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run_in(folder: &Path, arguments: &[&str]) -> Output {
    countersign(arguments).current_dir(folder).output().unwrap()
}

/// `countersign dev`, and the curl lines that it prints.
fn dev(folder: &TempDir, listen: SocketAddr) -> (Process, Vec<String>) {
    let mut command = countersign(&["dev", "--listen", &listen.to_string()]);
    let mut process = Process::start(command.current_dir(folder.path()).stdout(Stdio::piped()));
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut curls = Vec::new();
    while curls.len() < 3 {
        let line = lines.next().expect("three curl lines");
        if line.trim_start().starts_with("curl ") {
            curls.push(line);
        }
    }
    let said = lines.find(|line| line.starts_with("Ctrl-C"));
    assert!(said.is_some());
    (process, curls)
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Pastes the three lines.
fn paste(curls: &[String]) {
    let refused = shell(&curls[0]);
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("credential_missing"), "{refused}");
    let allowed = shell(&curls[1]);
    assert!(allowed.starts_with("HTTP/1.1 200") && allowed.contains("\"subject\": \"key:"), "{allowed}");
    assert!(allowed.contains("\"authorization\": null") && !allowed.contains("cs_"), "{allowed}");
    let explained = shell(&curls[2]);
    assert!(explained.contains("GET /orders/1  permitted as key:"), "{explained}");
    assert!(explained.contains("verify"), "{explained}");
}

#[test]
fn dev_in_an_empty_folder_prints_three_lines_that_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let listen = free_address();
    let (process, curls) = dev(&folder, listen);
    assert!(curls[0].contains(&listen.to_string()), "{curls:?}");
    paste(&curls);
    let old_key = curls[1].clone();
    process.signal("-TERM");
    eventually("its end", || TcpStream::connect(listen).is_err());
    drop(process);

    let (_process, curls) = dev(&folder, listen);
    paste(&curls);
    assert!(shell(&old_key).contains("key_invalid"), "the key of the first start is revoked");
}

#[test]
fn dev_takes_another_port_and_refuses_the_same_folder_twice() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_process, curls) = dev(&folder, taken.local_addr().unwrap());
    assert!(!curls[0].contains(&taken.local_addr().unwrap().to_string()));
    paste(&curls);
    let second = run_in(folder.path(), &["dev"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(said(&second).contains("give --folder another folder"), "{}", said(&second));
    let outside = run_in(folder.path(), &["dev", "--folder", "other", "--listen", "0.0.0.0:0"]);
    assert_eq!(outside.status.code(), Some(2));
    paste(&curls);
}

#[test]
fn init_writes_a_file_that_serve_takes_as_it_is() {
    let (echo, folder) = (Echo::start(), tempfile::tempdir().unwrap());
    let made = run_in(folder.path(), &["init", "--upstream", &echo.url()]);
    assert!(made.status.success(), "{}", said(&made));
    let again = run_in(folder.path(), &["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("`--force` replaces it"), "{}", said(&again));
    let wrong = run_in(folder.path(), &["init", "--force", "--upstream", "nonsense"]);
    assert_eq!(wrong.status.code(), Some(2));

    let (listen, admin) = (free_address(), free_address());
    let command = |arguments: &[&str]| {
        let mut command = countersign(arguments);
        command.current_dir(folder.path());
        command.env("COUNTERSIGN_SERVER_LISTEN", listen.to_string());
        command.env("COUNTERSIGN_SERVER_PUBLIC_URL", format!("http://{listen}"));
        command.env("COUNTERSIGN_SERVER_ADMIN_LISTEN", admin.to_string());
        command
    };
    let _process = Process::start(command(&["serve"]).stderr(Stdio::null()));
    wait_for(listen);
    let made = command(&["key", "new", "--label", "first", "--permission", "api"]).output().unwrap();
    let printed = said(&made);
    let key = printed.lines().next().unwrap();
    assert!(key.starts_with("cs_"), "{printed}");
    let bearer = format!("Bearer {key}");
    let allowed = Request::get("/x").header("Authorization", &bearer).send(listen);
    assert_eq!((allowed.status, allowed.text().as_str()), (200, "GET /x HTTP/1.1\n"));
    Request::get("/x").send(listen).is(401, "credential_missing");
    assert_eq!(Request::get("/health").send(listen).status, 200);
}

const COMMANDS: [&[&str]; 18] = [
    &[],
    &["dev"],
    &["serve"],
    &["init"],
    &["key"],
    &["key", "new"],
    &["key", "list"],
    &["key", "show"],
    &["key", "rotate"],
    &["key", "revoke"],
    &["explain"],
    &["config"],
    &["config", "check"],
    &["config", "show"],
    &["config", "schema"],
    &["completions"],
    &["man"],
    &["help"],
];

#[test]
fn every_command_helps() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS.iter().take(17) {
        let output = run_in(folder.path(), &[command, &["--help"][..]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            help.contains(&format!("Usage: {}", [&["countersign"], *command].concat().join(" "))),
            "{help}"
        );
        assert!(!help.contains('\u{1b}'), "colours in a pipe");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "asking for help makes nothing");
}

#[test]
fn completions_and_man_pages_are_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = run_in(folder.path(), &["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && script.contains("countersign") && script.contains("revoke"),
            "{shell}"
        );
        if countersign_testing::has(shell) {
            let file = folder.path().join(shell);
            std::fs::write(&file, &script).unwrap();
            assert!(Command::new(shell).arg("-n").arg(&file).status().unwrap().success(), "{shell}");
        }
    }
    let page = said(&run_in(folder.path(), &["man"]));
    assert!(page.contains(".TH countersign 1") && page.contains(".SH NAME"), "{page}");
    assert!(run_in(folder.path(), &["man", "pages"]).status.success());
    for page in ["countersign.1", "countersign-key-new.1", "countersign-config-show.1"] {
        assert!(folder.path().join("pages").join(page).exists(), "{page}");
    }
}

#[test]
fn every_mistake_in_use_is_exit_code_2() {
    let gateway = Gateway::new("[[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\npublic = true\n");
    let (id, _) = gateway.key(&[]);
    for arguments in [
        &[][..],
        &["nonsense"],
        &["serve", "--nonsense"],
        &["serve", "extra"],
        &["serve", "--config", "missing.toml"],
        &["--config", ".", "config", "check"],
        &["key"],
        &["key", "new"],
        &["key", "new", "--label", ""],
        &["key", "new", "--label", "x", "--expires", "soon"],
        &["key", "new", "--label", "x", "--expires", "0s"],
        &["key", "new", "--label", "x", "--permission", "two words"],
        &["key", "new", "--label", "line\nbreak"],
        &["key", "show", "nonsense"],
        &["key", "show", "../../v1/keys"],
        &["key", "show", "000000000000"],
        &["key", "revoke", "000000000000"],
        &["key", "rotate", &id, "--overlap", "soon"],
        &["completions", "tcsh"],
        &["config"],
        &["config", "nonsense"],
        &["dev", "--listen", "nonsense"],
        &["init"],
    ] {
        let output = gateway.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
    }
    let far = gateway.json(&["key", "new", "--label", "x", "--expires", "200000000d"]);
    assert!(far["expires"].is_string());
}

#[test]
fn a_reader_who_has_gone_away_makes_nothing_panic() {
    let gateway = Gateway::new("[[route]]\npath = \"/\"\nupstream = \"http://127.0.0.1:1\"\npublic = true\n");
    gateway.key(&[]);
    for arguments in [
        &["--help"][..],
        &["key", "list"],
        &["key", "list", "--json"],
        &["config", "schema"],
        &["config", "show"],
        &["completions", "bash"],
        &["man"],
        &["nonsense"],
    ] {
        let mut child = gateway.command(arguments).stdout(closed()).stderr(Stdio::piped()).spawn().unwrap();
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        let code = child.wait().unwrap().code();
        assert!(
            matches!(code, Some(0 | 2)) && !complaint.contains("panicked"),
            "{arguments:?} {code:?} {complaint}"
        );
    }
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_log_that_nobody_reads_stops_neither_requests_nor_reloads_nor_a_clean_end() {
    let echo = Echo::start();
    let route =
        |path: &str| format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\npublic = true\n", echo.url());
    let gateway = Gateway::new(&route("/old"));
    let mut serve = gateway.command(&["serve"]);
    let mut process = Process::start(serve.stdout(closed()).stderr(closed()));
    wait_for(gateway.address);
    let path = gateway.path("countersign.toml");
    for name in ["/first", "/second"] {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text + &route(name)).unwrap();
        process.signal("-HUP");
        eventually("the reload", || gateway.get(name, None).status == 200);
    }
    process.signal("-TERM");
    eventually("the end", || process.0.try_wait().unwrap().is_some());
    assert_eq!(process.0.try_wait().unwrap().unwrap().code(), Some(0));
    assert!(!gateway.path("management.sock").exists());
}
