//! Trust-root files: what is accepted is written again as the input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::TrustRoot;

fuzz_target!(|data: &[u8]| {
    let Ok(trust) = TrustRoot::parse(data) else { return };
    assert_eq!(trust.to_string().as_bytes(), data, "a second form of one trust root");
});
