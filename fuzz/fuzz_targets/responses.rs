//! The strict reading of responses: however the bytes arrive, it finds the same.
#![no_main]

use countersign_http1::{Asked, Limits, ResponseScanner, ResponseStep};
use libfuzzer_sys::fuzz_target;

/// The heads until the bytes end or are refused, presented in pieces of `size` bytes.
fn read(stream: &[u8], asked: Asked, size: usize) -> Vec<String> {
    let mut scanner = ResponseScanner::new(Limits::default());
    let mut heads = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        let length = match scanner.step(&stream[start..end], asked) {
            Err(violation) => {
                heads.push(violation.reason.to_owned());
                return heads;
            }
            Ok(ResponseStep::Incomplete) if end == stream.len() => return heads,
            Ok(ResponseStep::Incomplete) => {
                end = (end + size).min(stream.len());
                continue;
            }
            Ok(ResponseStep::Head { length, follows }) => {
                heads.push(format!("{follows:?}"));
                length
            }
            Ok(ResponseStep::Body { length, .. }) => length,
        };
        assert!(length > 0 && start + length <= end, "a step of {length} bytes");
        start += length;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [first, stream @ ..] = bytes else { return };
    let asked = Asked { head: first & 1 != 0, upgrade: first & 2 != 0 };
    let whole = read(stream, asked, stream.len().max(1));
    assert_eq!(whole, read(stream, asked, usize::from(first >> 2) + 1));
});
