//! A gateway's side of talking to its node: it signs what it says, counts it, and believes what is proved.

use crate::slot::Slot;
use writ_client::blocking::Client;
use writ_client::{ClientError, GatewayPlace, OpenExecution, Recorded, StateAnswer};
use writ_enforcer::{Enforcer, Identity};
use writ_protocol::entry::Positive;
use writ_protocol::statement::{Claim, Ending, GatewayStatement};
use writ_protocol::{Code, Refusal, TrustRoot};
use writ_tlog::Origin;

/// A gateway that is enrolled, with its connection and the number of its last statement.
pub(crate) struct Voice {
    slot: Slot,
    origin: Origin,
    epoch: Positive,
    last_seq: u64,
    client: Client,
    clock: fn() -> u64,
}

/// Why something is refused, and where that is recorded.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The entry that records it, if it could be recorded.
    pub index: Option<u64>,
}

impl Voice {
    /// Finds out where the gateway's statements stand, and closes what an earlier process has left open: nobody knows what it ran.
    pub(crate) fn begin(
        slot: Slot,
        origin: Origin,
        trust: &TrustRoot,
        client: Client,
        place: GatewayPlace,
        clock: fn() -> u64,
    ) -> Result<(Self, Enforcer), ClientError> {
        let GatewayPlace { epoch, last_seq, open, .. } = place;
        let epoch = Positive::new(epoch).unwrap_or(Positive::ONE);
        let mut voice = Self { slot, origin, epoch, last_seq, client, clock };
        voice.close(&open)?;
        let enforcer = Enforcer::new(voice.identity(), trust.clone());
        Ok((voice, enforcer))
    }

    fn close(&mut self, open: &[OpenExecution]) -> Result<(), ClientError> {
        for left in open {
            let claim = Claim::Ended { writ: left.writ, execution: left.execution, result: Ending::Unknown };
            self.say(claim, None)?;
        }
        Ok(())
    }

    /// The connection, when nothing more is to be said: the slot is free.
    pub(crate) fn into_client(self) -> Client {
        self.client
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { origin: self.origin.clone(), gateway: self.slot.name().clone(), epoch: self.epoch }
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Signs a claim as the next statement. It takes effect when it is recorded; until then the same number can be signed again, and the
    /// ledger records one of them.
    pub(crate) fn sign(&self, claim: Claim) -> Vec<u8> {
        let seq = Positive::new(self.last_seq.saturating_add(1)).unwrap_or(Positive::ONE);
        let statement = GatewayStatement {
            gateway: self.slot.name().clone(),
            epoch: self.epoch,
            seq,
            time_ms: (self.clock)(),
            claim,
        };
        statement.sign(&self.origin, self.slot.key())
    }

    /// Has a signed statement recorded.
    pub(crate) fn record(&mut self, statement: &[u8], watcher: Option<u32>) -> Result<Recorded, ClientError> {
        let recorded = match self.client.state(statement, watcher)? {
            StateAnswer::Recorded(recorded) => recorded,
            StateAnswer::Refused(refused) => return Err(ClientError::Refused(refused)),
        };
        self.last_seq = self.last_seq.saturating_add(1);
        Ok(recorded)
    }

    /// Signs a claim and has it recorded.
    pub(crate) fn say(&mut self, claim: Claim, watcher: Option<u32>) -> Result<Recorded, ClientError> {
        let statement = self.sign(claim);
        self.record(&statement, watcher)
    }

    /// Records a refusal of this gateway's own, as far as anything can be recorded.
    pub(crate) fn refuse(
        &mut self,
        refusal: Refusal,
        writ: Option<writ_tlog::Hash>,
        action: Option<writ_tlog::Hash>,
    ) -> Refused {
        let said = self.say(Claim::Refused { code: refusal.code(), writ, action }, None);
        Refused { refusal, index: said.ok().map(|recorded| recorded.index) }
    }

    /// Records a refusal, and after it the end of what was spent for it. What this gateway has sent last may be recorded though no answer came,
    /// so the node is asked where it stands; the slot has one process, and what is open in it is this process's own.
    pub(crate) fn refuse_and_close(&mut self, refusal: Refusal, writ: Option<writ_tlog::Hash>) -> Refused {
        let Ok(place) = self.client.gateway(self.slot.name().as_str()) else { return Refused { refusal, index: None } };
        self.last_seq = place.last_seq;
        let refused = self.refuse(refusal, writ, None);
        // What cannot be recorded now is closed by whoever uses the slot next.
        self.close(&place.open).ok();
        refused
    }
}

/// The receipt of a statement must prove that this very statement is in the ledger, or it was not recorded at all.
pub(crate) fn proved(enforcer: &mut Enforcer, statement: &[u8], recorded: &Recorded) -> Result<(), Refusal> {
    let logged = enforcer.logged(recorded.proof.as_bytes())?;
    if logged.entry.body.statement() == Some(statement) && logged.index.get() == recorded.index {
        return Ok(());
    }
    Err(Refusal::new(Code::ProofInvalid, "the node's receipt is not for what this gateway has said"))
}
