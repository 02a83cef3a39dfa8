//! Signed statements, by gateways and by the root.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::statement::Signed;
use writ_tlog::Origin;

fuzz_target!(|data: &[u8]| {
    let Ok(origin) = Origin::new("writ.example/ledger/demo") else { return };
    let Ok(signed) = Signed::decode(data) else { return };
    let _ = signed.gateway_claims(&origin);
});
