//! Changes of entities: one encoding, or refused; and entities in JSON, which come to the same record again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_policy::{EntitySnapshot, entity_to_json, read_entities};
use writ_protocol::entities::EntityChange;

fuzz_target!(|data: &[u8]| {
    if let Ok(change) = EntityChange::decode(data) {
        assert_eq!(change.encode().unwrap(), data, "a second encoding of one change");
        let made = EntitySnapshot::default().with(&change).unwrap();
        assert_eq!(made.len(), change.put.len());
    }
    if let Ok(records) = read_entities("entities", data) {
        for record in &records {
            let again = format!("[{}]", entity_to_json(record));
            assert_eq!(read_entities("entities", again.as_bytes()).unwrap(), std::slice::from_ref(record));
        }
    }
});
