//! The projections: what the rules of order look up, kept in the transaction of the entries they come from.

use crate::error::LedgerError;
use crate::store::{self, sql, unsql};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use writ_protocol::entry::{AssertedPrincipal, EntryRef, Erasure, Grant, Mandate, Place, Positive, Verdict};
use writ_protocol::order::{Accepted, Carrier, Execution, ExecutionState, HoldAnswer, Lookup, OpenHold, Records};
use writ_protocol::statement::{Claim, Ending, GatewayStatement, Signal};
use writ_protocol::{Body, Code, ExecutionId, Label, Name};
use writ_tlog::{Hash, LeafIndex, Origin};

/// Looks things up in the projections (`index`) and, for what they point to, in the entries (`entries`). They are the same database,
/// except in an audit, which fills fresh projections from the entries it reads.
pub(crate) struct StoredRecords<'a> {
    pub(crate) projections: &'a Connection,
    pub(crate) entries: &'a Connection,
    pub(crate) origin: &'a Origin,
}

impl StoredRecords<'_> {
    fn one<T>(
        &self,
        query: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerError> {
        Ok(self.projections.prepare_cached(query)?.query_row(params, read).optional()?)
    }

    fn texts(&self, query: &str, params: impl Params) -> Result<Vec<String>, LedgerError> {
        let mut query = self.projections.prepare_cached(query)?;
        let found = query.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(found)
    }
}

/// The hold at this index, if it has this entry hash, with what was answered.
pub(crate) fn held(
    projections: &Connection,
    entries: &Connection,
    origin: &Origin,
    at: LeafIndex,
    entry: &Hash,
) -> Result<Option<OpenHold>, LedgerError> {
    let Some(hold) = store::hold(entries, origin, at, entry)? else { return Ok(None) };
    let answers = answers_to(projections, at)?.into_iter().map(|index| {
        let missing = || LedgerError::inconsistent(format!("entry {index} is no approval, a projection says so"));
        let stored = store::entry(entries, index)?.ok_or_else(missing)?;
        let Body::Approval(approval) = stored.decode(origin)?.body else { return Err(missing()) };
        Ok(HoldAnswer::of(&approval))
    });
    Ok(Some(OpenHold { hold, answers: answers.collect::<Result<_, LedgerError>>()? }))
}

