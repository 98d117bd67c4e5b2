//! From text to types; every problem is collected, so that one run shows them all.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::dpop::NoncePolicy;
use countersign::{PublicUrl, Scheme};
use countersign_io::StoreUrl;
use countersign_io::egress::Network;
use toml::Spanned;

use super::file::{self, File};
use super::overrides::Overrides;
use super::{Access, AuditConfig, Config, Limits, ServerConfig, StoreConfig, TlsFiles, UpstreamLimits};
use crate::settings::diagnostics::{ConfigError, Origin, Problem};
use crate::settings::quantities::{parse_duration, parse_size};
use crate::settings::{Text, Truth};

mod assertion;
mod bearer;
mod callback;
mod claims;
mod issuer;
mod outgoing;
mod pass_headers;
mod prove;
mod routes;
mod session;

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

/// A setting as `config show --origin` prints it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `server.listen`
    pub path: String,
    /// Its value.
    pub value: String,
    /// Where it came from, in words.
    pub origin: String,
}

/// Reads the file at `path`, under `overrides`.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => load_text(path, text, overrides),
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
pub fn load_text(path: &Path, text: String, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let name = path.display().to_string();
    let fail = |text: String, problems| Err(ConfigError::new(name.clone(), &text, problems));
    let mut file: File = match toml::from_str(&text) {
        Ok(file) => file,
        Err(error) => return fail(text, vec![Problem::from_toml(&error)]),
    };
    let origins = match overrides.apply(&mut file) {
        Ok(origins) => origins,
        Err(problem) => return fail(text, vec![problem]),
    };
    // Paths in the file are beside the file, wherever the process stands.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = absolute.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut reader = Reader {
        text: &text,
        origins,
        folder,
        settings: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let config = reader.config(&file);
    let Reader { settings, problems, warnings, .. } = reader;
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, settings, warnings }),
        _ => fail(text, problems),
    }
}

