//! Names of domains, and who asks by them: whatever a request names, it means a name and nothing beside it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_server::Host;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (name, named) = text.split_once(' ').unwrap_or((text, text));
    let Ok(host) = Host::parse(name) else { return };
    assert_eq!(Host::parse(host.as_str()).expect("it was read before"), host);
    assert!(host.is_meant_by(name));
    if host.is_meant_by(named) {
        let rest = named.to_ascii_lowercase().strip_prefix(host.as_str()).expect("it begins with the name").to_owned();
        let port = rest.strip_prefix(':').or(rest.is_empty().then_some("")).expect("what follows is a port");
        assert!(port.bytes().all(|byte| byte.is_ascii_digit()));
    }
});
