//! History as a gate: whom a set would answer otherwise than the one in force, who accepts that, and how far it was looked.

use crate::answers::{denied, done, permitted};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use writ_authority::{
    Answer, AuthorityError, Caller, GateResult, History, LOOKED_BACK, Looked, PolicySet, Reach, Received, Semantics,
    Shift,
};
use writ_ledger::LedgerError;
use writ_protocol::Code;
use writ_protocol::action::{Command, CommitmentKind};
use writ_protocol::entry::{Ascending, Target};
use writ_protocol::statement::{Request, RootCommand};
use writ_protocol::{Body, Name, PolicyBundle};
use writ_testing::governed::{GovernedDomain, PolicyFiles, wait};
use writ_testing::scenario::{authors, set_files};

/// Forbids all that the standard set permits agents to build.
const NO_BUILDS: &str =
    "@id(\"no-builds\") forbid (principal in Group::\"agents\", action == Action::\"exec\", resource);";
/// Forbids one of these programs.
const NO_MAKE: &str = "@id(\"no-make\") forbid (principal, action == Action::\"exec\", resource) when { context.path == \"/usr/bin/make\" };";
/// Permits what the standard set leaves to nobody.
const OPT: &str =
    "@id(\"opt\") permit (principal, action == Action::\"exec\", resource) when { context.path like \"/opt/*\" };";

/// Alice has given an order; the builder has built twice, and was refused once.
struct Asked {
    domain: GovernedDomain,
    standard: PolicyFiles,
}

