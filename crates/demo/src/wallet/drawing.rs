//! The scenes on a terminal, or as a line of JSON each. What is drawn was sent and answered.

use std::path::Path;

use countersign_gateway::terminal::escape;
use serde_json::{Value, json};

use super::{Places, Scene, TOKEN, Told};
use crate::drawing::{Canvas, shorten};
use crate::orders::Seen;
use crate::say::say;

/// Who is there.
pub(super) fn stage(places: &Places, folder: &Path, pids: [u32; 3]) {
    say("Three processes that share nothing:");
    say("");
    say(&format!("  Alice  process {}; a program with an Ethereum key, {}", pids[0], places.wallet));
    say(&format!(
        "  Bob    process {}; http://{}, an API and the issuer of its tokens",
        pids[1], places.gateway
    ));
    say(&format!("  Eve    process {}; sees what Alice sends", pids[2]));
    say("");
    say(&format!("  Configuration and stores are in {}.", folder.display()));
    say("");
}

/// A scene that has ended.
pub(super) async fn scene(canvas: Canvas, scene: &Scene, told: &Told, good: bool) {
    for seen in &told.exchanges {
        let path = seen.path.splitn(4, '/').nth(3).unwrap_or_default();
        canvas.arrow(scene.caller, "Bob", &format!("{} /{}", escape(&seen.method), escape(path)));
        for line in sent(seen) {
            canvas.detail(&line);
        }
        if !told.decision.is_null() {
            canvas.checks(&told.decision).await;
        }
        let code = told.code().filter(|_| seen.status >= 400).map(|code| format!(" {}", escape(&code)));
        let said = format!("{}{}", seen.status, code.unwrap_or_default());
        canvas.answer("Bob", scene.caller, &said, seen.status < 400).await;
        for line in got(seen) {
            canvas.detail(&line);
        }
    }
    canvas.verdict(good, scene.after).await;
}

/// All scenes have ended.
pub(super) fn end(json: bool, good: bool) {
    say(&match (json, good) {
        (true, _) => json!({ "scene": "end", "as_expected": good }).to_string(),
        (false, true) => {
            "Alice got in, and Eve did not where a signature is asked for, though she had everything that Alice sent."
                .to_owned()
        }
        (false, false) => "Something was NOT as it must be.".to_owned(),
    });
}

/// What of a request proves something, its long parts cut short.
fn sent(seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(token) = seen.headers.get("authorization") {
        let words: Vec<_> = escape(token).split(' ').map(shorten).collect();
        lines.push(format!("authorization: {}", words.join(" ")));
    }
    if let Some(signature) = seen.headers.get("asymmetricauthentication") {
        let signed: Value = serde_json::from_str(signature).unwrap_or_default();
        let part = |name: &str| escape(signed[name].as_str().unwrap_or_default());
        lines.push(format!(
            "a signature of this request by {}: {}",
            part("PublicKey"),
            shorten(&part("Signature"))
        ));
    }
    if seen.path.ends_with(TOKEN) {
        lines.push("a message that names Bob and carries his nonce, and its signature".to_owned());
    }
    lines
}

/// What was answered, if it says something.
fn got(seen: &Seen) -> Vec<String> {
    if seen.status >= 400 {
        return Vec::new();
    }
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&seen.answer) else {
        return vec![escape(seen.answer.trim())];
    };
    let line = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}: {}", escape(name), shorten(&escape(&text)))
    };
    members.iter().map(line).collect()
}

pub(super) fn as_json(scene: &Scene, told: &Told, good: bool) -> Value {
    json!({
        "scene": scene.name,
        "caller": scene.caller,
        "status": told.last().map(|seen| seen.status),
        "code": told.code(),
        "cause": told.decision["cause"],
        "subject": told.decision["subject"],
        "as_expected": good,
    })
}
