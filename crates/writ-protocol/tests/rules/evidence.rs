//! What gateways report: who may, in which order, and about what.

use crate::domain::{Domain, GATEWAY, NOW_MS, WINDOW_MS, action, hash_at, key, name, origin, positive, public};
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{Ascending, Audience, Body, Evidence, GrantFields, Positive, Target};
use writ_protocol::order::{Accepted, Execution, ExecutionState};
use writ_protocol::statement::{Claim, Ending, GatewayStatement, Signal};
use writ_protocol::{Code, ExecutionId, Label};
use writ_tlog::{Algorithm, LeafIndex, sha256};

const EXECUTION: ExecutionId = ExecutionId::from_bytes([1; 16]);

/// A statement of the gateway, and its key.
struct Said {
    statement: GatewayStatement,
    key: String,
}

/// The first statement of the gateway, in its first epoch.
fn said(claim: Claim) -> Said {
    let (gateway, epoch, seq) = (name(GATEWAY), Positive::ONE, Positive::ONE);
    let statement = GatewayStatement { gateway, epoch, seq, time_ms: NOW_MS, claim };
    Said { statement, key: "gateway in epoch 1".to_owned() }
}

impl Said {
    fn evidence(&self) -> Evidence {
        let signed = self.statement.sign(&origin(), &key(Algorithm::Ed25519, &self.key));
        Evidence { statement: Bytes(signed) }
    }

