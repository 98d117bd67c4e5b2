//! The scenes on a terminal, or as a line of JSON each. What is drawn has come over a network.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use countersign_gateway::terminal::{self, escape};
use serde_json::{Value, json};

use crate::company::Company;
use crate::orders::{Headers, Seen};
use crate::say::say;
use crate::scene::{PROOF, Scene, Told};
use crate::stage::{ALICE, EVE, Stage};

/// How a reader follows.
const PAUSE: Duration = Duration::from_millis(500);

/// Where scenes are drawn.
#[derive(Clone, Copy)]
pub(super) struct Canvas {
    json: bool,
    terminal: bool,
    colour: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Cyan = 36,
}

impl Canvas {
    pub(super) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { json, terminal, colour: terminal && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Who is there.
    pub(super) fn stage(self, stage: &Stage, folder: &Path, company: &Company) {
        if self.json {
            return;
        }
        let (alice, bob, eve) = (stage.alice.url(), stage.bob.url(), stage.eve.url());
        let pids = [company.alice.pid(), company.bob.pid(), company.eve.pid()];
        say(&self.ink(Ink::Bold, "Three APIs that share nothing, each a process of its own:"));
        say("");
        say(&format!("  Alice  {alice}  process {}; people call http://{ALICE}/example", pids[0]));
        say(&format!("  Bob    {bob}  process {}; lets Alice in, and nobody else", pids[1]));
        say(&format!("  Eve    {eve}  process {}; people call http://{EVE}/example", pids[2]));
        say("");
        say(&format!("  Their configurations and stores are in {}.", folder.display()));
        say("  All calls between them are HTTPS; a certificate authority made for this run certifies them.");
        say("");
    }

    /// A scene begins.
    pub(super) async fn open(self, number: usize, scene: &Scene) {
        if !self.json {
            self.headline(number, scene.title, scene.before).await;
        }
    }

    /// What is tried, and what to know beforehand.
    pub(super) async fn headline(self, number: usize, title: &str, before: &str) {
        say(&self.ink(Ink::Bold, &format!("{number}. {title}")));
        say(&format!("   {before}"));
        say("");
        self.pause().await;
    }

    /// Whether it ended as it must, and what that means.
    pub(super) async fn verdict(self, good: bool, after: &str) {
        say("");
        match good {
            true => say(&format!("   {} {after}", self.ink(Ink::Green, "as it must be:"))),
            false => say(&self.ink(Ink::Red, "   NOT as it must be.")),
        }
        say("");
        self.pause().await;
    }

    /// A scene has ended.
    pub(super) async fn close(self, stage: &Stage, scene: &Scene, told: &Told, good: bool) {
        if self.json {
            say(&terminal::json(&as_json(scene, told, good)));
            return;
        }
        for seen in &told.to_eve {
            self.request("Alice", "Eve", seen).await;
            self.answer("Eve", "Alice", &seen.status.to_string(), true).await;
        }
        for seen in &told.to_bob {
            self.request(told.caller, "Bob", seen).await;
        }
        for seen in &told.to_alice {
            self.question(stage, seen).await;
        }
        self.checks(&told.decision).await;
        for seen in &told.to_bob {
            let code = told.code().map(|code| format!(" {}", escape(&code))).unwrap_or_default();
            self.answer("Bob", told.caller, &format!("{}{code}", seen.status), seen.status < 400).await;
        }
        if let Some((address, body)) = &told.example {
            say("");
            say(&format!("   http://{address}/example answered {}", self.ink(Ink::Bold, &escape(body))));
        }
        self.verdict(good, scene.after).await;
    }

    /// All scenes have ended.
    pub(super) fn end(self, good: bool) {
        match (self.json, good) {
            (true, _) => say(&json!({ "scene": "end", "as_expected": good }).to_string()),
            (false, true) => {
                say(&self.ink(
                    Ink::Green,
                    "Alice got in, and Eve did not, though she had seen everything that Alice sent.",
                ));
                say("");
            }
            (false, false) => say(&self.ink(Ink::Red, "Something was not as it must be.")),
        }
    }

    async fn request(self, from: &str, to: &str, seen: &Seen) {
        self.arrow(from, to, &format!("{} {}", escape(&seen.method), escape(&seen.path)));
        for (name, value) in proof_lines(&seen.headers) {
            self.detail(&format!("{name}: {value}"));
        }
        self.pause().await;
    }

    /// What Bob asked Alice, and what she answered.
    async fn question(self, stage: &Stage, seen: &Seen) {
        let question: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let part = |name: &str| escape(question[name].as_str().unwrap_or_default());
        self.arrow(
            "Bob",
            "Alice",
            &format!("{} {}{}", escape(&seen.method), stage.alice.url(), escape(&seen.path)),
        );
        self.detail(&format!("did you send the hash {} to {} ?", shorten(&part("hash")), part("url")));
        self.pause().await;
        let said = match seen.status {
            200 => {
                format!("200 yes, to that URL and not confirmed before: {}", shorten(&escape(&seen.answer)))
            }
            status => format!("{status} no (the same for every reason)"),
        };
        self.answer("Alice", "Bob", &said, seen.status < 400).await;
    }

    /// What Bob noted about the request: the checks that it passed, and the one that it did not.
    pub(super) async fn checks(self, decision: &Value) {
        let steps = decision["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |step: &Value, name: &str| escape(step[name].as_str().unwrap_or_default());
        let (passed, failed): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step["passed"] == true);
        let passed: Vec<_> = passed.into_iter().map(|step| text(step, "check")).collect();
        if !passed.is_empty() {
            say(&format!("   {:15} {} {}", "Bob checks:", self.ink(Ink::Green, "✓"), passed.join(", ")));
        }
        for step in failed {
            let why = format!("{}: {}", text(step, "check"), text(step, "note"));
            say(&format!("   {:15} {} {why}", "", self.ink(Ink::Red, "✗")));
            self.detail("  (for Bob's operator; the caller is told the code and no more)");
        }
        self.pause().await;
    }

    pub(super) async fn answer(self, from: &str, to: &str, what: &str, good: bool) {
        let ink = if good { Ink::Green } else { Ink::Red };
        self.arrow(from, to, &self.ink(ink, what));
        self.pause().await;
    }

    pub(super) fn arrow(self, from: &str, to: &str, what: &str) {
        say(&format!("   {} {what}", self.ink(Ink::Cyan, &format!("{from:>5} → {to:5}  "))));
    }

    pub(super) fn detail(self, what: &str) {
        say(&format!("   {:15} {}", "", self.ink(Ink::Dim, what)));
    }

    fn ink(self, ink: Ink, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", ink as u8),
            false => text.to_owned(),
        }
    }

