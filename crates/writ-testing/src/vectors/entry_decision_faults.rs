//! Budgets, policy sets, tallies and other decisions with one fault each.

use super::case::hex;
use super::entry_faults::Faults;
use super::mutation::{Structure, array, bytes, map, text};
use crate::scenario::{Domain, ORIGIN};
use serde_json::json;
use writ_protocol::Code::Malformed;
use writ_protocol::EntryType::{Advised, Approval, Denial, Erasure, Grant, Hold, Policy, Seal, Shadow, Spend, Tally};
use writ_protocol::cbor::Value::{self, Bool, Uint};

pub(super) fn budgets(faults: &mut Faults) {
    let draw = |counter: &str, limit| map([("counter", text(counter)), ("limit", Uint(limit))]);
    let budget = |draws: Value| map([("kind", text("budget")), ("draws", draws)]);
    let sandbox = || map([("kind", text("sandbox")), ("profile", text("strict"))]);
    let many = (0..257).map(|number| draw(&format!("c{number:03}"), 1)).collect();
    for (name, about, obligation) in [
        ("budget_no_draws", "A budget of nothing.", budget(array([]))),
        ("budget_without_draws", "A budget without draws.", map([("kind", text("budget"))])),
        ("budget_unsorted", "Draws that do not ascend.", budget(array([draw("b", 1), draw("a", 1)]))),
        ("budget_twice", "Two draws from one counter.", budget(array([draw("a", 1), draw("a", 2)]))),
        ("budget_limit_0", "A counter from which nothing may be drawn.", budget(array([draw("a", 0)]))),
        ("budget_counter_empty", "A counter of no name.", budget(array([draw("", 1)]))),
        ("budget_without_limit", "A draw without a limit.", budget(array([map([("counter", text("a"))])]))),
        ("budget_without_counter", "A draw from nothing.", budget(array([map([("limit", Uint(1))])]))),
        (
            "budget_draw_unknown_field",
            "A draw of more than one.",
            budget(array([map([("counter", text("a")), ("limit", Uint(2)), ("amount", Uint(2))])])),
        ),
        ("budget_257_draws", "More elements than an array may have.", budget(Value::Array(many))),
        (
            "budget_with_profile",
            "A budget with the field of a sandbox.",
            map([("kind", text("budget")), ("draws", array([draw("a", 1)])), ("profile", text("strict"))]),
        ),
        (
            "sandbox_with_draws",
            "A sandbox of draws.",
            map([("kind", text("sandbox")), ("draws", array([draw("a", 1)]))]),
        ),
    ] {
        faults.set(name, about, Grant, "obligations", array([obligation]));
    }
    let one = || budget(array([draw("a", 1)]));
    faults.set("obligations_unsorted", "Kinds that do not ascend.", Grant, "obligations", array([sandbox(), one()]));
    faults.set("obligation_budget_twice", "Two budgets.", Grant, "obligations", array([one(), one()]));
    let without_kind = map([("draws", array([draw("a", 1)]))]);
    faults.set("obligation_without_kind", "An obligation of no kind.", Grant, "obligations", array([without_kind]));
}

pub(super) fn decisions(faults: &mut Faults) {
    faults.set("denial_code_unknown", "A refusal code that there is not.", Denial, "code", text("forbidden"));
    faults.set("denial_code_number", "A refusal code as a number.", Denial, "code", Uint(403));
    for (name, about, would) in [
        ("shadow_would_other_code", "A code with which policy never refuses.", text("budget_exceeded")),
        ("shadow_would_pending", "A code of which policy has another word.", text("approval_pending")),
        ("shadow_would_deny", "A refusal without its code.", text("deny")),
        ("shadow_would_bool", "An answer that is true.", Bool(true)),
        ("shadow_would_map", "An answer as a map.", map([("kind", text("permit"))])),
    ] {
        faults.set(name, about, Shadow, "would", would);
    }
    faults.set("shadow_of_order", "An order is not asked about.", Shadow, "action/kind", text("order"));
    faults.bad("shadow_id", "A shadow has no id.", Shadow, Malformed, |entry| entry.add("4", "id", bytes(&[1; 16])));
    faults.bad("shadow_audience", "A shadow is for nobody.", Shadow, Malformed, |entry| {
        entry.add("4", "audience", map([("group", text("builders"))]))
    });
    advice(faults);
    faults.set("approval_verdict", "An answer that is neither yes nor no.", Approval, "verdict", text("abstain"));
    faults.set("approval_no_group", "An answer for no group.", Approval, "groups", array([]));
    faults.set("approval_exec", "An answer that is no order.", Approval, "action/kind", text("exec"));
    faults
        .bad("approval_by_no_key", "An answer by nobody's key.", Approval, Malformed, |entry| entry.remove("4/by/key"));
    faults.set("approval_statement_text", "An answer as text.", Approval, "statement", text("yes"));
    faults.set("needs_none", "A hold that needs nobody.", Hold, "needs", array([]));
    let need = |group: &str, count| map([("group", text(group)), ("count", Uint(count))]);
    faults.set("needs_unsorted", "Needs that do not ascend.", Hold, "needs", array([need("b", 1), need("a", 1)]));
    faults.set("needs_twice", "One group is needed twice.", Hold, "needs", array([need("a", 1), need("a", 2)]));
    faults.set("needs_count_0", "No approval of a group.", Hold, "needs", array([need("a", 0)]));
    faults.set("needs_count_17", "Seventeen approvals.", Hold, "needs", array([need("a", 17)]));
    let erased = |index, byte| array([Uint(index), bytes(&[byte; 32])]);
    faults.set("erased_none", "An erasure of nothing.", Erasure, "erased", array([]));
    faults.set(
        "erased_unsorted",
        "Erased values that do not ascend by index.",
        Erasure,
        "erased",
        array([erased(300, 1), erased(4, 2)]),
    );
    faults.set(
        "erased_unsorted_commitments",
        "Erased values of one entry that do not ascend.",
        Erasure,
        "erased",
        array([erased(4, 2), erased(4, 1)]),
    );
    faults.set("erased_twice", "One value erased twice.", Erasure, "erased", array([erased(4, 1), erased(4, 1)]));
    faults.set("seal_count_0", "A batch of nothing.", Seal, "count", Uint(0));
    faults.set("seal_first_bool", "An index that is true.", Seal, "first", Bool(true));
}

