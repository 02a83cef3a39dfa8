//! What makes a set wider without a policy that permits more.

use crate::sets::{DEPLOY, compiled, set};
use writ_policy::PolicySet;

fn looser(new: &str, old: &str) -> Vec<(String, String, &'static str)> {
    let found = set(new).looser_than(&set(old));
    found.into_iter().map(|one| (one.policy.to_string(), one.than.to_string(), one.what)).collect()
}

fn permit(annotations: &str, condition: &str) -> String {
    format!("{annotations} permit (principal, action == Action::\"exec\", resource) when {{ {condition} }};\n")
}

#[test]
fn looser_terms_are_seen_whatever_a_permit_is_called() {
    let one = |annotations: &str| permit(annotations, "context.path == \"/a\"");
    let budget = "a larger budget, another one, or none";
    for (new, old, what) in [
        ("@id(\"p\") @window(\"5m\")", "@id(\"p\")", Some("a longer window")),
        ("@id(\"q\") @window(\"5m\")", "@id(\"p\")", Some("a longer window")),
        ("@id(\"p\") @freeze_after(\"20s\")", "@id(\"p\")", Some("a longer lease")),
        ("@id(\"p\") @kill_after(\"60s\")", "@id(\"p\")", Some("a longer lease")),
        ("@id(\"p\")", "@id(\"p\") @sandbox(\"quiet\")", Some("another sandbox, or none")),
        ("@id(\"p\")", "@id(\"p\") @budget(\"10\")", Some(budget)),
        ("@id(\"p\") @budget(\"11\")", "@id(\"p\") @budget(\"10\")", Some(budget)),
        // The counter is another one, and begins at nothing.
        ("@id(\"q\") @budget(\"10\")", "@id(\"p\") @budget(\"10\")", Some(budget)),
        ("@id(\"p\") @budget(\"10\")", "@id(\"p\") @budget(\"10 per day\")", Some(budget)),
        ("@id(\"p\") @budget(\"9\")", "@id(\"p\") @budget(\"10\")", None),
        ("@id(\"p\") @budget(\"9\")", "@id(\"p\")", None),
        ("@id(\"p\") @window(\"30s\")", "@id(\"p\")", None),
        ("@id(\"q\")", "@id(\"p\")", None),
    ] {
        let found = looser(&one(new), &one(old));
        assert_eq!(found.first().map(|one| one.2), what, "{new} after {old}: {found:?}");
    }
}

#[test]
fn a_budget_that_is_split_counts_as_larger() {
    let whole = permit("@id(\"p\") @budget(\"10\")", "context.path == \"/a\" || context.path == \"/b\"");
    let halves = permit("@id(\"p/a\") @budget(\"10\")", "context.path == \"/a\"")
        + &permit("@id(\"p/b\") @budget(\"10\")", "context.path == \"/b\"");
    assert_eq!(looser(&halves, &whole).len(), 2);
    // One that is narrowed leaves the other's counter, which has not counted what the first one did.
    let both = permit("@id(\"p\") @budget(\"10\")", "true") + &permit("@id(\"q\") @budget(\"10\")", "context.argc > 1");
    let less = permit("@id(\"p\") @budget(\"10\")", "context.argc > 2")
        + &permit("@id(\"q\") @budget(\"10\")", "context.argc > 1");
    assert_eq!(looser(&less, &both).first().map(|one| one.0.clone()), Some("q".to_owned()));
}

#[test]
fn a_strict_permit_that_goes_leaves_a_loose_one() {
    let strict = permit("@id(\"strict\")", "context.path == \"/a\"");
    let loose = permit("@id(\"loose\") @window(\"10m\")", "context.path like \"/*\"");
    assert_eq!(looser(&loose, &(strict.clone() + &loose)).len(), 1);
    assert_eq!(looser(&(strict.clone() + &loose), &(strict + &loose)), []);
}

#[test]
fn entities_are_the_same_only_if_everything_about_them_is() {
    let with = |entity: &str| -> PolicySet {
        let entities = format!(
            "[{{ \"uid\": {{ \"type\": \"Group\", \"id\": \"operators\" }}, \"attrs\": {{}}, \"parents\": [] }}, {{ \"uid\": {{ \"type\": \"Group\", \"id\": \"quarantined\" }}, \"attrs\": {{}}, \"parents\": [] }}, {entity}]"
        );
        compiled(DEPLOY, &[("entities.json", &entities)]).unwrap()
    };
    let agent = |parents: &str| {
        with(&format!(
            "{{ \"uid\": {{ \"type\": \"Agent\", \"id\": \"a\" }}, \"attrs\": {{}}, \"parents\": [{parents}] }}"
        ))
    };
    let operators = "{ \"type\": \"Group\", \"id\": \"operators\" }";
    assert!(agent("").has_entities_of(&agent("")));
    assert!(!agent(operators).has_entities_of(&agent("")));
    let pinned = |digit: &str| {
        let digest = digit.repeat(64);
        with(&format!(
            "{{ \"uid\": {{ \"type\": \"Executable\", \"id\": \"/a\" }}, \"attrs\": {{ \"digest\": \"{digest}\" }}, \"parents\": [] }}"
        ))
    };
    assert!(pinned("1").has_entities_of(&pinned("1")));
    assert!(!pinned("1").has_entities_of(&pinned("2")));
    assert!(!pinned("1").has_entities_of(&agent("")));
}
