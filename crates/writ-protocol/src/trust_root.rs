//! The trust root (`spec/trust-root.md`): what a verifier believes without proof.

use crate::id::DomainId;
use crate::key::{Key, KeyPair};
use crate::refusal::{Code, Refusal};
use std::fmt;
use writ_tlog::{Checkpoint, CheckpointError, Hash, Note, NoteVerifier, Origin, PinnedKeys, VerifiedCheckpoint};

const HEADER: &str = "writ/trust-root@v1";
const HEADER_FAMILY: &str = "writ/trust-root@";

/// A trust-root file is at most this long.
pub const TRUST_ROOT_BYTES_MAX: usize = 65_536;

/// The pins of a domain.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    domain: DomainId,
    ledgers: Vec<PinnedLedger>,
}

/// The pins of one ledger.
#[derive(Clone, Debug)]
pub struct PinnedLedger {
    origin: Origin,
    genesis: Hash,
    first: KeyGroup,
    /// Ascending by size, all above 0.
    later: Vec<KeyGroup>,
}

/// The keys of checkpoints from one size on.
#[derive(Clone, Debug)]
struct KeyGroup {
    from: u64,
    keys: KeyPair,
    pinned: PinnedKeys,
}

impl TrustRoot {
    /// The trust root of a domain with one ledger whose keys have never changed.
    pub fn new(domain: DomainId, ledger: PinnedLedger) -> Self {
        Self { domain, ledgers: vec![ledger] }
    }

    /// The domain.
    pub fn domain(&self) -> DomainId {
        self.domain
    }

    /// The ledgers.
    pub fn ledgers(&self) -> &[PinnedLedger] {
        &self.ledgers
    }

    /// The pins of a ledger.
    pub fn ledger(&self, origin: &Origin) -> Option<&PinnedLedger> {
        self.ledgers.iter().find(|ledger| ledger.origin == *origin)
    }

    /// Verifies a checkpoint with all keys pinned for its origin and size.
    pub fn open_checkpoint(&self, note: &[u8]) -> Result<VerifiedCheckpoint, Refusal> {
        let note = Note::parse(note).map_err(Refusal::malformed)?;
        let claimed = Checkpoint::parse(note.text()).map_err(|error| checkpoint_refusal(&error))?;
        let ledger = self.ledger(&claimed.origin).ok_or_else(|| {
            Refusal::new(Code::UnknownAuthority, format!("the ledger `{}` is not in the trust root", claimed.origin))
        })?;
        ledger.keys_at(claimed.size.get()).open_note(&note).map_err(|error| checkpoint_refusal(&error))
    }

