//! Handshakes: single-use values that live here, bound to a session, for a minute.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::half::Half;
use super::record::{decode, encode};
use crate::crypto::Random;
use crate::denial::Code;
use crate::spending::Spending;
use crate::store::{Id, Space, Store, StoreError};
use crate::time::Timestamp;

/// Where handshakes wait to be spent. They may be lost with the process: a client gets another.
pub const HANDSHAKES: Space = Space::volatile("handshakes");
/// Which handshakes each session was given lately.
pub const HANDSHAKES_GIVEN: Space = Space::volatile("handshakes-given");

/// How long a handshake lives.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// How many a session may have outstanding; one more ends the oldest.
pub const OUTSTANDING: usize = 8;

const VERSION: u8 = 1;
/// What is kept under a handshake's name. The name, a hash of session and handshake, is all there is to say.
const GIVEN: &[u8] = &[VERSION];

/// The names of the handshakes that a session was given and that have not expired, oldest first. Those that
/// were spent stay until the list is full.
#[derive(Default, Serialize, Deserialize)]
struct Given(Vec<([u8; 32], Timestamp)>);

/// The name of a handshake of the session that is kept at `session`: no other session has it.
fn name(session: Id, handshake: &Half) -> Id {
    Id::of(&[b"countersign/session/handshake/1", session.as_bytes(), handshake.expose()])
}

/// What a permit costs that `handshake` pays for. It is taken once, by whoever is first; a foreign one, or one
/// that was never given, is not there either.
pub(super) fn spending(session: Id, handshake: &Half) -> Spending {
    Spending::Entry {
        space: HANDSHAKES,
        id: name(session, handshake),
        expected: Bytes::from_static(GIVEN),
        absent: Code::HandshakeUsed,
    }
}

/// Gives the session that is kept at `session` a handshake.
///
/// # Errors
/// [`StoreError`].
pub async fn give<S: Store>(
    store: &S,
    session: Id,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Half, StoreError> {
    let handshake = Half::generate(random);
    let (id, until) = (name(session, &handshake), now.plus(LIFETIME));
    // It is there before it is listed, so that nobody takes it for a spent one.
    store.insert(HANDSHAKES, id, Bytes::from_static(GIVEN), Some(until)).await?;
    loop {
        let old = store.get(HANDSHAKES_GIVEN, session).await?;
        let Given(mut given) = match &old {
            Some(bytes) => decode(VERSION, bytes, "a list of handshakes")?,
            None => Given::default(),
        };
        given.retain(|(_, until)| now < *until);
        if given.len() >= OUTSTANDING {
            given = outstanding(store, given).await?;
        }
        let evicted: Vec<_> = given.drain(..(given.len() + 1).saturating_sub(OUTSTANDING)).collect();
        given.push((*id.as_bytes(), until));
        let new = encode(VERSION, &Given(given))?;
        let written = match old {
            Some(old) => store.replace(HANDSHAKES_GIVEN, session, old, new, Some(until)).await?,
            None => store.insert(HANDSHAKES_GIVEN, session, new, Some(until)).await?,
        };
        // Whoever loses against another tab reads again: of each round one wins.
        if written {
            for (id, _) in evicted {
                store.take_if(HANDSHAKES, Id::from_bytes(id), None).await?;
            }
            return Ok(handshake);
        }
    }
}

/// Those that have not been spent.
async fn outstanding<S: Store>(
    store: &S,
    given: Vec<([u8; 32], Timestamp)>,
) -> Result<Vec<([u8; 32], Timestamp)>, StoreError> {
    let mut left = Vec::with_capacity(given.len());
    for (id, until) in given {
        if store.get(HANDSHAKES, Id::from_bytes(id)).await?.is_some() {
            left.push((id, until));
        }
    }
    Ok(left)
}
