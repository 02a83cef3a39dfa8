//! What a replay finds in a ledger that is as it was signed: decisions that the recorded policy would not have made, and what nobody can
//! derive any more.

use crate::answers::{denied, done, permitted};
use writ_authority::{Replayed, replay};
use writ_ledger::{Draft, Kept, Ledger, Options, Proposal, Reader};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{
    Ascending, Audience, Denial, Grant, GrantFields, Hold, HoldFields, Lease, Need, Positive, Window,
};
use writ_protocol::{Body, Code, DenialId, HoldId, Name, WritId};
use writ_testing::governed::{GovernedDomain, Place, PolicyFiles};
use writ_testing::scenario::{Domain, Recorded, run_script};
use writ_tlog::{Hash, LeafIndex};

/// A domain in which one request was granted and one denied, and what is recorded of them.
pub(crate) struct Decided {
    pub(crate) domain: GovernedDomain,
    grant: Grant,
    denial: Denial,
    /// The openings of each, in this order.
    openings: [Vec<Opening>; 2],
}

impl Decided {
    pub(crate) fn new() -> Self {
        let domain = GovernedDomain::new();
        let (granted, grant) = permitted(&domain, domain.asks("builder", &domain.asked_to_build()));
        let (refused, denial) = denied(&domain, domain.asks("builder", &domain.asked(&["/opt/x"])), Code::PolicyDenied);
        let reader = Reader::open(&domain.place.store).unwrap();
        let openings = [
            openings(&reader, granted.index, &Body::Grant(grant.clone())),
            openings(&reader, refused.receipt.index, &Body::Denial(denial.clone())),
        ];
        Self { domain, grant, denial, openings }
    }

    /// The grant once more, changed.
    pub(crate) fn grant(&self, change: impl FnOnce(&mut GrantFields)) -> Proposal {
        let (domain, mut fields) = (&self.domain.domain, GrantFields::clone(&self.grant));
        fields.request = domain.request();
        fields.id = WritId::new(fields.time_ms, fresh(&fields.request.digest));
        change(&mut fields);
        let openings = self.behind(&[fields.action.digest, fields.facts]);
        Proposal::new(Draft::Grant(Grant::new(fields).unwrap())).with_openings(openings)
    }

    /// The denial once more, changed.
    pub(crate) fn denial(&self, change: impl FnOnce(&mut Denial)) -> Proposal {
        let mut denial = Denial { request: self.domain.domain.request(), ..self.denial.clone() };
        denial.id = DenialId::new(denial.time_ms, fresh(&denial.request.digest));
        change(&mut denial);
        let openings = self.behind(&[denial.action.digest, denial.facts.unwrap()]);
        Proposal::new(Draft::Denial(denial)).with_openings(openings)
    }

    pub(crate) fn hold(&self) -> Proposal {
        let (grant, request) = (self.grant.clone(), self.domain.domain.request());
        let fields = HoldFields {
            id: HoldId::new(grant.time_ms, fresh(&request.digest)),
            as_of: grant.as_of.clone(),
            cause: grant.cause.clone(),
            facts: grant.facts,
            needs: vec![Need { count: Positive::ONE, group: Name::new("owners").unwrap() }],
            action: grant.action.clone(),
            policy: grant.policy.clone(),
            request,
            time_ms: grant.time_ms,
            until_ms: grant.time_ms + 1,
            principal: grant.principal.clone(),
        };
        let openings = self.behind(&[grant.action.digest, grant.facts]);
        Proposal::new(Draft::Hold(Hold::new(fields).unwrap())).with_openings(openings)
    }

    fn behind(&self, commitments: &[Hash]) -> Vec<Opening> {
        let all = self.openings.iter().flatten();
        all.filter(|opening| commitments.contains(&opening.commitment())).cloned().collect()
    }
}

fn fresh(digest: &Hash) -> [u8; 10] {
    *digest.as_bytes().first_chunk().unwrap()
}

