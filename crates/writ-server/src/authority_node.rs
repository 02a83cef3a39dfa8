//! A node that records: an authority over its ledger, readers beside it, and the policy folder it follows.

use crate::api::holds::Pages;
use crate::issuers::KeyFetcher;
use crate::readers::{ReadError, Readers};
use crate::webhook::HoldsWebhook;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use writ_authority::{
    ActiveSet, Authority, AuthorityError, Prepared, Rate, Semantics, Setting, SolverCommand, read_own_policy_folder,
};
use writ_ledger::{Disclosure, Ledger, LedgerError, LedgerSigner, Options, Phase, Place, Reader, View};
use writ_protocol::entry::Target;
use writ_protocol::{Ed25519Key, Name};
use writ_tlog::LeafIndex;

/// What such a node is made of.
pub struct NodeSetting {
    /// Store and mark.
    pub place: Place,
    /// The ledger's keys.
    pub signer: LedgerSigner,
    /// The folder with policies, entities and principals.
    pub policy: PathBuf,
    /// How much a principal may ask.
    pub rate: Rate,
    /// How much all of them may.
    pub quota: Quota,
    /// Who proves what a policy set can never do.
    pub solver: SolverCommand,
    /// Fetches the keys of token issuers.
    pub fetcher: KeyFetcher,
    /// Who is told of what waits for approval.
    pub holds_webhook: Option<HoldsWebhook>,
}

/// What all callers of a domain may cost together, so that those of another on the same node have theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How much all principals may ask together.
    pub rate_together: Option<Rate>,
    /// How large the store may become before it takes nothing new.
    pub ledger_bytes_max: Option<u64>,
}

impl Quota {
    /// No bound but those that each caller has.
    pub const NONE: Self = Self { rate_together: None, ledger_bytes_max: None };
}

/// A node that records.
pub struct AuthorityNode {
    authority: Authority,
    readers: Arc<Readers>,
    store: PathBuf,
    policy: PathBuf,
    /// Changes whenever the published tree grows.
    grown: watch::Receiver<()>,
    /// Why the policy folder as it is now is not in force.
    policy_refused: Mutex<Option<String>>,
    /// Why nothing could be published now.
    cannot_publish: Mutex<Option<String>>,
    control: tokio::sync::Mutex<Option<Arc<ControlBundle>>>,
    hold_pages: Pages,
    /// The turn of a large request.
    large: Semaphore,
    /// The turn of a policy set that is published.
    publishing: Semaphore,
    /// The turn of whoever changes or reads all entities.
    entities: Semaphore,
    fetcher: KeyFetcher,
    holds_webhook: Option<HoldsWebhook>,
    ledger_bytes_max: Option<u64>,
}

/// A node whose ledger is open and whose policy set is sound. Nothing of its start is recorded yet, and dropping it records nothing.
pub struct PreparedNode {
    authority: Prepared,
    made: Box<dyn FnOnce(Authority) -> AuthorityNode>,
}

impl PreparedNode {
    /// Puts the policy set in force, if another one is.
    pub fn begin(self) -> Result<AuthorityNode, AuthorityError> {
        Ok((self.made)(self.authority.begin()?))
    }
}

impl AuthorityNode {
    /// Opens the ledger. Where policy authors are pinned, what the control chain names is in force. Else the policy folder is read and put in
    /// force; where it is not sound, what the control chain names stays ([`AuthorityNode::policy_refused`]), and a domain that has had no set yet is not opened.
    pub fn open(
        setting: NodeSetting,
        clock: impl Fn() -> u64 + Clone + Send + Sync + 'static,
    ) -> Result<Self, AuthorityError> {
        Self::prepare(setting, clock)?.begin()
    }