impl Asked {
    fn new() -> Self {
        let domain = GovernedDomain::new();
        let standard = PolicyFiles::standard(&domain.members);
        done(&domain, domain.orders("alice", Command::Revoke(tester(&domain))));
        for _ in 0..2 {
            permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        }
        denied(&domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
        Self { domain, standard }
    }

    fn set(&self, files: &PolicyFiles) -> PolicySet {
        PolicySet::compile(&files.snapshot(), Semantics::CURRENT).unwrap()
    }

    /// What history says of the standard set with another file, in place of the standard set.
    fn of(&self, path: &str, text: &str) -> History {
        self.asked(path, text, LOOKED_BACK).unwrap()
    }

    fn asked(&self, path: &str, text: &str, reach: Reach) -> Result<History, AuthorityError> {
        let candidate = self.set(&self.standard.clone().with(path, text));
        History::ask(&self.domain.place.store, &candidate, &self.set(&self.standard), reach)
    }

    fn erases(&self, kind: CommitmentKind) {
        let entered = self.domain.entered();
        let (index, body) = entered
            .iter()
            .find_map(|one| matches!(one.body, Body::Grant(_)).then_some((one.index, &one.body)))
            .unwrap();
        let held = body.commitments();
        let commitment = held.iter().find_map(|(held, commitment)| (*held == kind).then_some(*commitment)).unwrap();
        // While the writ can still be executed, its values stay.
        let Body::Grant(grant) = body else { panic!("a grant") };
        self.domain.clock.pass(grant.window.until_ms() - self.domain.clock.now_ms());
        done(&self.domain, self.domain.erases(index, commitment));
    }
}

fn tester(domain: &GovernedDomain) -> Target {
    Target::Principal(domain.member("tester").name().clone())
}

fn judged(history: &History, accepts: &[&str]) -> Looked {
    history.judged(&accepts.iter().copied().collect::<BTreeSet<_>>())
}

/// What stands in the way, whoever accepts what.
fn findings(history: &History, accepts: &[&str]) -> Vec<String> {
    match judged(history, accepts).result {
        GateResult::Failed(findings) => findings.iter().map(ToString::to_string).collect(),
        GateResult::Passed(_) => Vec::new(),
        GateResult::NotReached => panic!("it was asked"),
    }
}

/// One finding stands in the way, says this, and goes away once exactly this kind is accepted.
fn one_finding(history: &History, name: &str, says: &[&str]) {
    let found = findings(history, &[]);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    for part in says.iter().copied().chain([format!("--accept {name}`").as_str()]) {
        assert!(found.contains(part), "{part:?} is not in {found}");
    }
    let others: Vec<&str> = History::names().filter(|other| *other != name).collect();
    assert_eq!(findings(history, &others), [found.as_str()], "to accept others is not to accept this");
    let Looked { result, accepted } = judged(history, &[name]);
    assert_eq!(result, GateResult::Passed(history.found().decided));
    let [accepted] = accepted.as_slice() else { panic!("{accepted:?}") };
    assert!(accepted.contains(says[0]) && accepted.contains(name), "{accepted}");
    assert!(history.details().iter().any(|line| line.contains(says[1])), "{:?}", history.details());
}

#[test]
fn a_set_that_answers_nobody_otherwise_passes() {
    let asked = Asked::new();
    let history = asked.of("more.cedar", "@id(\"more\") forbid (principal, action == Action::\"halt\", resource);");
    assert_eq!(judged(&history, &[]).result, GateResult::Passed(4));
    assert_eq!((history.found().first, history.found().entries), (0, asked.domain.size()));
    assert_eq!(judged(&history, &["history:newly_denied"]).accepted, [""; 0], "what is not there is not accepted");
}

#[test]
fn who_would_newly_be_refused_is_told_and_accepted_by_name() {
    let asked = Asked::new();
    let says = [
        "newly denied: 2 of the 4 decisions",
        "2 x Agent::builder exec \"/usr/bin/make\", permit by agents-build -> policy_denied by no-builds, entries",
    ];
    one_finding(&asked.of("more.cedar", NO_BUILDS), "history:newly_denied", &says);
}

#[test]
fn who_would_newly_be_permitted_is_told_and_accepted_by_name() {
    let asked = Asked::new();
    let says =
        ["newly permitted: 1 of the 4 decisions", "1 x Agent::builder exec \"/opt/x\", policy_denied -> permit by opt"];
    one_finding(&asked.of("more.cedar", OPT), "history:newly_permitted", &says);
}

#[test]
fn each_kind_is_a_finding_of_its_own() {
    let asked = Asked::new();
    let both = asked.of(
        "more.cedar",
        &NO_BUILDS
            .replace("resource);", "resource) when { context.path like \"/usr/*\" };\n")
            .replace('\n', &format!("\n{OPT}")),
    );
    assert_eq!(findings(&both, &[]).len(), 2);
    assert!(findings(&both, &["history:newly_permitted"])[0].starts_with("newly denied"));
    assert!(findings(&both, &["history:newly_denied"])[0].starts_with("newly permitted"));
    assert_eq!(findings(&both, &["history:newly_denied", "history:newly_permitted"]), [""; 0]);
}

#[test]
fn an_order_that_was_carried_out_is_decided_again() {
    let asked = Asked::new();
    let nobody = "@id(\"nobody\") forbid (principal, action == Action::\"revoke\", resource);";
    let says =
        ["newly denied: 1 of the 4 decisions", "1 x User::alice revoke \"this\", permit by administrators-stop-things"];
    one_finding(&asked.of("more.cedar", nobody), "history:newly_denied", &says);
}

#[test]
fn what_was_erased_nobody_knows_until_that_is_accepted() {
    for (kind, what) in
        [(CommitmentKind::Facts, "its facts are erased"), (CommitmentKind::Action, "its action is erased")]
    {
        let asked = Asked::new();
        asked.erases(kind);
        let history = asked.of("more.cedar", "@id(\"more\") forbid (principal, action == Action::\"halt\", resource);");
        one_finding(&history, "history:undecided", &["undecided: 1 of the 5 decisions", what]);
    }
}

#[test]
fn what_the_set_in_force_answers_so_already_is_not_new() {
    let asked = Asked::new();
    let stricter = asked.standard.clone().with("more.cedar", NO_BUILDS);
    asked.domain.authority().activate(&stricter.snapshot()).unwrap().unwrap();
    let (old, new) = (
        asked.set(&stricter),
        asked.set(
            &stricter
                .clone()
                .with("other.cedar", "@id(\"other\") forbid (principal, action == Action::\"halt\", resource);"),
        ),
    );
    let history =
        |candidate, replaced| History::ask(&asked.domain.place.store, candidate, replaced, LOOKED_BACK).unwrap();
    assert_eq!(findings(&history(&new, &old), &[]), [""; 0]);
    // Going back is as new as it was to go there, whatever was recorded once.
    let back = history(&asked.set(&asked.standard), &old);
    assert_eq!((back.found().count(Shift::Permitted), back.found().count(Shift::Denied)), (2, 0));
    // The set in force is the one that the control chain names.
    let of_store = History::ask_store(&asked.domain.place.store, &asked.set(&asked.standard)).unwrap();
    assert_eq!(of_store.found(), back.found());
}

#[test]
fn it_is_looked_no_further_than_the_bound_and_told_how_far() {
    let asked = Asked::new();
    let size = asked.domain.size();
    // The last batch is the refusal and its seal.
    let history = asked.asked("more.cedar", NO_BUILDS, Reach { entries: 2, ..LOOKED_BACK }).unwrap();
    let found = history.found();
    assert_eq!((found.first, found.entries, found.decided), (size - 2, 2, 1));
    assert_eq!(findings(&history, &[]), [""; 0]);
    assert!(history.details()[0].contains(&format!("the newest 2 entries, from entry {} on", size - 2)));
    let history = asked.asked("more.cedar", NO_BUILDS, Reach { entries: 4, ..LOOKED_BACK }).unwrap();
    assert_eq!((history.found().decided, history.found().count(Shift::Denied)), (2, 1));
}

#[test]
fn long_requests_do_not_keep_a_publisher_waiting() {
    let asked = Asked::new();
    let long = "x".repeat(2_000);
    // More than what is read at a time.
    for _ in 0..150 {
        denied(
            &asked.domain,
            asked.domain.asks("builder", &asked.domain.asked(&["/opt/x", &long])),
            Code::PolicyDenied,
        );
    }
    let of = |bytes| asked.asked("more.cedar", NO_BUILDS, Reach { bytes, ..LOOKED_BACK }).unwrap();
    let (all, bounded) = (of(u64::MAX), of(200_000));
    assert_eq!((all.found().first, all.found().count(Shift::Denied)), (0, 2));
    assert!(bounded.found().first > 0 && bounded.found().decided >= 100, "{:?}", bounded.found());
    assert_eq!(bounded.found().count(Shift::Denied), 0);
    assert!(bounded.details()[0].contains(&format!("from entry {} on", bounded.found().first)));
}

#[test]
fn whoever_would_not_be_known_any_more_would_be_refused() {
    let asked = Asked::new();
    let everybody: Json = serde_json::from_str(&asked.domain.members.principals()).unwrap();
    let mut others = everybody.as_array().unwrap().clone();
    others.retain(|one| one["principal"] != "Agent::builder");
    let gone = asked.of("principals.json", &Json::from(others.clone()).to_string());
    let says = ["newly denied: 2 of the 4 decisions", "permit by agents-build -> unauthenticated, entries"];
    one_finding(&gone, "history:newly_denied", &says);
    // To be somebody else is to be no longer who one was.
    let mut swapped = everybody.as_array().unwrap().clone();
    let place = |all: &[Json], who: &str| all.iter().position(|one| one["principal"] == who).unwrap();
    let (first, second) = (place(&swapped, "Agent::builder"), place(&swapped, "User::alice"));
    let (theirs, ours) = (swapped[first]["principal"].clone(), swapped[second]["principal"].clone());
    (swapped[first]["principal"], swapped[second]["principal"]) = (ours, theirs);
    let swapped = asked.of("principals.json", &Json::from(swapped).to_string());
    assert_eq!(swapped.found().count(Shift::Denied), 3);
}

#[test]
fn what_the_order_of_the_ledger_refused_counts_by_what_policy_says() {
    let asked = Asked::new();
    done(&asked.domain, asked.domain.orders("alice", Command::Halt));
    denied(&asked.domain, asked.domain.asks("builder", &asked.domain.asked_to_build()), Code::Halted);
    // Whatever set is said to be in force: policy had permitted it.
    let commented = asked.standard.clone().with("comment.cedar", "// nothing\n");
    for in_force in [&asked.standard, &commented] {
        let candidate = asked.set(&in_force.clone().with("more.cedar", NO_BUILDS));
        let found = History::ask(&asked.domain.place.store, &candidate, &asked.set(in_force), LOOKED_BACK).unwrap();
        assert_eq!(found.found().count(Shift::Denied), 3);
    }
}

#[test]
fn what_is_missing_is_an_error_and_no_answer() {
    let mut asked = Asked::new();
    let last = asked.domain.size() - 1;
    asked.domain.close();
    for index in [5, last] {
        let connection = rusqlite::Connection::open(&asked.domain.place.store).unwrap();
        assert_eq!(connection.execute("DELETE FROM entry WHERE idx = ?1", [index.to_string()]).unwrap(), 1);
        drop(connection);
        let refused = asked.asked("more.cedar", NO_BUILDS, LOOKED_BACK);
        assert!(matches!(refused, Err(AuthorityError::Ledger(LedgerError::Inconsistent(_)))), "{refused:?}");
    }
}

#[test]
fn the_same_bundle_is_not_looked_at_again_at_once() {
    let mut asked = Asked::new();
    asked.domain.root_orders(RootCommand::PolicyAuthors(authors(2)), &asked.standard).unwrap();
    let (bundle, other) = (signed(&asked, NO_BUILDS), signed(&asked, &format!("{NO_BUILDS}\n")));
    let refused = |bundle: &[u8]| denied(&asked.domain, handed_in(&asked, bundle), Code::GateFailed).0.why;
    let first = refused(&bundle);
    assert_eq!(
        refused(&bundle),
        format!("{first}; that was found less than 30 s ago, and is not looked at again before")
    );
    assert_eq!(refused(&other), first);
    asked.domain.clock.pass(30_000);
    assert_eq!(refused(&bundle), first);
}

#[test]
fn what_is_damaged_is_an_error_and_no_answer() {
    let mut asked = Asked::new();
    asked.domain.close();
    let connection = rusqlite::Connection::open(&asked.domain.place.store).unwrap();
    let changed = connection.execute("UPDATE vault SET facts = zeroblob(80) WHERE facts IS NOT NULL", []).unwrap();
    assert_eq!(changed, 4);
    drop(connection);
    let refused = asked.asked("more.cedar", NO_BUILDS, LOOKED_BACK);
    assert!(matches!(refused, Err(AuthorityError::Ledger(LedgerError::Inconsistent(_)))), "{refused:?}");
}

#[test]
fn what_was_asked_for_stays_on_its_line() {
    let asked = Asked::new();
    let long = format!("/opt/a\n{}", "b".repeat(300));
    denied(&asked.domain, asked.domain.asks("builder", &asked.domain.asked(&[&long])), Code::PolicyDenied);
    let history = asked.of("more.cedar", OPT);
    let lines = history.details();
    assert!(lines.iter().all(|line| !line.contains('\n') && line.len() < 400), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("/opt/a\\x0abbb") && line.contains('…')), "{lines:?}");
    let forged = "/opt/x, policy_denied -> policy_denied, entries 1; 40 x \"User::ada\" \u{2028}\u{202e}";
    denied(&asked.domain, asked.domain.asks("builder", &asked.domain.asked(&[forged])), Code::PolicyDenied);
    let told = findings(&asked.of("more.cedar", OPT), &[]).join("");
    let quoted =
        "exec \"/opt/x, policy_denied -> policy_denied, entries 1; 40 x \\\"User::ada\\\" \\u{2028}\\u{202e}\", ";
    assert!(told.contains(quoted), "{told}");
}

