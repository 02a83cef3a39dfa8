//! The policy set in force: replaced whole, or not at all.

use crate::answers::{denied, permitted};
use std::sync::atomic::{AtomicBool, Ordering};
use writ_authority::{Answer, AuthorityError, Rate, SolverCommand, read_policy_folder};
use writ_ledger::{Ledger, Options};
use writ_protocol::{Body, Code};
use writ_server::{AuthorityNode, KeyFetcher, NodeSetting};
use writ_testing::governed::{GovernedDomain, PolicyFiles};

const NOTHING_BUT_MAKE: &str = r#"@id("only-make")
forbid (principal, action == Action::"exec", resource) unless { context.path == "/usr/bin/make" };"#;

#[test]
fn another_policy_set_begins_another_epoch_and_the_same_one_none() {
    let mut domain = GovernedDomain::new();
    let standard = PolicyFiles::standard(&domain.members);
    let before = domain.size();
    assert!(domain.authority().activate(&standard.snapshot()).unwrap().is_none());
    assert_eq!(domain.size(), before);
    permitted(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/cc"])));
    let stricter = standard.clone().with("stricter.cedar", NOTHING_BUT_MAKE);
    let active = domain.authority().activate(&stricter.snapshot()).unwrap().unwrap();
    assert_eq!((active.epoch.get(), *active.set.digest()), (2, stricter.snapshot().digest()));
    let (_, denial) = denied(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/cc"])), Code::PolicyDenied);
    assert_eq!(denial.policy.unwrap().epoch, 2);
    // Back to the first set: a new epoch, since what was granted meanwhile must not seem newer than it is.
    assert_eq!(domain.authority().activate(&standard.snapshot()).unwrap().unwrap().epoch.get(), 3);
    permitted(&domain, domain.asks("builder", &domain.asked(&["/usr/bin/cc"])));
    // Starting the node again with the same set activates nothing.
    let before = domain.size();
    domain.open(&standard);
    assert_eq!((domain.size(), domain.authority().policy().epoch.get()), (before, 3));
    assert!(domain.judged().is_clean());
}

#[test]
fn a_set_that_does_not_compile_changes_nothing() {
    let domain = GovernedDomain::new();
    let digest = *domain.authority().policy().set.digest();
    let standard = PolicyFiles::standard(&domain.members);
    let broken = [
        ("broken.cedar", "permit (principal, action, resource)"),
        ("broken.cedar", r#"@id("a") @budgt("3") permit (principal, action, resource);"#),
        ("broken.cedar", r#"@id("agents-build") permit (principal, action, resource);"#),
        ("entities.json", "[}"),
        ("principals.json", r#"[{"principal": "Agent::nobody"}]"#),
    ];
    for (path, text) in broken {
        let before = domain.size();
        let result = domain.authority().activate(&standard.clone().with(path, text).snapshot());
        assert!(matches!(result, Err(AuthorityError::Policy(_))), "{path} {text}: {result:?}");
        let active = domain.authority().policy();
        assert_eq!((domain.size(), *active.set.digest(), active.epoch.get()), (before, digest, 1));
        permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    }
}

#[test]
fn a_folder_that_breaks_vanishes_or_overflows_changes_nothing() {
    let mut domain = GovernedDomain::new();
    let (folder, aside) = (domain.home().join("policy"), domain.home().join("aside"));
    let standard = PolicyFiles::standard(&domain.members);
    standard.write(&folder);
    domain.close();
    let clock = domain.clock.clone();
    let setting = NodeSetting {
        place: domain.place.clone(),
        signer: domain.domain.ledger_signer(),
        policy: folder.clone(),
        rate: Rate::STANDARD,
        quota: writ_server::Quota::NONE,
        solver: SolverCommand::new("cvc5"),
        fetcher: KeyFetcher::default(),
        holds_webhook: None,
    };
    let node = AuthorityNode::open(setting, move || clock.now_ms()).unwrap();
    let begun = (node.size(), *node.policy().set.digest());
    let extra = folder.join("extra.cedar");
    let changes_nothing = |what: &str, expected: &str| {
        let told = node.follow_policy().expect_err(what).to_string();
        assert!(told.contains(expected), "{what}: {told}");
        // It is told once, and not followed however often it is looked at.
        assert!(node.follow_policy().unwrap().is_none(), "{what}");
        assert_eq!((node.size(), *node.policy().set.digest()), begun, "{what}");
    };
    std::fs::write(&extra, "permit (").unwrap();
    changes_nothing("a policy that is cut off", "extra.cedar");
    std::fs::write(&extra, [0xff]).unwrap();
    changes_nothing("a policy that is no text", "UTF-8");
    std::fs::write(&extra, vec![b' '; 5 * 1024 * 1024]).unwrap();
    changes_nothing("a policy that is too long", "bytes");
    std::fs::write(&extra, vec![b' '; 9 * 1024 * 1024]).unwrap();
    changes_nothing("a folder that is too long", "more than");
    std::fs::remove_file(&extra).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &extra).unwrap();
    changes_nothing("a link", "links and devices");
    std::fs::remove_file(&extra).unwrap();
    // Whoever waits until somebody writes into it waits for ever.
    let pipe = folder.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    changes_nothing("a pipe with a name", "links and devices");
    std::fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink(&aside, folder.join("more")).unwrap();
    changes_nothing("a link to a folder", "links and devices");
    std::fs::remove_file(folder.join("more")).unwrap();
    std::fs::write(&extra, NOTHING_BUT_MAKE).unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&folder, 0o775);
    changes_nothing("a folder that a group may write", "others may write it");
    mode(&folder, 0o755);
    mode(&extra, 0o602);
    changes_nothing("a file that others may write", "extra.cedar: others may write it");
    std::fs::remove_file(&extra).unwrap();
    std::fs::rename(&folder, &aside).unwrap();
    changes_nothing("a folder that has vanished", "No such file");
    std::fs::create_dir(&folder).unwrap();
    changes_nothing("a folder that is empty", "principals.json");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert!(node.follow_policy().unwrap().is_none(), "as it was is no news");
    std::fs::write(&extra, NOTHING_BUT_MAKE).unwrap();
    assert_eq!(node.follow_policy().unwrap().unwrap().epoch.get(), 2);
    drop(node);
    assert_eq!(read_policy_folder(&folder).unwrap(), standard.with("extra.cedar", NOTHING_BUT_MAKE).snapshot());
    assert!(domain.judged().is_clean());
}

#[test]
fn decisions_that_race_an_activation_stand_under_the_set_in_force() {
    let mut domain = GovernedDomain::new();
    let standard = PolicyFiles::standard(&domain.members).snapshot();
    let stricter = PolicyFiles::standard(&domain.members).with("stricter.cedar", NOTHING_BUT_MAKE).snapshot();
    let stricter_digest = stricter.digest();
    let over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_until(&domain, &over))).collect();
        for _ in 0..15 {
            for snapshot in [&stricter, &standard] {
                domain.authority().activate(snapshot).unwrap().unwrap();
            }
        }
        over.store(true, Ordering::SeqCst);
        askers.into_iter().map(|asker| asker.join().unwrap()).sum::<usize>()
    });
    let mut active = None;
    let (mut grants, mut denials) = (0, 0);
    for entered in domain.entered() {
        match entered.body {
            Body::Policy(activation) => active = Some((activation.set, activation.epoch.get())),
            Body::Grant(grant) => {
                assert_eq!(Some((grant.policy.set, grant.policy.epoch)), active, "entry {}", entered.index);
                assert_ne!(
                    grant.policy.set, stricter_digest,
                    "entry {}: the stricter set permits no cc",
                    entered.index
                );
                grants += 1;
            }
            Body::Denial(_) => denials += 1,
            _ => {}
        }
    }
    assert_eq!(grants + denials, asked);
    assert!(grants > 0, "no request came between the activations");
    assert_eq!(active.unwrap().1, 31);
    assert!(domain.judged().is_clean());
}

