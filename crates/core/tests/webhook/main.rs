//! Webhook authentication whole: Bob's verifier behind his gate, and real requesters whom he asks.

mod answers;
mod by_hand;
mod callers;
mod forgeries;
mod introductions;
mod keys;
mod peers;
mod vectors;
mod world;
