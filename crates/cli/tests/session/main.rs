//! Browser sessions on real sockets: their life, what is refused, what leaks, pages of other origins, bound
//! keys, how long refusals take, and the TypeScript client.

mod bound;
mod client;
mod leaks;
mod life;
mod pages;
mod refusals;
mod site;
mod timing;
