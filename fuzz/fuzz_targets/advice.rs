//! Questions about somebody, as others' clients send them: whatever is read is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::action::Action;
use writ_server::questions_in;

fuzz_target!(|data: &[u8]| {
    for question in questions_in(data) {
        let action = Action::Advice(question);
        let bytes = action.encode().expect("a question of a body that was read");
        assert_eq!(Action::decode(&bytes).expect("what was encoded"), action);
    }
});
