//! Entry bundles of tiles.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::{decode_bundle, encode_bundle};

fuzz_target!(|data: &[u8]| {
    let Some((&width, bundle)) = data.split_first() else { return };
    let width = u16::from(width) + 1;
    let Ok(entries) = decode_bundle(bundle, width) else { return };
    assert_eq!(entries.len(), usize::from(width));
    assert_eq!(encode_bundle(entries).ok().as_deref(), Some(bundle), "a second form of one bundle");
});
