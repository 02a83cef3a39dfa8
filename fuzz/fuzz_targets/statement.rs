//! Signed statements, by gateways and by the root, and presentations by a holder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use writ_protocol::statement::Signed;
use writ_protocol::{Ed25519Key, Key};
use writ_tlog::{Algorithm, Origin, SigningKey, sha256};

static HOLDER: LazyLock<Ed25519Key> = LazyLock::new(|| {
    let secret = SigningKey::from_seed(Algorithm::Ed25519, sha256(b"fuzz holder").as_bytes());
    Ed25519Key::new(Key::from(secret.verifying_key())).expect("an Ed25519 key")
});

fuzz_target!(|data: &[u8]| {
    let Ok(origin) = Origin::new("writ.example/ledger/demo") else { return };
    let Ok(signed) = Signed::decode(data) else { return };
    let _ = signed.gateway_claims(&origin);
    let _ = signed.root_claims(&origin);
    let _ = signed.verify_presentation(&HOLDER, &origin);
});
