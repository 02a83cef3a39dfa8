//! Publishing a policy set: a bundle that its authors have signed, put through the gates, and in force with the entry that says so.
//!
//! Nothing of it takes effect before that one entry is durable, so whatever breaks off on the way has changed nothing. Whoever hands the
//! bundle in must be known, so that a refusal has an entry; whether the set may come into force is the word of its authors alone, since a
//! set that had a say in its own replacement could lock the domain.

use crate::answer::Answer;
use crate::authority::{Authority, gates_of};
use crate::caller::{Caller, Received};
use crate::decision::{Case, Ruling, opening};
use crate::error::AuthorityError;
use crate::history::{History, LOOKED_BACK, Looked};
use crate::lately::{REFUSED_FOR_MS, Refused};
use crate::policies::{ActiveSet, label};
use std::collections::{BTreeMap, BTreeSet};
use writ_ledger::{Draft, LedgerError, Proposal, Receipt};
use writ_policy::{Gate, GateResult, Gated, PolicyError, PolicySet, Snapshot, gate_with};
use writ_protocol::action::{Action, Command, CommitmentKind};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{Activation, EntitiesRef, Gates, Genesis, Positive};
use writ_protocol::order::judge_manifest;
use writ_protocol::statement::Ask;
use writ_protocol::{Code, Name, PolicyBundle, Refusal};
use writ_prover::{Accepted, SolverLimits, prove};
use writ_tlog::sha256;

/// Of what is wrong with a set the vault keeps this much.
const REPORT_CHARS_MAX: usize = 65_536;
/// A caller is told the first findings; all of them are kept.
const TOLD_MAX: usize = 5;

impl Authority {
    /// Puts the policy set of a bundle in force, or refuses it and records why. It compiles and tests the set, so it takes its time: it is
    /// for a thread that may wait.
    pub async fn publish(&self, caller: &Caller<'_>, received: Received<'_>, bundle: &[u8]) -> Answer {
        self.asked_to_publish(caller, received, bundle).await.unwrap_or_else(|refusal| self.turn_away(refusal))
    }

    async fn asked_to_publish(
        &self,
        caller: &Caller<'_>,
        received: Received<'_>,
        bundle: &[u8],
    ) -> Result<Answer, Refusal> {
        let (asker, request) = self.heard(caller, received).await?;
        // A bundle is read and hashed whoever has signed it, so it counts by its size like any large request.
        self.rates.take(&asker.name(), bundle.len(), self.now_ms())?;
        if !matches!(request.ask, Ask::Order) {
            return Err(Refusal::malformed("expected an order, found a request for a writ"));
        }
        let case = Case::new(&asker, &request, received.bytes())?;
        match self.published_by(&case, bundle) {
            Ok(receipt) => Ok(Answer::Done(receipt)),
            Err(Unpublished::Refused(ruling)) => self.deny(&case, None, ruling).await.map_err(|error| error.refusal()),
            Err(Unpublished::Failed(error)) => Err(error.refusal()),
        }
    }

    fn published_by(&self, case: &Case<'_>, bundle: &[u8]) -> Result<Receipt, Unpublished> {
        case.asker.fault.clone().map_or(Ok(()), Err)?;
        case.asker.may_give_orders()?;
        let Action::Order(order) = &case.action else {
            return Err(Refusal::malformed("expected an order as the action, found an execution").into());
        };
        let Command::Publish(ordered) = &order.command else {
            return Err(Refusal::malformed("expected an order to publish").into());
        };
        if sha256(bundle) != *ordered {
            return Err(Refusal::new(Code::IntegrityFailure, "the bundle is not the one that the order names").into());
        }
        let bundle = PolicyBundle::decode(bundle, self.ledger.origin())?;
        let time_ms = self.now_ms();
        // Asked before anything is compiled, so that nobody without the authors' keys can keep the node busy; the sequencer asks again.
        judge_manifest(&self.ledger.published().control, bundle.signed(), time_ms)?;
        let active = self.policies.active();
        let in_force = *active.set.digest();
        if let Some(known) = self.lately.of(ordered, &in_force, time_ms) {
            return Err(Unpublished::Refused(known.again()));
        }
        let (snapshot, gated, details) = self.through_the_gates(&bundle, &active)?;
        let gates = gates_of(&gated)?;
        let report = report(&gated, &details);
        let why = failed(&gated);
        let (Some(snapshot), Ok(set)) = (snapshot, gated.into_set()) else {
            let refused = Refused { bundle: *ordered, in_force, at_ms: time_ms, why, report };
            self.lately.remember(refused.clone());
            return Err(Unpublished::Refused(refused.ruling()));
        };
        let mut receipt = None;
        let entities = active.entities.clone();
        self.policies.replace(set, entities.clone(), |set, epoch| {
            let passed = Passed { gates, report, epoch, entities, time_ms };
            let proposal = proposal(case, &bundle, &snapshot, set, passed)?;
            receipt = Some(self.ledger.append(proposal)?);
            Ok::<(), Unpublished>(())
        })?;
        receipt.ok_or_else(|| Refusal::new(Code::Internal, "published without an entry").into())
    }
}

