//! Who is measured: each is started, loaded and ended in turn, so that none disturbs another.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::keys::{self, PERMISSION};
use crate::load::{self, Sample};
use crate::machine::{has, server};
use crate::process::{GATEWAY, Place, Process, free_address, pinned};
use crate::report::Plan;
use crate::script::{Script, Turns};
use crate::{Failure, gateway};

/// A way through which the same requests reach the same upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// A bare hyper proxy.
    Bare,
    /// nginx, asking nobody anything.
    Nginx,
    /// HAProxy, asking nobody anything.
    HaProxy,
    /// The gateway.
    Gateway(Guard),
}

/// What the gateway is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    /// Keys are asked for; else the route is public.
    pub(crate) keyed: bool,
    /// How many keys its store holds.
    pub(crate) keys: usize,
    /// How many routes it has.
    pub(crate) routes: usize,
    /// It writes down each decision.
    pub(crate) audit: bool,
    /// It tells the upstream who was proven in a signed assertion.
    pub(crate) assertion: bool,
}

impl Guard {
    /// A public route.
    pub(crate) const fn public(keys: usize) -> Self {
        Self { keyed: false, keys, routes: 1, audit: false, assertion: false }
    }

    /// One route that asks for a key.
    pub(crate) const fn keyed(keys: usize) -> Self {
        Self { keyed: true, keys, routes: 1, audit: false, assertion: false }
    }
}

impl Contender {
    /// What the tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare => "bare hyper proxy".into(),
            Self::Nginx => "nginx, plain proxy".into(),
            Self::HaProxy => "HAProxy, plain proxy".into(),
            Self::Gateway(guard) => {
                let mut name =
                    String::from(if guard.keyed { "gateway, API key" } else { "gateway, public route" });
                let _ = write!(name, ", {} keys", crate::report::grouped(guard.keys));
                if guard.routes > 1 {
                    let _ = write!(name, ", {} routes", crate::report::grouped(guard.routes));
                }
                if guard.audit {
                    name.push_str(", audit log");
                }
                if guard.assertion {
                    name.push_str(", an assertion each");
                }
                name
            }
        }
    }
}

/// Everything that stands ready for the rounds.
pub(crate) struct Bench {
    folder: TempDir,
    upstream: SocketAddr,
    keys: usize,
    /// Lives as long as the bench.
    _upstream_process: Process,
    /// Who takes part.
    pub(crate) contenders: Vec<Contender>,
}

impl Bench {
    /// Makes stores and scripts, and starts the upstream.
    pub(crate) fn set_up(plan: &Plan) -> Result<Self, Failure> {
        raise_file_limit();
        let folder = gateway::folder()?;
        for count in [plan.few_keys, plan.keys, plan.many_keys] {
            eprintln!("{} keys", crate::report::grouped(count));
            let mut script = Script::new(folder.path(), &count.to_string())?;
            for key in keys::make(&folder.path().join(format!("{count}.redb")), count)? {
                script.add("GET", "/orders/1", &[("Authorization", &format!("Bearer {key}"))], "")?;
            }
            script.finish(Turns::Endless)?;
        }
        let (process, upstream) = gateway::upstream()?;
        Ok(Self {
            folder,
            upstream,
            keys: plan.keys,
            _upstream_process: process,
            contenders: contenders(plan),
        })
    }

    /// Measures each contender once. Whoever was first is last in the next round.
    pub(crate) fn round(&self, number: usize, seconds: u64) -> Result<Vec<Sample>, Failure> {
        let mut order: Vec<usize> = (0..self.contenders.len()).collect();
        order.rotate_left(number % self.contenders.len());
        let mut samples = vec![None; self.contenders.len()];
        for index in order {
            let contender = self.contenders[index];
            let (process, address) = self.start(contender)?;
            // Whoever asks nobody gets what the gateway gets.
            let keys = match contender {
                Contender::Gateway(guard) => guard.keys,
                _ => self.keys,
            };
            let script = self.path(&format!("{keys}.lua"));
            let sample = load::measure(&process, address, &script, &script, seconds)
                .map_err(|error| format!("{}: {error}", contender.name()))?;
            samples[index] = Some(sample);
        }
        Ok(samples.into_iter().flatten().collect())
    }

