//! Proof files, writs among them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::TlogProof;

fuzz_target!(|data: &[u8]| {
    let Ok(proof) = TlogProof::parse(data) else { return };
    assert_eq!(proof.encode(), data, "a second form of one proof");
});
