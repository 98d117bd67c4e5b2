//! The vectors of `vectors/requests/`: whole requests, and what becomes of each at a real gate.
//!
//! With `UPDATE_VECTORS=1` the files are written anew, from fixed keys, random numbers and moments; otherwise
//! they are data, and what is made here must be what is there.

mod api_key;
mod asymmetric;
mod bytes;
mod callback_url;
mod file;
mod keys;
mod session;
mod signature;
mod tokens;
mod webhook;
mod world;