fn openings(reader: &Reader, at: LeafIndex, body: &Body) -> Vec<Opening> {
    let kept = body.commitments().into_iter().map(|(kind, commitment)| reader.kept(at, kind, &commitment).unwrap());
    kept.filter_map(|kept| if let Kept::Value(opening) = kept { Some(opening) } else { None }).collect()
}

fn whats(named: &[Replayed]) -> Vec<&str> {
    named.iter().map(|one| one.what.as_str()).collect()
}

#[test]
fn a_decision_that_the_recorded_policy_does_not_make_is_found() {
    let mut decided = Decided::new();
    let (grant, denial) = (decided.grant.clone(), decided.denial.clone());
    let millisecond = Positive::ONE;
    let doctored = [
        decided.grant(|fields| (fields.action, fields.facts) = (denial.action.clone(), denial.facts.unwrap())),
        decided.grant(|fields| fields.policy.reasons = Ascending::new([Name::new("no-disks").unwrap()])),
        decided.grant(|fields| fields.lease = Lease { kill_after_ms: millisecond, freeze_after_ms: millisecond }),
        decided.grant(|fields| {
            let until_ms = fields.window.until_ms() + 1;
            fields.window = Window::new(fields.window.from_ms(), until_ms).unwrap();
        }),
        decided.grant(|fields| fields.audience = Audience::Group(Name::new("elsewhere").unwrap())),
        decided.grant(|fields| fields.surroundings.digest = writ_tlog::sha256(b"elsewhere")),
        decided.grant(|fields| fields.time_ms += 1),
        decided.grant(|fields| fields.principal.id = Name::new("bob").unwrap()),
        decided.denial(|denial| {
            (denial.action, denial.facts) = (grant.action.clone(), Some(grant.facts));
        }),
        decided.denial(|denial| denial.code = Code::BudgetExceeded),
        decided.denial(|denial| {
            denial.policy.as_mut().unwrap().reasons = Ascending::new([Name::new("no-disks").unwrap()]);
        }),
        decided.hold(),
    ];
    let expected = [
        "recorded is a permit, derived is policy_denied",
        "recorded policies are [no-disks], derived are [agents-build]",
        "lease, window or obligations are not those that policy gives",
        "lease, window or obligations are not those that policy gives",
        "it is for another gateway than was decided on",
        "it is for other surroundings than were decided on",
        "the facts are of another principal, time or lineage",
        "the facts are of another principal, time or lineage",
        "recorded is policy_denied, derived is a permit",
        "recorded is budget_exceeded, derived is policy_denied",
        "recorded policies are [no-disks], derived are []",
        "recorded is a hold, derived is a permit",
    ];
    let before = decided.domain.size();
    decided.domain.slips_in(doctored);
    let judgement = decided.domain.judged();
    assert_eq!(judgement.findings, [], "it is as it was signed: nobody but a replay finds this");
    assert_eq!(whats(&judgement.replay.findings), expected);
    assert_eq!((judgement.replay.different, judgement.replay.same), (expected.len() as u64, 2));
    // Each alone in its batch: the entry, then its seal.
    let indices = judgement.replay.findings.iter().map(|one| one.index);
    assert!(indices.eq((before..).step_by(2).take(expected.len())));
}

#[test]
fn what_policy_permitted_and_the_order_of_the_ledger_refused_is_the_same() {
    let mut decided = Decided::new();
    let grant = decided.grant.clone();
    let refused = decided.denial(|denial| {
        (denial.action, denial.facts) = (grant.action.clone(), Some(grant.facts));
        denial.policy = Some(grant.policy.clone());
        denial.code = Code::BudgetExceeded;
    });
    decided.domain.slips_in([refused]);
    let judgement = decided.domain.judged();
    assert!(judgement.is_clean() && judgement.replay.same == 3, "{judgement:?}");
}