#[test]
fn there_is_room_for_every_kind_in_a_report() {
    let asked = Asked::new();
    for number in 0..60 {
        let path = format!("/opt/{number}");
        denied(&asked.domain, asked.domain.asks("builder", &asked.domain.asked(&[&path])), Code::PolicyDenied);
    }
    let lines = asked.of("more.cedar", &format!("{OPT}\n{NO_MAKE}")).details();
    assert!(lines.iter().any(|line| line == "newly permitted: and 21 more"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("newly denied: 2 x ")), "{lines:?}");
}

/// What the node answers to the bundle of a set that its authors have signed.
fn published(asked: &Asked, files: &PolicyFiles, accepts: &[&str]) -> Answer {
    handed_in(asked, &bundle(asked, files, accepts))
}

/// The bundle of the standard set with something more, which its authors have signed.
fn signed(asked: &Asked, more: &str) -> Vec<u8> {
    bundle(asked, &asked.standard.clone().with("more.cedar", more), &[])
}

fn bundle(asked: &Asked, files: &PolicyFiles, accepts: &[&str]) -> Vec<u8> {
    let domain = &asked.domain;
    let snapshot = files.snapshot();
    let listed: Vec<(&str, &[u8])> =
        snapshot.files().iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let listed = set_files(&listed);
    let active = domain.authority().published().control.policy().unwrap().clone();
    let mut manifest = domain.domain.manifest(active.epoch.get() + 1, snapshot.digest(), Some(active.set), &listed);
    manifest.accepts = Ascending::new(accepts.iter().map(|accept| Name::new(*accept).unwrap()));
    PolicyBundle::assemble(&domain.domain.sign_manifest(&manifest, &[0, 1]), &listed)
}

