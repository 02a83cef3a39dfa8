//! Replay: every decision of a ledger is derived again from what it was recorded to stand on (Invariant 4).

use crate::decision::Terms;
use crate::error::AuthorityError;
use std::collections::BTreeMap;
use std::path::Path;
use writ_ledger::{Kept, Reader, StoredEntry};
use writ_policy::{Decision, Facts, PolicySet, SEMANTICS, Snapshot, decide};
use writ_protocol::action::{Action, CommitmentKind, Opening};
use writ_protocol::cbor::Decode;
use writ_protocol::entry::{Activation, Audience, Body, Cause, Denial, Grant, Limits, Policy, Principal};
use writ_protocol::statement::{Component, surroundings_digest};
use writ_protocol::{Code, Name};
use writ_tlog::{Hash, LeafIndex};

/// Findings that are told; more are only counted.
const FINDINGS_MAX: usize = 100;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Entries that were read.
    pub entries: u64,
    /// Decisions that came out the same.
    pub same: u64,
    /// Decisions whose facts, action or policy set were erased, so that nobody can derive them any more.
    pub erased: u64,
    /// Refusals that were made before policy was asked.
    pub before_policy: u64,
    /// Decisions that did not come out the same.
    pub different: u64,
    /// The first of them.
    pub findings: Vec<ReplayFinding>,
}

/// A decision that did not come out the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayFinding {
    /// Its index.
    pub index: u64,
    /// What differs.
    pub what: String,
}

/// Derives every decision of the ledger in `store` again. `progress` is told how far it is: entries done, entries in all.
pub fn replay(store: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Replay, AuthorityError> {
    let reader = Reader::open(store)?;
    let view = reader.view()?;
    let size = view.size().get();
    let limits = view.control.limits().clone();
    let mut run = Run { reader, limits, sets: BTreeMap::new(), found: Replay::default() };
    for index in 0..size {
        run.entry(LeafIndex::new(index))?;
        progress(index + 1, size);
    }
    Ok(run.found)
}

struct Run {
    reader: Reader,
    limits: Limits,
    /// Compiled sets by digest; `None` for one that was erased.
    sets: BTreeMap<Hash, Option<PolicySet>>,
    found: Replay,
}

/// What became of one decision.
enum Verdict {
    Same,
    Erased,
    BeforePolicy,
    Differs(String),
}

impl Run {
    fn entry(&mut self, index: LeafIndex) -> Result<(), AuthorityError> {
        let stored = self.reader.entry(index)?.ok_or(writ_ledger::LedgerError::NoEntry(index))?;
        self.found.entries += 1;
        let body = stored.decode(self.reader.origin())?.body;
        let verdict = match &body {
            Body::Policy(activation) => match self.activation(&stored, activation)? {
                None => return Ok(()),
                Some(what) => Verdict::Differs(what),
            },
            Body::Grant(grant) => self.grant(&stored, grant)?,
            Body::Denial(denial) => self.denial(&stored, denial)?,
            Body::Genesis(_)
            | Body::Gateway(_)
            | Body::Revocation(_)
            | Body::Halt(_)
            | Body::RootOrder(_)
            | Body::Hold(_)
            | Body::Tally(_)
            | Body::Spend(_)
            | Body::Start(_)
            | Body::Outcome(_)
            | Body::Report(_)
            | Body::Erasure(_)
            | Body::Seal(_) => return Ok(()),
        };
        match verdict {
            Verdict::Same => self.found.same += 1,
            Verdict::Erased => self.found.erased += 1,
            Verdict::BeforePolicy => self.found.before_policy += 1,
            Verdict::Differs(what) => {
                self.found.different += 1;
                if self.found.findings.len() < FINDINGS_MAX {
                    self.found.findings.push(ReplayFinding { index: index.get(), what });
                }
            }
        }
        Ok(())
    }

    /// Takes in a policy set; returns what is wrong with it.
    fn activation(&mut self, stored: &StoredEntry, activation: &Activation) -> Result<Option<String>, AuthorityError> {
        let content = match self.reader.kept(stored.index, CommitmentKind::Policy, &activation.content)? {
            Kept::Value(opening) => opening,
            Kept::Erased => {
                self.sets.insert(activation.set, None);
                return Ok(None);
            }
            Kept::Nothing => return Ok(Some("the policy set is not in the vault".to_owned())),
        };
        let compiled = Snapshot::decode(&content.value)
            .map_err(|refusal| refusal.to_string())
            .and_then(|snapshot| PolicySet::compile(&snapshot).map_err(|errors| format!("{} errors", errors.len())));
        Ok(match compiled {
            Ok(set) if *set.digest() == activation.set => {
                self.sets.insert(activation.set, Some(set));
                None
            }
            Ok(_) => Some("the policy set in the vault does not have the digest of the entry".to_owned()),
            Err(why) => Some(format!("the policy set in the vault does not compile: {why}")),
        })
    }

    fn grant(&mut self, stored: &StoredEntry, grant: &Grant) -> Result<Verdict, AuthorityError> {
        let subject = Subject {
            policy: &grant.policy,
            facts: grant.facts,
            action: grant.action.digest,
            principal: &grant.principal,
            cause: &grant.cause,
            time_ms: grant.time_ms,
        };
        let (decision, facts) = match self.derive(stored, &subject)? {
            Ok(derived) => derived,
            Err(verdict) => return Ok(verdict),
        };
        let permit = match decision {
            Decision::Permit(permit) => permit,
            Decision::Deny(deny) => {
                return Ok(Verdict::Differs(format!("recorded is a permit, derived is {}", deny.code)));
            }
        };
        if permit.reasons != grant.policy.reasons.as_slice() {
            return Ok(Verdict::Differs(reasons(grant.policy.reasons.as_slice(), &permit.reasons)));
        }
        let terms = Terms::of(&permit, &self.limits, grant.time_ms)?;
        let same = terms.lease == grant.lease && terms.window == grant.window && terms.obligations == grant.obligations;
        if !same {
            return Ok(Verdict::Differs("lease, window or obligations are not those that policy gives".to_owned()));
        }
        Ok(place(grant, &facts)?.map_or(Verdict::Same, Verdict::Differs))
    }

    fn denial(&mut self, stored: &StoredEntry, denial: &Denial) -> Result<Verdict, AuthorityError> {
        let (Some(policy), Some(facts)) = (&denial.policy, denial.facts) else { return Ok(Verdict::BeforePolicy) };
        let subject = Subject {
            policy,
            facts,
            action: denial.action.digest,
            principal: &denial.principal,
            cause: &denial.cause,
            time_ms: denial.time_ms,
        };
        let decision = match self.derive(stored, &subject)? {
            Ok((decision, _)) => decision,
            Err(verdict) => return Ok(verdict),
        };
        let by_policy = matches!(denial.code, Code::PolicyDenied | Code::EvaluationError | Code::IntegrityFailure);
        Ok(match decision {
            Decision::Deny(deny) if deny.code == denial.code && deny.reasons == policy.reasons.as_slice() => {
                Verdict::Same
            }
            Decision::Deny(deny) if deny.code == denial.code => {
                Verdict::Differs(reasons(policy.reasons.as_slice(), &deny.reasons))
            }
            Decision::Deny(deny) => Verdict::Differs(format!("recorded is {}, derived is {}", denial.code, deny.code)),
            // Policy permitted it, and the order of the ledger did not: the audit judges that.
            Decision::Permit(_) if !by_policy => Verdict::Same,
            Decision::Permit(_) => Verdict::Differs(format!("recorded is {}, derived is a permit", denial.code)),
        })
    }

    fn derive(
        &self,
        stored: &StoredEntry,
        subject: &Subject<'_>,
    ) -> Result<Result<(Decision, Facts), Verdict>, AuthorityError> {
        let set = match self.sets.get(&subject.policy.set) {
            Some(Some(set)) => set,
            Some(None) => return Ok(Err(Verdict::Erased)),
            None => return Ok(Err(Verdict::Differs("its policy set was never in force".to_owned()))),
        };
        if subject.policy.semantics.as_str() != SEMANTICS {
            let found = &subject.policy.semantics;
            return Ok(Err(Verdict::Differs(format!("it was decided by `{found}`, this release knows `{SEMANTICS}`"))));
        }
        let mut kept = Vec::new();
        for (kind, commitment) in [(CommitmentKind::Action, &subject.action), (CommitmentKind::Facts, &subject.facts)] {
            match self.reader.kept(stored.index, kind, commitment)? {
                Kept::Value(Opening { value, .. }) => kept.push(value),
                Kept::Erased => return Ok(Err(Verdict::Erased)),
                Kept::Nothing => return Ok(Err(Verdict::Differs("a value it stood on is missing".to_owned()))),
            }
        }
        let [action, facts] = kept.as_slice() else { return Ok(Err(Verdict::Erased)) };
        let read = Action::decode(action).and_then(|action| Ok((action, Facts::from_cbor(facts)?)));
        let (action, facts) = match read {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(Verdict::Differs(format!("a value it stood on: {refusal}")))),
        };
        if !subject.agrees(&facts) {
            return Ok(Err(Verdict::Differs("the facts are of another principal, time or lineage".to_owned())));
        }
        Ok(Ok((decide(set, &action, &facts), facts)))
    }
}

