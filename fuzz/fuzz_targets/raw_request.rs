//! A request on file, as `explain --request` reads it.
#![no_main]

use countersign_gateway::management::raw_request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = raw_request::parse(bytes);
});
