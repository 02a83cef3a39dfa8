//! The layout of the store. Everything below `-- projections` can be dropped and rebuilt from the entries; `writ audit` does just that and compares.

use crate::error::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Changes with the layout; a release refuses a layout it does not know.
pub(crate) const LAYOUT: i64 = 5;
/// "WRIT", so that other databases are not taken for ours.
const APPLICATION_ID: i64 = 0x5752_4954;

/// How long a statement waits for another connection.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    -- Raised by each node that opens the store: whoever finds another number than its own has lost it.
    generation INTEGER NOT NULL
) STRICT;
CREATE TABLE entry (idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
-- Full tiles only; `root` stands first so that a partial tile above is read without their hashes.
CREATE TABLE tile (level INTEGER, n INTEGER, root BLOB NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, n)) STRICT;
-- The newest checkpoint of each 256 entries, by what their sizes are divided by 256. One that is superseded is overwritten in its place.
CREATE TABLE checkpoint (tile INTEGER PRIMARY KEY, size INTEGER NOT NULL CHECK (size / 256 = tile), note BLOB NOT NULL) STRICT;
-- What is behind the commitments of an entry: of each kind 32 bytes of salt and then the value; no bytes once it is erased. Not derivable
-- from the entries, by design.
CREATE TABLE vault (
    idx INTEGER PRIMARY KEY, action BLOB, facts BLOB, request BLOB, policy BLOB, entities BLOB, text BLOB, output BLOB,
    CHECK (coalesce(action, facts, request, policy, entities, text, output) IS NOT NULL)
) STRICT;
";