/// What grants and denials have in common here.
struct Subject<'a> {
    policy: &'a Policy,
    facts: Hash,
    action: Hash,
    principal: &'a Principal,
    cause: &'a Cause,
    time_ms: u64,
}

impl Subject<'_> {
    fn agrees(&self, facts: &Facts) -> bool {
        facts.principal.kind == self.principal.kind
            && facts.principal.id == self.principal.id
            && facts.auth == self.principal.auth
            && facts.now_ms == self.time_ms
            && facts.depth == self.cause.depth()
    }
}

/// What differs between where a grant may be executed and what the decision was told.
fn place(grant: &Grant, facts: &Facts) -> Result<Option<String>, AuthorityError> {
    let audience: &Name = match &grant.audience {
        Audience::Gateway { gateway, .. } => gateway,
        Audience::Group(group) => group,
    };
    if facts.gateway.as_ref() != Some(audience) {
        return Ok(Some("it is for another gateway than was decided on".to_owned()));
    }
    let components = facts.surroundings.iter();
    let components: Vec<Component> =
        components.map(|(name, value)| Component { name: name.clone(), value: value.clone() }).collect();
    let digest = surroundings_digest(&components).map_err(writ_protocol::Refusal::from)?;
    if digest == grant.surroundings.digest {
        return Ok(None);
    }
    Ok(Some("it is for other surroundings than were decided on".to_owned()))
}

fn reasons(recorded: &[Name], derived: &[Name]) -> String {
    let list = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    format!("recorded policies are [{}], derived are [{}]", list(recorded), list(derived))
}
