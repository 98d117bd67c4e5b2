//! Callback URLs at the gate: minted, used, and refused with exact codes.

mod minting;
mod refusals;
mod statics;
mod uses;
mod vectors;
mod world;
