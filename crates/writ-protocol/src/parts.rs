//! Parts that several structures share.

use crate::action::ActionKind;
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::{ExecutionId, RequestKey};
use crate::key::{Ed25519Key, Key, KeyPair};
use crate::name::{Label, Name};
use std::collections::BTreeSet;
use writ_tlog::{Hash, Origin};

record! {
    /// The place of a control entry in its chain.
    pub Control {
        /// Position, from 0.
        seq: ! u64,
        /// Entry hash of the control entry before it; zero in genesis.
        prev: ! Hash,
    }
}

record! {
    /// The request that an entry answers.
    pub RequestRef {
        /// By which a repetition is recognised.
        key: ! RequestKey,
        /// What was asked, committed.
        digest: ! Hash,
    }
}

record! {
    /// Who acts, and how that was established.
    pub Principal {
        /// Its id within its type.
        id: ! Name,
        /// The key it proved, if by key.
        key: ? Key,
        /// How it was authenticated.
        auth: ! Label,
        /// User, Agent, Workload, …
        kind as "type": ! Name,
    }
}

record! {
    /// A principal named, without how it was authenticated.
    pub PrincipalRef {
        /// Its id within its type.
        id: ! Name,
        /// User, Agent, Workload, …
        kind as "type": ! Name,
    }
}

record! {
    /// What is to be executed, committed.
    pub ActionRef {
        /// The kind of action.
        kind: ! ActionKind,
        /// The action digest.
        digest: ! Hash,
    }
}

record! {
    /// The policy a decision was made under.
    pub Policy {
        /// Digest of the policy set.
        set: ! Hash,
        /// Its epoch.
        epoch: ! u64,
        /// The determining policies.
        reasons: ! Ascending<Name>,
        /// The entities it was made with beside those of the set.
        entities: ? EntitiesRef,
        /// Engine version and wrapper.
        semantics: ! Label,
    }
}

record! {
    /// A snapshot of entities.
    pub EntitiesRef {
        /// Its epoch.
        epoch: ! Positive,
        /// Its digest.
        snapshot: ! Hash,
    }
}

record! {
    /// The control state a decision stood on.
    pub AsOf {
        /// Tree size.
        size: ! u64,
        /// Origin of the ledger with the control chain.
        ledger: ! Origin,
        /// Its control head.
        control: ! Hash,
    }
}

record! {
    /// An entry anywhere in the mesh.
    pub EntryRef {
        /// Its entry hash.
        entry: ! Hash,
        /// Its index, by which its ledger finds it.
        index: ! u64,
        /// Its ledger.
        ledger: ! Origin,
    }
}

record! {
    /// What no grant may exceed.
    pub Limits {
        /// How deep a lineage may go.
        depth_max: ! u64,
        /// The longest time to kill.
        kill_ms_max: ! Positive,
        /// The longest time to freeze.
        freeze_ms_max: ! Positive,
        /// The longest window.
        window_ms_max: ! Positive,
    }
}

/// What a grant was caused by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Where it stands in its lineage.
    pub place: Place,
    /// The mandate within which it stays, and whatever it causes.
    pub mandate: Option<EntryRef>,
}

/// A place in a lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The beginning of a lineage.
    Origin,
    /// Caused by another execution.
    Caused {
        /// 1 or more.
        depth: u64,
        /// The grant of the execution that caused it.
        parent: EntryRef,
        /// The grant at the beginning.
        origin: EntryRef,
    },
}

impl Cause {
    /// Steps from the origin.
    pub fn depth(&self) -> u64 {
        match &self.place {
            Place::Origin => 0,
            Place::Caused { depth, .. } => *depth,
        }
    }
}

impl Encode for Cause {
    fn encode(&self, writer: &mut Writer) {
        let extra = usize::from(self.mandate.is_some());
        match &self.place {
            Place::Origin => {
                writer.map(1 + extra);
                writer.field("depth", &0);
            }
            Place::Caused { depth, parent, origin } => {
                writer.map(3 + extra);
                writer.field("depth", depth);
                writer.field("origin", origin);
                writer.field("parent", parent);
            }
        }
        if let Some(mandate) = &self.mandate {
            writer.field("mandate", mandate);
        }
    }
}

impl Decode for Cause {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let place = match map.required("depth")? {
            0 => Place::Origin,
            depth => Place::Caused { depth, origin: map.required("origin")?, parent: map.required("parent")? },
        };
        let mandate = map.optional("mandate")?;
        map.end()?;
        Ok(Self { place, mandate })
    }
}

record! {
    /// The root of a domain: members of whom a threshold must sign.
    pub RootMembersFields {
        /// The members.
        members: ! Vec<KeyPair>,
        /// How many must sign.
        threshold: ! u64,
    }
}

/// Root members with a threshold that they can reach; all keys differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootMembers {
    threshold: usize,
    members: Vec<KeyPair>,
}

