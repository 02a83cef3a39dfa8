//! The body of a `mandate`: what somebody is for, said by who gave it, in their own signed words.

use crate::action::ActionKind;
use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer, record};
use crate::entry::AssertedPrincipal;
use crate::id::OrderId;
use crate::key::Ed25519Key;
use crate::name::Name;
use crate::parts::{ActionRef, EntryRef, Policy, Positive, Principal, RequestRef};
use crate::scope::Scope;
use writ_tlog::Hash;

/// Mandates that one may stand below, itself included.
pub const MANDATES_MAX: usize = 8;

record! {
    /// A mandate: it permits nothing, and holds whatever is done under it to its scope.
    pub MandateFields {
        /// Who gave it.
        by: ! Principal,
        /// Of this order.
        id: ! OrderId,
        /// To whom: nobody else begins anything under it, or hands it on.
        to: ! AssertedPrincipal,
        /// Commitment to the facts that the order was decided on.
        facts: ! Hash,
        /// What it is for.
        scope: ! Scope,
        /// The order.
        action: ! ActionRef,
        /// The mandate that it narrows.
        parent: ? EntryRef,
        /// Under which policy the order was decided.
        policy: ! Policy,
        /// The request that led to it.
        request: ! RequestRef,
        /// When.
        time_ms: ! u64,
        /// The order as it was signed: what the giver says is not for others to say.
        statement: ! Bytes,
    }
}

/// A mandate that was given by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    fields: MandateFields,
    key: Ed25519Key,
}

impl Mandate {
    /// The relations between fields that a shape cannot say.
    pub fn new(fields: MandateFields) -> Result<Self, ShapeError> {
        if fields.action.kind != ActionKind::Order {
            return Err(ShapeError::expected("an action of kind `order`"));
        }
        let key = fields.by.key.clone().ok_or_else(|| ShapeError::expected("`by` with the key that has signed"))?;
        Ok(Self { key: Ed25519Key::new(key)?, fields })
    }

    /// The key that has signed.
    pub fn key(&self) -> &Ed25519Key {
        &self.key
    }

    /// What a grant under it draws from, if it is for so many executions: the counter of its entry, and its limit. No counter of a policy has
    /// such a name.
    pub fn counter(&self, entry: &Hash) -> Result<Option<(Name, Positive)>, ShapeError> {
        use std::fmt::Write;
        let Some(uses) = self.fields.scope.uses else { return Ok(None) };
        let name = entry.as_bytes().iter().fold("mandate/".to_owned(), |mut name, byte| {
            // Writing to a string does not fail.
            write!(name, "{byte:02x}").ok();
            name
        });
        Ok(Some((Name::new(name)?, uses)))
    }
}

impl std::ops::Deref for Mandate {
    type Target = MandateFields;

    fn deref(&self) -> &MandateFields {
        &self.fields
    }
}

impl Encode for Mandate {
    fn encode(&self, writer: &mut Writer) {
        self.fields.encode(writer);
    }
}

impl Decode for Mandate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(MandateFields::decode(reader)?)
    }
}
