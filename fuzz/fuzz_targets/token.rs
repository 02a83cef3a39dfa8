//! Tokens, and the key sets that verify them: whatever comes in, it is read or refused, and what is read verifies under no key that did not sign it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_authority::Token;
use writ_policy::read_jwks;

fuzz_target!(|data: &[u8]| {
    if let Ok(keys) = read_jwks(data) {
        assert!(keys.len() <= 64);
        assert_eq!(read_jwks(data).expect("it was read before"), keys);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(token) = Token::read(text) {
        assert!(!token.issuer().is_empty());
    }
});
