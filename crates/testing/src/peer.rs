//! Programs of `peers/`, which others could have written, as processes that take orders.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::process::{Process, installed, root};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    JavaScript,
}

/// A program of `peers/`.
pub struct Peer {
    pub language: Language,
    process: Process,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// One in each language.
    pub fn both(name: &str) -> [Self; 2] {
        [Language::Python, Language::JavaScript].map(|language| Self::start(language, name))
    }

    pub fn start(language: Language, name: &str) -> Self {
        let (program, ending) = match language {
            Language::Python => (installed("python/bin/python"), "py"),
            Language::JavaScript => ("node".into(), "js"),
        };
        let mut command = Command::new(program);
        command.arg(root().join(format!("crates/cli/tests/peers/{name}.{ending}")));
        command.env("NODE_PATH", installed("node/node_modules"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { language, process: Process(child), answers }
    }

    /// Gives an order, and waits for the answer.
    pub fn ask(&mut self, order: &Value) -> Value {
        self.order(order);
        self.answer()
    }

    pub fn order(&mut self, order: &Value) {
        let orders = self.process.0.stdin.as_mut().unwrap();
        orders.write_all(format!("{order}\n").as_bytes()).unwrap();
    }

    pub fn answer(&mut self) -> Value {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{:?} answered {answer:?}", self.language))
    }
}
