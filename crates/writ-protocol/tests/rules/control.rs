//! The control chain, and what it makes true.

use crate::domain::{Domain, GATEWAY, hash_at, label, name, origin, pair, policy_set, positive, public};
use writ_protocol::Code;
use writ_protocol::entry::{Body, Control, RootMembers, Target};
use writ_protocol::order::Accepted;
use writ_protocol::statement::RootCommand;
use writ_tlog::LeafIndex;

#[test]
fn a_control_entry_continues_the_chain() {
    let domain = Domain::new();
    assert_eq!(domain.control.next(), Control { prev: hash_at(2), seq: 3 });
    for control in [
        Control { prev: hash_at(1), seq: 3 },
        Control { prev: hash_at(2), seq: 2 },
        Control { prev: hash_at(2), seq: 4 },
    ] {
        let Body::Halt(mut halt) = domain.halt() else { panic!("a halt") };
        assert_eq!(domain.judge(Body::Halt(halt.clone())), Ok(Accepted::AsItStands));
        halt.control = control;
        assert_eq!(domain.judge(Body::Halt(halt)), Err(Code::ControlChainBroken));
    }
}

#[test]
fn a_gateway_is_renewed_by_its_next_epoch_and_never_once_it_is_revoked() {
    let mut domain = Domain::of(origin());
    for (epoch, expected) in [(1, Ok(Accepted::AsItStands)), (2, Err(Code::WrongAudience))] {
        assert_eq!(domain.judge(domain.enrolment(epoch)), expected, "{epoch} for a new name");
    }
    domain.apply(1, domain.enrolment(1));
    for (epoch, expected) in
        [(1, Err(Code::WrongAudience)), (2, Ok(Accepted::AsItStands)), (3, Err(Code::WrongAudience))]
    {
        assert_eq!(domain.judge(domain.enrolment(epoch)), expected, "{epoch} for a known name");
    }
    domain.apply(2, domain.revocation(Target::Gateway(name(GATEWAY))));
    assert_eq!(domain.judge(domain.enrolment(2)), Err(Code::Revoked));
}

#[test]
fn a_policy_set_follows_the_one_in_force_and_does_not_come_back() {
    let mut domain = Domain::of(origin());
    assert_eq!(domain.judge(domain.activation(1)), Ok(Accepted::AsItStands));
    assert_eq!(domain.judge(domain.activation(2)), Err(Code::PolicyStale));
    domain.apply(1, domain.activation(1));
    assert_eq!(domain.judge(domain.activation(1)), Err(Code::PolicyStale));
    assert_eq!(domain.judge(domain.activation(2)), Ok(Accepted::AsItStands));
    assert_eq!(domain.judge(domain.activation(3)), Err(Code::PolicyStale));
    domain.apply(2, domain.revocation(Target::Policy(policy_set(2))));
    assert_eq!(domain.judge(domain.activation(2)), Err(Code::Revoked));
}

#[test]
fn the_root_is_obeyed_once_and_resumes_only_what_is_halted() {
    let mut domain = Domain::new();
    let resume = domain.root_statement(RootCommand::Resume(label("over")));
    let halt = domain.root_statement(RootCommand::Halt(label("drill")));
    assert_eq!(domain.judge(domain.root_order(&resume)), Err(Code::EvidenceInvalid));
    assert_eq!(domain.judge(domain.root_order(&halt)), Ok(Accepted::Root(halt)));
    domain.apply(3, domain.halt());
    assert_eq!(domain.judge(domain.root_order(&resume)), Ok(Accepted::Root(resume.clone())));
    domain.obey(4, resume.order.clone());
    assert_eq!(domain.judge(domain.root_order(&resume)), Err(Code::Replayed));
    assert!(domain.control.has_root_order(&resume.id));
}

#[test]
fn the_control_state_says_what_the_chain_has_said() {
    let mut domain = Domain::new();
    let control = &domain.control;
    assert_eq!((control.origin(), control.domain()), (&origin(), control.genesis().domain));
    assert_eq!((control.limits(), control.root()), (&control.genesis().limits, &control.genesis().root));
    assert_eq!((control.keys(), control.halted()), (&pair("ledger"), None));
    let active = control.policy().unwrap();
    assert_eq!((active.set, active.epoch, active.at), (policy_set(1), positive(1), LeafIndex::new(2)));

    domain.apply(3, domain.enrolment(2));
    let gateways: Vec<_> = domain.control.gateways().collect();
    assert_eq!(gateways, [(&name(GATEWAY), domain.control.gateway(&name(GATEWAY)).unwrap())]);
    assert_eq!(gateways[0].1.epoch, positive(2));
    // Statements of an ended epoch may still arrive.
    let keys: Vec<_> = gateways[0].1.keys.iter().map(|(epoch, key)| (epoch.get(), key.clone())).collect();
    assert_eq!(keys, [(1, public("gateway in epoch 1")), (2, public("gateway in epoch 2"))]);
    assert_eq!(domain.control.gateway(&name("process/02")), None);
}

#[test]
fn the_first_halt_and_the_first_revocation_of_a_target_count() {
    let (mut domain, target) = (Domain::new(), Target::Writ(hash_at(9)));
    domain.apply(3, domain.halt());
    domain.apply(4, domain.halt());
    domain.obey(5, RootCommand::Halt(label("drill")));
    domain.apply(6, domain.revocation(target.clone()));
    domain.apply(7, domain.revocation(target.clone()));
    assert_eq!(domain.control.halted(), Some(LeafIndex::new(3)));
    assert_eq!(domain.control.revocations().collect::<Vec<_>>(), [(&target, LeafIndex::new(6))]);
    domain.obey(8, RootCommand::Resume(label("over")));
    assert_eq!(domain.control.halted(), None);
    domain.obey(9, RootCommand::Halt(label("drill")));
    assert_eq!(domain.control.halted(), Some(LeafIndex::new(9)));
}

#[test]
fn the_root_changes_keys() {
    let mut domain = Domain::new();
    let members = RootMembers::new(1, vec![pair("new root")]).unwrap();
    domain.obey(3, RootCommand::LedgerKeys(pair("new ledger")));
    domain.obey(4, RootCommand::RootKeys(members.clone()));
    assert_eq!((domain.control.keys(), domain.control.root()), (&pair("new ledger"), &members));
    let halt = domain.root_statement(RootCommand::Halt(label("drill")));
    assert_eq!(domain.judge(domain.root_order(&halt)), Err(Code::UnknownAuthority), "signed by the old root");
}

#[test]
fn a_tree_has_the_head_of_the_chain_below_its_size() {
    let mut domain = Domain::new();
    domain.apply(7, domain.halt());
    for (size, head) in [(0, None), (1, Some(0)), (2, Some(1)), (3, Some(2)), (7, Some(2)), (8, Some(7)), (99, Some(7))]
    {
        assert_eq!(domain.control.head_at(size), head.map(hash_at), "{size}");
    }
    let head = domain.control.head();
    assert_eq!((head.seq, head.head, head.ledger), (3, hash_at(7), origin()));
    // What is no control entry leaves the chain as it is.
    domain.apply(8, Body::Denial(domain.denial(None)));
    assert_eq!(domain.control.head().seq, 3);
}