    /// Reads a trust-root file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > TRUST_ROOT_BYTES_MAX {
            return Err(expected(format_args!("at most {TRUST_ROOT_BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| expected("UTF-8"))?;
        let mut lines = Lines {
            rest: text.strip_suffix('\n').ok_or_else(|| expected("a newline at the end"))?.split('\n').peekable(),
        };
        let header = lines.next()?;
        if header != HEADER {
            if header.starts_with(HEADER_FAMILY) {
                return Err(Refusal::new(
                    Code::UnsupportedVersion,
                    format!("`{header}` is not known to this reader, `{HEADER}` is"),
                ));
            }
            return Err(expected(format_args!("the first line `{HEADER}`")));
        }
        let domain = DomainId::parse(lines.field("domain")?).ok_or_else(|| expected("`domain dom_<32 hex digits>`"))?;
        let mut ledgers: Vec<PinnedLedger> = vec![lines.ledger()?];
        while lines.rest.peek().is_some() {
            let ledger = lines.ledger()?;
            if ledgers.iter().any(|known| known.origin == ledger.origin) {
                return Err(expected("each ledger once"));
            }
            ledgers.push(ledger);
        }
        Ok(Self { domain, ledgers })
    }
}

/// Both keys of a ledger, as what must have signed its checkpoints.
pub fn pinned_keys(origin: &Origin, keys: &KeyPair) -> Result<PinnedKeys, Refusal> {
    let verifiers = keys.keys().map(|key| NoteVerifier::new(origin.key_name().clone(), key.verifying_key().clone()));
    PinnedKeys::new(origin.clone(), verifiers.to_vec()).map_err(Refusal::malformed)
}

/// A checkpoint's error as a refusal, for whoever opens checkpoints.
pub fn checkpoint_refusal(error: &CheckpointError) -> Refusal {
    let code = match error {
        CheckpointError::WrongOrigin { .. } => Code::UnknownAuthority,
        CheckpointError::MissingSignature { .. } | CheckpointError::SignatureInvalid { .. } => Code::SignatureInvalid,
        CheckpointError::Note(_)
        | CheckpointError::MissingLines { .. }
        | CheckpointError::Origin(_)
        | CheckpointError::Size
        | CheckpointError::Root
        | CheckpointError::ExtensionLines { .. }
        | CheckpointError::DuplicateSignature { .. } => Code::Malformed,
    };
    Refusal::new(code, error.to_string())
}

impl PinnedLedger {
    /// A ledger with the keys it has from size 0 on.
    pub fn new(origin: Origin, genesis: Hash, keys: KeyPair) -> Result<Self, Refusal> {
        let first = KeyGroup::new(&origin, 0, keys)?;
        Ok(Self { origin, genesis, first, later: Vec::new() })
    }

    /// Adds the keys of checkpoints from `size` on.
    pub fn rotate(&mut self, size: u64, keys: KeyPair) -> Result<(), Refusal> {
        if size <= self.later.last().map_or(0, |last| last.from) {
            return Err(expected("key groups ascending by size"));
        }
        self.later.push(KeyGroup::new(&self.origin, size, keys)?);
        Ok(())
    }

    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Entry hash of its genesis.
    pub fn genesis(&self) -> &Hash {
        &self.genesis
    }

    /// The keys from size 0 on: those that genesis names.
    pub fn first_keys(&self) -> &KeyPair {
        &self.first.keys
    }

    /// The keys for a checkpoint of `size`.
    pub fn keys_at(&self, size: u64) -> &PinnedKeys {
        let group = self.later.iter().rev().find(|group| group.from <= size);
        &group.unwrap_or(&self.first).pinned
    }
}

impl KeyGroup {
    fn new(origin: &Origin, from: u64, keys: KeyPair) -> Result<Self, Refusal> {
        let verifiers =
            keys.keys().map(|key| NoteVerifier::new(origin.key_name().clone(), key.verifying_key().clone()));
        let pinned = PinnedKeys::new(origin.clone(), verifiers.to_vec()).map_err(Refusal::malformed)?;
        Ok(Self { from, keys, pinned })
    }
}

struct Lines<'a> {
    rest: std::iter::Peekable<std::str::Split<'a, char>>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, Refusal> {
        self.rest.next().ok_or_else(|| expected("more lines"))
    }

    fn field(&mut self, name: &'static str) -> Result<&'a str, Refusal> {
        let value = self.next()?.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
        value.ok_or_else(|| expected(format_args!("a line `{name} …`")))
    }

    fn next_is(&mut self, name: &str) -> bool {
        self.rest.peek().is_some_and(|line| line.split(' ').next() == Some(name))
    }

    fn ledger(&mut self) -> Result<PinnedLedger, Refusal> {
        let origin = Origin::new(self.field("ledger")?).map_err(Refusal::malformed)?;
        let genesis =
            Hash::from_base64(self.field("genesis")?).ok_or_else(|| expected("the genesis hash in base64"))?;
        let (from, keys) = self.group(&origin)?;
        if from != 0 {
            return Err(expected("the first `keys` group from size 0"));
        }
        let mut ledger = PinnedLedger::new(origin, genesis, keys)?;
        while self.next_is("keys") {
            let (from, keys) = self.group(&ledger.origin)?;
            ledger.rotate(from, keys)?;
        }
        Ok(ledger)
    }

    fn group(&mut self, origin: &Origin) -> Result<(u64, KeyPair), Refusal> {
        let text = self.field("keys")?;
        let from: u64 = text.parse().map_err(|_| expected("`keys <size>`"))?;
        if from.to_string() != text {
            return Err(expected("a size without sign or leading zeros"));
        }
        let keys = KeyPair::new(self.key(origin)?, self.key(origin)?)?;
        Ok((from, keys))
    }

    fn key(&mut self, origin: &Origin) -> Result<Key, Refusal> {
        let vkey = NoteVerifier::from_vkey(self.field("key")?).map_err(Refusal::malformed)?;
        if vkey.name().as_str() != origin.as_str() {
            return Err(expected(format_args!("a key with the name `{origin}`")));
        }
        Ok(Key::from(vkey.key().clone()))
    }
}

fn expected(what: impl fmt::Display) -> Refusal {
    Refusal::malformed(format_args!("trust root: expected {what}"))
}

impl fmt::Display for TrustRoot {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\ndomain {}", self.domain)?;
        for ledger in &self.ledgers {
            writeln!(f, "ledger {}\ngenesis {}", ledger.origin, ledger.genesis.to_base64())?;
            for group in std::iter::once(&ledger.first).chain(&ledger.later) {
                writeln!(f, "keys {}", group.from)?;
                for verifier in group.pinned.keys() {
                    writeln!(f, "key {}", verifier.to_vkey())?;
                }
            }
        }
        Ok(())
    }
}
