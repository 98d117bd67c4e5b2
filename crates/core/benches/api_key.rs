//! Extracting and verifying an API key, without any I/O.

fn main() {}
