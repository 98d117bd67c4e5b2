//! A decision for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::terminal::escape;

/// A decision, a line a step.
pub fn story(decision: &Value) -> String {
    let text = |name: &str| match &decision[name] {
        Value::String(text) => escape(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let mut story = String::new();
    let permitted = decision["outcome"] == "permit";
    let end = match permitted {
        true if decision["subject"].is_null() => "permitted: the route is public".to_owned(),
        true => format!("permitted as {} by {}", text("subject"), text("scheme")),
        false => format!("denied: {} ({})", text("code"), text("cause")),
    };
    let _ = writeln!(story, "{} {}  {end}", text("method"), text("path"));
    let _ = writeln!(story, "  decision {}", text("id"));
    let _ = writeln!(story, "  at       {}", text("at"));
    let _ = writeln!(story, "  source   {}", text("source"));
    let _ = writeln!(story, "  route    {}", text("route"));
    for step in decision["steps"].as_array().into_iter().flatten() {
        let mark = if step["passed"] == true { "✓" } else { "✗" };
        let part = |name: &str| escape(step[name].as_str().unwrap_or_default());
        let line = format!("  {mark} {:12} {:12} {}", part("check"), part("scheme"), part("note"));
        let _ = writeln!(story, "{}", line.trim_end());
    }
    story
}
