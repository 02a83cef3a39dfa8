use super::{payload, sign};
use crate::cbor::{Decode, Reader, ShapeError, record};
use crate::id::{DomainId, OrderId};
use crate::key::{Ed25519Key, KeyPair};
use crate::name::Label;
use crate::parts::{Authors, RootMembers};
use writ_tlog::{Origin, SigningKey};

/// What the root says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootStatement {
    /// Of which domain.
    pub domain: DomainId,
    /// Accepted once.
    pub id: OrderId,
    /// When.
    pub time_ms: u64,
    /// What.
    pub order: RootCommand,
}

/// The substance of a root statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCommand {
    /// Everything stops.
    Halt(Label),
    /// A halt ends.
    Resume(Label),
    /// The ledger's keys are replaced.
    LedgerKeys(KeyPair),
    /// The root members are replaced.
    RootKeys(RootMembers),
    /// From here on a policy set comes into force as a bundle that its authors have signed.
    PolicyAuthors(Authors),
}

#[derive(Clone, Copy)]
pub(super) enum RootKind {
    Halt,
    Resume,
    LedgerKeys,
    RootKeys,
    PolicyAuthors,
}

record! {
    ReasonFields {
        id: ! OrderId,
        domain: ! DomainId,
        reason: ! Label,
        time_ms: ! u64,
    }
}

record! {
    LedgerKeysFields {
        id: ! OrderId,
        keys: ! KeyPair,
        domain: ! DomainId,
        time_ms: ! u64,
    }
}

record! {
    RootKeysFields {
        id: ! OrderId,
        domain: ! DomainId,
        members: ! Vec<KeyPair>,
        time_ms: ! u64,
        threshold: ! u64,
    }
}

record! {
    PolicyAuthorsFields {
        id: ! OrderId,
        keys: ! Vec<Ed25519Key>,
        domain: ! DomainId,
        time_ms: ! u64,
        threshold: ! u64,
    }
}

impl RootStatement {
    /// Signs it with both keys of each member given.
    pub fn sign(&self, origin: &Origin, members: &[[&SigningKey; 2]]) -> Vec<u8> {
        let Self { domain, id, time_ms, order } = self;
        let (domain, id, time_ms) = (*domain, *id, *time_ms);
        let payload = match order {
            RootCommand::Halt(reason) => {
                payload("halt", origin, &ReasonFields { id, domain, reason: reason.clone(), time_ms })
            }
            RootCommand::Resume(reason) => {
                payload("resume", origin, &ReasonFields { id, domain, reason: reason.clone(), time_ms })
            }
            RootCommand::LedgerKeys(keys) => {
                payload("ledger-keys", origin, &LedgerKeysFields { id, keys: keys.clone(), domain, time_ms })
            }
            RootCommand::RootKeys(root) => payload(
                "root-keys",
                origin,
                &RootKeysFields {
                    id,
                    domain,
                    members: root.members().to_vec(),
                    time_ms,
                    threshold: root.threshold() as u64,
                },
            ),
            RootCommand::PolicyAuthors(authors) => payload(
                "policy-authors",
                origin,
                &PolicyAuthorsFields {
                    id,
                    keys: authors.keys().to_vec(),
                    domain,
                    time_ms,
                    threshold: authors.threshold() as u64,
                },
            ),
        };
        sign(payload, &members.concat())
    }

    pub(super) fn decode(kind: RootKind, reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Ok(match kind {
            RootKind::Halt => {
                let ReasonFields { id, domain, reason, time_ms } = ReasonFields::decode(reader)?;
                Self { domain, id, time_ms, order: RootCommand::Halt(reason) }
            }
            RootKind::Resume => {
                let ReasonFields { id, domain, reason, time_ms } = ReasonFields::decode(reader)?;
                Self { domain, id, time_ms, order: RootCommand::Resume(reason) }
            }
            RootKind::LedgerKeys => {
                let LedgerKeysFields { id, keys, domain, time_ms } = LedgerKeysFields::decode(reader)?;
                Self { domain, id, time_ms, order: RootCommand::LedgerKeys(keys) }
            }
            RootKind::RootKeys => {
                let RootKeysFields { id, domain, members, time_ms, threshold } = RootKeysFields::decode(reader)?;
                Self { domain, id, time_ms, order: RootCommand::RootKeys(RootMembers::new(threshold, members)?) }
            }
            RootKind::PolicyAuthors => {
                let PolicyAuthorsFields { id, keys, domain, time_ms, threshold } = PolicyAuthorsFields::decode(reader)?;
                Self { domain, id, time_ms, order: RootCommand::PolicyAuthors(Authors::new(threshold, keys)?) }
            }
        })
    }
}
