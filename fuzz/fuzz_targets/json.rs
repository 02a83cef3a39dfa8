//! JSON from a client: read strictly, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_server::{Fields, strict_json};

fuzz_target!(|data: &[u8]| {
    let Ok(value) = strict_json(data) else { return };
    if let Ok(mut fields) = Fields::of(value) {
        let _ = fields.optional_bytes("request");
        let _ = fields.optional_u64("watcher");
        let _ = fields.end();
    }
});
