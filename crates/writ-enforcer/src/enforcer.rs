use crate::admission::Admission;
use crate::time::{BootTime, Moment};
use crate::view::ControlView;
use writ_protocol::action::{Action, CommitmentKind, Opening};
use writ_protocol::entry::{Audience, Grant, Obligation, Positive};
use writ_protocol::statement::{Claim, Component, Signed, surroundings_digest};
use writ_protocol::{Code, EntryType, ExecutionId, Name, Refusal, TrustRoot, Verified, Writ, WritVerifier};
use writ_tlog::{Hash, Origin, sha256};

/// Who a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ledger it is enrolled in.
    pub origin: Origin,
    /// Its name.
    pub gateway: Name,
    /// Its instance epoch.
    pub epoch: Positive,
}

/// What is about to run, as the gateway itself has measured it.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The action.
    pub action: &'a Action,
    /// Where.
    pub surroundings: &'a [Component],
    /// Sandbox profiles that this gateway can enforce.
    pub sandboxes: &'a [&'a str],
}

/// What a gateway keeps in memory while it asks for its own immediate use. It is consumed by the answer and lives in this process only:
/// after a crash nobody has the nonce, and the writ is dead.
#[derive(Debug)]
pub struct Own {
    nonce: [u8; 32],
    execution: ExecutionId,
    action_salt: [u8; 32],
    sent: BootTime,
}

impl Own {
    /// With 32 random bytes each, and the moment at which the request is sent.
    pub fn new(nonce: [u8; 32], execution: ExecutionId, action_salt: [u8; 32], sent: BootTime) -> Self {
        Self { nonce, execution, action_salt, sent }
    }

    /// What the request says of it.
    pub fn admitted(&self) -> writ_protocol::entry::Admitted {
        writ_protocol::entry::Admitted { nonce: sha256(&self.nonce), execution: self.execution }
    }
}

/// A writ that somebody presents.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The writ.
    pub writ: &'a [u8],
    /// The salt of its action digest.
    pub action_salt: &'a [u8; 32],
    /// The holder's signed presentation.
    pub presentation: &'a [u8],
    /// What this gateway has drawn for it.
    pub nonce: [u8; 32],
}

/// The state machine of one gateway. It remembers the last checkpoint that it verified, and nothing else.
#[derive(Debug)]
pub struct Enforcer {
    identity: Identity,
    trust: TrustRoot,
    verifier: WritVerifier,
}

