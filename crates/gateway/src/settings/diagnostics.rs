//! What is wrong with a configuration, shown to whoever wrote it: the line, a caret, what to write.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file, at these bytes.
    File(Range<usize>),
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag(&'static str),
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What.
    pub message: String,
    /// Where.
    pub origin: Origin,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// Something wrong at `origin`.
    pub fn new(message: impl Into<String>, origin: Origin) -> Self {
        Self { message: hide_passwords(&message.into()), origin, help: None }
    }

    /// The same, with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What serde and toml found: unknown names get a suggestion.
    pub fn from_toml(error: &toml::de::Error) -> Self {
        let message = hide_passwords(error.message().lines().next().unwrap_or_default());
        let help = suggestion(&message);
        let origin = error.span().map_or(Origin::Default, Origin::File);
        Self { message, origin, help }
    }
}

/// A configuration that is not taken.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// The file's name, as it was given.
    pub file: String,
    /// The file's text.
    pub text: String,
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// A configuration of this text that is not taken. Passwords in it are covered: the lines are
    /// shown, and end up in logs.
    pub fn new(file: String, text: &str, problems: Vec<Problem>) -> Self {
        Self { file, text: hide_passwords(text), problems }
    }

    /// Every problem with its line and a caret, in colour if `colour`.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut shown = String::new();
        for problem in &self.problems {
            let mut title = problem.message.clone();
            match &problem.origin {
                Origin::Environment(name) => title.push_str(&format!(" (from the variable {name})")),
                Origin::Flag(name) => title.push_str(&format!(" (from the flag {name})")),
                Origin::Default | Origin::File(_) => {}
            }
            let mut group = Level::ERROR.primary_title(&*title).elements(Vec::<Element<'_>>::new());
            if let Origin::File(span) = &problem.origin {
                // A span of nothing still gets its caret, and one that ends inside a character is
                // widened: half of it cannot be shown.
                let start = self.text.floor_char_boundary(span.start);
                let end = self.text.ceil_char_boundary(span.end.max(start + 1)).max(start + 1);
                let snippet = Snippet::source(&*self.text)
                    .path(&*self.file)
                    .annotation(AnnotationKind::Primary.span(start..end));
                group = group.element(snippet);
            }
            if let Some(help) = &problem.help {
                group = group.element(Level::HELP.message(&**help));
            }
            shown.push_str(&renderer.render(&[group]));
            shown.push('\n');
        }
        shown
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for ConfigError {}

/// Covers what stands between `://` and `@`, byte for byte, so that what follows keeps its place. A
/// password that should have been escaped may hold anything but the quote that ends its text, or the end of the line.
pub fn hide_passwords(text: &str) -> String {
    cover(text, |before, after| end_of_text(before, after.lines().next().unwrap_or_default()))
}

/// The same in one sound value, where a password stands in a URL's authority alone.
pub fn hide_password_of(value: &str) -> String {
    cover(value, |_, after| after.find(['/', '?', '#']).unwrap_or(after.len()))
}

/// Covers what stands between each `://` and the last `@` before its end, which `end` tells from what is around it.
fn cover(text: &str, end: impl Fn(&str, &str) -> usize) -> String {
    let mut hidden = String::with_capacity(text.len());
    while let Some(at) = text[hidden.len()..].find("://") {
        let start = hidden.len() + at + 3;
        hidden.push_str(&text[hidden.len()..start]);
        let after = &text[start..];
        let end = end(&text[..start - 3], after);
        let covered = after[..end].rfind('@').unwrap_or(0);
        hidden.extend(std::iter::repeat_n('*', covered));
    }
    hidden.push_str(&text[hidden.len()..]);
    hidden
}

/// Where in the rest of a line the text ends in which a URL is that has only its scheme before.
fn end_of_text(before: &str, rest: &str) -> usize {
    // Our own sentences say where a password goes.
    let rest = &rest[..rest.find("[user:password@]").unwrap_or(rest.len())];
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let opened = before.trim_end_matches(is_of_scheme);
    let end = match opened.chars().next_back() {
        Some(quote @ ('"' | '\'')) => {
            let several = quote.to_string().repeat(3);
            let ends = if opened.ends_with(&several) { several } else { quote.to_string() };
            let escaped = |at: usize| quote == '"' && ends_in_escape(&rest[..at]);
            rest.match_indices(&ends).map(|(at, _)| at).find(|at| !escaped(*at))
        }
        // What we quote in a sentence may have our quote in it.
        Some('`') => rest.rfind('`'),
        _ => None,
    };
    end.unwrap_or(rest.len())
}

/// Whether what follows is escaped.
fn ends_in_escape(text: &str) -> bool {
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// `did you mean`, for messages such as ``unknown field `x`, expected one of `a`, `b` ``.
fn suggestion(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    did_you_mean(quoted.next()?, quoted)
}

/// The likeliest of `known` for a mistyped name.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let (score, best) = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (score > 0.75).then(|| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_covered_and_nothing_moves() {
        for (text, shown) in [
            ("url = \"redis://:hunter2@h:1/2\" # x@y", "url = \"redis://********@h:1/2\" # x@y"),
            ("'redis://a:b@c/d@h' 'http://h/@x'", "'redis://*******@h' 'http://**@x'"),
            ("url = \"redis://:pa'ss@h:x/0\" # x@y", "url = \"redis://******@h:x/0\" # x@y"),
            ("url = 'redis://:pa\"ss@h:x/0' # x@y", "url = 'redis://******@h:x/0' # x@y"),
            ("url = \"redis://:pa`ss@h:x/0\"", "url = \"redis://******@h:x/0\""),
            (r#"url = "redis://:pa\"s\\" # s@h"#, r#"url = "redis://:pa\"s\\" # s@h"#),
            (r#"url = "redis://:pa\"ss@h" # x@y"#, r#"url = "redis://*******@h" # x@y"#),
            (r#"url = """redis://:pa"ss@h""" # x@y"#, r#"url = """redis://******@h""" # x@y"#),
            ("url = redis://:pa'ss@h", "url = redis://******@h"),
            ("`redis://:pa`ss@h` is no store", "`redis://******@h` is no store"),
            ("\"a's redis://:pa's@h\"", "\"a's redis://*****@h\""),
            ("redis://a:pässwörd@h", "redis://************@h"),
            ("http://h\nx@y", "http://h\nx@y"),
            ("://://@", "://***@"),
            ("`redis://[user:password@]host`", "`redis://[user:password@]host`"),
        ] {
            assert_eq!(hide_passwords(text), shown);
            assert_eq!(shown.len(), text.len(), "{text}");
        }
    }

    #[test]
    fn of_a_sound_value_only_the_authority_is_covered() {
        for (value, shown) in [
            ("redis://ann:hunter2@h/0", "redis://***********@h/0"),
            ("https://login.example#ann@example.org", "https://login.example#ann@example.org"),
            ("https://login.example/ann@example.org", "https://login.example/ann@example.org"),
            ("https://login.example?ann@example.org", "https://login.example?ann@example.org"),
            ("ann@example.org", "ann@example.org"),
        ] {
            assert_eq!(hide_password_of(value), shown);
        }
    }

    #[test]
    fn a_mistake_at_a_character_of_several_bytes_is_shown_whole() {
        let mistake = |span| Problem::new("wrong", Origin::File(span));
        let text = "é = \u{2d27}".to_owned();
        for span in [0..1, 1..1, 1..2, 5..6, 7..8, 8..8, 8..9, 20..30] {
            let error =
                ConfigError { file: "f".into(), text: text.clone(), problems: vec![mistake(span.clone())] };
            assert!(error.render(false).contains("^"), "{span:?}");
        }
    }

    #[test]
    fn a_mistyped_name_gets_a_suggestion() {
        let message = "unknown field `lissen`, expected one of `listen`, `public_url`";
        assert_eq!(suggestion(message).as_deref(), Some("did you mean `listen`?"));
        assert_eq!(
            did_you_mean("api_key", ["api-key", "session"]).as_deref(),
            Some("did you mean `api-key`?")
        );
        assert_eq!(did_you_mean("zzz", ["api-key"]), None);
    }
}