#[test]
fn decisions_on_erased_values_are_named_and_not_passed_over() {
    let mut decided = Decided::new();
    let recorded: Vec<Recorded> =
        decided.domain.entered().iter().filter_map(|entry| recorded(&decided, entry)).collect();
    let index_of = |kind| recorded.iter().find(|one| one.entry_type().as_str() == kind).unwrap().index.get();
    let [grant, denial] = ["grant", "denial"].map(index_of);
    let held = |kind, value| {
        let of = recorded.iter().find(|one: &&Recorded| one.entry_type().as_str() == kind).unwrap();
        (of.index.get(), of.opening(value).commitment())
    };
    let policies = PolicyFiles::standard(&decided.domain.members);
    let named = |domain: &mut GovernedDomain, erasures: u64| {
        let judgement = domain.judged();
        assert!(judgement.is_clean() && judgement.replay.erased == judgement.replay.not_replayable.len() as u64);
        assert_eq!(judgement.replay.same + judgement.replay.erased, 2 + erasures);
        let named = judgement.replay.not_replayable;
        named.into_iter().map(|one| (one.index, one.what)).collect::<Vec<_>>()
    };
    let said = |index, what: &str| (index, what.to_owned());
    decided.domain.clock.pass(3_600_000);
    let (index, facts) = held("grant", CommitmentKind::Facts);
    done(&decided.domain, decided.domain.erases(index, facts));
    assert_eq!(named(&mut decided.domain, 1), [said(grant, "its facts are erased")]);
    decided.domain.open(&policies);
    let (index, action) = held("denial", CommitmentKind::Action);
    done(&decided.domain, decided.domain.erases(index, action));
    let both = [said(grant, "its facts are erased"), said(denial, "its action is erased")];
    assert_eq!(named(&mut decided.domain, 2), both);
    let (index, set) = held("policy", CommitmentKind::Policy);
    decided.domain.slips_in_erasure(index, set);
    let all = named(&mut decided.domain, 3);
    assert!(all.iter().all(|(_, what)| what == "its policy set is erased"), "{all:?}");
    assert_eq!(all.len(), 5, "what was decided, and what was ordered: {all:?}");
}

/// With what the vault holds behind it.
pub(crate) fn recorded(decided: &Decided, entry: &writ_testing::governed::Entered) -> Option<Recorded> {
    let reader = Reader::open(&decided.domain.place.store).unwrap();
    let (index, body) = (LeafIndex::new(entry.index), entry.body.clone());
    let openings = openings(&reader, index, &body);
    let origin = decided.domain.domain.origin().clone();
    (!openings.is_empty()).then_some(Recorded { origin, index, hash: entry.hash, body, openings })
}

#[test]
fn facts_that_cannot_be_read_are_a_finding() {
    let mut decided = Decided::new();
    let garbled = decided.domain.domain.opening(CommitmentKind::Facts, b"not facts".to_vec());
    decided.openings[0].push(garbled.clone());
    let proposal = decided.grant(|fields| fields.facts = garbled.commitment());
    decided.domain.slips_in([proposal]);
    let judgement = decided.domain.judged();
    assert_eq!(judgement.findings, []);
    let [found] = whats(&judgement.replay.findings)[..] else { panic!("{judgement:?}") };
    assert!(found.starts_with("the facts it stood on: malformed"), "{found}");
}

/// The scripted story records decisions of its own making, under policy sets that no engine knows.
#[test]
fn a_policy_set_that_cannot_be_read_is_a_finding_and_so_is_every_decision_under_it() {
    let home = tempfile::tempdir().unwrap();
    let place = Place::new(home.path().join("ledger.db"), home.path().join("mark"));
    let domain = Domain::new(1_795_248_000_000);
    Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
    let ledger = Ledger::open(&place, domain.ledger_signer(), Options::new(|| 1_795_248_000_000)).unwrap();
    run_script(&ledger, &domain);
    ledger.close().unwrap();
    let (report, replay) = replay(&place.store, Some(&place.mark), &domain.trust_root(), &mut |_, _| {}).unwrap();
    assert_eq!((report.findings.as_slice(), replay.same), (&[][..], 0));
    let whats = whats(&replay.findings);
    assert!(whats.iter().any(|what| what.starts_with("the policy set in the vault does not compile")), "{whats:?}");
    assert!(whats.contains(&"its policy set was never in force"), "{whats:?}");
}
