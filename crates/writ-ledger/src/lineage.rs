//! Lineages: what an execution comes from, and what came of it.

use crate::error::LedgerError;
use crate::reader::Reader;
use crate::store::{sql, unsql};
use writ_protocol::entry::{Body, Grant, Place};
use writ_protocol::order::{Carrier, ControlState, Execution, revoked};
use writ_protocol::statement::{Claim, Signed};
use writ_protocol::{ExecutionId, Label};
use writ_tlog::{Hash, LeafIndex};

/// A grant in its lineage, with what is recorded of its executions.
#[derive(Clone, Debug)]
pub struct Kin {
    /// Where it stands.
    pub index: LeafIndex,
    /// Its entry hash.
    pub hash: Hash,
    /// What was granted.
    pub grant: Grant,
    /// Its executions, in the order of their uses; none if nobody has used it.
    pub executions: Vec<Execution>,
    /// What its executions have gained since, and where that is recorded.
    pub gained: Vec<(LeafIndex, Vec<Label>)>,
    /// How many grants it has caused.
    pub caused: u64,
}

/// A grant with its ancestors and what it has caused.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// From the origin down to the grant itself, as far as they are in this ledger.
    pub path: Vec<Kin>,
    /// What it has caused, each after its parent and with how many steps below the grant it stands.
    pub caused: Vec<(u64, Kin)>,
    /// How many of these are left out, at least: what they have caused in turn is not counted.
    pub left_out: u64,
    /// What the whole lineage carries.
    pub carries: Vec<Label>,
}

impl Lineage {
    /// All that are shown: each with how many steps it is below the first, and whether it is the one that was asked for.
    pub fn members(&self) -> impl Iterator<Item = (u64, bool, &Kin)> {
        let last = self.path.len().saturating_sub(1);
        let path = self.path.iter().enumerate().zip(0..).map(move |((at, kin), below)| (below, at == last, kin));
        let subject = u64::try_from(last).unwrap_or(u64::MAX);
        path.chain(self.caused.iter().map(move |(below, kin)| (subject.saturating_add(*below), false, kin)))
    }
}

impl Reader {
    /// The lineage around the grant at an index, with so many descendants at most; nothing, if there is no grant.
    pub fn lineage(&self, at: LeafIndex, descendants_max: usize) -> Result<Option<Lineage>, LedgerError> {
        let Some(subject) = self.kin(at)? else { return Ok(None) };
        let origin = match &subject.grant.cause.place {
            Place::Origin => subject.hash,
            Place::Caused { origin, .. } => origin.entry,
        };
        let mut lineage = Lineage {
            carries: self.labels(&Carrier::Lineage(origin))?,
            path: self.ancestors(subject)?,
            caused: Vec::new(),
            left_out: 0,
        };
        self.descend(at, descendants_max, &mut lineage)?;
        Ok(Some(lineage))
    }

    /// Depth falls with each step (rules of order), so this ends.
    fn ancestors(&self, subject: Kin) -> Result<Vec<Kin>, LedgerError> {
        let mut path = vec![subject];
        while let Some(parent) = path.last().and_then(|kin| self.parent_of(&kin.grant)) {
            match self.kin(parent)? {
                Some(kin) => path.push(kin),
                None => return Err(LedgerError::inconsistent(format!("entry {parent}, a parent, is no grant"))),
            }
        }
        path.reverse();
        Ok(path)
    }

    fn parent_of(&self, grant: &Grant) -> Option<LeafIndex> {
        match &grant.cause.place {
            Place::Caused { parent, .. } if parent.ledger == *self.origin() => Some(LeafIndex::new(parent.index)),
            Place::Caused { .. } | Place::Origin => None,
        }
    }

    fn descend(&self, at: LeafIndex, most: usize, lineage: &mut Lineage) -> Result<(), LedgerError> {
        let mut ahead: Vec<(u64, LeafIndex)> = self.children(at)?.into_iter().rev().map(|child| (1, child)).collect();
        while let Some((below, child)) = ahead.pop() {
            if lineage.caused.len() == most {
                lineage.left_out += 1;
                continue;
            }
            let kin =
                self.kin(child)?.ok_or_else(|| LedgerError::inconsistent(format!("entry {child} is no grant")))?;
            if kin.caused > 0 {
                ahead.extend(self.children(child)?.into_iter().rev().map(|child| (below + 1, child)));
            }
            lineage.caused.push((below, kin));
        }
        Ok(())
    }

    fn kin(&self, at: LeafIndex) -> Result<Option<Kin>, LedgerError> {
        let Some(stored) = self.entry(at)? else { return Ok(None) };
        let Body::Grant(grant) = stored.decode(self.origin())?.body else { return Ok(None) };
        let caused = "SELECT count(*) FROM caused WHERE parent_idx = ?1";
        let caused: i64 = self.connection().prepare_cached(caused)?.query_row([sql(at.get())], |row| row.get(0))?;
        Ok(Some(Kin {
            index: at,
            hash: stored.hash,
            grant,
            executions: self.executions_of(at)?,
            gained: self.gained_by(at)?,
            caused: unsql(caused)?,
        }))
    }

    fn children(&self, at: LeafIndex) -> Result<Vec<LeafIndex>, LedgerError> {
        self.indices("SELECT idx FROM caused WHERE parent_idx = ?1 ORDER BY idx", at.get())
    }

    /// The entry that revokes a grant or something it rests on, as far as a control state says.
    pub fn grant_revoked(
        &self,
        control: &ControlState,
        at: LeafIndex,
        grant: &Grant,
    ) -> Result<Option<LeafIndex>, LedgerError> {
        let writ = self.require(at)?.hash;
        revoked(control, &self.records(), Some(&writ), grant)
    }

    /// The executions that a grant has begun.
    pub fn executions_of(&self, at: LeafIndex) -> Result<Vec<Execution>, LedgerError> {
        let mut query =
            self.connection().prepare_cached("SELECT execution FROM spent WHERE grant_idx = ?1 ORDER BY usage")?;
        let ids = query.query_map([sql(at.get())], |row| row.get::<_, [u8; 16]>(0))?.collect::<Result<Vec<_>, _>>()?;
        let found = ids.into_iter().map(|id| self.execution(&ExecutionId::from_bytes(id)));
        Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn gained_by(&self, at: LeafIndex) -> Result<Vec<(LeafIndex, Vec<Label>)>, LedgerError> {
        let mut gained = Vec::new();
        for index in self.indices("SELECT idx FROM labelled WHERE grant_idx = ?1 ORDER BY idx", at.get())? {
            let body = self.require(index)?.decode(self.origin())?.body;
            let claims = Signed::decode(body.statement().unwrap_or_default())?.gateway_claims(self.origin())?;
            if let Claim::Labelled { labels, .. } = claims.claim {
                gained.push((index, labels.as_slice().to_vec()));
            }
        }
        Ok(gained)
    }
}