    /// Starts a contender on a fresh port.
    pub(crate) fn start(&self, contender: Contender) -> Result<(Process, SocketAddr), Failure> {
        let address = free_address()?;
        let command = match contender {
            Contender::Bare => {
                let mut command = pinned(Place::Server, std::env::current_exe()?);
                command.args(["proxy", &address.to_string(), &self.upstream.to_string()]);
                command
            }
            Contender::Nginx => self.nginx(address)?,
            Contender::HaProxy => self.haproxy(address)?,
            Contender::Gateway(guard) => self.gateway(guard, address)?,
        };
        Ok((Process::start(command, address)?, address))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn gateway(&self, guard: Guard, address: SocketAddr) -> Result<Command, Failure> {
        let mut text = format!(
            "[server]\nlisten = \"{address}\"\n[store]\nurl = \"redb:{}\"\n[audit]\ndecisions = {}\n\
             [limits]\nmax_connections = 20000\n",
            self.path(&format!("{}.redb", guard.keys)).display(),
            guard.audit,
        );
        let access = match guard.keyed {
            true => format!(
                "accept = [\"api-key\"]\nassertion = {}\nrequire = {{ permission = [\"{PERMISSION}\"] }}",
                guard.assertion
            ),
            false => "public = true".into(),
        };
        let paths = (1..guard.routes).map(|number| format!("/other{number}/*"));
        for path in paths.chain(["/orders/*".to_owned()]) {
            let _ = write!(
                text,
                "[[route]]\npath = \"{path}\"\nupstream = \"http://{}\"\n{access}\n",
                self.upstream
            );
        }
        let file = self.path("countersign.toml");
        std::fs::write(&file, text)?;
        let mut command = pinned(Place::Server, self.path(GATEWAY));
        command.args(["serve", "--config"]).arg(file).env("COUNTERSIGN_LOG", "warn");
        Ok(command)
    }

    fn nginx(&self, address: SocketAddr) -> Result<Command, Failure> {
        let folder = self.folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/nginx-{kind};"))
            .join(" ");
        let file = self.path("nginx.conf");
        std::fs::write(
            &file,
            format!(
                "daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;\n\
                 error_log {folder}/nginx.log crit;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; {temporary}\n\
                 upstream behind {{ server {}; keepalive 256; keepalive_requests 100000000; }}\n\
                 server {{ listen {address}; keepalive_requests 100000000; location / {{\n\
                 proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
                self.upstream
            ),
        )?;
        let mut command = pinned(Place::Server, server("nginx"));
        command.arg("-p").arg(self.folder.path()).arg("-e").arg(self.path("nginx.log")).arg("-c").arg(file);
        Ok(command)
    }

    fn haproxy(&self, address: SocketAddr) -> Result<Command, Failure> {
        let file = self.path("haproxy.cfg");
        std::fs::write(
            &file,
            format!(
                "global\n  nbthread 1\n  maxconn 4096\n\
                 defaults\n  mode http\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\n\
                 frontend front\n  bind {address}\n  default_backend behind\n\
                 backend behind\n  http-reuse always\n  server upstream {}\n",
                self.upstream
            ),
        )?;
        let mut command = pinned(Place::Server, server("haproxy"));
        command.arg("-db").arg("-f").arg(file);
        Ok(command)
    }
}

fn contenders(plan: &Plan) -> Vec<Contender> {
    let keyed = Guard::keyed(plan.keys);
    let mut contenders =
        vec![Contender::Bare, Contender::Gateway(Guard::public(plan.keys)), Contender::Gateway(keyed)];
    contenders.extend(has("nginx").then_some(Contender::Nginx));
    contenders.extend(has("haproxy").then_some(Contender::HaProxy));
    contenders.extend([
        Contender::Gateway(Guard { audit: true, ..keyed }),
        Contender::Gateway(Guard { assertion: true, ..keyed }),
        Contender::Gateway(Guard { routes: plan.routes, ..keyed }),
        Contender::Gateway(Guard::keyed(plan.few_keys)),
        Contender::Gateway(Guard::keyed(plan.many_keys)),
    ]);
    contenders
}

/// As many open files as this user may have: idle connections need one each, on either side.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
