use crate::time::{BootTime, Moment};
use writ_protocol::bundle::Story;
use writ_protocol::entry::{Body, Target};
use writ_protocol::order::{ControlState, NoRecords, revoked};
use writ_protocol::statement::Claim;
use writ_protocol::{Bundle, Code, EntryType, Refusal, TrustRoot, Verified, Writ, WritVerifier};
use writ_tlog::{ConsistencyProof, Hash, Origin, TreeSize, VerifiedCheckpoint, verify_consistency};

/// What a gateway knows of the domain, by its own verification, and how old that is.
///
/// Its content comes from the bundle of genesis in some tree: the whole control chain, up to the seal that closes the tree. Its age runs from when the
/// gateway *sent* a statement of its own that the tree holds: nobody can have made that tree before (a relay that delays is seen).
#[derive(Debug)]
pub struct ControlView {
    trust: TrustRoot,
    origin: Origin,
    state: ControlState,
    checkpoint: VerifiedCheckpoint,
    /// When the tree was sealed, as the ledger signed it.
    sealed_ms: u64,
    confirmed: Option<Confirmed>,
}

#[derive(Clone, Copy, Debug)]
struct Confirmed {
    sent: BootTime,
    size: TreeSize,
}

impl ControlView {
    /// A first view, from the bundle of genesis.
    pub fn begin(trust: TrustRoot, bundle: &[u8]) -> Result<Self, Refusal> {
        let (story, checkpoint) = read(&trust, bundle)?;
        let origin = story.control.origin().clone();
        let sealed_ms = sealed_ms(&story)?;
        Ok(Self { trust, origin, state: story.into_inner().control, checkpoint, sealed_ms, confirmed: None })
    }

    /// A newer view. The tree must have grown out of the one seen before: a ledger that shows another history is not followed.
    pub fn advance(&mut self, bundle: &[u8], consistency: &ConsistencyProof) -> Result<(), Refusal> {
        let (story, checkpoint) = read(&self.trust, bundle)?;
        let (old, new) = (self.checkpoint.checkpoint(), checkpoint.checkpoint());
        if new.origin != old.origin {
            return Err(Refusal::new(
                Code::UnknownAuthority,
                format!("a view of the ledger `{}`, expected `{}`", new.origin, old.origin),
            ));
        }
        verify_consistency(old.size, &old.root, new.size, &new.root, consistency)
            .map_err(|error| Refusal::new(Code::ProofInvalid, error.to_string()))?;
        self.sealed_ms = sealed_ms(&story)?;
        self.state = story.into_inner().control;
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// Takes the proof that the view's ledger holds `statement`, which this gateway signed and sent at `sent`: so the ledger was alive then.
    pub fn confirm(&mut self, statement: &[u8], receipt: &[u8], sent: BootTime) -> Result<(), Refusal> {
        let logged = WritVerifier::new(self.trust.clone()).verify_logged(receipt)?;
        if logged.entry.origin != self.origin || logged.entry.body.statement() != Some(statement) {
            return Err(Refusal::new(
                Code::ViewStale,
                "the receipt is not for what this gateway has sent, so it shows no later time",
            ));
        }
        let newer = self.confirmed.is_none_or(|known| known.sent < sent);
        if newer {
            self.confirmed = Some(Confirmed { sent, size: logged.size });
        }
        Ok(())
    }

    /// The ledger it is of.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The tree it covers.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.checkpoint().size
    }

    /// The root hash of that tree.
    pub fn root(&self) -> Hash {
        self.checkpoint.checkpoint().root
    }

    /// What the control chain says there.
    pub fn state(&self) -> &ControlState {
        &self.state
    }

    /// How old it is, in milliseconds; a view that nothing has confirmed is of no age at all.
    pub fn age_ms(&self, now: BootTime) -> Result<u64, Refusal> {
        match self.confirmed {
            // What confirms must not be newer than what is seen.
            Some(confirmed) if confirmed.size <= self.size() => Ok(now.since(confirmed.sent)),
            Some(_) | None => Err(Refusal::new(
                Code::ViewStale,
                "nothing shows how old this gateway's view of the ledger is; ask the node again",
            )),
        }
    }

    /// The writ must stand under this view, which must be young enough and beyond the writ's own index.
    pub(crate) fn supports(&self, writ: &Verified<Writ>, now: Moment) -> Result<(), Refusal> {
        let grant = writ.grant();
        let age_ms = self.age_ms(now.boot)?;
        let most_ms = grant.lease.freeze_after_ms.get();
        if age_ms > most_ms || self.size().get() <= writ.index().get() {
            let (size, index) = (self.size(), writ.index());
            return Err(Refusal::new(
                Code::ViewStale,
                format!(
                    "the view of {size} entries is {age_ms} ms old, the writ at index {index} allows {most_ms} ms; \
                     see whether the node is reachable"
                ),
            ));
        }
        if let Some(confirmed) = self.confirmed {
            now.agrees(self.sealed_ms, confirmed.sent)?;
        }
        if let Some(at) = self.state.halted() {
            return Err(Refusal::new(Code::Halted, format!("the domain is halted by entry {at}")));
        }
        let by = match revoked(&self.state, &NoRecords, Some(writ.entry()), grant) {
            Ok(by) => by,
            Err(never) => match never {},
        };
        if let Some(at) = by.or_else(|| self.state.revoked(&Target::Policy(grant.policy.set))) {
            return Err(Refusal::new(Code::Revoked, format!("the writ or what it rests on is revoked by entry {at}")));
        }
        self.same_policy(writ)
    }

    fn same_policy(&self, writ: &Verified<Writ>) -> Result<(), Refusal> {
        let Some(active) = self.state.policy() else { return Ok(()) };
        let policy = &writ.grant().policy;
        let (found, expected) = (policy.epoch, active.epoch.get());
        if found < expected {
            return Err(Refusal::new(
                Code::PolicyStale,
                format!("granted under policy epoch {found}, in force is {expected}; ask for a new writ"),
            ));
        }
        if found == expected && policy.set == active.set {
            return Ok(());
        }
        Err(Refusal::new(
            Code::PolicyMismatch,
            format!("granted under a policy set of epoch {found} that is not the one in force"),
        ))
    }
}

fn read(trust: &TrustRoot, bundle: &[u8]) -> Result<(Verified<Story>, VerifiedCheckpoint), Refusal> {
    let story = Bundle::verify(bundle, trust)?;
    if story.subject_type != EntryType::Genesis {
        return Err(Refusal::new(
            Code::EvidenceInvalid,
            "expected the bundle of genesis, which holds the control chain, found one about something else",
        ));
    }
    let checkpoint = trust.open_checkpoint(&Bundle::decode(bundle)?.checkpoint)?;
    Ok((story, checkpoint))
}

fn sealed_ms(story: &Story) -> Result<u64, Refusal> {
    match story.entries.last().map(|one| &one.entry.body) {
        Some(Body::Seal(seal)) => Ok(seal.time_ms),
        Some(_) | None => Err(Refusal::new(Code::EvidenceIncomplete, "expected a seal at the end of the bundle")),
    }
}

/// The heartbeat that confirms a view: what the gateway has verified so far.
impl From<&ControlView> for Claim {
    fn from(view: &ControlView) -> Self {
        Self::Heartbeat { size: view.size().get(), root: view.root() }
    }
}
