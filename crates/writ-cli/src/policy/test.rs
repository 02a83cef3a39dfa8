//! `writ policy test`: the fixtures of a folder, each decided as a request is.

use super::args;
use super::{Compiled, beside_at, compiled, folder_of};
use crate::error::{CliError, harmless, json_line, line, painted_line};
use crate::paint::{Colour, Paint};
use crate::render::counted;
use serde_json::{Value, json};
use writ_protocol::Name;
use writ_server::{GateResult, Gated, PolicySet, Tested};

pub(crate) fn run(args: &args::Test, as_json: bool) -> Result<(), CliError> {
    let folder = folder_of(args.folder.as_deref(), &args.place)?;
    let Compiled { gated, .. } = compiled(&folder, beside_at(&args.place)?.as_ref())?;
    let failed = gated.tested.iter().filter(|one| one.failure.is_some()).count() as u64;
    let total = gated.tested.len() as u64;
    let unread: Vec<String> = gated.findings().filter(|_| gated.tested.is_empty()).map(ToString::to_string).collect();
    if as_json {
        let each = gated.tested.iter().map(told_json).collect::<Vec<_>>();
        let ok = failed == 0 && unread.is_empty();
        json_line(&json!({ "ok": ok, "fixtures": each, "findings": unread }))?;
    } else {
        unread.iter().try_for_each(line)?;
        let set = gated.compiled();
        for one in gated.tested.iter().filter(|one| !args.quiet || one.failure.is_some()) {
            tell(one, set, Paint::of_stdout(as_json))?;
        }
    }
    if !unread.is_empty() {
        return Err(CliError::Found(format!("no fixture of {} could be tested", folder.display())));
    }
    if failed > 0 {
        return Err(CliError::Found(format!("{failed} of {} failed", counted(total, "fixture", "fixtures"))));
    }
    if as_json {
        return Ok(());
    }
    line(format_args!("{}: {}, all as they should be", folder.display(), counted(total, "fixture", "fixtures")))
}

fn tell(one: &Tested, set: Option<&PolicySet>, paint: Paint) -> Result<(), CliError> {
    let fixture = &one.fixture;
    let named = harmless(&format!("{}:{}  {}", fixture.file, fixture.line, fixture.name));
    if one.failure.is_none() {
        let ok = paint.text(Colour::Green, "ok  ");
        return painted_line(&format!("{ok}  {named}: {}", harmless(&one.found.to_string())));
    }
    painted_line(&format!("{}  {named}", paint.text(Colour::Red, "FAIL")))?;
    line(format_args!("      expected  {}", one.expected))?;
    line(format_args!("      found     {}", one.found))?;
    one.reasons.iter().try_for_each(|reason| tell_clause(reason, set))
}

/// The policy that decided, as it was written.
fn tell_clause(reason: &Name, set: Option<&PolicySet>) -> Result<(), CliError> {
    let Some(clause) = set.and_then(|set| set.clause(reason)) else { return Ok(()) };
    line(format_args!("      {}:{}", clause.file, clause.line))?;
    clause.text.lines().try_for_each(|text| line(format_args!("        {text}")))
}

fn told_json(one: &Tested) -> Value {
    let fixture = &one.fixture;
    json!({
        "ok": one.failure.is_none(),
        "file": fixture.file,
        "line": fixture.line,
        "name": fixture.name,
        "expected": one.expected,
        "found": one.found,
        "policies": one.reasons.iter().map(Name::as_str).collect::<Vec<_>>(),
    })
}

/// What came of each gate, in a line for people.
pub(crate) fn gates_line(gated: &Gated) -> String {
    let each = gated.results.iter().map(|(gate, result)| match result {
        GateResult::Passed(passed) => format!("{gate} {passed}"),
        GateResult::Failed(_) => format!("{gate} FAILED"),
        GateResult::NotReached => format!("{gate} not reached"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The same for programs.
pub(crate) fn gates_json(gated: &Gated) -> Value {
    let each = gated.results.iter().map(|(gate, result)| match result {
        GateResult::Passed(passed) => json!({ "gate": gate.as_str(), "result": "passed", "passed": passed }),
        GateResult::Failed(found) => json!({ "gate": gate.as_str(), "result": "failed", "findings": found.len() }),
        GateResult::NotReached => json!({ "gate": gate.as_str(), "result": "not_reached" }),
    });
    each.collect()
}
