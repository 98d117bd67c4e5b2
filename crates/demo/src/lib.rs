//! The seeds' own demonstrations, as separate processes that share nothing: programs for people, who draw on standard
//! output what they saw.
//!
//! [`direct`] starts this same program once for each who takes part, with `demo NAME --as PART --directed --folder
//! FOLDER`, gives each its orders, and ends them all, whatever happens. [`act`] is what such a process calls.

mod actor;
mod apps;
mod callback;
mod cast;
mod certificates;
mod company;
mod configuration;
mod director;
mod drawing;
mod failure;
mod front;
mod gateway;
mod orders;
mod places;
mod players;
mod say;
mod scene;
mod session;
mod stage;
mod wallet;
mod webhook;

pub use cast::{Casting, Demonstration, Part, Sites, Wishes};
pub use failure::{Failure, Outcome};

/// Gives a demonstration, until all its scenes have been played or a signal comes.
///
/// # Errors
/// It could not be set up.
pub fn direct(demonstration: Demonstration, wishes: &Wishes) -> Outcome {
    match demonstration {
        Demonstration::Webhook => director::direct(wishes),
        Demonstration::Callback => callback::direct(wishes),
        Demonstration::Session => session::direct(wishes),
        Demonstration::Wallet => wallet::direct(wishes),
    }
}

/// Plays a part as this process.
///
/// # Errors
/// It could not be set up; a director is told instead.
pub fn act(demonstration: Demonstration, part: Part, casting: &Casting) -> Outcome {
    match demonstration {
        Demonstration::Webhook => actor::act(part, casting),
        Demonstration::Callback => callback::act(part, casting),
        Demonstration::Session => session::act(part, casting),
        Demonstration::Wallet => wallet::act(part, casting),
    }
}
