//! Sessions through the gate: what passes, what is refused, and as what.

mod accounts;
mod endings;
mod halves;
mod handshakes;
mod leaks;
mod pages;
mod world;
