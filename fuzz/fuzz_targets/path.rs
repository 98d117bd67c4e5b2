//! The path check: what passes has the same segments before and after decoding.
#![no_main]

use countersign::path::check_path;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    if check_path(path).is_err() {
        return;
    }
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next().unwrap()).to_digit(16).unwrap() as u8;
        decoded.push(if byte == b'%' { digit() * 16 + digit() } else { byte });
    }
    let segments: Vec<_> = decoded.split(|byte| *byte == b'/').collect();
    assert_eq!(segments.len(), path.split('/').count());
    assert!(segments.iter().all(|segment| !matches!(*segment, b"." | b"..")));
    assert!(!decoded.contains(&0) && !decoded.contains(&b'\\'));
});
