//! The strict reading of requests: however the bytes arrive, it finds the same.
#![no_main]

use countersign_http1::{Limits, Scanner, Step};
use libfuzzer_sys::fuzz_target;

/// The steps until the bytes end or are refused, presented in pieces of `size` bytes.
fn read(stream: &[u8], size: usize) -> (Vec<String>, usize) {
    let mut scanner = Scanner::new(Limits::default());
    let (mut heads, mut body) = (Vec::new(), 0);
    let (mut start, mut end) = (0, 0);
    loop {
        let length = match scanner.step(&stream[start..end]) {
            Err(violation) => {
                heads.push(violation.reason.to_owned());
                return (heads, body);
            }
            Ok(Step::Incomplete) if end == stream.len() => return (heads, body),
            Ok(Step::Incomplete) => {
                end = (end + size).min(stream.len());
                continue;
            }
            Ok(Step::EmptyLine { length }) => length,
            Ok(Step::Head { length, facts }) => {
                heads.push(format!("{facts:?}"));
                length
            }
            Ok(Step::Body { length, .. }) => {
                body += length;
                length
            }
        };
        assert!(length > 0 && start + length <= end, "a step of {length} bytes");
        start += length;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, stream)) = bytes.split_first() else { return };
    let (whole, _) = read(stream, stream.len().max(1));
    let (pieces, _) = read(stream, usize::from(*size % 61) + 1);
    assert_eq!(whole, pieces);
});