fn ask_until(domain: &GovernedDomain, over: &AtomicBool) -> usize {
    let mut asked = 0;
    while !over.load(Ordering::SeqCst) {
        match domain.asks("builder", &domain.asked(&["/usr/bin/cc"])) {
            Answer::Permit(_) => {}
            Answer::Deny(denied) => {
                assert!(matches!(denied.code, Code::PolicyDenied | Code::PolicyMismatch), "{}", denied.why);
            }
            other => panic!("{other:?}"),
        }
        asked += 1;
    }
    asked
}

#[test]
fn a_node_does_not_start_with_a_set_that_is_revoked() {
    let mut domain = GovernedDomain::new();
    let standard = PolicyFiles::standard(&domain.members);
    let stricter = standard.clone().with("stricter.cedar", NOTHING_BUT_MAKE);
    domain.revoke(writ_protocol::entry::Target::Policy(stricter.snapshot().digest()));
    let refused = domain.authority().activate(&stricter.snapshot()).unwrap_err().to_string();
    assert!(refused.contains("revoked"), "{refused}");
    permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
    domain.close();
    let clock = domain.clock.clone();
    let options = Options::new(move || clock.now_ms());
    let ledger = Ledger::open(&domain.place, domain.domain.ledger_signer(), options).unwrap();
    let clock = domain.clock.clone();
    let setting = writ_authority::Setting {
        clock: Box::new(move || clock.now_ms()),
        rate: Rate::STANDARD,
        rate_together: None,
        solver: SolverCommand::new("cvc5"),
        semantics: writ_authority::Semantics::CURRENT,
    };
    let opened = writ_authority::Authority::open(ledger, &domain.place.store, &stricter.snapshot(), setting);
    assert!(opened.is_err_and(|error| error.to_string().contains("revoked")));
    assert!(domain.judged().is_clean());
}
