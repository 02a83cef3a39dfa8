//! A ledger as work leaves it: a real node decides, and gateways tell it what became of what it granted.

use super::domain::{CONNECTIONS, Node, now_ms, seed};
use std::sync::atomic::{AtomicU64, Ordering};
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Endpoint, StateAnswer};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{Admitted, Audience, Positive};
use writ_protocol::statement::{Ask, Claim, Ending, GatewayStatement, surroundings_digest};
use writ_protocol::{ExecutionId, Name, WritVerifier};
use writ_tlog::{Algorithm, SigningKey, sha256};

/// Of a hundred requests: so many are executed, told of when they start and when they end.
const EXECUTED: u64 = 60;
/// So many more are granted, and the others denied.
const GRANTED: u64 = 25;

/// Has a node record so many entries and a few more, for as many callers as it has slots.
pub(crate) fn make(node: &Node, entries: u64) {
    let recorded = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for slot in 1..=CONNECTIONS {
            let (recorded, mut caller) = (&recorded, Caller::new(node, slot));
            scope.spawn(move || {
                while recorded.load(Ordering::Relaxed) < entries {
                    recorded.fetch_add(caller.ask(), Ordering::Relaxed);
                }
            });
        }
    });
}

/// One who asks, with a gateway of its own.
struct Caller<'a> {
    node: &'a Node,
    gateway: Name,
    key: SigningKey,
    stated: u64,
    asked: u64,
    client: Client,
    verifier: WritVerifier,
}

impl<'a> Caller<'a> {
    fn new(node: &'a Node, slot: usize) -> Self {
        Self {
            gateway: Name::new(format!("process/{slot:02}")).unwrap(),
            key: SigningKey::from_seed(Algorithm::Ed25519, &seed(&node.dir.join(format!("gateway/{slot:02}.seed")))),
            stated: 0,
            // Not all do the same at the same time.
            asked: slot as u64 * 7,
            client: Client::connect(&Endpoint::unix(&node.socket())).unwrap(),
            verifier: WritVerifier::new(node.trust()),
            node,
        }
    }

    /// Returns how many entries came of it.
    fn ask(&mut self) -> u64 {
        self.asked += 1;
        match (self.asked * 37) % 100 {
            0..EXECUTED => self.execute(),
            asked => {
                let request = match asked < EXECUTED + GRANTED {
                    true => self.node.ask(),
                    false => self.node.ask_to_run("/usr/local/bin/remove"),
                };
                let answer = self.client.authorize(&Asked::Bare(request.payload(&self.node.origin))).unwrap();
                assert_eq!(matches!(answer, Answer::Permit(_)), asked < EXECUTED + GRANTED, "{answer:?}");
                1
            }
        }
    }

    fn execute(&mut self) -> u64 {
        let mut request = self.node.ask();
        let execution = ExecutionId::new(request.time_ms, *request.salt[10..].first_chunk().unwrap());
        let Ask::Authorize(ask) = &mut request.ask else { panic!("a request for a writ") };
        ask.admit = Some(Admitted { nonce: sha256(&request.salt), execution });
        ask.audience = Audience::Gateway { gateway: self.gateway.clone(), epoch: Positive::ONE };
        let surroundings = surroundings_digest(&ask.surroundings).unwrap();
        let answer = self.client.authorize(&Asked::Bare(request.payload(&self.node.origin))).unwrap();
        let Answer::Permit(permit) = answer else { panic!("{answer:?}") };
        let writ = *self.verifier.verify(permit.writ.as_bytes()).unwrap().entry();
        let opening = Opening { kind: CommitmentKind::Action, salt: request.action_salt, value: request.action };
        self.state(Claim::Started { writ, execution, action: opening.commitment(), surroundings });
        self.state(Claim::Ended { writ, execution, result: Ending::Exited(0) });
        3
    }

    fn state(&mut self, claim: Claim) {
        self.stated += 1;
        let (gateway, seq) = (self.gateway.clone(), Positive::new(self.stated).unwrap());
        let statement = GatewayStatement { gateway, epoch: Positive::ONE, seq, time_ms: now_ms(), claim };
        let answer = self.client.state(&statement.sign(&self.node.origin, &self.key), None).unwrap();
        assert!(matches!(answer, StateAnswer::Recorded(_)), "{answer:?}");
    }
}