impl Enforcer {
    /// For one gateway and its trust root.
    pub fn new(identity: Identity, trust: TrustRoot) -> Self {
        Self { identity, verifier: WritVerifier::new(trust.clone()), trust }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Verifies that an entry was logged, for what a node answers besides writs.
    pub fn logged(&mut self, receipt: &[u8]) -> Result<Verified<writ_protocol::Logged>, Refusal> {
        self.verifier.verify_logged(receipt)
    }

    /// The answer to this gateway's own request: decided, logged and spent in one entry, which only the process that asked can use.
    pub fn admit_own(&mut self, own: Own, writ: &[u8], scene: Scene<'_>, now: Moment) -> Result<Admission, Refusal> {
        let writ = self.verifier.verify(writ)?;
        let (action, surroundings) = self.fits(&writ, scene, &own.action_salt, now)?;
        let grant = writ.grant();
        let admitted = grant.admitted.as_ref().ok_or_else(|| {
            Refusal::new(Code::HolderProofInvalid, "the writ does not admit its asker; present it instead")
        })?;
        if admitted.nonce != sha256(&own.nonce) {
            return Err(Refusal::new(Code::HolderProofInvalid, "the writ admits another process than this one"));
        }
        if admitted.execution != own.execution {
            return Err(Refusal::new(Code::Replayed, "the writ is spent for another execution"));
        }
        // The grant holds what this process has just drawn, so it was made after `sent`: a younger view there cannot be.
        in_time(grant, own.sent, now)?;
        now.agrees(grant.time_ms, own.sent)?;
        let execution = own.execution;
        Ok(Admission::new(writ, execution, Positive::ONE, action, surroundings))
    }

    /// A writ that was handed over. What comes out may be spent; only the proof that it was spent gives an admission.
    pub fn examine(
        &mut self,
        presented: Presented<'_>,
        view: &ControlView,
        scene: Scene<'_>,
        usage: Positive,
        now: Moment,
    ) -> Result<Examined, Refusal> {
        let writ = self.verifier.verify(presented.writ)?;
        let (action, surroundings) = self.fits(&writ, scene, presented.action_salt, now)?;
        self.held(&writ, presented, &action)?;
        view.supports(&writ, now)?;
        let grant = writ.grant();
        if grant.admitted.is_some() {
            return Err(Refusal::new(Code::Replayed, "its only use was spent when it was granted"));
        }
        if usage > grant.uses {
            return Err(Refusal::new(
                Code::UsesExhausted,
                format!("use {} of a writ that has {}", usage.get(), grant.uses.get()),
            ));
        }
        Ok(Examined { writ, usage, action, surroundings, identity: self.identity.clone(), trust: self.trust.clone() })
    }

    /// What a writ demands of the place and of what is about to run there.
    fn fits(
        &self,
        writ: &Verified<Writ>,
        scene: Scene<'_>,
        action_salt: &[u8; 32],
        now: Moment,
    ) -> Result<(Hash, Hash), Refusal> {
        let grant = writ.grant();
        self.addressed(grant)?;
        within(grant, now)?;
        let action = same_action(grant, scene.action, action_salt)?;
        let surroundings = same_surroundings(grant, scene.surroundings)?;
        obligations(grant, scene.sandboxes)?;
        Ok((action, surroundings))
    }

    fn addressed(&self, grant: &Grant) -> Result<(), Refusal> {
        let Identity { gateway, epoch, .. } = &self.identity;
        match &grant.audience {
            Audience::Gateway { gateway: named, epoch: at } if named == gateway && at == epoch => Ok(()),
            // Whether this gateway belongs to the group is judged by the ledger when the use is spent.
            Audience::Group(_) => Ok(()),
            Audience::Gateway { gateway: named, epoch: at } => Err(Refusal::new(
                Code::WrongAudience,
                format!(
                    "the writ is for gateway `{named}` in epoch {}, this is `{gateway}` in epoch {}",
                    at.get(),
                    epoch.get()
                ),
            )),
        }
    }

    fn held(&self, writ: &Verified<Writ>, presented: Presented<'_>, action: &Hash) -> Result<(), Refusal> {
        let invalid = |why: String| Refusal::new(Code::HolderProofInvalid, why);
        let said = Signed::decode(presented.presentation)
            .and_then(|signed| signed.verify_presentation(&writ.grant().holder, &self.identity.origin))
            .map_err(|refusal| invalid(format!("the presentation is not the holder's: {}", refusal.why())))?;
        let same = said.writ == *writ.entry()
            && said.nonce == presented.nonce
            && said.action == *action
            && said.gateway == self.identity.gateway
            && said.epoch == self.identity.epoch;
        if same { Ok(()) } else { Err(invalid("the holder has signed another presentation than this one".to_owned())) }
    }
}

fn within(grant: &Grant, now: Moment) -> Result<(), Refusal> {
    let (from, until, at) = (grant.window.from_ms(), grant.window.until_ms(), now.wall_ms);
    if at < from {
        return Err(Refusal::new(Code::NotYetValid, format!("the window begins {} ms from now", from - at)));
    }
    if at >= until {
        return Err(Refusal::new(Code::Expired, format!("the window ended {} ms ago; ask for a new writ", at - until)));
    }
    Ok(())
}

/// An answer to what was sent at `sent` may take as long as a view of the ledger may be old.
fn in_time(grant: &Grant, sent: BootTime, now: Moment) -> Result<(), Refusal> {
    let (age_ms, most_ms) = (now.boot.since(sent), grant.lease.freeze_after_ms.get());
    if age_ms <= most_ms {
        return Ok(());
    }
    Err(Refusal::new(
        Code::ViewStale,
        format!("the answer took {age_ms} ms, {most_ms} ms are allowed; see whether the node is overloaded"),
    ))
}

/// Invariant 12: the digest is computed here, from what is about to run, and compared.
fn same_action(grant: &Grant, action: &Action, salt: &[u8; 32]) -> Result<Hash, Refusal> {
    let opening = Opening { kind: CommitmentKind::Action, salt: *salt, value: action.encode()? };
    let digest = opening.commitment();
    if grant.action.kind == action.kind() && grant.action.digest == digest {
        return Ok(digest);
    }
    Err(Refusal::new(
        Code::ActionMismatch,
        "what is about to run is not what was granted: the file, an argument, a variable, the folder or the input differs",
    ))
}

fn same_surroundings(grant: &Grant, measured: &[Component]) -> Result<Hash, Refusal> {
    let digest = surroundings_digest(measured)?;
    if digest == grant.surroundings.digest {
        return Ok(digest);
    }
    Err(Refusal::new(
        Code::SurroundingsMismatch,
        "this host, boot, kernel or gateway is not the one that the writ was granted for; ask for a new writ here",
    ))
}

fn obligations(grant: &Grant, sandboxes: &[&str]) -> Result<(), Refusal> {
    for obligation in &grant.obligations {
        match obligation {
            // The ledger holds these when it orders the grants.
            Obligation::Budget(_) => {}
            Obligation::Sandbox(profile) if sandboxes.contains(&profile.as_str()) => {}
            Obligation::Sandbox(profile) => {
                return Err(Refusal::new(
                    Code::SurroundingsMismatch,
                    format!("the writ demands the sandbox `{profile}`, which this gateway cannot give"),
                ));
            }
        }
    }
    Ok(())
}

/// A writ that may be executed here and now, as soon as its use is spent.
#[derive(Debug)]
#[must_use = "a writ that was examined and not spent starts nothing"]
pub struct Examined {
    writ: Verified<Writ>,
    usage: Positive,
    action: Hash,
    surroundings: Hash,
    identity: Identity,
    trust: TrustRoot,
}

impl Examined {
    /// The writ.
    pub fn writ(&self) -> &Verified<Writ> {
        &self.writ
    }

