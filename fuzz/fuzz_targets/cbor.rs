//! Deterministic CBOR: what is accepted has one encoding, and it is the input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::cbor::{Decode, Encode, Value, check};

fuzz_target!(|data: &[u8]| {
    match (check(data), Value::from_cbor(data)) {
        (Ok(()), Ok(value)) => assert_eq!(value.to_cbor(), data, "a second encoding of one value"),
        (Err(_), Err(_)) => {}
        (checked, read) => panic!("check says {checked:?}, the reader {read:?}"),
    }
});
