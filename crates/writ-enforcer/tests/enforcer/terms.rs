//! What a grant demands of the gateway, the time, the action and the place.

use crate::ledger::{NOW_MS, OTHER_GATEWAY, name, positive};
use crate::play::{BOTH, FREEZE_MS, Play, SENT, WINDOW_MS, Way, admitted, good, refused};
use writ_enforcer::{BootTime, CLOCK_TOLERANCE_MS};
use writ_protocol::Code;
use writ_protocol::Label;
use writ_protocol::action::{Interpreter, Stdin, Variables};
use writ_protocol::entry::{Audience, Obligation, Window};
use writ_tlog::sha256;

#[test]
fn a_writ_for_another_gateway_admits_nothing() {
    for way in BOTH {
        refused(way, Code::WrongAudience, |play| play.identity.gateway = name(OTHER_GATEWAY));
    }
}

#[test]
fn a_writ_for_another_epoch_admits_nothing() {
    for way in BOTH {
        refused(way, Code::WrongAudience, |play| {
            play.terms.audience = Audience::Gateway { gateway: play.identity.gateway.clone(), epoch: positive(2) };
        });
    }
}

#[test]
fn a_writ_for_a_group_is_examined_for_the_ledger_to_judge() {
    let mut play = good(Way::Handed);
    play.terms.audience = Audience::Group(name("builders"));
    admitted(Way::Handed, play);
}

#[test]
fn before_its_window_a_writ_admits_nothing() {
    for way in BOTH {
        refused(way, Code::NotYetValid, |play| {
            play.terms.window = Window::new(play.now.wall_ms + 1, play.now.wall_ms + 2).unwrap();
        });
        let mut first = good(way);
        first.terms.window = Window::new(first.now.wall_ms, first.now.wall_ms + 1).unwrap();
        admitted(way, first);
    }
}

#[test]
fn after_its_window_a_writ_admits_nothing() {
    for way in BOTH {
        refused(way, Code::Expired, |play| {
            play.terms.window = Window::new(NOW_MS - 1, play.now.wall_ms).unwrap();
        });
        refused(way, Code::Expired, |play| play.now.wall_ms = NOW_MS + WINDOW_MS);
    }
}

/// Invariant 12: each part of an execution alone.
#[test]
fn an_action_that_differs_in_any_part_admits_nothing() {
    type Change = fn(&mut Play);
    let changes: [(&str, Change); 12] = [
        ("an argument", |play| play.exec.argv[1] = b"install".to_vec()),
        ("one argument more", |play| play.exec.argv.push(b"-k".to_vec())),
        ("an argument cut in two", |play| play.exec.argv = [b"make".as_slice(), b"te", b"st"].map(Vec::from).into()),
        ("argv[0]", |play| play.exec.argv[0] = b"gmake".to_vec()),
        ("the content of the file", |play| play.exec.executable = sha256(b"another make")),
        ("the file", |play| play.exec.path = b"/usr/local/bin/make".to_vec()),
        ("a variable's value", |play| {
            play.exec.variables = Variables::new([(b"LANG".as_slice(), b"de".as_slice())]).unwrap();
        }),
        ("one variable more", |play| {
            let variables = [(b"LANG".as_slice(), b"C".as_slice()), (b"LD_PRELOAD", b"/x.so")];
            play.exec.variables = Variables::new(variables).unwrap();
        }),
        ("the folder", |play| play.exec.cwd = b"/".to_vec()),
        ("the input", |play| play.exec.stdin = Stdin::Pipe),
        ("an interpreter", |play| {
            play.exec.interpreter = Some(Interpreter { path: b"/bin/sh".to_vec(), digest: sha256(b"sh") });
        }),
        ("the salt", |play| play.action_salt = [8; 32]),
    ];
    for way in BOTH {
        for (what, change) in changes {
            refused(way, Code::ActionMismatch, |play| {
                let before = (play.exec.clone(), play.action_salt);
                change(play);
                assert_ne!(before, (play.exec.clone(), play.action_salt), "{what} is the same as before");
            });
        }
    }
}

