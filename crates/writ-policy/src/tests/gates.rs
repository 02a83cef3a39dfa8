use super::fixture::*;
use crate::{Gate, GateResult, Gated, ID_CHARS_MAX, PolicySet, Problem, Semantics, Snapshot, gate};

fn gated(given: &[(&str, &str)]) -> Gated {
    match Snapshot::new(files(given)) {
        Ok(snapshot) => gate(&snapshot, Semantics::CURRENT),
        Err(findings) => Gated::of_findings(findings),
    }
}

fn failed(gated: &Gated) -> Vec<Gate> {
    let failed = gated.results.iter().filter(|(_, result)| matches!(result, GateResult::Failed(_)));
    failed.map(|(gate, _)| *gate).collect()
}

const FIXTURE: &str = "- name: ada halts\n  principal: User::ada\n  order: halt\n  expect: permit\n";

#[test]
fn a_sound_set_passes_every_gate_and_each_says_what_it_looked_at() {
    let gated = gated(&[("p.cedar", PERMIT_ALL), ("tests/t.yaml", FIXTURE)]);
    let counts: Vec<(Gate, GateResult)> = [
        (Gate::Files, 4),
        (Gate::Syntax, 1),
        (Gate::Ids, 1),
        (Gate::Entities, 0),
        (Gate::Validation, 1),
        (Gate::Level, 1),
        (Gate::Fixtures, 1),
    ]
    .map(|(gate, passed)| (gate, GateResult::Passed(passed)))
    .to_vec();
    assert_eq!(gated.results, counts);
    assert_eq!(Gate::ALL.to_vec(), counts.iter().map(|(gate, _)| *gate).collect::<Vec<_>>());
    assert!(gated.set().is_some() && gated.into_set().is_ok());
}

#[test]
fn each_gate_fails_by_itself_and_nothing_after_it_counts_as_passed() {
    let far = r#"entity Team { lead: Team }; entity Robot { team: Team };"#;
    let deep = r#"@id("deep") forbid (principal, action, resource is Executable) when { resource has digest };
        @id("far") permit (principal, action == Action::"walk", resource)
        when { principal.team.lead.lead.lead == principal.team };"#;
    let walk = format!("{far} action walk appliesTo {{ principal: Robot, resource: Domain }};");
    for (given, expected) in [
        (vec![("a.txt", "")], Gate::Files),
        (vec![("a.cedar", "permit (")], Gate::Syntax),
        (vec![("a.cedar", "permit (principal, action, resource);")], Gate::Ids),
        (vec![("a.cedar", PERMIT_ALL), ("entities.json", "{}")], Gate::Entities),
        (
            vec![("a.cedar", "@id(\"a\") permit (principal, action, resource) when { context.nothing };")],
            Gate::Validation,
        ),
        (vec![("a.cedar", deep), ("schema.cedarschema", walk.as_str())], Gate::Level),
        (vec![("a.cedar", PERMIT_ALL), ("tests/t.yaml", "- name: a\n")], Gate::Fixtures),
    ] {
        let gated = gated(&given);
        assert_eq!(failed(&gated), [expected], "{given:?}: {:?}", gated.findings().collect::<Vec<_>>());
        for (gate, result) in &gated.results {
            match result {
                GateResult::Passed(_) => assert!(*gate < expected, "{gate} after {expected}"),
                GateResult::NotReached => assert!(*gate > expected, "{gate} before {expected}"),
                GateResult::Failed(_) => {}
            }
        }
        assert!(gated.set().is_none(), "{expected}");
        assert!(gated.into_set().is_err(), "{expected}");
    }
}

#[test]
fn an_id_that_no_author_could_accept_keeps_a_set_out_and_compiles_for_those_that_were_in_force() {
    let permit = |length: usize| format!("\n@id(\"{}\") permit (principal, action, resource);", "i".repeat(length));
    assert!(gated(&[("p.cedar", &permit(ID_CHARS_MAX))]).set().is_some());
    assert!(writ_protocol::Name::new(format!("policy:{}", "i".repeat(ID_CHARS_MAX))).is_ok());
    let given = [("p.cedar", &*permit(ID_CHARS_MAX + 1)), ("tests/t.yaml", FIXTURE)];
    let long = gated(&given);
    assert_eq!(failed(&long), [Gate::Ids]);
    assert_eq!(long.results.last(), Some(&(Gate::Fixtures, GateResult::NotReached)));
    let finding = long.findings().next().unwrap();
    assert_eq!((finding.file.as_str(), finding.line), ("p.cedar", 2));
    assert!(finding.to_string().contains("more than 120 characters; choose a shorter one"), "{finding}");
    assert!(long.set().is_none() && long.into_set().is_err());
    for semantics in Semantics::ALL {
        assert!(PolicySet::compile(&Snapshot::new(files(&given)).unwrap(), *semantics).is_ok());
    }
}

#[test]
fn a_failed_fixture_keeps_the_set_out_and_the_others_are_told() {
    let two = format!("{FIXTURE}- name: nobody halts\n  principal: User::ada\n  order: halt\n  expect: deny\n");
    let gated = gated(&[("p.cedar", PERMIT_ALL), ("tests/t.yaml", &two)]);
    assert_eq!(failed(&gated), [Gate::Fixtures]);
    assert_eq!(gated.tested.iter().map(|one| one.failure.is_some()).collect::<Vec<_>>(), [false, true]);
    assert!(gated.set().is_none());
    assert!(gated.compiled().is_some(), "what failed is explained by the policies as they are");
    let findings = gated.into_set().unwrap_err();
    assert!(matches!(findings[0].problem, Problem::FixtureFailed { .. }), "{findings:?}");
}