/// The entries that answer a hold, in their order.
pub(crate) fn answers_to(projections: &Connection, hold: LeafIndex) -> Result<Vec<LeafIndex>, LedgerError> {
    let mut query = projections.prepare_cached("SELECT idx FROM approval WHERE hold_idx = ?1 ORDER BY idx")?;
    let found = query.query_map([sql(hold.get())], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(|index| Ok(LeafIndex::new(unsql(index)?))).collect()
}

/// How a principal stands in a projection. Types have no `:`, so no two share one.
pub(crate) fn shown(principal: &AssertedPrincipal) -> String {
    format!("{}::{}", principal.kind, principal.id)
}

fn lookup<T>(found: Option<T>) -> Lookup<T> {
    found.map_or(Lookup::Absent, Lookup::Found)
}

impl Records for StoredRecords<'_> {
    type Error = LedgerError;

    fn grant(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Grant>, LedgerError> {
        store::grant(self.entries, self.origin, at, entry).map(lookup)
    }

    fn execution(&self, id: &ExecutionId) -> Result<Lookup<Execution>, LedgerError> {
        let row = self.one(
            "SELECT grant_idx, gateway, state, result FROM execution WHERE id = ?1",
            [id.as_bytes()],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, Option<String>>(3)?,
                ))
            },
        )?;
        let Some((grant, gateway, state, result)) = row else { return Ok(Lookup::Absent) };
        let grant = LeafIndex::new(unsql(grant)?);
        let stored = store::entry(self.entries, grant)?
            .ok_or_else(|| LedgerError::inconsistent(format!("{id} is of entry {grant}, which is not there")))?;
        let gateway = Name::new(gateway).map_err(|error| LedgerError::inconsistent(error.to_string()))?;
        let state = state_from(&state, result.as_deref())
            .ok_or_else(|| LedgerError::inconsistent(format!("{id} is in no known state")))?;
        Ok(Lookup::Found(Execution { id: *id, writ: stored.hash, grant, gateway, state }))
    }

    fn spent(&self, grant: LeafIndex, usage: Positive) -> Result<Lookup<ExecutionId>, LedgerError> {
        let found = self.one(
            "SELECT execution FROM spent WHERE grant_idx = ?1 AND usage = ?2",
            (sql(grant.get()), sql(usage.get())),
            |row| row.get::<_, [u8; 16]>(0),
        )?;
        Ok(lookup(found.map(ExecutionId::from_bytes)))
    }

    fn open_hold(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<OpenHold>, LedgerError> {
        let open =
            self.one("SELECT 1 FROM hold WHERE idx = ?1 AND resolved_idx IS NULL", [sql(at.get())], |_| Ok(()))?;
        let Some(()) = open else { return Ok(Lookup::Absent) };
        held(self.projections, self.entries, self.origin, at, entry).map(lookup)
    }

    fn mandate(&self, at: LeafIndex, entry: &Hash) -> Result<Lookup<Mandate>, LedgerError> {
        store::mandate(self.entries, self.origin, at, entry).map(lookup)
    }

    fn drawn(&self, counter: &Name) -> Result<Lookup<u64>, LedgerError> {
        let drawn: Option<i64> =
            self.one("SELECT drawn FROM budget WHERE counter = ?1", [counter.as_str()], |row| row.get(0))?;
        drawn.map(unsql).transpose().map(lookup)
    }

    fn labels(&self, of: &Carrier) -> Result<Lookup<Vec<Label>>, LedgerError> {
        let of_lineage = "SELECT label FROM label WHERE lineage = ?1 ORDER BY label";
        let of_open_work = "SELECT DISTINCT label.label FROM execution JOIN label ON label.lineage = execution.lineage
             WHERE execution.principal = ?1 AND execution.kind = ?2 AND execution.state != 'ended' AND execution.carries = 1
             ORDER BY 1";
        let found = match of {
            Carrier::Lineage(origin) => self.texts(of_lineage, [origin.as_bytes()])?,
            Carrier::OpenWorkOf(who) => self.texts(of_open_work, (who.id.as_str(), who.kind.as_str()))?,
        };
        let labels = found.into_iter().map(Label::new).collect::<Result<Vec<_>, _>>();
        Ok(Lookup::Found(labels.map_err(|error| LedgerError::inconsistent(error.to_string()))?))
    }

    fn last_seq(&self, gateway: &Name, epoch: Positive) -> Result<Lookup<u64>, LedgerError> {
        let last: Option<i64> = self
            .one(
                "SELECT max(seq) FROM statement WHERE gateway = ?1 AND epoch = ?2",
                (gateway.as_str(), sql(epoch.get())),
                |row| row.get(0),
            )?
            .flatten();
        last.map(unsql).transpose().map(lookup)
    }

    fn id(&self, id: &[u8; 16]) -> Result<Lookup<()>, LedgerError> {
        self.one("SELECT 1 FROM used_id WHERE id = ?1", [id], |_| Ok(())).map(lookup)
    }

    fn commitment(&self, at: LeafIndex, commitment: &Hash) -> Result<Lookup<()>, LedgerError> {
        let erased = self.one(
            "SELECT 1 FROM erased WHERE idx = ?1 AND commitment = ?2",
            (sql(at.get()), commitment.as_bytes()),
            |_| Ok(()),
        )?;
        if erased.is_some() {
            return Ok(Lookup::Absent);
        }
        let Some(stored) = store::entry(self.entries, at)? else { return Ok(Lookup::Absent) };
        let held = stored.decode(self.origin)?.body.commitments();
        Ok(lookup(held.iter().any(|(_, held)| held == commitment).then_some(())))
    }
}