#[test]
fn another_interpreter_of_a_script_admits_nothing() {
    for way in BOTH {
        for (path, content) in [("/bin/bash", "sh"), ("/bin/sh", "another sh")] {
            refused(way, Code::ActionMismatch, |play| {
                script(play, "/bin/sh", "sh");
                let granted = play.terms.action.digest;
                script(play, path, content);
                play.terms.action.digest = granted;
            });
        }
        let mut play = good(way);
        script(&mut play, "/bin/sh", "sh");
        admitted(way, play);
    }
}

/// A script is granted and about to run.
fn script(play: &mut Play, interpreter: &str, content: &str) {
    use writ_protocol::action::{CommitmentKind, Opening};
    let digest = sha256(content.as_bytes());
    play.exec.interpreter = Some(Interpreter { path: interpreter.as_bytes().to_vec(), digest });
    let value = play.action().encode().unwrap();
    let opening = Opening { kind: CommitmentKind::Action, salt: play.action_salt, value };
    play.terms.action.digest = opening.commitment();
}

#[test]
fn surroundings_with_any_other_component_admit_nothing() {
    for way in BOTH {
        for at in 0..good(way).surroundings.len() {
            refused(way, Code::SurroundingsMismatch, |play| play.surroundings[at].value.push('x'));
            refused(way, Code::SurroundingsMismatch, |play| drop(play.surroundings.remove(at)));
        }
        refused(way, Code::SurroundingsMismatch, |play| {
            let name = Label::new("zone").unwrap();
            play.surroundings.push(writ_protocol::statement::Component { name, value: "a".to_owned() });
        });
        // Out of order there is no digest of them at all.
        refused(way, Code::Malformed, |play| play.surroundings.reverse());
    }
}

#[test]
fn a_sandbox_that_the_gateway_cannot_give_admits_nothing() {
    for way in BOTH {
        refused(way, Code::SurroundingsMismatch, |play| play.sandboxes.clear());
        refused(way, Code::SurroundingsMismatch, |play| {
            play.terms.obligations = vec![Obligation::Sandbox(Label::new("vm").unwrap())];
        });
    }
}

#[test]
fn a_clock_that_disagrees_with_the_ledger_admits_nothing() {
    for way in BOTH {
        for wall_ms in [NOW_MS - CLOCK_TOLERANCE_MS - 1, NOW_MS + 100 + CLOCK_TOLERANCE_MS + 1] {
            refused(way, Code::ClockUntrusted, |play| {
                play.terms.window = Window::new(NOW_MS - WINDOW_MS, NOW_MS + WINDOW_MS).unwrap();
                play.now.wall_ms = wall_ms;
            });
        }
        for wall_ms in [NOW_MS - CLOCK_TOLERANCE_MS, NOW_MS + 100 + CLOCK_TOLERANCE_MS] {
            let mut play = good(way);
            play.terms.window = Window::new(NOW_MS - WINDOW_MS, NOW_MS + WINDOW_MS).unwrap();
            play.now.wall_ms = wall_ms;
            admitted(way, play);
        }
    }
}

/// The nonce is in memory alone: a restored or copied process has another one.
#[test]
fn only_the_process_that_asked_uses_its_own_grant() {
    refused(Way::Own, Code::HolderProofInvalid, |play| play.own_nonce = [0; 32]);
    refused(Way::Own, Code::HolderProofInvalid, |play| play.terms.admitted = None);
}

#[test]
fn a_grant_spent_for_another_execution_is_replayed() {
    refused(Way::Own, Code::Replayed, |play| {
        play.execution = writ_protocol::ExecutionId::new(NOW_MS, [6; 10]);
    });
}

/// Who delays the answer cannot make an old decision look new.
#[test]
fn an_answer_that_was_held_back_is_stale() {
    refused(Way::Own, Code::ViewStale, |play| play.now.boot = BootTime(SENT.0 + FREEZE_MS + 1));
    let mut last = good(Way::Own);
    last.now.boot = BootTime(SENT.0 + FREEZE_MS);
    admitted(Way::Own, last);
}
