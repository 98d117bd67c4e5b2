//! Browser sessions on real sockets: their life, what is refused, what leaks, pages of other origins, bound
//! keys, how long refusals take, and the TypeScript client.

mod support;

#[path = "session/bound.rs"]
mod bound;
#[path = "session/client.rs"]
mod client;
#[path = "session/leaks.rs"]
mod leaks;
#[path = "session/life.rs"]
mod life;
#[path = "session/pages.rs"]
mod pages;
#[path = "session/refusals.rs"]
mod refusals;
#[path = "session/site.rs"]
mod site;
#[path = "session/timing.rs"]
mod timing;