    fn body(&self) -> Body {
        match self.statement.claim {
            Claim::Spent { .. } => Body::Spend(self.evidence()),
            Claim::Started { .. } => Body::Start(self.evidence()),
            Claim::Ended { .. } => Body::Outcome(self.evidence()),
            Claim::Labelled { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => Body::Report(self.evidence()),
        }
    }
}

fn labelled() -> Claim {
    let labels = Ascending::new([Label::new("secret-read").unwrap()]);
    Claim::Labelled { writ: hash_at(4), execution: EXECUTION, labels }
}

fn heartbeat() -> Claim {
    Claim::Heartbeat { size: 3, root: sha256(b"root") }
}

fn spent() -> Claim {
    Claim::Spent { writ: hash_at(4), index: 4, execution: EXECUTION, usage: Positive::ONE }
}

fn started() -> Claim {
    Claim::Started {
        writ: hash_at(4),
        execution: EXECUTION,
        action: action().digest,
        surroundings: sha256(b"surroundings"),
    }
}

fn ended(result: Ending) -> Claim {
    Claim::Ended { writ: hash_at(4), execution: EXECUTION, result }
}

/// A grant stands at index 4.
fn domain() -> Domain {
    let mut domain = Domain::new();
    let terms = domain.terms();
    domain.granted(4, terms);
    domain
}

fn execution(state: ExecutionState) -> Execution {
    Execution { id: EXECUTION, writ: hash_at(4), grant: LeafIndex::new(4), gateway: name(GATEWAY), state }
}

/// As [`domain`], and the execution is as far as this.
fn running(state: ExecutionState) -> Domain {
    let mut domain = domain();
    domain.known.executions.insert(EXECUTION, execution(state));
    domain
}

#[track_caller]
fn accepts(domain: &Domain, said: &Said) {
    assert_eq!(domain.judge(said.body()), Ok(Accepted::Evidence(said.statement.clone())));
}

/// The claim is accepted as it is, and refused with this code once it is spoilt.
#[track_caller]
fn refuses(code: Code, domain: impl Fn() -> Domain, claim: Claim, spoil: impl FnOnce(&mut Domain, &mut Said)) {
    accepts(&domain(), &said(claim.clone()));
    let (mut domain, mut said) = (domain(), said(claim));
    spoil(&mut domain, &mut said);
    assert_eq!(domain.judge(said.body()), Err(code));
}

#[test]
fn a_statement_is_of_the_key_that_was_enrolled_for_its_epoch() {
    refuses(Code::UnknownAuthority, domain, heartbeat(), |_, said| said.statement.gateway = name("process/02"));
    refuses(Code::UnknownAuthority, domain, heartbeat(), |_, said| said.statement.epoch = positive(2));
    refuses(Code::UnknownAuthority, domain, heartbeat(), |_, said| said.key = "gateway in epoch 2".to_owned());
    refuses(Code::Revoked, domain, heartbeat(), |domain, said| {
        domain.apply(5, domain.revocation(Target::Key(public(&said.key).key().fingerprint())));
    });
    // What an ended epoch still reports is recorded, during a halt and after a revocation too.
    let mut later = domain();
    later.apply(5, later.enrolment(2));
    later.apply(6, later.halt());
    later.apply(7, later.revocation(Target::Gateway(name(GATEWAY))));
    accepts(&later, &said(heartbeat()));
}

#[test]
fn statements_are_numbered_from_one_without_a_gap() {
    let (replayed, gap) = (Err(Code::Replayed), Err(Code::EvidenceIncomplete));
    for (last, seq, expected) in [
        (None, 1, Ok(())),
        (None, 2, gap),
        (Some(1), 1, replayed),
        (Some(1), 2, Ok(())),
        (Some(1), 3, gap),
        (Some(7), 5, replayed),
        (Some(u64::MAX), u64::MAX, replayed),
    ] {
        let mut domain = domain();
        domain.known.last_seq.extend(last.map(|last| ((name(GATEWAY), Positive::ONE), last)));
        let mut said = said(heartbeat());
        said.statement.seq = positive(seq);
        assert_eq!(domain.judge(said.body()).map(|_| ()), expected, "{seq} after {last:?}");
    }
}

#[test]
fn an_entry_carries_the_kind_of_statement_that_its_type_names() {
    let started = || running(ExecutionState::Started);
    for (domain, claim) in [
        (domain(), spent()),
        (running(ExecutionState::Spent), self::started()),
        (started(), ended(Ending::Unknown)),
        (domain(), heartbeat()),
        (started(), labelled()),
        (domain(), Claim::Refused { code: Code::Expired, writ: None, action: None }),
    ] {
        let said = said(claim);
        let evidence = said.evidence();
        let right = said.body();
        for body in [Body::Spend, Body::Start, Body::Outcome, Body::Report].map(|of| of(evidence.clone())) {
            let expected =
                if body == right { Ok(Accepted::Evidence(said.statement.clone())) } else { Err(Code::Malformed) };
            assert_eq!(domain.judge(body), expected);
        }
    }
}

#[test]
fn a_use_is_spent_once_by_whom_it_was_granted_for_within_the_window() {
    let usage = |usage| Claim::Spent { writ: hash_at(4), index: 4, execution: EXECUTION, usage: positive(usage) };
    accepts(&domain(), &said(usage(2)));
    refuses(Code::UsesExhausted, domain, spent(), |_, said| said.statement.claim = usage(3));
    refuses(Code::Replayed, domain, spent(), |domain, _| {
        domain.known.spent.insert((LeafIndex::new(4), Positive::ONE), ExecutionId::from_bytes([2; 16]));
    });
    refuses(Code::Replayed, domain, spent(), |domain, _| {
        domain.known.executions.insert(EXECUTION, execution(ExecutionState::Spent));
    });
    refuses(Code::MissingWrit, domain, spent(), |domain, _| domain.known.grants.clear());
    let at = |time_ms| {
        let mut said = said(spent());
        said.statement.time_ms = time_ms;
        domain().judge(said.body()).map(|_| ())
    };
    assert_eq!(at(NOW_MS - 1), Err(Code::NotYetValid));
    assert_eq!(at(NOW_MS), Ok(()));
    assert_eq!(at(NOW_MS + WINDOW_MS - 1), Ok(()));
    assert_eq!(at(NOW_MS + WINDOW_MS), Err(Code::Expired));
}

#[test]
fn a_use_is_spent_by_the_audience_in_its_current_epoch() {
    let with = |audience: Audience| {
        move |domain: &mut Domain, _: &mut Said| {
            let terms = GrantFields { audience, ..domain.terms() };
            domain.granted(4, terms);
        }
    };
    let gateway = |gateway, epoch| Audience::Gateway { gateway: name(gateway), epoch: positive(epoch) };
    refuses(Code::WrongAudience, domain, spent(), with(gateway("process/02", 1)));
    refuses(Code::WrongAudience, domain, spent(), with(gateway(GATEWAY, 2)));
    refuses(Code::WrongAudience, domain, spent(), with(Audience::Group(name("owners"))));
    refuses(Code::WrongAudience, domain, spent(), |domain, _| domain.apply(5, domain.enrolment(2)));
    let group = || {
        let mut domain = domain();
        let terms = GrantFields { audience: Audience::Group(name("builders")), ..domain.terms() };
        domain.granted(4, terms);
        domain
    };
    // A group has no epoch, its gateway has: an ended one spends nothing.
    refuses(Code::WrongAudience, group, spent(), |domain, _| domain.apply(5, domain.enrolment(2)));
}

#[test]
fn an_execution_starts_once_as_it_was_granted() {
    let ready = || running(ExecutionState::Spent);
    for state in [ExecutionState::Started, ExecutionState::Ended(Ending::Unknown)] {
        refuses(Code::Replayed, ready, started(), |domain, _| {
            domain.known.executions.insert(EXECUTION, execution(state));
        });
    }
    let other = sha256(b"other");
    let (writ, surroundings) = (hash_at(4), sha256(b"surroundings"));
    refuses(Code::ActionMismatch, ready, started(), |_, said| {
        said.statement.claim = Claim::Started { writ, execution: EXECUTION, action: other, surroundings };
    });
    refuses(Code::SurroundingsMismatch, ready, started(), |_, said| {
        said.statement.claim =
            Claim::Started { writ, execution: EXECUTION, action: action().digest, surroundings: other };
    });
}

#[test]
fn nothing_is_spent_or_started_during_a_halt_or_after_a_revocation() {
    let ready = || running(ExecutionState::Spent);
    for target in
        [Target::Gateway(name(GATEWAY)), Target::Writ(hash_at(4)), Target::Key(public("holder").key().fingerprint())]
    {
        refuses(Code::Revoked, domain, spent(), |domain, _| domain.apply(5, domain.revocation(target.clone())));
        refuses(Code::Revoked, ready, started(), |domain, _| domain.apply(5, domain.revocation(target)));
    }
    refuses(Code::Halted, domain, spent(), |domain, _| domain.apply(5, domain.halt()));
    refuses(Code::Halted, ready, started(), |domain, _| domain.apply(5, domain.halt()));
    // The gateway is looked at by itself: of a group, no grant names it.
    let group = || {
        let mut domain = domain();
        let terms = GrantFields { audience: Audience::Group(name("builders")), ..domain.terms() };
        domain.granted(4, terms);
        domain
    };
    refuses(Code::Revoked, group, spent(), |domain, _| {
        domain.apply(5, domain.revocation(Target::Gateway(name(GATEWAY))));
    });
}

#[test]
fn an_execution_ends_once_and_only_what_ran_has_a_result() {
    let results = [
        Ending::Exited(0),
        Ending::Signaled(Signal::new(9).unwrap()),
        Ending::Terminated(Code::Halted),
        Ending::Unknown,
    ];
    for result in results {
        let outcome = |state| running(state).judge(said(ended(result)).body()).map(|_| ());
        assert_eq!(outcome(ExecutionState::Started), Ok(()));
        assert_eq!(outcome(ExecutionState::Ended(result)), Err(Code::Replayed));
        let never_ran = if result == Ending::Unknown { Ok(()) } else { Err(Code::LineageBroken) };
        assert_eq!(outcome(ExecutionState::Spent), never_ran);
    }
}

#[test]
fn labels_are_gained_by_what_is_spent_or_runs() {
    for state in [ExecutionState::Spent, ExecutionState::Started] {
        accepts(&running(state), &said(labelled()));
    }
    let over = || running(ExecutionState::Ended(Ending::Exited(0)));
    assert_eq!(over().judge(said(labelled()).body()).map(|_| ()), Err(Code::LineageBroken));
}

#[test]
fn what_is_reported_of_an_execution_is_of_its_writ_and_its_gateway() {
    let claims = [
        (ExecutionState::Spent, started()),
        (ExecutionState::Started, ended(Ending::Exited(0))),
        (ExecutionState::Started, labelled()),
    ];
    for (state, claim) in claims {
        let ready = || running(state);
        refuses(Code::LineageBroken, ready, claim.clone(), |domain, _| domain.known.executions.clear());
        refuses(Code::LineageBroken, ready, claim.clone(), |domain, _| {
            domain.known.executions.insert(EXECUTION, Execution { writ: hash_at(5), ..execution(state) });
        });
        refuses(Code::LineageBroken, ready, claim, |domain, _| {
            domain.known.executions.insert(EXECUTION, Execution { gateway: name("process/02"), ..execution(state) });
        });
    }
}
