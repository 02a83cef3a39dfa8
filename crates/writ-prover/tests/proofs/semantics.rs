//! A set in force that decides by the first semantics may deny for the number of its permits; no solver knows of that.

use crate::sets::{snapshot, solver};
use std::collections::BTreeSet;
use std::fmt::Write;
use writ_policy::{Gate, GateResult, PolicySet, Problem, Semantics, gate};
use writ_prover::{Accepted, SolverLimits, prove};

fn permits(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let scope = "principal == User::\"ada\", action == Action::\"halt\", resource";
        writeln!(text, "@id(\"p{number}\") permit ({scope});").unwrap();
    }
    text
}

/// What the comparison finds of a set of so many permits in place of one of so many more.
fn compared(new: usize, old: usize, semantics: Semantics, accepts: &[&str]) -> Vec<Problem> {
    let old = PolicySet::compile(&snapshot(&permits(old), &[]).unwrap(), semantics).unwrap();
    let mut gated = gate(&snapshot(&permits(new), &[]).unwrap(), Semantics::CURRENT);
    let accepted: BTreeSet<&str> = accepts.iter().copied().collect();
    prove(&solver(), SolverLimits::STANDARD, &mut gated, Some((&old, Accepted::new(&accepted))), |_| {});
    let result = gated.results.into_iter().find(|(gate, _)| *gate == Gate::NoWider).unwrap().1;
    match result {
        GateResult::Failed(findings) => findings.into_iter().map(|finding| finding.problem).collect(),
        GateResult::Passed(_) => Vec::new(),
        GateResult::NotReached => panic!("it was not compared"),
    }
}

#[test]
fn dropping_the_permit_that_was_one_too_many_is_told_as_wider() {
    let told = vec![Problem::SemanticsChanged(Semantics::Writ1.as_str())];
    assert_eq!(compared(256, 257, Semantics::Writ1, &[]), told);
    assert_eq!(compared(257, 257, Semantics::Writ1, &[]), told, "the newer semantics permit what the older denied");
    assert_eq!(compared(256, 257, Semantics::Writ1, &["semantics"]), []);
    assert_eq!(compared(256, 256, Semantics::Writ1, &[]), [], "with no more than that nothing is denied for it");
    assert_eq!(compared(256, 257, Semantics::Writ2, &[]), [], "it was permitted before");
}
