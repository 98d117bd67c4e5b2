//! Keys that stand only as a hash.
