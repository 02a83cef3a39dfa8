//! Scopes of mandates: what is accepted encodes to the input again, and is within itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::cbor::{Decode, Encode};
use writ_protocol::scope::Scope;

fuzz_target!(|data: &[u8]| {
    let Ok(scope) = Scope::from_cbor(data) else { return };
    assert_eq!(scope.to_cbor(), data, "a second encoding of one scope");
    assert!(scope.narrows(&scope).is_ok(), "a scope that is not within itself");
});
