//! Server-sent events: the same events however the bytes are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_client::Parser;

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = Parser::new().push(stream);
    let (first, second) = stream.split_at(usize::from(*cut).min(stream.len()));
    let mut parser = Parser::new();
    let parts = parser.push(first).and_then(|mut events| {
        events.extend(parser.push(second)?);
        Ok(events)
    });
    assert_eq!(whole, parts);
});
