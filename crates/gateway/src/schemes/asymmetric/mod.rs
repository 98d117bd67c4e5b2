//! Wallets' signatures in a header.
