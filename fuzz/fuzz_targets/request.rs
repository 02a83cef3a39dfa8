//! Requests, signed or bare, with the action within.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::statement::{Request, Signed, SignedMessage, SignedRequest};
use writ_tlog::Origin;

fuzz_target!(|data: &[u8]| {
    let Ok(origin) = Origin::new("writ.example/ledger/demo") else { return };
    if let Ok(signed) = Signed::decode(data) {
        let _ = signed.request_claims(&origin);
    }
    if let Ok(message) = SignedMessage::decode(data) {
        assert!(matches!(SignedRequest::decode(data), Ok(SignedRequest::Message(_))));
        let _ = message.request_claims(&origin);
    }
    if let Ok(request) = Request::read(data, &origin) {
        assert_eq!(request.payload(&origin), data);
        request.action().expect("a request that was read has an action");
    }
});