/// The most members a root may have.
pub const ROOT_MEMBERS_MAX: usize = 16;

impl RootMembers {
    /// 1 to 16 members, all keys different, threshold from 1 to their number.
    pub fn new(threshold: u64, members: Vec<KeyPair>) -> Result<Self, ShapeError> {
        let expected = || ShapeError::expected("1 to 16 root members and a threshold from 1 to their number");
        let threshold = usize::try_from(threshold).map_err(|_| expected())?;
        if members.len() > ROOT_MEMBERS_MAX || !(1..=members.len()).contains(&threshold) {
            return Err(expected());
        }
        let different: BTreeSet<_> = members.iter().flat_map(KeyPair::keys).map(Key::fingerprint).collect();
        if different.len() != 2 * members.len() {
            return Err(ShapeError::expected("root members whose keys all differ"));
        }
        Ok(Self { threshold, members })
    }

    /// How many must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// All of them.
    pub fn members(&self) -> &[KeyPair] {
        &self.members
    }
}

/// Who writes the policies of a domain: keys of which a threshold must sign each policy set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authors {
    threshold: usize,
    keys: Vec<Ed25519Key>,
}

/// The most authors a domain may have.
pub const AUTHORS_MAX: usize = 16;

impl Authors {
    /// 1 to 16 different keys, threshold from 1 to their number.
    pub fn new(threshold: u64, keys: Vec<Ed25519Key>) -> Result<Self, ShapeError> {
        let expected = || ShapeError::expected("1 to 16 policy authors and a threshold from 1 to their number");
        let threshold = usize::try_from(threshold).map_err(|_| expected())?;
        if keys.len() > AUTHORS_MAX || !(1..=keys.len()).contains(&threshold) {
            return Err(expected());
        }
        let different: BTreeSet<_> = keys.iter().map(|key| key.key().fingerprint()).collect();
        if different.len() != keys.len() {
            return Err(ShapeError::expected("policy authors whose keys all differ"));
        }
        Ok(Self { threshold, keys })
    }

    /// How many must sign.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// All of them.
    pub fn keys(&self) -> &[Ed25519Key] {
        &self.keys
    }
}

/// At least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Positive(u64);

impl Positive {
    /// The least.
    pub const ONE: Self = Self(1);

    /// The number, if it is not 0.
    pub const fn new(value: u64) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Encode for Positive {
    fn encode(&self, writer: &mut Writer) {
        writer.uint(self.0);
    }
}

impl Decode for Positive {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(reader.uint()?).ok_or_else(|| ShapeError::expected("at least 1"))
    }
}

/// A sorted array without repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ascending<T>(Vec<T>);

impl<T: Ord> Ascending<T> {
    /// Sorts and removes repetitions.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T: Encode> Encode for Ascending<T> {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl<T: Decode + Ord> Decode for Ascending<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let items = Vec::<T>::decode(reader)?;
        if items.is_sorted_by(|a, b| a < b) {
            Ok(Self(items))
        } else {
            Err(ShapeError::expected("an ascending array without repetition"))
        }
    }
}

record! {
    /// The admission of the asker itself, in the same entry.
    pub Admitted {
        /// SHA-256 of a value that only the asking process knows.
        nonce: ! Hash,
        /// The execution whose one use is spent.
        execution: ! ExecutionId,
    }
}

record! {
    /// When a writ may be admitted.
    pub WindowFields {
        /// From this time on.
        from_ms: ! u64,
        /// Before this time.
        until_ms: ! u64,
    }
}

/// A window that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from_ms: u64,
    until_ms: u64,
}

impl Window {
    /// `from_ms` before `until_ms`.
    pub fn new(from_ms: u64, until_ms: u64) -> Result<Self, ShapeError> {
        if from_ms < until_ms {
            Ok(Self { from_ms, until_ms })
        } else {
            Err(ShapeError::expected("from_ms before until_ms"))
        }
    }

    /// From this time on.
    pub fn from_ms(self) -> u64 {
        self.from_ms
    }

    /// Before this time.
    pub fn until_ms(self) -> u64 {
        self.until_ms
    }
}

impl Encode for Window {
    fn encode(&self, writer: &mut Writer) {
        WindowFields { from_ms: self.from_ms, until_ms: self.until_ms }.encode(writer);
    }
}

impl Decode for Window {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let WindowFields { from_ms, until_ms } = WindowFields::decode(reader)?;
        Self::new(from_ms, until_ms)
    }
}

record! {
    /// The terms on which an execution goes on.
    pub Lease {
        /// Age of the control view at which the tree is killed.
        kill_after_ms: ! Positive,
        /// Age at which it is frozen.
        freeze_after_ms: ! Positive,
    }
}

/// Who may present a writ.
pub type HolderKey = Ed25519Key;
