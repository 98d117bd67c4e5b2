//! One connection that comes back by itself, and never repeats a command.
//!
//! The driver's `ConnectionManager` replaces a broken connection in the background; the command
//! that met the break gets its error, and none is sent again. The one thing that is sent twice is
//! a script that the server answered not to know (`NOSCRIPT`): that answer says that it did not run.

use std::future::Future;
use std::time::Duration;

use countersign::store::StoreError;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};

use crate::RedisUrl;

/// For a connection, and for a response.
const TIME_OUT: Duration = Duration::from_secs(1);
/// For a whole call, waiting for a connection included.
const CALL_TIME_OUT: Duration = Duration::from_secs(2);
/// How many commands may wait to be written.
const PIPELINE: usize = 1_024;

/// A shared connection.
pub(super) struct Connection(ConnectionManager);

impl Connection {
    pub(super) async fn open(url: &RedisUrl) -> Result<Self, StoreError> {
        let client = Client::open(url.connection_info()).map_err(unavailable)?;
        // One attempt: the next call makes the next one, instead of waiting for a longer series.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIME_OUT))
            .set_response_timeout(Some(TIME_OUT))
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(PIPELINE);
        bounded(ConnectionManager::new_with_config(client, config)).await.map(Self)
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        bounded(command.query_async(&mut self.0.clone())).await
    }

    /// Runs one script.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        bounded(call.invoke_async(&mut self.0.clone())).await
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_TIME_OUT, call).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(StoreError::Unavailable(String::from("Redis did not answer in time"))),
    }
}

/// The kind of failure alone: what a server says may repeat what it was sent.
#[expect(clippy::needless_pass_by_value, reason = "an error is used up by being translated")]
fn unavailable(error: RedisError) -> StoreError {
    let code = error.code().unwrap_or_default();
    if code == "CORRUPT" {
        return StoreError::Corrupt(String::from("an envelope of another version"));
    }
    StoreError::Unavailable(match error.kind() {
        _ if error.is_timeout() => String::from("Redis did not answer in time"),
        _ if error.is_connection_refusal() => String::from("Redis refused the connection"),
        ErrorKind::AuthenticationFailed => String::from("Redis did not accept the user and password"),
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            String::from("this Redis only reads: it is a replica")
        }
        _ if code.is_empty() => format!("Redis: {}", error.category()),
        _ => format!("Redis: {} ({code})", error.category()),
    })
}
