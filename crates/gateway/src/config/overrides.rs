//! What the command line and the environment say over the file: flag > `COUNTERSIGN_*` > file.

use std::collections::BTreeMap;
use std::fmt;

use super::file::declared;
use crate::settings::diagnostics::{Origin, Problem, did_you_mean};
use crate::settings::{Document, toml_of, value_of};

/// Values from outside the file, by setting (`server.listen`).
#[derive(Clone, Default)]
pub struct Overrides {
    values: BTreeMap<String, (String, Origin)>,
}

/// Names and origins: a value may hold a password.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.iter().map(|(path, (_, origin))| (path, origin))).finish()
    }
}

/// The environment variables that are no settings.
const NOT_SETTINGS: [&str; 2] = ["COUNTERSIGN_CONFIG", "COUNTERSIGN_LOG"];

impl Overrides {
    /// The settings among environment variables: `COUNTERSIGN_SERVER_LISTEN` is `server.listen`.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for (name, value) in variables {
            if !name.starts_with("COUNTERSIGN_") || NOT_SETTINGS.contains(&name.as_str()) {
                continue;
            }
            let places = declared().places();
            let Some((path, field)) = places.iter().find(|(path, _)| variable(path) == name) else {
                let known: Vec<_> = places.iter().map(|(path, _)| variable(path)).collect();
                let help = did_you_mean(&name, known.iter().map(String::as_str));
                let problem = Problem::new(format!("no setting is called {name}"), Origin::Default);
                return Err(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            };
            values.insert(path.clone(), (toml_of(value, &field.kind), Origin::Environment(name)));
        }
        Ok(Self { values })
    }

    /// Adds what a flag says, over everything else.
    pub fn flag(&mut self, path: &'static str, flag: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.values.insert(path.to_owned(), (value, Origin::Flag(flag)));
        }
    }

    /// Puts the values in the place of the file's: a table before what is in it.
    pub(super) fn apply<'a>(&'a self, document: &mut Document<'a>) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for (path, field) in declared().places() {
            let Some((text, origin)) = self.values.get(&path) else { continue };
            match value_of(text, &field.kind) {
                Ok(value) => document.put(&path, value, origin.clone()),
                Err(message) => problems.push(Problem::new(message, origin.clone())),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems),
        }
    }
}

/// What the environment calls a setting.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("COUNTERSIGN_{}", path.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn listen(overrides: &Overrides) -> (String, String) {
        let mut document = Document::parse("").unwrap();
        overrides.apply(&mut document).unwrap();
        let settings = document.settings(declared());
        let listen = settings.into_iter().find(|setting| setting.path == "server.listen").unwrap();
        (listen.told, listen.origin)
    }

    #[test]
    fn variables_become_settings_and_flags_win() {
        let variables = [("COUNTERSIGN_SERVER_LISTEN".to_owned(), "127.0.0.1:1".to_owned())];
        let mut overrides = Overrides::from_environment(variables).unwrap();
        assert_eq!(listen(&overrides), ("127.0.0.1:1".into(), "COUNTERSIGN_SERVER_LISTEN".into()));
        overrides.flag("server.listen", "--listen", Some("127.0.0.1:2".to_owned()));
        assert_eq!(listen(&overrides), ("127.0.0.1:2".into(), "--listen".into()));
    }

    #[test]
    fn an_unknown_variable_is_an_error_with_a_suggestion() {
        let variables = [("COUNTERSIGN_SERVER_LISSEN".to_owned(), String::new())];
        let problem = Overrides::from_environment(variables).unwrap_err();
        assert_eq!(problem.help.as_deref(), Some("did you mean `COUNTERSIGN_SERVER_LISTEN`?"));
        assert!(Overrides::from_environment([("PATH".to_owned(), String::new())]).is_ok());
    }

    #[test]
    fn no_two_settings_have_one_variable() {
        let places = declared().places();
        let names: BTreeSet<String> = places.iter().map(|(path, _)| variable(path)).collect();
        assert_eq!(names.len(), places.len());
        assert!(NOT_SETTINGS.iter().all(|name| !names.contains(*name)));
    }
}
