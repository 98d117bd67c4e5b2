//! Wallet files and the `AsymmetricAuthentication` header: no text makes reading them panic.
#![no_main]

use countersign::crypto::ethereum::{Address, Wallet};
use countersign::schemes::asymmetric::wire::Credential;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Wallet::parse(text);
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.checksummed()), Ok(address));
    }
    if let Ok(credential) = Credential::from_header(text) {
        let again = Credential::from_header(&credential.to_header()).expect("what was written is read");
        assert_eq!(again.address, credential.address);
    }
});
