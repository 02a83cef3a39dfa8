//! What is learnt permits what was seen, and where it permits more it says so.

use super::fixture::*;
use crate::{Decision, Facts, Observed, PolicySet, Proposal, Seen, WRITTEN_MAX, decide};
use proptest::prelude::*;
use writ_protocol::Name;
use writ_protocol::action::{Action, Exec, ExecFields};

/// So many executions of one program.
fn observed(seen: &[(Exec, Facts)], permits: &[Name]) -> Observed {
    let mut observed = Observed::default();
    for (index, (exec, facts)) in seen.iter().enumerate() {
        observed.add(&Seen {
            index: index as u64,
            time_ms: facts.now_ms,
            principal: (&facts.principal.kind, &facts.principal.id),
            auth: facts.auth.as_str(),
            depth: facts.depth,
            exec,
            permits,
            shadow: false,
        });
    }
    observed
}

fn learned(proposal: &Proposal) -> PolicySet {
    policies(&proposal.text)
}

fn ran(argv: &[&str]) -> (Exec, Facts) {
    (Exec::new(fields(argv)).unwrap(), facts())
}

fn permits(set: &PolicySet, (exec, facts): &(Exec, Facts)) -> bool {
    matches!(decide(set, &Action::Exec(exec.clone()), facts), Decision::Permit(_))
}

#[test]
fn a_few_commands_are_permitted_exactly_with_evidence_and_the_terms_of_their_permit() {
    let active = policies(
        r#"@id("build") @window("10m") @budget("5 per hour") permit (principal, action == Action::"exec", resource);
        @id("all") permit (principal, action, resource);
        @id("stop") permit (principal, action == Action::"halt", resource);"#,
    );
    let seen = [ran(&["cargo", "build"]), ran(&["cargo", "build"]), ran(&["cargo", "te\"st\\\u{7}ü"])];
    let proposal = observed(&seen, &[name("build")]).propose(&active);
    assert_eq!((proposal.policies, &proposal.replaced, &proposal.wider), (1, &vec![name("build")], &vec![name("all")]));
    assert!(proposal.text.contains("@window(\"10m\")\n@budget(\"5 per hour\")\n"), "{}", proposal.text);
    let evidence =
        "    // 2 times, entries 0 to 1, 2026-11-21T08:05:09.007Z to 2026-11-21T08:05:09.007Z\n    \"cargo build\"";
    assert!(proposal.text.contains(evidence), "{}", proposal.text);
    let set = learned(&proposal);
    assert!(seen.iter().all(|one| permits(&set, one)));
    let refused = [
        ran(&["cargo"]),
        ran(&["cargo", "publish"]),
        ran(&["cargo", "build", "--release"]),
        (seen[0].0.clone(), Facts { depth: 1, ..facts() }),
        (seen[0].0.clone(), Facts { auth: label("peer"), ..facts() }),
        (seen[0].0.clone(), Facts { principal: principal("User", "ada"), ..facts() }),
        (Exec::new(ExecFields { cwd: b"/".to_vec(), ..fields(&["cargo", "build"]) }).unwrap(), facts()),
        (Exec::new(ExecFields { path: b"/bin/x".to_vec(), ..fields(&["cargo", "build"]) }).unwrap(), facts()),
    ];
    assert!(refused.iter().all(|one| !permits(&set, one)));
    let whats: Vec<_> = proposal.generalised.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(whats, ["the program by its path, whatever its digest"]);
}

#[test]
fn many_commands_are_generalised_step_by_step_and_each_step_is_said() {
    let active = policies("@id(\"learned/1\") forbid (principal, action == Action::\"halt\", resource);");
    let many: Vec<String> = (0..=WRITTEN_MAX).map(|number| format!("t{number}")).collect();
    let by_first: Vec<_> = many.iter().map(|test| ran(&["cargo", "test", test])).collect();
    let proposal = observed(&by_first, &[]).propose(&active);
    assert!(proposal.text.contains("@id(\"learned/2\")"), "an id that is taken is not given again: {}", proposal.text);
    let said = "// Permits more than was seen: anything after the first argument, of 17 commands seen.";
    assert!(proposal.text.contains(said) && proposal.generalised.len() == 2, "{}", proposal.text);
    let set = learned(&proposal);
    assert!(by_first.iter().all(|one| permits(&set, one)) && permits(&set, &ran(&["cargo", "test", "new"])));
    assert!(!permits(&set, &ran(&["cargo", "publish", "x"])) && !permits(&set, &ran(&["cargo", "test", "x", "y"])));

    let any: Vec<_> = many.iter().map(|first| ran(&["cargo", first])).collect();
    let proposal = observed(&any, &[]).propose(&active);
    assert!(proposal.text.contains("// Permits more than was seen: any arguments, of 17 commands seen."));
    let set = learned(&proposal);
    assert!(permits(&set, &ran(&["cargo", "new"])) && !permits(&set, &ran(&["cargo", "new", "x"])));

    let folder = |number: &String| ExecFields { cwd: format!("/{number}").into_bytes(), ..fields(&["ls"]) };
    let anywhere: Vec<_> = many.iter().map(|one| (Exec::new(folder(one)).unwrap(), facts())).collect();
    let proposal = observed(&anywhere, &[]).propose(&active);
    assert!(proposal.text.contains("// Permits more than was seen: any working folder, of 17 seen."));
    assert!(anywhere.iter().all(|one| permits(&learned(&proposal), one)));
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1u8.., 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_seen_is_permitted_by_what_is_learnt_from_it(
        commands in prop::collection::vec((prop::collection::vec(argument(), 1..4), argument(), argument(), 0u64..4), 1..24),
    ) {
        let seen: Vec<_> = commands.into_iter().map(|(argv, cwd, path, depth)| {
            let below = |bytes: Vec<u8>| [b"/".as_slice(), &bytes[..bytes.len().min(1)]].concat();
            let exec = Exec::new(ExecFields { argv, cwd: below(cwd), path: below(path), ..fields(&["x"]) }).unwrap();
            (exec, Facts { depth, ..facts() })
        }).collect();
        let set = learned(&observed(&seen, &[]).propose(&policies("")));
        for one in &seen {
            prop_assert!(permits(&set, one), "{:?}", one);
        }
    }
}
