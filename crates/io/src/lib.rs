//! What Countersign opens sockets and files with: the embedded store, the Redis store, the clock,
//! the guarded outgoing client, the threads for hashing.

mod any_store;
mod clock;
pub mod egress;
mod open_error;
mod redb_store;
mod redis_store;
mod store_url;
pub mod workers;

pub use any_store::AnyStore;
pub use clock::{RuntimeTimer, SystemClock};
pub use open_error::OpenError;
pub use redb_store::{ClockAccepted, RedbStore};
pub use redis_store::RedisStore;
pub use store_url::{RedisUrl, StoreUrl, StoreUrlError};