impl Authority {
    /// All gates, the proofs and history among them: against the set in force, which the manifest says it replaces. With what history had to
    /// say in particular.
    fn through_the_gates(
        &self,
        bundle: &PolicyBundle,
        active: &ActiveSet,
    ) -> Result<(Option<Snapshot>, Gated, Vec<String>), AuthorityError> {
        let files: BTreeMap<String, Vec<u8>> =
            bundle.files().iter().map(|(path, bytes)| (path.as_str().to_owned(), bytes.clone())).collect();
        match Snapshot::new(files) {
            Ok(snapshot) => {
                let mut gated = gate_with(&snapshot, self.semantics, active.set.others());
                let accepted: BTreeSet<&str> = bundle.manifest().accepts.as_slice().iter().map(Name::as_str).collect();
                let replaced = Some((&active.set, Accepted::new(&accepted)));
                prove(&self.solver, SolverLimits::STANDARD, &mut gated, replaced, |_| {});
                let details = self.asked_of_history(&mut gated, &active.set, &accepted)?;
                Ok((Some(snapshot), gated, details))
            }
            Err(findings) => Ok((None, Gated::of_findings(findings), Vec::new())),
        }
    }
}

impl Authority {
    /// The last gate. A set that has failed another is not tried.
    fn asked_of_history(
        &self,
        gated: &mut Gated,
        replaced: &PolicySet,
        accepted: &BTreeSet<&str>,
    ) -> Result<Vec<String>, AuthorityError> {
        let Some(set) = gated.set() else {
            gated.add(Gate::Backtest, GateResult::NotReached);
            return Ok(Vec::new());
        };
        let history = History::ask(&self.store, set, replaced, LOOKED_BACK)?;
        let Looked { result, accepted } = history.judged(accepted);
        gated.add(Gate::Backtest, result);
        Ok(accepted.into_iter().chain(history.details()).collect())
    }
}

/// Why a set is not in force.
enum Unpublished {
    /// It is refused: that is recorded.
    Refused(Ruling),
    /// It could not be done.
    Failed(AuthorityError),
}

impl From<Refusal> for Unpublished {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        Self::Refused(Ruling::of(&refusal).with_text(text))
    }
}

impl From<AuthorityError> for Unpublished {
    fn from(error: AuthorityError) -> Self {
        Self::Failed(error)
    }
}

impl From<LedgerError> for Unpublished {
    fn from(error: LedgerError) -> Self {
        if let LedgerError::Refused(refusal) = &error
            && refusal.code() != Code::ClockUntrusted
        {
            return refusal.clone().into();
        }
        Self::Failed(error.into())
    }
}

/// What came of the gates, and when.
struct Passed {
    gates: Gates,
    report: String,
    epoch: Positive,
    entities: Option<EntitiesRef>,
    time_ms: u64,
}

fn proposal(
    case: &Case<'_>,
    bundle: &PolicyBundle,
    snapshot: &Snapshot,
    set: &PolicySet,
    passed: Passed,
) -> Result<Proposal, AuthorityError> {
    let Passed { gates, report, epoch, entities, time_ms } = passed;
    let report = opening(CommitmentKind::Text, report.into_bytes())?;
    let content = opening(CommitmentKind::Policy, snapshot.encode())?;
    let activation = Activation {
        by: case.asker.principal.clone(),
        set: *set.digest(),
        epoch,
        gates,
        report: Some(report.commitment()),
        content: content.commitment(),
        // The sequencer gives it its place in the chain.
        control: Genesis::CONTROL,
        request: case.request_ref(),
        time_ms,
        entities,
        manifest: Some(Bytes(bundle.signed().to_vec())),
        semantics: label(set.semantics())?,
    };
    Ok(Proposal::new(Draft::Policy(activation)).with_openings(vec![content, report, case.request_opening.clone()]))
}

/// What is kept of all gates, whatever came of them.
fn report(gated: &Gated, details: &[String]) -> String {
    let mut report = String::new();
    for (gate, result) in &gated.results {
        let line = match result {
            GateResult::Passed(passed) => format!("{gate}: passed, {passed}\n"),
            GateResult::NotReached => format!("{gate}: not reached\n"),
            GateResult::Failed(findings) => {
                let each: String = findings.iter().map(|finding| format!("  {finding}\n")).collect();
                format!("{gate}: failed\n{each}")
            }
        };
        report.push_str(&line);
    }
    for line in details {
        report.push_str(&format!("  {line}\n"));
    }
    match report.char_indices().nth(REPORT_CHARS_MAX) {
        // At the end of a line, and saying so.
        Some((end, _)) => {
            let kept = report.get(..end).and_then(|kept| kept.rsplit_once('\n')).map_or("", |(kept, _)| kept);
            format!("{kept}\n… cut: there is more than is kept\n")
        }
        None => report,
    }
}

/// What is told of a set that has not passed.
fn failed(gated: &Gated) -> String {
    let first = gated.results.iter().find_map(|(gate, result)| match result {
        GateResult::Failed(findings) => Some(why(*gate, findings)),
        GateResult::Passed(_) | GateResult::NotReached => None,
    });
    first.unwrap_or_default()
}

impl Refused {
    fn ruling(self) -> Ruling {
        Ruling::of(&Refusal::new(Code::GateFailed, self.why)).with_text(self.report)
    }

    /// The same for whoever hands the same bundle in again.
    fn again(self) -> Ruling {
        let seconds = REFUSED_FOR_MS / 1_000;
        let after = if self.why.contains('\n') { "\n" } else { "; " };
        let why =
            format!("{}{after}that was found less than {seconds} s ago, and is not looked at again before", self.why);
        Self { why, ..self }.ruling()
    }
}

fn why(gate: Gate, findings: &[PolicyError]) -> String {
    let told: Vec<String> = findings.iter().take(TOLD_MAX).map(ToString::to_string).collect();
    let more = findings.len().saturating_sub(TOLD_MAX);
    let each: String = match told.as_slice() {
        [one] => format!(" {one}"),
        several => several.iter().map(|one| format!("\n{one}")).collect(),
    };
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    format!("the gate `{gate}` is not passed:{each}{more}")
}
