//! What hyper and h2 leave unbounded on HTTP/2 (RFC 9113, 10.5).
//!
//! h2 itself counts CONTINUATION frames, empty and small DATA, and streams that it resets or that are reset before they
//! are looked at. PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM and unknown frames it answers, or reads and
//! forgets, for as long as they come. [`CalmIo`] counts those.

mod budget;
mod calm;
mod frames;

pub(crate) use calm::CalmIo;
