//! The configuration: every mistake can be shown.
#![no_main]

use std::path::Path;

use countersign_gateway::config::{Overrides, load_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: String| {
    if let Err(error) = load_text(Path::new("countersign.toml"), &text, &Overrides::default()) {
        assert!(!error.render(true).is_empty());
    }
});
