//! From text to types, before anything is opened.

use std::path::Path;

use countersign::PublicUrl;
use countersign::Scheme;

use super::file::{Cors, File, declared};
use super::overrides::Overrides;
use super::{Access, Config, ServerConfig};
use super::{outbound, route};
use crate::settings::diagnostics::{ConfigError, Origin, Problem};
use crate::settings::scheme::Around;
use crate::settings::{Document, Reader, Setting};

/// A configuration that was taken.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// Each setting, its value, and where that came from.
    pub settings: Vec<Setting>,
    /// What is allowed, and better not.
    pub warnings: Vec<String>,
}

/// Reads the file at `path`, under `overrides`.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => load_text(path, &text, overrides),
        Err(error) => {
            let mut problem = Problem::new(format!("{name} cannot be read: {error}"), Origin::Default);
            if error.kind() == std::io::ErrorKind::NotFound {
                problem = problem.help("`countersign init` writes one; `--config FILE` names another");
            }
            Err(ConfigError::new(name, "", vec![problem]))
        }
    }
}

/// Reads `text` as if it stood at `path`.
pub fn load_text(path: &Path, text: &str, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    read(path, text, overrides).map_err(|problems| ConfigError::new(name, text, problems))
}

fn read(path: &Path, text: &str, overrides: &Overrides) -> Result<Loaded, Vec<Problem>> {
    let mut document = Document::parse(text).map_err(|problem| vec![problem])?;
    overrides.apply(&mut document)?;
    document.complete(declared())?;
    let settings = document.settings(declared());
    let file = File::read(&mut document)?;
    // Paths in the file are beside the file, wherever the process stands.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = absolute.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut reader = Reader::new(document.sources, settings, folder);
    let config = config(&file, &mut reader);
    let Reader { settings, problems, warnings, .. } = reader;
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, settings, warnings }),
        _ => Err(problems),
    }
}

fn config(file: &File, reader: &mut Reader<'_>) -> Option<Config> {
    let tables = &file.tables;
    let store = tables.store.read(reader);
    let server = tables.server.read(reader, store.as_ref());
    let limits = tables.limits.read(reader);
    let upstream = tables.upstream.read(reader);
    let audit = tables.audit.read(reader, store.as_ref());
    let egress = tables.egress.read(reader);
    let public_url = server.as_ref().map(|server| &server.public_url);
    let schemes = file.schemes.parse(
        reader,
        &Around {
            public_url,
            rules: &egress.url_rules(),
            max_head: limits.as_ref().map(|limits| limits.max_head),
            own_audience: file.schemes.issuer.own_audience(public_url).as_deref(),
        },
    );
    let outbounds = outbound::read(&tables.outbound, reader, server.as_ref(), &egress);
    let cors = cors(&tables.cors, reader, server.as_ref());
    let routes = route::read(&file.routes, reader, server.as_ref(), &schemes);
    if file.routes.is_empty() && tables.outbound.is_empty() {
        reader.warnings.push("there is no [[route]]: every request gets 404".to_owned());
    }
    let takes = |scheme: Scheme| {
        routes.iter().any(|route| match &route.access {
            Access::Guarded { requirement, .. } => requirement.schemes().contains(scheme),
            Access::Public => false,
        })
    };
    reader.warnings.extend(schemes.unmet(&takes));
    Some(Config {
        server: server?,
        store: store?,
        limits: limits?,
        upstream: upstream?,
        audit,
        egress,
        schemes,
        cors,
        outbounds,
        routes,
    })
}

/// The origins whose pages may call, each of them whole.
fn cors(cors: &Cors, reader: &mut Reader<'_>, server: Option<&ServerConfig>) -> Vec<PublicUrl> {
    let mut origins = Vec::new();
    for text in &*cors.origins {
        let Some(origin) = reader.parsed(text, PublicUrl::parse) else { continue };
        if server.is_some_and(|server| server.public_url == origin) {
            reader.warnings.push(format!("cors.origins lists {origin}, which is our own origin"));
        }
        origins.push(origin);
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Loaded, ConfigError> {
        load_text(Path::new("countersign.toml"), text, &Overrides::default())
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_mistake_can_be_shown(
            noise in "\\PC{0,60}",
            lines in proptest::collection::vec(proptest::sample::select(LINES), 0..12),
            value in "[\"a-z0-9:/.*{}+ é-]{0,12}",
        ) {
            for text in [noise, lines.join("\n").replace("VALUE", &value)] {
                match read(&text) {
                    Ok(loaded) => proptest::prop_assert!(!loaded.settings.is_empty()),
                    Err(error) => proptest::prop_assert!(!error.render(false).is_empty()),
                }
            }
        }
    }

    /// Lines of a configuration, sound and not.
    const LINES: &[&str] = &[
        "[server]",
        "listen = \"127.0.0.1:1\"",
        "listen = \"VALUE\"",
        "public_url = \"VALUE\"",
        "trusted_proxies = [\"VALUE\", \"10.0.0.0/8\"]",
        "tls = { cert_file = \"VALUE\" }",
        "[store]",
        "url = \"memory:\"",
        "url = \"VALUE\"",
        "[limits]",
        "unproven = \"VALUE\"",
        "nonces = \"VALUE\"",
        "[callback]",
        "max_ttl = \"VALUE\"",
        "strict = VALUE",
        "[session]",
        "handshake = \"VALUE\"",
        "idle = \"VALUE\"",
        "[cors]",
        "origins = [\"VALUE\"]",
        "[signature]",
        "web_bot_auth = [\"VALUE\"]",
        "max_head = \"VALUE\"",
        "max_headers = VALUE",
        "[[route]]",
        "path = \"/a/*\"",
        "path = \"VALUE\"",
        "path = \"/r/{id}/{token}\"",
        "accept = [\"callback-url\"]",
        "upstream = \"http://127.0.0.1:2\"",
        "upstream = \"VALUE\"",
        "public = true",
        "accept = [\"api-key\"]",
        "accept = [\"VALUE\", \"api-key+bearer\"]",
        "methods = [\"VALUE\", \"GET\"]",
        "require = { permission = [\"VALUE\"], claim = { a = [] } }",
        "limit = \"VALUE\"",
        "pass_headers = [\"VALUE\"]",
        "VALUE",
    ];
}