/// Takes one accepted entry into the projections.
pub(crate) fn project(
    records: &StoredRecords<'_>,
    at: LeafIndex,
    hash: &Hash,
    body: &Body,
    accepted: &Accepted,
) -> Result<(), LedgerError> {
    let projections = records.projections;
    let index = sql(at.get());
    if let Some(control) = body.control() {
        run(projections, "INSERT INTO control (seq, idx) VALUES (?1, ?2)", (sql(control.seq), index))?;
    }
    if let Some(request) = body.request() {
        // A grant or denial that resolves a hold may answer the hold's own request: the newest answer counts.
        run(
            projections,
            "INSERT INTO request (key, digest, idx) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, idx = excluded.idx",
            (request.key.as_bytes(), request.digest.as_bytes(), index),
        )?;
    }
    let id = body.own_id().or(accepted.root().map(|root| *root.id.as_bytes()));
    if let Some(id) = id {
        run(projections, "INSERT INTO used_id (id, idx) VALUES (?1, ?2)", (id, index))?;
    }
    match body {
        Body::Grant(grant) => grant_entry(records, at, hash, grant)?,
        Body::Denial(denial) => resolve(projections, index, denial.hold.as_ref())?,
        Body::Hold(hold) => run(
            projections,
            "INSERT INTO hold (idx, principal, until_ms, resolved_idx) VALUES (?1, ?2, ?3, NULL)",
            (index, shown(&hold.principal.asserted()), sql(hold.until_ms)),
        )?,
        Body::Approval(approval) => {
            run(
                projections,
                "INSERT INTO approval (hold_idx, idx) VALUES (?1, ?2)",
                (sql(approval.hold.index), index),
            )?;
            if approval.verdict == Verdict::Withdraw {
                resolve(projections, index, Some(&approval.hold))?;
            }
        }
        Body::Mandate(mandate) => run(
            projections,
            "INSERT INTO mandate (idx, until_ms) VALUES (?1, ?2)",
            (index, sql(mandate.scope.window.until_ms())),
        )?,
        Body::Erasure(erasure) => erased(projections, index, erasure)?,
        Body::Spend(_) | Body::Start(_) | Body::Outcome(_) | Body::Report(_) => match accepted {
            Accepted::Evidence(statement) => evidence(records, index, statement)?,
            Accepted::AsItStands | Accepted::Root(_) => {}
        },
        Body::Genesis(_)
        | Body::Gateway(_)
        | Body::Revocation(_)
        | Body::Halt(_)
        | Body::RootOrder(_)
        | Body::Policy(_)
        | Body::Entities(_)
        | Body::Shadow(_)
        | Body::Advised(_)
        | Body::Tally(_)
        | Body::Seal(_) => {}
    }
    Ok(())
}

fn erased(projections: &Connection, index: i64, erasure: &Erasure) -> Result<(), LedgerError> {
    for erased in erasure.erased.as_slice() {
        run(
            projections,
            "INSERT INTO erased (idx, commitment, by_idx) VALUES (?1, ?2, ?3)",
            (sql(erased.index), erased.commitment.as_bytes(), index),
        )?;
    }
    Ok(())
}

fn grant_entry(records: &StoredRecords<'_>, at: LeafIndex, hash: &Hash, grant: &Grant) -> Result<(), LedgerError> {
    let (projections, index) = (records.projections, sql(at.get()));
    if let Some((execution, gateway)) = grant.admitted_execution() {
        let began = Began { execution: &execution, usage: Positive::ONE, gateway: &gateway };
        begin(projections, index, &began, at, hash, grant)?;
    }
    if let Place::Caused { parent, .. } = &grant.cause.place
        && parent.ledger == *records.origin
    {
        let caused = "INSERT INTO caused (parent_idx, idx) VALUES (?1, ?2)";
        run(projections, caused, (sql(parent.index), index))?;
    }
    for draw in grant.draws() {
        run(
            projections,
            "INSERT INTO budget (counter, drawn) VALUES (?1, 1) ON CONFLICT (counter) DO UPDATE SET drawn = drawn + 1",
            [draw.counter.as_str()],
        )?;
    }
    resolve(projections, index, grant.hold.as_ref())
}

fn resolve(projections: &Connection, index: i64, hold: Option<&EntryRef>) -> Result<(), LedgerError> {
    match hold {
        Some(hold) => run(projections, "UPDATE hold SET resolved_idx = ?1 WHERE idx = ?2", (index, sql(hold.index))),
        None => Ok(()),
    }
}

/// An execution at its beginning.
struct Began<'a> {
    execution: &'a ExecutionId,
    usage: Positive,
    gateway: &'a Name,
}

/// From here on its lineage carries what it was granted with: what it learns, whoever caused it may learn, and whatever that causes.
fn begin(
    projections: &Connection,
    index: i64,
    began: &Began<'_>,
    at: LeafIndex,
    writ: &Hash,
    grant: &Grant,
) -> Result<(), LedgerError> {
    let Began { execution, usage, gateway } = began;
    let (at, usage, lineage) = (sql(at.get()), sql(usage.get()), lineage_of(grant, writ));
    let principal = &grant.principal;
    run(
        projections,
        "INSERT INTO execution (id, grant_idx, usage, gateway, state, begun_idx, lineage, kind, principal, carries)
         VALUES (?1, ?2, ?3, ?4, 'spent', ?5, ?6, ?7, ?8, EXISTS (SELECT 1 FROM label WHERE label.lineage = ?6))",
        (
            execution.as_bytes(),
            at,
            usage,
            gateway.as_str(),
            index,
            lineage.as_bytes(),
            principal.kind.as_str(),
            principal.id.as_str(),
        ),
    )?;
    run(
        projections,
        "INSERT INTO spent (grant_idx, usage, execution) VALUES (?1, ?2, ?3)",
        (at, usage, execution.as_bytes()),
    )?;
    carry(projections, index, lineage, grant.labels.as_slice())
}

