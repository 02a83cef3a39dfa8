//! Policy bundles: what is read holds exactly the files of its manifest, is assembled to the input again, and no path leads out of a folder.

#![no_main]

use libfuzzer_sys::fuzz_target;
use writ_protocol::PolicyBundle;
use writ_tlog::Origin;

fuzz_target!(|data: &[u8]| {
    let origin = Origin::new("writ.example/ledger/demo").unwrap();
    let Ok(bundle) = PolicyBundle::decode(data, &origin) else { return };
    assert_eq!(PolicyBundle::assemble(bundle.signed(), bundle.files()), data, "a second encoding of one bundle");
    let listed = bundle.manifest().files.iter().map(|file| (&file.path, file.length));
    let found = bundle.files().iter().map(|(path, bytes)| (path, bytes.len() as u64));
    assert!(listed.eq(found), "other files than the manifest lists");
    for path in bundle.files().keys() {
        let escapes = |part: &str| part.is_empty() || part.starts_with('.');
        assert!(!path.as_str().split('/').any(escapes), "a path that leads elsewhere: {path}");
    }
});
