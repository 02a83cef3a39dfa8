//! The facts of a decision: one encoding, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_policy::Facts;
use writ_protocol::cbor::Encode;

fuzz_target!(|data: &[u8]| {
    if let Ok(facts) = Facts::decode(data) {
        assert_eq!(facts.to_cbor(), data);
    }
});
