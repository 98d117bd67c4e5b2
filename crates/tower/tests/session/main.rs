//! Sessions in one process: an axum application that signs people in by `AuthService` and guards its routes by
//! `GateLayer`.

mod bound;
mod life;
mod refusals;
mod world;