fn handed_in(asked: &Asked, bundle: &[u8]) -> Answer {
    let domain = &asked.domain;
    let request = Request {
        time_ms: domain.clock.now_ms(),
        ..domain.domain.asked_order(Command::Publish(writ_tlog::sha256(bundle)))
    };
    let signed = domain.member("alice").sign(&request, domain.domain.origin());
    wait(domain.authority().publish(&Caller::Remote, Received::Signed(&signed), bundle))
}

#[test]
fn a_store_that_cannot_be_read_lets_no_set_in() {
    let mut asked = Asked::new();
    asked.domain.root_orders(RootCommand::PolicyAuthors(authors(2)), &asked.standard).unwrap();
    let candidate = asked.standard.clone().with("more.cedar", NO_BUILDS);
    let connection = rusqlite::Connection::open(&asked.domain.place.store).unwrap();
    let before = asked.domain.authority().published().control.policy().unwrap().clone();
    connection.execute_batch("CREATE TEMP TABLE aside AS SELECT idx, facts FROM vault WHERE facts IS NOT NULL; UPDATE vault SET facts = zeroblob(80) WHERE facts IS NOT NULL").unwrap();
    let accepts = ["history:newly_denied", "history:undecided"];
    let failed = published(&asked, &candidate, &accepts);
    assert!(matches!(&failed, Answer::TurnedAway(refusal) if refusal.code() == Code::LedgerUnavailable), "{failed:?}");
    assert_eq!(*asked.domain.authority().published().control.policy().unwrap(), before);
    assert_eq!(*asked.domain.authority().policy().set.digest(), before.set);
    connection.execute_batch("UPDATE vault SET facts = (SELECT facts FROM aside WHERE aside.idx = vault.idx) WHERE facts IS NOT NULL; DROP TABLE aside").unwrap();
    let receipt = done(&asked.domain, published(&asked, &candidate, &accepts));
    let Body::Policy(activation) = receipt.decode(asked.domain.domain.origin()).unwrap().body else {
        panic!("a policy")
    };
    assert!(activation.report.is_some());
    assert!(activation.gates.as_slice().iter().any(|one| one.gate.as_str() == "backtest" && one.passed == 4));
    assert!(asked.domain.judged().is_clean());
}

#[test]
fn a_set_is_published_over_what_was_erased_once_that_is_accepted() {
    let mut asked = Asked::new();
    asked.erases(CommitmentKind::Facts);
    asked.domain.root_orders(RootCommand::PolicyAuthors(authors(2)), &asked.standard).unwrap();
    let candidate = asked
        .standard
        .clone()
        .with("more.cedar", "@id(\"more\") forbid (principal, action == Action::\"halt\", resource);");
    let (told, denial) =
        denied(&asked.domain, published(&asked, &candidate, &["history:newly_denied"]), Code::GateFailed);
    assert!(told.why.contains("undecided: 1 of the 5") && denial.text.is_some(), "{}", told.why);
    done(&asked.domain, published(&asked, &candidate, &["history:undecided"]));
    assert!(asked.domain.judged().is_clean());
    // A report that is gone without an erasure is missed, like any value.
    asked.domain.close();
    let connection = rusqlite::Connection::open(&asked.domain.place.store).unwrap();
    connection.execute("UPDATE vault SET text = NULL WHERE idx = (SELECT max(idx) FROM vault)", []).unwrap();
    assert!(!asked.domain.judged().is_clean());
}