fn advice(faults: &mut Faults) {
    for (name, about, decision) in [
        ("advised_other_code", "A code with which nobody is advised.", text("budget_exceeded")),
        ("advised_deny", "A refusal without its code.", text("deny")),
        ("advised_bool", "An answer that is true.", Bool(true)),
    ] {
        faults.set(name, about, Advised, "decision", decision);
    }
    faults.set("advised_exec", "An execution is not advised on.", Advised, "action/kind", text("exec"));
    faults.set("advised_order", "An order is not advised on.", Advised, "action/kind", text("order"));
    faults.set("advised_subject_null", "A subject that is null.", Advised, "subject", Value::Null);
    faults.set("grant_of_question", "A question is never granted.", Grant, "action/kind", text("advice"));
    faults.set("hold_of_question", "A question never waits.", Hold, "action/kind", text("advice"));
    faults.set("shadow_of_question", "A question has no shadow.", Shadow, "action/kind", text("advice"));
    faults.bad("advised_found", "A permit that has found something.", Advised, Malformed, |entry| {
        entry.add("4", "found", Uint(1))
    });
    faults.set(
        "advised_searched_nothing",
        "A search that says nothing of what it found.",
        Advised,
        "decision",
        text("searched"),
    );
    faults.bad("advised_id", "An advice has no id.", Advised, Malformed, |entry| entry.add("4", "id", bytes(&[1; 16])));
    faults.bad("advised_audience", "An advice is for nobody to execute.", Advised, Malformed, |entry| {
        entry.add("4", "audience", map([("group", text("builders"))]))
    });
}

pub(super) fn tallies(faults: &mut Faults) {
    let count = |code: &str, count| map([("code", text(code)), ("count", Uint(count))]);
    for (name, about, counts) in [
        ("tally_none", "A count of nobody.", array([])),
        ("tally_count_0", "Nobody was turned away.", array([count("unauthenticated", 0)])),
        ("tally_code_unknown", "A refusal code that there is not.", array([count("forbidden", 1)])),
        (
            "tally_unsorted",
            "Codes in the order of their page, not of their strings.",
            array([count("unauthenticated", 1), count("rate_limited", 1)]),
        ),
        ("tally_twice", "One code twice.", array([count("unauthenticated", 1), count("unauthenticated", 2)])),
        ("tally_without_count", "A code without a count.", array([map([("code", text("unauthenticated"))])])),
        ("tally_count_without_code", "A count without a code.", array([map([("count", Uint(1))])])),
    ] {
        faults.set(name, about, Tally, "counts", counts);
    }
    let Uint(until) = Structure::of(faults.samples.of(Tally)).get("4/time_ms") else { panic!("a time is a number") };
    faults.set("tally_reversed", "A time that ends before it begins.", Tally, "from_ms", Uint(until + 1));
    faults.set("policy_epoch_0", "There is no epoch 0.", Policy, "epoch", Uint(0));
    faults.set("policy_set_short", "A digest of 31 bytes.", Policy, "set", bytes(&[1; 31]));
    faults.set(
        "policy_content_itself",
        "The policy set itself, not its commitment.",
        Policy,
        "content",
        bytes(b"permit;"),
    );
    faults.set("policy_semantics_not_label", "An engine that is no label.", Policy, "semantics", text("Cedar 4"));
    let domain = Domain::new(super::BASE_MS);
    let request = domain.asked_order(writ_protocol::action::Command::Halt);
    let signed = request.sign(domain.origin(), domain.alice_key().signing_key());
    let good = Structure::of(faults.samples.of(Spend)).set("4/statement", bytes(&signed)).bytes();
    let results = json!({ "type": "spend", "hash": hex(writ_tlog::leaf_hash(&good).as_bytes()) });
    let input = json!({ "hex": hex(&good), "origin": ORIGIN });
    let about = "A spend that carries a request: its payload is judged where it is used.";
    faults.maker.accept("statement_of_a_request", about, input, results);
}
