//! The ceremony in which a domain is made, as the document tells it, and what its members can do afterwards.

use super::site::{Site, json, stderr, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/root-ceremony");

fn ceremony(site: &Site, arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_BIN_EXE_writ")).parent().unwrap().to_str().unwrap();
    // The surroundings of a command of this site, so that the mark lies in its home.
    let usual = site.command(&["help"]);
    let mut command = Command::new(SCRIPT);
    for (name, value) in usual.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("PATH", format!("{folder}:/usr/bin:/bin")).current_dir(site.path(""));
    command.args(arguments).output().unwrap()
}

#[test]
fn root_keys_leave_with_their_members_who_alone_end_a_halt() {
    let mut site = Site::empty();
    for medium in ["a", "b", "c"] {
        fs::create_dir(site.path(medium)).unwrap();
    }
    let made = ceremony(&site, &["acme", "acme.example/ledger", "ada", "2", "a", "b", "c"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).contains("trust root   "), "{}", stdout(&made));
    assert!(!site.path("acme/root-keys").exists());
    for (medium, key) in [("a", "root-1.seeds"), ("b", "root-2.seeds"), ("c", "root-3.seeds")] {
        let mode = fs::metadata(site.path(medium).join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o400, "{medium}");
        assert_eq!(
            fs::read(site.path(medium).join("trust-root")).unwrap(),
            fs::read(site.path("acme/trust-root")).unwrap()
        );
    }
    site.start();
    json(&site.writ(&["--json", "halt"]));
    assert_eq!(site.refusal(&["--", "true"])["code"], "halted");
    site.kill_node();
    let resume = |members: &[&str]| {
        let named = members.iter().flat_map(|member| ["--member", member]);
        site.writ(&["--json", "root", "resume"].into_iter().chain(named).collect::<Vec<_>>())
    };
    let (one, two) = (site.text("a/root-1.seeds"), site.text("b/root-2.seeds"));
    let alone = resume(&[&one]);
    assert_eq!(alone.status.code(), Some(1), "{}", stdout(&alone));
    let nobody = resume(&[]);
    assert!(!nobody.status.success(), "no key was left behind: {}", stdout(&nobody));
    let both = resume(&[&one, &two]);
    assert_eq!(both.status.code(), Some(0), "{}", stderr(&both));
    site.start();
    assert_eq!(site.run(&["true"]).status.code(), Some(0));
    site.audit();
}

#[test]
fn a_ceremony_that_would_leave_a_key_where_it_must_not_be_makes_nothing() {
    let site = Site::empty();
    fs::create_dir(site.path("a")).unwrap();
    fs::create_dir(site.path("b")).unwrap();
    fs::write(site.path("b/root-9.seeds"), "").unwrap();
    for (what, media) in [
        ("the same medium twice", &["1", "a", "a"][..]),
        ("the same medium by another name", &["1", "a", "./a"]),
        ("a medium with a key on it", &["1", "a", "b"]),
        ("a medium that is not there", &["1", "a", "c"]),
        ("more to sign than there are", &["2", "a"]),
        ("nobody to sign", &["0", "a"]),
    ] {
        let refused = ceremony(&site, &[&["acme", "acme.example/ledger", "ada"], media].concat());
        assert_ne!(refused.status.code(), Some(0), "{what}: {}", stdout(&refused));
        assert!(!site.path("acme").exists(), "{what}");
        assert_eq!(fs::read_dir(site.path("a")).unwrap().count(), 0, "{what}");
    }
}
