//! A browser session whose proof is in two halves: a cookie that no script can read, and a token half that no
//! other site can send. Seed 001.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | everything that a script can read (XSS, from elsewhere later): the token half, a handshake | nothing: `proof_half` without the cookie |
//! | what a browser sends for another site's page (CSRF): the cookie | nothing: `cross_site`, or `proof_half` without the token half |
//! | halves of two sessions, or a cookie that an attacker has set | nothing: `proof_mismatch` |
//! | a handshake | nothing: it is of one session, for one request, for a minute |
//! | the database | nothing: it holds SHA-256 of 256 random bits, and passwords under Argon2id with a pepper that is not in it |
//! | the database and the sealing key | what passwords can be guessed, at 20 ms a guess |
//! | a log, a metric, a decision | nothing: none holds a half or a handshake |
//! | a whole request of a session without a bound key: both halves | what the session opens, until it ends: *bearer-class* |
//! | a whole request of a session with a bound key | nothing: the key cannot leave its browser |
//!
//! A script in a live page can act while the page lives.

pub mod accounts;
mod cookie;
mod cross_site;
mod email;
mod half;
pub mod handshakes;
mod key_proof;
pub mod password;
pub mod passwords;
mod policy;
mod record;
mod sessions;
pub mod signer;
pub mod throttle;
mod users;
mod verifier;
pub mod wire;

pub use accounts::{AccountError, Accounts, SignIn};
pub use cookie::SessionCookie;
pub use cross_site::Origins;
pub use email::Email;
pub use half::{Half, Halves};
pub use key_proof::{DPOP_SUBPROTOCOL, DpopKeyProof, KeyProof, KeyProven, NoKeyProof};
pub use policy::{HandshakePolicy, HandshakePolicyError, SessionDemand};
pub use record::{Lifetimes, NewSession, SESSIONS, SessionRecord};
pub use sessions::{MOST_SESSIONS, Sessions, USER_SESSIONS};
pub use users::{USER_EMAILS, USERS, UserRecord, Users, is_name};
pub use verifier::{SESSION_CLAIM, SessionVerifier, Surroundings};
