use super::{Attempt, NOT_ASKED, wrapped, wrong_with};
use crate::demo::found::Found;
use writ_protocol::Code;

fn refused(code: &str, index: Option<u64>) -> Found {
    Found::Refused { code: code.to_owned(), index }
}

#[test]
fn a_refusal_on_the_record_is_right_only_with_its_code_in_its_entry_and_no_mark() {
    let attempt = Attempt::recorded("a", "an attempt", Code::Replayed);
    let right = refused("replayed", Some(7));
    assert_eq!(wrong_with(&attempt, &right, Some("replayed"), false), None);
    for (found, recorded, left) in [
        (&right, Some("replayed"), true),
        (&right, Some("revoked"), false),
        (&right, None, false),
        (&refused("replayed", None), None, false),
        (&refused("revoked", Some(7)), Some("revoked"), false),
        (&Found::Done, None, false),
        (&Found::Barred, None, false),
        (&Found::Unclear("exit 101".to_owned()), None, false),
    ] {
        assert!(wrong_with(&attempt, found, recorded, left).is_some(), "{found:?} {recorded:?} {left}");
    }
}

#[test]
fn a_refusal_without_an_entry_is_right_only_without_one() {
    let attempt = Attempt::unrecorded("a", "an attempt", Code::Unauthenticated, NOT_ASKED);
    assert_eq!(wrong_with(&attempt, &refused("unauthenticated", None), None, false), None);
    for (found, left) in [
        (refused("unauthenticated", Some(7)), false),
        (refused("unauthenticated", None), true),
        (refused("halted", None), false),
        (Found::Done, false),
        (Found::Barred, false),
    ] {
        assert!(wrong_with(&attempt, &found, Some("unauthenticated"), left).is_some(), "{found:?}");
    }
}

#[test]
fn what_the_kernel_bars_is_right_only_if_it_did_and_nothing_was_left() {
    let attempt = Attempt::barred("a", "an attempt");
    assert_eq!(wrong_with(&attempt, &Found::Barred, None, false), None);
    for (found, left) in [(Found::Barred, true), (Found::Done, false), (refused("halted", None), false)] {
        assert!(wrong_with(&attempt, &found, None, left).is_some(), "{found:?}");
    }
}

#[test]
fn what_is_tried_is_broken_between_words_and_loses_none() {
    let tried = "the node is killed after it granted, before the start";
    let lines = wrapped(tried, 20);
    assert_eq!(lines, ["the node is killed", "after it granted,", "before the start"]);
    assert_eq!(lines.join(" "), tried);
    assert_eq!(wrapped("", 20), Vec::<String>::new());
    assert_eq!(wrapped("a-word-that-is-longer-than-a-line x", 5), ["a-word-that-is-longer-than-a-line", "x"]);
}
