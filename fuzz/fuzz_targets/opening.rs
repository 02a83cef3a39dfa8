//! Openings of commitments.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::action::Opening;
use writ_protocol::cbor::{Decode, Encode};

fuzz_target!(|data: &[u8]| {
    let Ok(opening) = Opening::from_cbor(data) else { return };
    assert_eq!(opening.to_cbor(), data, "a second encoding of one opening");
    let _ = (opening.commitment(), opening.judge_value());
});
