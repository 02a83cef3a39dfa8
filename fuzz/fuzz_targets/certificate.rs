//! Certificates of clients: they show a workload or a key, or nobody, the same each time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_authority::{Certificate, SpiffeId};

fuzz_target!(|data: &[u8]| {
    let read = Certificate::read(data);
    assert_eq!(read, Certificate::read(data));
    if let Ok(Certificate::Spiffe(id)) = read {
        assert_eq!(SpiffeId::parse(id.as_str()), Ok(id));
    }
});
