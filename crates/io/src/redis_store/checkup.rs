//! What the operator should know about the server, read when we connect and every few seconds: its
//! settings, and whether another could take its place.

use countersign::store::StoreError;

use super::line::{Line, unavailable};

/// What was found.
pub(super) struct Checkup {
    /// For the operator: what this server may lose, or refuse to keep.
    pub(super) warnings: Vec<String>,
    /// The server is known to write to its disk before it acknowledges.
    pub(super) writes_first: bool,
}

impl Checkup {
    pub(super) async fn of(line: &Line) -> Result<Self, StoreError> {
        // The server answers at all, or this is an error and not a warning.
        line.query::<()>(&redis::cmd("PING")).await.map_err(unavailable)?;
        let mut warnings = Vec::new();
        let policy = match field(line, "memory", "maxmemory_policy").await {
            Some(policy) => Some(policy),
            None => setting(line, "maxmemory-policy").await,
        };
        match policy.as_deref() {
            Some("noeviction") => {}
            Some(policy) => warnings.push(format!(
                "Redis may evict what must be remembered: maxmemory-policy is {policy}, set it to noeviction"
            )),
            None => {
                warnings
                    .push(String::from("cannot tell whether Redis evicts: want maxmemory-policy noeviction"));
            }
        }
        let writes_first = writes_first(line, &mut warnings).await;
        if let Some(why) = replicas(line).await {
            warnings.push(format!(
                "{why}: when a replica is promoted, what it had not yet been told is forgotten, also that a \
                 callback was used, a key revoked, a session ended"
            ));
        }
        Ok(Self { warnings, writes_first })
    }
}

async fn writes_first(line: &Line, warnings: &mut Vec<String>) -> bool {
    match field(line, "persistence", "aof_enabled").await.as_deref() {
        Some("1") => {}
        Some(_) => {
            warnings.push(String::from(
                "Redis loses everything when it restarts: set appendonly yes and appendfsync always",
            ));
            return false;
        }
        None => {
            warnings.push(String::from(
                "cannot tell whether Redis persists: want appendonly yes and appendfsync always",
            ));
            return false;
        }
    }
    match setting(line, "appendfsync").await.as_deref() {
        Some("always") => {}
        Some(when) => {
            warnings
                .push(format!("Redis may lose acknowledged writes: appendfsync is {when}, set it to always"));
            return false;
        }
        None => {
            warnings.push(String::from(
                "cannot tell whether Redis writes before it acknowledges: want appendfsync always",
            ));
            return false;
        }
    }
    match setting(line, "no-appendfsync-on-rewrite").await.as_deref() {
        Some("yes") => {
            warnings.push(String::from(
                "Redis may lose acknowledged writes while it rewrites its file: set no-appendfsync-on-rewrite no",
            ));
            false
        }
        _ => true,
    }
}

/// Whether another server could take this one's place, or this one has its place from another.
async fn replicas(line: &Line) -> Option<String> {
    match field(line, "replication", "role").await.as_deref() {
        Some("master") | None => {}
        Some(_) => return Some(String::from("this Redis is a replica")),
    }
    let connected: u64 = field(line, "replication", "connected_slaves").await?.parse().ok()?;
    (connected > 0).then(|| String::from("Redis has replicas"))
}

/// A line of `INFO section`; `None` if it may not be read or is not there.
async fn field(line: &Line, section: &str, name: &str) -> Option<String> {
    let info: String = line.query(redis::cmd("INFO").arg(section)).await.ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// A setting; `None` if `CONFIG` is forbidden, as hosted servers do.
async fn setting(line: &Line, name: &str) -> Option<String> {
    let pair: Vec<String> = line.query(redis::cmd("CONFIG").arg("GET").arg(name)).await.ok()?;
    pair.into_iter().nth(1)
}