const PROJECTIONS: &str = "
CREATE TABLE control (seq INTEGER PRIMARY KEY, idx INTEGER NOT NULL) STRICT;
CREATE TABLE request (key BLOB PRIMARY KEY, digest BLOB NOT NULL, idx INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE used_id (id BLOB PRIMARY KEY, idx INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE execution (
    id BLOB PRIMARY KEY, grant_idx INTEGER NOT NULL, usage INTEGER NOT NULL, gateway TEXT NOT NULL,
    state TEXT NOT NULL, result TEXT, begun_idx INTEGER NOT NULL, started_idx INTEGER, ended_idx INTEGER,
    -- The lineage it belongs to, by the entry hash of the grant at its beginning, and who acts.
    lineage BLOB NOT NULL, kind TEXT NOT NULL, principal TEXT NOT NULL,
    -- Whether that lineage has a label: most have none, and whoever asks for the labels of open work need not look at it.
    carries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX execution_open ON execution (gateway, begun_idx) WHERE state != 'ended';
CREATE INDEX execution_of ON execution (principal, kind, lineage) WHERE state != 'ended' AND carries = 1;
CREATE INDEX execution_in ON execution (lineage) WHERE state != 'ended';
CREATE TABLE label (lineage BLOB, label TEXT, idx INTEGER NOT NULL, PRIMARY KEY (lineage, label)) STRICT, WITHOUT ROWID;
CREATE TABLE labelled (grant_idx INTEGER, idx INTEGER, PRIMARY KEY (grant_idx, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE caused (parent_idx INTEGER, idx INTEGER, PRIMARY KEY (parent_idx, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE spent (grant_idx INTEGER, usage INTEGER, execution BLOB NOT NULL, PRIMARY KEY (grant_idx, usage)) STRICT, WITHOUT ROWID;
CREATE TABLE budget (counter TEXT PRIMARY KEY, drawn INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE hold (idx INTEGER PRIMARY KEY, principal TEXT NOT NULL, until_ms INTEGER NOT NULL, resolved_idx INTEGER) STRICT;
CREATE INDEX hold_open ON hold (until_ms) WHERE resolved_idx IS NULL;
CREATE INDEX hold_of ON hold (principal, until_ms) WHERE resolved_idx IS NULL;
CREATE TABLE approval (hold_idx INTEGER, idx INTEGER, PRIMARY KEY (hold_idx, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE mandate (idx INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT;
CREATE INDEX mandate_until ON mandate (until_ms);
CREATE TABLE statement (
    gateway TEXT, epoch INTEGER, seq INTEGER, idx INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE erased (idx INTEGER, commitment BLOB, by_idx INTEGER NOT NULL, PRIMARY KEY (idx, commitment)) STRICT, WITHOUT ROWID;
";

/// The projections, with the columns that order them: what an audit compares.
pub(crate) const PROJECTED_TABLES: &[(&str, &str)] = &[
    ("control", "seq"),
    ("request", "key"),
    ("used_id", "id"),
    ("execution", "id"),
    ("label", "lineage, label"),
    ("labelled", "grant_idx, idx"),
    ("caused", "parent_idx, idx"),
    ("spent", "grant_idx, usage"),
    ("budget", "counter"),
    ("hold", "idx"),
    ("approval", "hold_idx, idx"),
    ("mandate", "idx"),
    ("statement", "gateway, epoch, seq"),
    ("erased", "idx, commitment"),
];

/// Makes the tables of a new store.
pub(crate) fn create(connection: &Connection, origin: &str) -> Result<(), LedgerError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.execute_batch(TABLES)?;
    connection.execute_batch(PROJECTIONS)?;
    connection.execute("INSERT INTO ledger (one, origin, generation) VALUES (1, ?1, 0)", [origin])?;
    connection
        .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; COMMIT"))?;
    Ok(())
}

/// Projections in memory, for an audit to fill from the entries.
pub(crate) fn projections_in_memory() -> Result<Connection, LedgerError> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(TABLES)?;
    connection.execute_batch(PROJECTIONS)?;
    tune_cache(&connection);
    Ok(connection)
}

/// Opens a store for writing: every commit is on stable storage when it returns.
pub(crate) fn open_writer(path: &Path, create: bool) -> Result<Connection, LedgerError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if !create {
        // Before anything is changed: it may be somebody else's database.
        identify(&connection)?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL")?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF",
    )?;
    empty_the_log(&connection)?;
    tune_cache(&connection);
    Ok(connection)
}

/// What a process that died has left in the log is readable, and yet may never reach the disk: after a failed sync its pages count as
/// clean, and no later sync writes them. So it is written again, into the database file, before anything is built on it.
fn empty_the_log(connection: &Connection) -> Result<(), LedgerError> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let why = "a program that reads the store keeps its log in use; end that one first";
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), Some(why.to_owned())))?
}

/// Opens a store for reading beside a running node.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF")?;
    tune_cache(&connection);
    Ok(connection)
}

/// Everything in the database must be ours: a trigger or view that somebody planted would run, or be read, in our name.
fn nothing_foreign(connection: &Connection) -> Result<(), LedgerError> {
    let objects = |connection: &Connection| {
        connection
            .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?
            .collect::<Result<Vec<_>, _>>()
    };
    let (found, ours) = (objects(connection)?, objects(&projections_in_memory()?)?);
    let foreign = found.iter().find(|object| !ours.contains(object));
    let missing = ours.iter().find(|object| !found.contains(object));
    match (foreign, missing) {
        (Some((kind, name, _)), _) => Err(LedgerError::inconsistent(format!("the {kind} `{name}` in it is not ours"))),
        (None, Some((kind, name, _))) => Err(LedgerError::inconsistent(format!("the {kind} `{name}` is missing"))),
        (None, None) => Ok(()),
    }
}

fn tune_cache(connection: &Connection) {
    connection.set_prepared_statement_cache_capacity(64);
}

/// Refuses a database that is not a ledger of this layout; returns the origin it is of.
pub(crate) fn identify(connection: &Connection) -> Result<String, LedgerError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(LedgerError::inconsistent("it is not the database of a ledger"));
    }
    let found = pragma("user_version")?;
    if found != LAYOUT {
        return Err(LedgerError::Layout { found, known: LAYOUT });
    }
    nothing_foreign(connection)?;
    Ok(connection.query_row("SELECT origin FROM ledger", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_protocol::action::CommitmentKind;

    fn texts(query: &str) -> Vec<String> {
        let connection = projections_in_memory().unwrap();
        let mut query = connection.prepare(query).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_vault_has_a_column_for_each_kind_of_value() {
        let columns = texts("SELECT name FROM pragma_table_info('vault') WHERE name != 'idx'");
        assert_eq!(columns, CommitmentKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>());
    }

    #[test]
    fn sqlite_is_built_with_what_a_ledger_needs_and_no_more() {
        let options = texts("PRAGMA compile_options");
        assert!(options.iter().any(|option| option == "OMIT_LOAD_EXTENSION"), "{options:?}");
        let unwanted = ["ENABLE_LOAD_EXTENSION", "ENABLE_FTS", "ENABLE_RTREE"];
        let found = options.iter().find(|option| unwanted.iter().any(|unwanted| option.starts_with(unwanted)));
        assert_eq!(found, None);
    }
}
