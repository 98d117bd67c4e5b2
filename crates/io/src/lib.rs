//! What Countersign opens sockets and files with: the embedded store, the Redis store, the clock,
//! the guarded outgoing client, the threads for hashing, files that hold secrets and keys.

mod any_store;
mod clock;
pub mod egress;
pub mod key_file;
mod open_error;
mod redb_store;
mod redis_store;
pub mod secret_file;
mod store_url;
pub mod workers;

pub use any_store::AnyStore;
pub use clock::{RuntimeTimer, SystemClock};
pub use open_error::OpenError;
pub use redb_store::{ClockAccepted, RedbStore};
pub use redis_store::RedisStore;
pub use store_url::{RedisUrl, StoreUrl, StoreUrlError};
