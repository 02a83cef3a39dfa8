//! Canonical actions: what is accepted encodes to the input again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::action::Action;

fuzz_target!(|data: &[u8]| {
    let Ok(action) = Action::decode(data) else { return };
    assert_eq!(action.encode().ok().as_deref(), Some(data), "a second encoding of one action");
});
