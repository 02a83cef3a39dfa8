//! Signed notes and the checkpoints in them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_tlog::{Checkpoint, Note};

fuzz_target!(|data: &[u8]| {
    let Ok(note) = Note::parse(data) else { return };
    assert_eq!(note.to_bytes(), data, "a second form of one note");
    let Ok(checkpoint) = Checkpoint::parse(note.text()) else { return };
    assert_eq!(checkpoint.body(), note.text(), "a second form of one checkpoint");
});
