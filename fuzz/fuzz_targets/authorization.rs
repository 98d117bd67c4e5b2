//! The Authorization header: each value belongs to one grammar, and what it holds is a part of it.
#![no_main]

use countersign::authorization::Authorization;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    match Authorization::parse(value) {
        Authorization::ApiKey(rest)
        | Authorization::SessionHalf(rest)
        | Authorization::Token(rest)
        | Authorization::DpopToken(rest)
        | Authorization::Webhook(rest) => assert!(value.ends_with(rest) || value.trim_end().ends_with(rest)),
        Authorization::LeftOver | Authorization::Foreign => {}
        Authorization::Absent => panic!("the header is there"),
    }
});
