//! Evidence bundles as files: form only, since no input has signatures.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::Bundle;

fuzz_target!(|data: &[u8]| {
    let Ok(bundle) = Bundle::decode(data) else { return };
    assert_eq!(bundle.encode(), data, "a second encoding of one bundle");
});
