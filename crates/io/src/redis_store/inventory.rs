//! Listing, by scanning the server's keys: for people, who can wait. Memory stays within `limit`.

use std::collections::BTreeSet;

use countersign::store::{Id, Space, StoreError};

use super::connection::Connection;

/// Keys a step, when scanning and when reading.
pub(super) const CHUNK: usize = 500;
/// Steps before we give up: ten million keys.
const STEPS: usize = 20_000;

/// The first `limit` identifiers of `space` after `after`, in order.
pub(super) async fn ids(
    connection: &Connection,
    space: Space,
    after: Option<Id>,
    limit: usize,
) -> Result<Vec<Id>, StoreError> {
    let prefix = format!("cs:{}:", space.name());
    let mut first = BTreeSet::new();
    let mut cursor = 0_u64;
    for _ in 0..STEPS {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(CHUNK);
        let (next, keys): (u64, Vec<Vec<u8>>) = connection.read(&scan).await?;
        for id in keys.iter().filter_map(|key| parse(key.strip_prefix(prefix.as_bytes())?)) {
            if after.is_none_or(|after| id > after) {
                first.insert(id);
                if first.len() > limit {
                    first.pop_last();
                }
            }
        }
        if next == 0 {
            return Ok(first.into_iter().collect());
        }
        cursor = next;
    }
    Err(StoreError::Unavailable(String::from("this Redis holds too many keys to list")))
}

/// 64 hexadecimal digits.
fn parse(hex: &[u8]) -> Option<Id> {
    let mut bytes = [0; 32];
    let text = std::str::from_utf8(hex).ok().filter(|text| text.len() == 64 && text.is_ascii())?;
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(Id::from_bytes(bytes))
}
