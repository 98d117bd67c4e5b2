//! What a store gives back: a whole record or an error, never something in between.
#![no_main]

use bytes::Bytes;
use countersign::schemes::api_key::KeyRecord;
use countersign::store::Envelope;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::decode(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(Envelope::encode(&envelope.value, envelope.until), bytes);
    }
    if let Ok(record) = KeyRecord::decode(bytes) {
        let written = record.encode().unwrap();
        assert_eq!(KeyRecord::decode(&written).unwrap(), record);
    }
});