    /// What the gateway must say, and have recorded, to spend it.
    pub fn spend(&self, execution: ExecutionId) -> Claim {
        let index = self.writ.index().get();
        Claim::Spent { writ: *self.writ.entry(), index, execution, usage: self.usage }
    }

    /// The proof that this very statement, which was sent at `sent`, was recorded gives the admission. The ledger records one spend for each
    /// use (rules of order), so no second gateway, process or restored copy can get here with the same one. An answer that was held back is
    /// of no use: what speaks against the writ may have been recorded meanwhile.
    pub fn spent(self, statement: &[u8], receipt: &[u8], sent: BootTime, now: Moment) -> Result<Admission, Refusal> {
        let logged = WritVerifier::new(self.trust.clone()).verify_logged(receipt)?;
        let body = &logged.entry.body;
        if body.entry_type() != EntryType::Spend || body.statement() != Some(statement) {
            return Err(Refusal::new(Code::ProofInvalid, "the receipt is not for this spend"));
        }
        let said = Signed::decode(statement)?.gateway_claims(&self.identity.origin)?;
        let ours = said.gateway == self.identity.gateway && said.epoch == self.identity.epoch;
        let execution = match said.claim {
            Claim::Spent { writ, execution, usage, .. }
                if ours && writ == *self.writ.entry() && usage == self.usage =>
            {
                execution
            }
            Claim::Spent { .. }
            | Claim::Started { .. }
            | Claim::Ended { .. }
            | Claim::Labelled { .. }
            | Claim::Refused { .. }
            | Claim::Heartbeat { .. } => {
                return Err(Refusal::new(Code::ProofInvalid, "the receipt is for a spend of another use"));
            }
        };
        within(self.writ.grant(), now)?;
        in_time(self.writ.grant(), sent, now)?;
        Ok(Admission::new(self.writ, execution, self.usage, self.action, self.surroundings))
    }
}
