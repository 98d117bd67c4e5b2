//! What the command line and the environment say over the file: flag > `COUNTERSIGN_*` > file.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;

use super::file::File;
use crate::settings::diagnostics::{Origin, Problem, did_you_mean};
use crate::settings::{Text, Truth};

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
            let setting = SETTINGS.iter().find(|setting| variable(setting.0) == name);
            let Some((path, _)) = setting else {
                let known: Vec<_> = SETTINGS.iter().map(|setting| variable(setting.0)).collect();
                let help = did_you_mean(&name, known.iter().map(String::as_str));
                let problem = Problem::new(format!("no setting is called {name}"), Origin::Default);
                return Err(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            };
            values.insert((*path).to_owned(), (value, Origin::Environment(name)));
        }
        Ok(Self { values })
    }

    /// Adds what a flag says, over everything else.
    pub fn flag(&mut self, path: &'static str, flag: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.values.insert(path.to_owned(), (value, Origin::Flag(flag)));
        }
    }

    /// Puts the values in the place of the file's, and says where each came from.
    pub(super) fn apply(&self, file: &mut File) -> Result<BTreeMap<String, Origin>, Problem> {
        let mut origins = BTreeMap::new();
        for (path, set) in SETTINGS {
            if let Some((value, origin)) = self.values.get(*path) {
                set(file, value).map_err(|message| Problem::new(message, origin.clone()))?;
                origins.insert((*path).to_owned(), origin.clone());
            }
        }
        Ok(origins)
    }
}

fn variable(path: &str) -> String {
    format!("COUNTERSIGN_{}", path.replace('.', "_").to_uppercase())
}

type Set = fn(&mut File, &str) -> Result<(), String>;

/// Puts a text in place.
fn text(place: &mut Option<Text>, value: &str) -> Result<(), String> {
    *place = Some(Spanned::new(0..0, value.to_owned()));
    Ok(())
}

fn number<T: std::str::FromStr>(place: &mut Option<Spanned<T>>, value: &str) -> Result<(), String> {
    let number = value.parse().map_err(|_| format!("`{value}` is no whole number"))?;
    *place = Some(Spanned::new(0..0, number));
    Ok(())
}

fn truth(place: &mut Option<Truth>, value: &str) -> Result<(), String> {
    let truth = value.parse().map_err(|_| format!("`{value}` is neither true nor false"))?;
    *place = Some(Spanned::new(0..0, truth));
    Ok(())
}

/// Every setting that is one value. Tables and lists are the file's.
const SETTINGS: &[(&str, Set)] = &[
    ("server.listen", |file, value| text(&mut file.server.listen, value)),
    ("server.public_url", |file, value| text(&mut file.server.public_url, value)),
    ("server.admin_listen", |file, value| text(&mut file.server.admin_listen, value)),
    ("server.admin_token_file", |file, value| text(&mut file.server.admin_token_file, value)),
    ("server.management_socket", |file, value| text(&mut file.server.management_socket, value)),
    ("server.plain_http", |file, value| truth(&mut file.server.plain_http, value)),
    ("server.drain_timeout", |file, value| text(&mut file.server.drain_timeout, value)),
    ("store.url", |file, value| text(&mut file.store.url, value)),
    ("store.timeout", |file, value| text(&mut file.store.timeout, value)),
    ("store.seal_key_file", |file, value| text(&mut file.store.seal_key_file, value)),
    ("limits.max_head", |file, value| text(&mut file.limits.max_head, value)),
    ("limits.max_headers", |file, value| number(&mut file.limits.max_headers, value)),
    ("limits.max_signed_body", |file, value| text(&mut file.limits.max_signed_body, value)),
    ("limits.max_body", |file, value| text(&mut file.limits.max_body, value)),
    ("limits.max_connections", |file, value| number(&mut file.limits.max_connections, value)),
    ("limits.max_streams", |file, value| number(&mut file.limits.max_streams, value)),
    ("limits.http2_window", |file, value| text(&mut file.limits.http2_window, value)),
    ("limits.unproven", |file, value| text(&mut file.limits.unproven, value)),
    ("limits.nonces", |file, value| text(&mut file.limits.nonces, value)),
    ("limits.header_timeout", |file, value| text(&mut file.limits.header_timeout, value)),
    ("limits.body_timeout", |file, value| text(&mut file.limits.body_timeout, value)),
    ("limits.write_timeout", |file, value| text(&mut file.limits.write_timeout, value)),
    ("limits.idle_timeout", |file, value| text(&mut file.limits.idle_timeout, value)),
    ("upstream.connect_timeout", |file, value| text(&mut file.upstream.connect_timeout, value)),
    ("upstream.response_timeout", |file, value| text(&mut file.upstream.response_timeout, value)),
    ("upstream.stream_timeout", |file, value| text(&mut file.upstream.stream_timeout, value)),
    ("upstream.idle_timeout", |file, value| text(&mut file.upstream.idle_timeout, value)),
    ("upstream.max_idle", |file, value| number(&mut file.upstream.max_idle, value)),
    ("assertion.enabled", |file, value| truth(&mut file.assertion.enabled, value)),
    ("egress.ca_file", |file, value| text(&mut file.egress.ca_file, value)),
    ("egress.allow_http_loopback", |file, value| truth(&mut file.egress.allow_http_loopback, value)),
    ("egress.idle_timeout", |file, value| text(&mut file.egress.idle_timeout, value)),
    ("webhook.in_flight", |file, value| number(&mut file.webhook.in_flight, value)),
    ("audit.file", |file, value| text(&mut file.audit.file, value)),
    ("audit.decisions", |file, value| truth(&mut file.audit.decisions, value)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_settings_and_flags_win() {
        let variables = [("COUNTERSIGN_SERVER_LISTEN".to_owned(), "127.0.0.1:1".to_owned())];
        let mut overrides = Overrides::from_environment(variables).unwrap();
        let mut file = File::default();
        overrides.apply(&mut file).unwrap();
        assert_eq!(file.server.listen.as_ref().unwrap().get_ref(), "127.0.0.1:1");
        overrides.flag("server.listen", "--listen", Some("127.0.0.1:2".to_owned()));
        let origins = overrides.apply(&mut file).unwrap();
        assert_eq!(file.server.listen.as_ref().unwrap().get_ref(), "127.0.0.1:2");
        assert_eq!(origins["server.listen"], Origin::Flag("--listen"));
    }

    #[test]
    fn an_unknown_variable_is_an_error_with_a_suggestion() {
        let variables = [("COUNTERSIGN_SERVER_LISSEN".to_owned(), String::new())];
        let problem = Overrides::from_environment(variables).unwrap_err();
        assert_eq!(problem.help.as_deref(), Some("did you mean `COUNTERSIGN_SERVER_LISTEN`?"));
        assert!(Overrides::from_environment([("PATH".to_owned(), String::new())]).is_ok());
    }
}
