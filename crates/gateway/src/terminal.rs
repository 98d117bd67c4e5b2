//! What comes from requests must not command a terminal: controls are shown, not sent.

use std::fmt::Write as _;

use serde::Serialize;

/// Text for people, in which every character that a terminal would obey is spelled out.
pub fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match commands(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
        escaped
    })
}

/// JSON on one line, for programs and for whoever looks at it on a terminal all the same.
pub fn json(value: &impl Serialize) -> String {
    // What is written here has text for its keys and no number that JSON lacks, so it can be written.
    let text = serde_json::to_string(value).unwrap_or_default();
    // Nearly always it is ASCII, whose controls JSON spells out itself, all but DEL.
    if text.is_ascii() && !text.contains('\u{7f}') {
        return text;
    }
    if !text.chars().any(commands) {
        return text;
    }
    // Outside of strings JSON is ASCII, and inside it may be escaped.
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match commands(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(escaped, "\\u{unit:04x}");
            }),
            false => escaped.push(c),
        }
        escaped
    })
}

/// Controls, and what changes the direction of text or cannot be seen.
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json as value};

    #[test]
    fn what_commands_a_terminal_is_spelled_out() {
        assert_eq!(escape("a\u{1b}[31m\u{9b}b\u{202e}\u{200f}ü"), "a\\u{1b}[31m\\u{9b}b\\u{202e}\\u{200f}ü");
        let written = value!({ "a": "\u{1b}\u{7f}\u{9b}\u{202e}ü" });
        let text = json(&written);
        assert_eq!(text, r#"{"a":"\u001b\u007f\u009b\u202eü"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), written);
    }
}
