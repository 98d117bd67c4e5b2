//! Tests of the rooms together: the standard's examples, and what they leave open.

mod algorithms;
mod asking;
mod claiming;
mod explaining;
mod reading;
mod signing;
mod values;
mod vectors;

use http::{HeaderMap, HeaderValue};

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}
