//! Verifier keys.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::NoteVerifier;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(key) = NoteVerifier::from_vkey(text) else { return };
    assert_eq!(key.to_vkey(), text, "a second form of one key");
});
