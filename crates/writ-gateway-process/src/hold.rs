//! Going on with what was held: the node's word for the hold is verified to be about just what this gateway asked.

use writ_client::Held;
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::entry::{Body, EntryRef};
use writ_protocol::{Code, Refusal, TrustRoot, WritVerifier};

/// A hold of an action, by which it is asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnHold {
    /// The hold.
    pub hold: EntryRef,
    /// The salt of the action digest that is approved.
    pub action_salt: [u8; 32],
}

/// The hold that a node has answered with, if it was logged and holds this action.
pub fn on_hold(trust: &TrustRoot, action: &[u8], told: &Held) -> Result<OnHold, Refusal> {
    let logged = WritVerifier::new(trust.clone()).verify_logged(told.proof.as_bytes())?;
    let Body::Hold(hold) = &logged.entry.body else {
        return Err(Refusal::new(Code::EvidenceInvalid, "the node answered with an entry that is no hold"));
    };
    let opening = Opening { kind: CommitmentKind::Action, salt: told.action_salt, value: action.to_vec() };
    if opening.commitment() != hold.action.digest || logged.index.get() != told.index {
        return Err(Refusal::new(Code::ActionMismatch, "the node answered with a hold of another action"));
    }
    let hold = EntryRef { entry: logged.hash, index: told.index, ledger: logged.entry.origin.clone() };
    Ok(OnHold { hold, action_salt: told.action_salt })
}