    /// The same, up to what is recorded.
    pub fn prepare(
        setting: NodeSetting,
        clock: impl Fn() -> u64 + Clone + Send + Sync + 'static,
    ) -> Result<PreparedNode, AuthorityError> {
        let NodeSetting { place, signer, policy, rate, quota, solver, fetcher, holds_webhook } = setting;
        let (tell, grown) = watch::channel(());
        let options = Options::new(clock.clone()).observed(move |phase| {
            if phase == Phase::Idle {
                tell.send_replace(());
            }
        });
        let options = options.within(quota.ledger_bytes_max);
        let ledger = Ledger::open(&place, signer, options)?;
        let rate_together = quota.rate_together;
        let setting = Setting { clock: Box::new(clock), rate, rate_together, solver, semantics: Semantics::CURRENT };
        let (authority, refused) = if ledger.published().control.authors().is_some() {
            (Authority::resume(ledger, &place.store, setting)?.into(), None)
        } else {
            Authority::prepare_followed(ledger, &place.store, read_own_policy_folder(&policy), setting)?
        };
        let readers = Arc::new(Readers::open(&place.store)?);
        let made = move |authority| Self {
            authority,
            readers,
            store: place.store,
            policy,
            grown,
            policy_refused: Mutex::new(refused.map(|why| why.to_string())),
            cannot_publish: Mutex::new(None),
            control: tokio::sync::Mutex::new(None),
            hold_pages: Pages::default(),
            large: Semaphore::new(1),
            publishing: Semaphore::new(1),
            entities: Semaphore::new(1),
            fetcher,
            holds_webhook,
            ledger_bytes_max: quota.ledger_bytes_max,
        };
        Ok(PreparedNode { authority, made: Box::new(made) })
    }

    /// Enrols a gateway: for the operator who starts the node. Returns the index of the entry.
    pub fn enrol(&self, gateway: &Name, key: Ed25519Key, groups: Vec<Name>) -> Result<u64, AuthorityError> {
        Ok(self.authority.enrol(gateway, key, groups)?.index.get())
    }

    /// Whether a name can be a slot's of this machine: it is not revoked, and no order has given it to another one.
    pub fn may_be_a_slot(&self, gateway: &Name) -> bool {
        let control = self.authority.published().control;
        let is_revoked = control.revoked(&Target::Gateway(gateway.clone())).is_some();
        !is_revoked && !control.gateway(gateway).is_some_and(|known| known.by_order)
    }

    /// Whether a key can be that of a slot: it is not revoked, and of no other gateway.
    pub fn may_be_of_a_slot(&self, gateway: &Name, key: &Ed25519Key) -> bool {
        let (control, key) = (self.authority.published().control, key.key().fingerprint());
        let is_revoked = control.revoked(&Target::Key(key)).is_some();
        !is_revoked && control.gateway_by_key(&key).is_none_or(|(other, _)| other == gateway)
    }

    /// Whether a gateway's current epoch has this key.
    pub fn knows_gateway(&self, gateway: &Name, key: &Ed25519Key) -> bool {
        let published = self.authority.published();
        published.control.gateway(gateway).and_then(|known| known.keys.get(&known.epoch)) == Some(key)
    }

    /// Reads the policy folder again, and puts it in force if it has changed and is sound. What is in force stays otherwise.
    /// Where policy authors are pinned, the folder has no say.
    pub fn follow_policy(&self) -> Result<Option<Arc<ActiveSet>>, AuthorityError> {
        if self.authority.published().control.authors().is_some() {
            return Ok(None);
        }
        let followed = read_own_policy_folder(&self.policy).and_then(|snapshot| self.authority.activate(&snapshot));
        let refused = followed.as_ref().err().map(ToString::to_string);
        let mut known = self.policy_refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *known != refused;
        *known = refused;
        match followed {
            // Told once, not at each look.
            Err(_) if !is_news => Ok(None),
            followed => followed,
        }
    }

