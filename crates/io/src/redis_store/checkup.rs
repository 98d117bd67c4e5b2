//! What the operator should know about the server's settings, read once when we connect.

use countersign::store::StoreError;

use super::connection::Connection;

/// Warnings for the operator: what this server may lose, or refuse to keep.
pub(super) async fn warnings(connection: &Connection) -> Result<Vec<String>, StoreError> {
    // The server answers at all, or this is an error and not a warning.
    connection.query::<()>(&redis::cmd("PING")).await?;
    let mut warnings = Vec::new();
    let policy = match field(connection, "memory", "maxmemory_policy").await {
        Some(policy) => Some(policy),
        None => setting(connection, "maxmemory-policy").await,
    };
    match policy.as_deref() {
        Some("noeviction") => {}
        Some(policy) => warnings.push(format!(
            "Redis may evict what must be remembered: maxmemory-policy is {policy}, set it to noeviction"
        )),
        None => {
            warnings.push(String::from("cannot tell whether Redis evicts: want maxmemory-policy noeviction"));
        }
    }
    match field(connection, "persistence", "aof_enabled").await.as_deref() {
        Some("1") => match setting(connection, "appendfsync").await.as_deref() {
            Some("always") => {}
            Some(when) => warnings
                .push(format!("Redis may lose acknowledged writes: appendfsync is {when}, set it to always")),
            None => warnings.push(String::from(
                "cannot tell whether Redis writes before it acknowledges: want appendfsync always",
            )),
        },
        Some(_) => warnings.push(String::from(
            "Redis loses everything when it restarts: set appendonly yes and appendfsync always",
        )),
        None => warnings.push(String::from(
            "cannot tell whether Redis persists: want appendonly yes and appendfsync always",
        )),
    }
    Ok(warnings)
}

/// A line of `INFO section`; `None` if it may not be read or is not there.
async fn field(connection: &Connection, section: &str, name: &str) -> Option<String> {
    let info: String = connection.query(redis::cmd("INFO").arg(section)).await.ok()?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// A setting; `None` if `CONFIG` is forbidden, as hosted servers do.
async fn setting(connection: &Connection, name: &str) -> Option<String> {
    let pair: Vec<String> = connection.query(redis::cmd("CONFIG").arg("GET").arg(name)).await.ok()?;
    pair.into_iter().nth(1)
}
