//! The guarded client against real sockets on loopback: what it dials, what it takes for an answer, whom it
//! trusts, and which connections it keeps.

mod answers;
mod certificates;
mod dialling;
mod reuse;
mod support;