/// The grant at the beginning of a grant's lineage.
fn lineage_of<'a>(grant: &'a Grant, writ: &'a Hash) -> &'a Hash {
    match &grant.cause.place {
        Place::Origin => writ,
        Place::Caused { origin, .. } => &origin.entry,
    }
}

fn carry(projections: &Connection, index: i64, lineage: &Hash, labels: &[Label]) -> Result<(), LedgerError> {
    for label in labels {
        run(
            projections,
            "INSERT INTO label (lineage, label, idx) VALUES (?1, ?2, ?3) ON CONFLICT (lineage, label) DO NOTHING",
            (lineage.as_bytes(), label.as_str(), index),
        )?;
    }
    if labels.is_empty() {
        return Ok(());
    }
    let open = "UPDATE execution SET carries = 1 WHERE lineage = ?1 AND state != 'ended' AND carries = 0";
    run(projections, open, [lineage.as_bytes()])
}

fn evidence(records: &StoredRecords<'_>, index: i64, statement: &GatewayStatement) -> Result<(), LedgerError> {
    let projections = records.projections;
    run(
        projections,
        "INSERT INTO statement (gateway, epoch, seq, idx) VALUES (?1, ?2, ?3, ?4)",
        (statement.gateway.as_str(), sql(statement.epoch.get()), sql(statement.seq.get()), index),
    )?;
    match &statement.claim {
        Claim::Spent { writ, index: at, execution, usage } => {
            let at = LeafIndex::new(*at);
            let grant = granted(records, at, writ)?;
            let began = Began { execution, usage: *usage, gateway: &statement.gateway };
            begin(projections, index, &began, at, writ, &grant)
        }
        Claim::Started { execution, .. } => run(
            projections,
            "UPDATE execution SET state = 'started', started_idx = ?1 WHERE id = ?2",
            (index, execution.as_bytes()),
        ),
        Claim::Ended { execution, result, .. } => run(
            projections,
            "UPDATE execution SET state = 'ended', result = ?1, ended_idx = ?2 WHERE id = ?3",
            (result.to_string(), index, execution.as_bytes()),
        ),
        Claim::Labelled { writ, execution, labels } => {
            let at = match records.execution(execution)? {
                Lookup::Found(found) => found.grant,
                Lookup::Absent | Lookup::Unknown => {
                    return Err(LedgerError::inconsistent(format!(
                        "{execution}, which gained labels, is not recorded"
                    )));
                }
            };
            run(projections, "INSERT INTO labelled (grant_idx, idx) VALUES (?1, ?2)", (sql(at.get()), index))?;
            let grant = granted(records, at, writ)?;
            carry(projections, index, lineage_of(&grant, writ), labels.as_slice())
        }
        Claim::Refused { .. } | Claim::Heartbeat { .. } => Ok(()),
    }
}

fn granted(records: &StoredRecords<'_>, at: LeafIndex, writ: &Hash) -> Result<Grant, LedgerError> {
    store::grant(records.entries, records.origin, at, writ)?
        .ok_or_else(|| LedgerError::inconsistent(format!("entry {at} is not the grant of the statement")))
}

fn run(projections: &Connection, statement: &str, params: impl Params) -> Result<(), LedgerError> {
    projections.prepare_cached(statement)?.execute(params)?;
    Ok(())
}

fn state_from(state: &str, result: Option<&str>) -> Option<ExecutionState> {
    match (state, result) {
        ("spent", None) => Some(ExecutionState::Spent),
        ("started", None) => Some(ExecutionState::Started),
        ("ended", Some(result)) => ending_from(result).map(ExecutionState::Ended),
        _ => None,
    }
}

fn ending_from(text: &str) -> Option<Ending> {
    match text.split_once(':') {
        Some(("exited", status)) => status.parse().ok().map(Ending::Exited),
        Some(("signaled", number)) => number.parse().ok().and_then(Signal::new).map(Ending::Signaled),
        Some(("terminated", code)) => Code::from_str_exact(code).map(Ending::Terminated),
        None if text == "unknown" => Some(Ending::Unknown),
        Some(_) | None => None,
    }
}
