//! Paths of tiles and other resources of a log: one path for each resource, and no other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::Resource;

fuzz_target!(|data: &[u8]| {
    let Ok(path) = std::str::from_utf8(data) else { return };
    let Ok(resource) = Resource::parse(path) else { return };
    assert_eq!(resource.path(), path, "a second path for one resource");
});