struct Reader<'a> {
    text: &'a str,
    origins: BTreeMap<String, Origin>,
    folder: PathBuf,
    settings: Vec<Setting>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn origin(&self, path: &str, span: Option<Range<usize>>) -> Origin {
        self.origins.get(path).cloned().or_else(|| span.map(Origin::File)).unwrap_or(Origin::Default)
    }

    fn show(&mut self, path: &str, value: impl Display, span: Option<Range<usize>>) {
        let origin = match self.origin(path, span) {
            Origin::Default => "default".to_owned(),
            Origin::Environment(name) => name,
            Origin::Flag(name) => name.to_owned(),
            Origin::File(span) => {
                let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
                format!("line {line}")
            }
        };
        self.settings.push(Setting { path: path.to_owned(), value: value.to_string(), origin });
    }

    fn wrong(&mut self, message: impl Display, path: &str, span: Option<Range<usize>>) {
        let origin = self.origin(path, span);
        self.problems.push(Problem::new(message.to_string(), origin));
    }

    /// A setting that is text in the file and `T` for us.
    fn parsed<T, E: Display>(
        &mut self,
        path: &str,
        written: Option<&Text>,
        default: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = written.map_or(default, |text| text.get_ref());
        self.show(path, text, written.map(Spanned::span));
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(error, path, written.map(Spanned::span));
                None
            }
        }
    }

    fn maybe<T, E: Display>(
        &mut self,
        path: &str,
        written: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        written.and_then(|text| self.parsed(path, Some(text), "", parse))
    }

    /// Whether proofs need a nonce: the same words in every section that has the setting.
    fn dpop_nonces(&mut self, path: &str, written: Option<&Text>) -> NoncePolicy {
        let policy = self.parsed(path, written, "accepted", |text| match text {
            "accepted" => Ok(NoncePolicy::Accepted),
            "required" => Ok(NoncePolicy::Required),
            _ => Err(format!("`{text}` is no policy: write \"accepted\" or \"required\"")),
        });
        // What cannot be read is a problem already, and nothing is served with what stands here instead.
        policy.unwrap_or_default()
    }

    /// Whether something is so; shown where somebody said it.
    fn said(&mut self, path: &str, written: Option<&Truth>) -> bool {
        let Some(truth) = written else { return false };
        self.show(path, truth.get_ref(), Some(truth.span()));
        *truth.get_ref()
    }

    fn number<T: Copy + Display + PartialOrd>(
        &mut self,
        path: &str,
        written: Option<&Spanned<T>>,
        default: T,
        bounds: RangeInclusive<T>,
    ) -> T {
        let value = written.map_or(default, |number| *number.get_ref());
        self.show(path, value, written.map(Spanned::span));
        if !bounds.contains(&value) {
            let message = format!("{path} is from {} to {}", bounds.start(), bounds.end());
            self.wrong(message, path, written.map(Spanned::span));
        }
        value
    }

    fn file_path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn config(&mut self, file: &File) -> Option<Config> {
        let store = self.store(&file.store);
        let server = self.server(&file.server, store.as_ref());
        let limits = self.limits(&file.limits);
        let upstream = self.upstream(&file.upstream);
        let audit = self.audit(&file.audit, store.as_ref());
        let egress = self.egress(&file.egress);
        let webhook = self.webhook(&file.webhook, &egress);
        let signature = self.signature(&file.signature, &egress);
        let callback = self.callback(&file.callback);
        let issuer = self.issuer(&file.issuer, server.as_ref());
        let bearer = self.bearer(
            &file.bearer,
            server.as_ref(),
            &egress,
            issuer.as_ref(),
            limits.as_ref().map(|limits| limits.max_head),
        );
        let outbounds = self.outbounds(&file.outbound, server.as_ref(), &egress);
        let assertion = self.assertion(&file.assertion);
        let session = self.session(&file.session);
        let cors = self.cors(&file.cors, server.as_ref());
        let routes = self.routes(&file.route, server.as_ref(), &signature, &session, assertion);
        if file.route.is_empty() && file.outbound.is_empty() {
            self.warnings.push("there is no [[route]]: every request gets 404".to_owned());
        }
        let takes = |scheme: Scheme| {
            routes.iter().any(|route| match &route.access {
                Access::Guarded { requirement, .. } => requirement.schemes().contains(scheme),
                Access::Public => false,
            })
        };
        if bearer.issuers.is_empty() && takes(Scheme::Bearer) {
            let warning = "a route accepts bearer, and there is no [[bearer.issuer]]: nobody can call it so";
            self.warnings.push(warning.to_owned());
        }
        if !session.enabled && takes(Scheme::Session) {
            let warning = "a route accepts session, and session.enabled is not true: nobody can sign in";
            self.warnings.push(warning.to_owned());
        }
        if webhook.callers.is_empty() && takes(Scheme::Webhook) {
            let warning = "a route accepts webhook, and webhook.callers lists nobody: nobody can call it so";
            self.warnings.push(warning.to_owned());
        }
        // Their signatures stand for no API key.
        if !takes(Scheme::Signature) {
            let named = [
                (signature.wallets, "signature.wallets lets wallets in"),
                (!signature.web_bot_auth.is_empty(), "signature.web_bot_auth lists agents"),
            ];
            for (_, who) in named.into_iter().filter(|(named, _)| *named) {
                self.warnings.push(format!("{who}, and no route accepts signature: nobody can call so"));
            }
        }
        Some(Config {
            server: server?,
            store: store?,
            limits: limits?,
            upstream: upstream?,
            audit,
            egress,
            webhook,
            signature,
            callback: callback?,
            bearer,
            issuer,
            session,
            cors,
            outbounds,
            routes,
        })
    }

    fn store(&mut self, store: &file::Store) -> Option<StoreConfig> {
        let folder = self.folder.clone();
        let span = store.url.as_ref().map(Spanned::span);
        let text = store.url.as_ref().map_or("redb:countersign.redb", |text| text.get_ref());
        let url = match text.parse::<StoreUrl>() {
            Ok(StoreUrl::Redb(path)) => Some(StoreUrl::Redb(folder.join(path))),
            Ok(url) => Some(url),
            Err(error) => {
                self.wrong(error, "store.url", span.clone());
                None
            }
        };
        if let Some(url) = &url {
            // As the store shows itself: without a password.
            self.show("store.url", url, span);
        }
        let timeout = self.duration("store.timeout", store.timeout.as_ref(), "100ms");
        let url = match (url, timeout) {
            (Some(StoreUrl::Redis(url)), Some(timeout)) => Some(StoreUrl::Redis(url.with_timeout(timeout))),
            (url, _) => url,
        };
        let given = self.maybe("store.seal_key_file", store.seal_key_file.as_ref(), |text| {
            Ok::<_, String>(folder.join(text))
        });
        let url = url?;
        let beside = match &url {
            StoreUrl::Redb(path) => Some(path.with_file_name("seal.key")),
            _ => None,
        };
        if given.is_none() && matches!(url, StoreUrl::Redis(_)) {
            let message = "a Redis store needs store.seal_key_file: the same 32 bytes on every gateway";
            let problem =
                Problem::new(message, self.origin("store.url", store.url.as_ref().map(Spanned::span)));
            self.problems.push(
                problem.help("make them with `head -c 32 /dev/urandom > seal.key && chmod 600 seal.key`"),
            );
        }
        let make_seal_key = given.is_none();
        Some(StoreConfig { url, seal_key_file: given.or(beside), make_seal_key })
    }

    fn server(&mut self, server: &file::Server, store: Option<&StoreConfig>) -> Option<ServerConfig> {
        let listen = self.parsed("server.listen", server.listen.as_ref(), "127.0.0.1:8080", parse_address);
        let admin_listen = self.maybe("server.admin_listen", server.admin_listen.as_ref(), parse_address);
        let tls = server.tls.as_ref().map(|tls| TlsFiles {
            cert_file: self.file_path(tls.cert_file.get_ref()),
            key_file: self.file_path(tls.key_file.get_ref()),
        });
        if let (Some(files), Some(tls)) = (&tls, &server.tls) {
            self.show("server.tls.cert_file", files.cert_file.display(), Some(tls.cert_file.span()));
            self.show("server.tls.key_file", files.key_file.display(), Some(tls.key_file.span()));
        }
        let plain_http = server.plain_http.as_ref().is_some_and(|truth| *truth.get_ref());
        self.show("server.plain_http", plain_http, server.plain_http.as_ref().map(Spanned::span));
        let listen = listen?;
        let listen_span = server.listen.as_ref().map(Spanned::span);
        if tls.is_none() && !plain_http && !listen.ip().is_loopback() {
            let origin = self.origin("server.listen", listen_span.clone());
            let problem =
                Problem::new(format!("{listen} is not loopback, and there is no server.tls"), origin);
            self.problems.push(problem.help("give a certificate with `tls = { cert_file = \"…\", key_file = \"…\" }`, or say `plain_http = true` behind a TLS terminator"));
        }
        let own = format!("{}://{listen}", if tls.is_some() { "https" } else { "http" });
        let public_url = self.parsed("server.public_url", server.public_url.as_ref(), &own, PublicUrl::parse);
        if server.public_url.is_none() && !listen.ip().is_loopback() {
            let message =
                "server.public_url is needed: what callers address, since every proof is bound to it";
            self.wrong(message, "server.public_url", listen_span);
        }
        if admin_listen == Some(listen) && listen.port() != 0 {
            let span = server.admin_listen.as_ref().map(Spanned::span);
            self.wrong("admin_listen is the same as listen", "server.admin_listen", span);
        }
        let folder = self.folder.clone();
        let in_folder = |text: &str| Ok::<_, String>(folder.join(text));
        let admin_token_file =
            self.maybe("server.admin_token_file", server.admin_token_file.as_ref(), in_folder);
        let default_socket = default_socket(match store.map(|store| &store.url) {
            Some(StoreUrl::Redb(path)) => path.with_file_name("management.sock"),
            _ => folder.join("management.sock"),
        });
        let default_socket = default_socket.display().to_string();
        let management_socket = self.parsed(
            "server.management_socket",
            server.management_socket.as_ref(),
            &default_socket,
            |text| match folder.join(text) {
                path if path.as_os_str().len() > LONGEST_SOCKET => {
                    Err(format!("the path of the management socket is longer than 107 bytes: {text}"))
                }
                path => Ok(path),
            },
        );
        let mut trusted_proxies = Vec::new();
        for text in &server.trusted_proxies {
            trusted_proxies.extend(self.parsed(
                "server.trusted_proxies",
                Some(text),
                "",
                str::parse::<Network>,
            ));
        }
        let drain_timeout =
            self.parsed("server.drain_timeout", server.drain_timeout.as_ref(), "30s", parse_duration);
        Some(ServerConfig {
            listen,
            public_url: public_url?,
            admin_listen,
            admin_token_file,
            management_socket: management_socket?,
            tls,
            trusted_proxies,
            drain_timeout: drain_timeout?,
        })
    }

    fn limits(&mut self, limits: &file::Limits) -> Option<Limits> {
        let max_head = self.parsed("limits.max_head", limits.max_head.as_ref(), "32KiB", |text| {
            parse_size(text).and_then(|size| match size {
                1024..=1_048_576 => Ok(size),
                _ => Err("limits.max_head is from 1KiB to 1MiB".to_owned()),
            })
        });
        let max_headers = self.number("limits.max_headers", limits.max_headers.as_ref(), 100, 1..=10_000);
        let max_signed_body =
            self.parsed("limits.max_signed_body", limits.max_signed_body.as_ref(), "1MiB", parse_size);
        let max_body = self.maybe("limits.max_body", limits.max_body.as_ref(), parse_size);
        let max_connections =
            self.number("limits.max_connections", limits.max_connections.as_ref(), 20_000, 1..=10_000_000);
        let max_streams = self.number("limits.max_streams", limits.max_streams.as_ref(), 100, 1..=100_000);
        let http2_window =
            self.parsed("limits.http2_window", limits.http2_window.as_ref(), "256KiB", |text| {
                parse_size(text).and_then(|size| match u32::try_from(size) {
                    Ok(window @ 65_536..=16_777_216) => Ok(window),
                    _ => Err("limits.http2_window is from 64KiB to 16MiB".to_owned()),
                })
            });
        let unproven = self.parsed("limits.unproven", limits.unproven.as_ref(), "60000/min", str::parse);
        let nonces = self.parsed("limits.nonces", limits.nonces.as_ref(), "60000/min", str::parse);
        let header_timeout = self.duration("limits.header_timeout", limits.header_timeout.as_ref(), "10s");
        let body_timeout = self.duration("limits.body_timeout", limits.body_timeout.as_ref(), "30s");
        let write_timeout = self.duration("limits.write_timeout", limits.write_timeout.as_ref(), "60s");
        let idle_timeout = self.duration("limits.idle_timeout", limits.idle_timeout.as_ref(), "120s");
        Some(Limits {
            max_head: max_head?,
            max_headers,
            max_signed_body: max_signed_body?,
            max_body,
            max_connections,
            max_streams,
            http2_window: http2_window?,
            unproven: unproven?,
            nonces: nonces?,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            write_timeout: write_timeout?,
            idle_timeout: idle_timeout?,
        })
    }

    /// A time-out of nothing would refuse everything.
    fn duration(&mut self, path: &str, written: Option<&Text>, default: &str) -> Option<Duration> {
        self.parsed(path, written, default, |text| match parse_duration(text)? {
            Duration::ZERO => Err(format!("{path} cannot be zero")),
            duration => Ok(duration),
        })
    }

    fn upstream(&mut self, upstream: &file::Upstream) -> Option<UpstreamLimits> {
        let connect = self.duration("upstream.connect_timeout", upstream.connect_timeout.as_ref(), "5s");
        let response = self.duration("upstream.response_timeout", upstream.response_timeout.as_ref(), "60s");
        let stream = self.duration("upstream.stream_timeout", upstream.stream_timeout.as_ref(), "5m");
        let idle = self.duration("upstream.idle_timeout", upstream.idle_timeout.as_ref(), "4s");
        let max_idle = self.number("upstream.max_idle", upstream.max_idle.as_ref(), 256, 0..=1_000_000);
        Some(UpstreamLimits {
            connect_timeout: connect?,
            response_timeout: response?,
            stream_timeout: stream?,
            idle_timeout: idle?,
            max_idle,
        })
    }

    fn audit(&mut self, audit: &file::Audit, store: Option<&StoreConfig>) -> AuditConfig {
        let default = match store.map(|store| &store.url) {
            Some(StoreUrl::Redb(path)) => path.with_file_name("audit.jsonl"),
            _ => self.folder.join("audit.jsonl"),
        };
        let written = audit.file.as_ref();
        let text = written.map_or_else(|| default.display().to_string(), |text| text.get_ref().clone());
        self.show("audit.file", &text, written.map(Spanned::span));
        let decisions = audit.decisions.as_ref().is_none_or(|truth| *truth.get_ref());
        self.show("audit.decisions", decisions, audit.decisions.as_ref().map(Spanned::span));
        let file = if text == "-" { None } else { Some(self.file_path(&text)) };
        AuditConfig { file, decisions }
    }
}

/// The kernel's `sockaddr_un` holds 108 bytes, one of them NUL.
const LONGEST_SOCKET: usize = 107;

/// Beside the store; where that path is too long for a socket, a short name of it in the folder for
/// temporary files. Whoever connects to either judges by user who answers, and the other way round.
fn default_socket(beside_store: PathBuf) -> PathBuf {
    if beside_store.as_os_str().len() <= LONGEST_SOCKET {
        return beside_store;
    }
    let digest = countersign::crypto::sha256(beside_store.as_os_str().as_encoded_bytes());
    let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("countersign-{name}.sock"))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address and port: write 127.0.0.1:8080 or [::1]:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: String) -> Result<Loaded, ConfigError> {
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
                match read(text) {
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