    async fn pause(self) {
        if self.terminal && !self.json {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The headers that carry a proof, one a line, their long parts cut short.
fn proof_lines(headers: &Headers) -> Vec<(&'static str, String)> {
    let shown = |name: &&'static str| {
        let value = headers.get(*name)?;
        let words: Vec<_> = escape(value).split(' ').map(shorten).collect();
        Some((*name, cut(words.join(" "))))
    };
    PROOF.iter().filter_map(shown).collect()
}

/// A URL or a short word stays; of a hash, a token or a signature the beginning is enough.
pub(super) fn shorten(word: &str) -> String {
    match word.contains("://") || word.chars().count() <= 32 {
        true => word.to_owned(),
        false => word.chars().take(20).chain(['…']).collect(),
    }
}

/// What a line holds; an authorization is cut already.
fn cut(line: String) -> String {
    match line.contains("://") || line.chars().count() <= 80 {
        true => line,
        false => line.chars().take(80).chain(['…']).collect(),
    }
}

fn as_json(scene: &Scene, told: &Told, good: bool) -> Value {
    let questions: Vec<_> = told
        .to_alice
        .iter()
        .map(|seen| {
            let question: Value = serde_json::from_str(&seen.body).unwrap_or_default();
            json!({ "url": question["url"], "status": seen.status })
        })
        .collect();
    let sent: Vec<_> = told.request().map(|seen| proof_lines(&seen.headers)).unwrap_or_default();
    let headers: serde_json::Map<_, _> =
        sent.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    json!({
        "scene": scene.name,
        "caller": told.caller,
        "headers": headers,
        "questions": questions,
        "status": told.status(),
        "code": told.code(),
        "cause": told.decision["cause"],
        "example": told.example.as_ref().map(|(_, body)| body),
        "as_expected": good,
    })
}
