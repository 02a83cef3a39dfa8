//! Entries: what is accepted encodes to the input again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::Entry;
use writ_tlog::Origin;

fuzz_target!(|data: &[u8]| {
    let Ok(origin) = Origin::new("writ.example/ledger/demo") else { return };
    let Ok(entry) = Entry::decode(data, &origin) else { return };
    assert_eq!(entry.encode().ok().as_deref(), Some(data), "a second encoding of one entry");
    let _ = (entry.body.own_id(), entry.body.commitments(), entry.body.request(), entry.body.control());
});
