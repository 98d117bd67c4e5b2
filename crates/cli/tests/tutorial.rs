//! `docs/tutorial.md` as it stands: its commands are run, and what it says that they answer is what they answer.

use std::path::Path;
use std::process::Command;

use countersign_testing::{free_address, program, root};

/// What is typed, and lines of which each has to be in what is answered.
struct Step {
    typed: String,
    answered: Vec<String>,
}

/// The blocks of a page: `sh` is typed, `text` is the answer to the last of those.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        match kind {
            "sh" => steps.push(Step { typed: block.join("\n"), answered: Vec::new() }),
            "text" => steps.last_mut().unwrap().answered.extend(block.iter().map(ToString::to_string)),
            other => panic!("a block of {other:?}"),
        }
    }
    steps
}

#[test]
fn every_command_of_the_tutorial_answers_what_it_says() {
    let root = root();
    let mut page = std::fs::read_to_string(root.join("docs/tutorial.md")).unwrap();
    // The ports that `init` writes may be somebody's: everything gets others.
    let mut other_ports = String::from("test ! -e countersign.toml || sed -i");
    for port in ["3000", "8080", "8081"] {
        let other = free_address().port().to_string();
        page = page.replace(port, &other);
        other_ports.push_str(&format!(" -e 's/:{port}/:{other}/'"));
    }
    other_ports.push_str(" countersign.toml");
    let steps = steps(&page);
    let folder = tempfile::tempdir().unwrap();
    let mut script = String::from("trap 'kill $(jobs -p)' EXIT\n");
    for (number, step) in steps.iter().enumerate() {
        script.push_str(&format!("{other_ports}\necho '== {number}'\n{}\n", step.typed));
    }
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path_with(&program()))
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for (number, step) in steps.iter().enumerate() {
        let from =
            said.find(&format!("== {number}\n")).unwrap_or_else(|| panic!("step {number}: {output:?}"));
        let answer = &said[from..];
        let answer = &answer[..answer.find(&format!("== {}\n", number + 1)).unwrap_or(answer.len())];
        for line in &step.answered {
            assert!(answer.contains(line.as_str()), "{}\n\nhas no {line:?}, but\n\n{answer}", step.typed);
        }
    }
}

/// The folder of `program` before those where programs are.
fn path_with(program: &Path) -> String {
    let folder = program.parent().unwrap().display();
    format!("{folder}:{}", std::env::var("PATH").unwrap())
}