    /// Whether a set could be proved, if one were published: where policy authors are pinned, a solver must be there. Why not, if it could not.
    pub fn look_for_solver(&self) -> Option<String> {
        let is_signed = self.authority.published().control.authors().is_some();
        let found = is_signed.then(|| self.authority.solver().ready());
        let why = found.and_then(Result::err).map(|unproved| unproved.to_string());
        self.cannot_publish.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&why);
        why
    }

    /// The policy set in force.
    pub fn policy(&self) -> Arc<ActiveSet> {
        self.authority.policy()
    }

    /// How many entries are published.
    pub fn size(&self) -> u64 {
        self.authority.published().checkpoint.checkpoint().size.get()
    }

    /// What the store and its log hold, in bytes.
    pub(crate) fn ledger_bytes(&self) -> u64 {
        self.authority.published().bytes
    }

    /// Beyond how many of them it takes nothing new.
    pub(crate) fn ledger_bytes_max(&self) -> Option<u64> {
        self.ledger_bytes_max
    }

    /// The ledger's file.
    pub fn store(&self) -> &Path {
        &self.store
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn fetcher(&self) -> &KeyFetcher {
        &self.fetcher
    }

    pub(crate) fn holds_webhook(&self) -> Option<&HoldsWebhook> {
        self.holds_webhook.as_ref()
    }

    pub(crate) fn hold_pages(&self) -> &Pages {
        &self.hold_pages
    }

    pub(crate) fn large(&self) -> &Semaphore {
        &self.large
    }

    pub(crate) fn publishing(&self) -> &Semaphore {
        &self.publishing
    }

    pub(crate) fn entities(&self) -> &Semaphore {
        &self.entities
    }

    pub(crate) fn grown(&self) -> watch::Receiver<()> {
        self.grown.clone()
    }

    /// Why the policy folder as it is now is not in force; nothing where it is, or has no say.
    pub fn policy_refused(&self) -> Option<String> {
        self.policy_refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn cannot_publish(&self) -> Option<String> {
        self.cannot_publish.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the store outside the event loop, at one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader, &View) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.read_at(self.authority.published().into(), read).await
    }

    /// As [`AuthorityNode::read`], at an earlier moment.
    pub(crate) async fn read_at<T: Send + 'static>(
        &self,
        view: View,
        read: impl FnOnce(&Reader, &View) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.readers.clone().with(move |reader| read(reader, &view)).await.map_err(|error| match error {
            ReadError::Store(error) => error,
            error @ ReadError::Unfinished(_) => LedgerError::Stopped(error.to_string()),
        })
    }

    /// The control chain up to now, made once for everybody who asks for the same. Whoever follows it may get what is up to `age` old, as
    /// long as the chain itself has not grown and it is not behind what they know: however many follow, it is made about once in that time.
    pub(crate) async fn control_bundle(&self, known: u64, age: Duration) -> Result<Arc<ControlBundle>, LedgerError> {
        let mut made = self.control.lock().await;
        let view = View::from(self.authority.published());
        if let Some(made) = made.as_ref().filter(|made| made.is_good(&view, known, age)) {
            return Ok(made.clone());
        }
        let encoded = self
            .read_at(view.clone(), |reader, view| {
                // Every bundle holds the whole control chain up to the closing seal; the one about genesis holds nothing else.
                Ok(STANDARD.encode(reader.bundle(LeafIndex::new(0), view, Disclosure::Nothing)?.encode()))
            })
            .await?;
        let bundle = Arc::new(ControlBundle { view, encoded, made: Instant::now() });
        *made = Some(bundle.clone());
        Ok(bundle)
    }
}

/// The bundle of genesis, in base64.
pub(crate) struct ControlBundle {
    /// When the tree was as it says.
    pub(crate) view: View,
    pub(crate) encoded: String,
    made: Instant,
}

impl ControlBundle {
    fn is_good(&self, now: &View, known: u64, age: Duration) -> bool {
        let new_enough = self.made.elapsed() < age && known <= self.view.size().get();
        self.view.size() == now.size() || new_enough && self.view.control.head() == now.control.head()
    }
}
