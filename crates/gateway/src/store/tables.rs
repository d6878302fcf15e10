//! The tables of a store in a folder, as fjall keeps them: where channels stand, and their publications. Bytes only;
//! what they mean is decided in `disk`.
//!
//! A batch is in all tables or in none, whenever the process ends.

use std::fmt;
use std::io;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::record::VERSION;

/// Blocks of tables that are kept in memory: only a start reads much.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// The journal may grow to this before tables are written because of it; the least that fjall takes.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// What is gathered in memory of each table before it is written out. The journal has it, too.
const GATHERED_BYTES: u64 = 16 * 1024 * 1024;

/// Threads that write tables out and merge them.
const WORKERS: usize = 2;

/// The key under which the version stands.
const VERSION_KEY: &[u8] = b"version";

/// An entry of a table.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    /// What holds for the whole store, by a word.
    About,
    /// Where channels stand, by name.
    Heads,
    /// Publications, by channel and offset.
    Records,
}

/// One change within a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Put(Table, Vec<u8>, Vec<u8>),
    Drop(Table, Vec<u8>),
}

/// Why the tables cannot be read or written.
#[derive(Debug)]
pub(super) enum TablesError {
    /// They are of another version than this one.
    Version(String),
    /// What is there is not what was written.
    Damaged(String),
    /// The system refuses.
    Io(io::Error),
    /// Something failed behind the scenes; nothing more is written.
    Stopped,
}

/// See the module's head.
pub(super) struct Tables {
    database: Database,
    about: Keyspace,
    heads: Keyspace,
    records: Keyspace,
}

impl Tables {
    /// Opens the tables in `folder`, or makes them.
    pub(super) fn open(folder: &Path) -> Result<Self, TablesError> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(GATHERED_BYTES);
        let about = database.keyspace("about", options)?;
        match about.get(VERSION_KEY)?.as_deref() {
            Some([VERSION]) => {}
            Some(other) => return Err(TablesError::Version(format!("{other:?}"))),
            None => about.insert(VERSION_KEY, [VERSION])?,
        }
        let heads = database.keyspace("heads", options)?;
        let records = database.keyspace("records", options)?;
        Ok(Self { database, about, heads, records })
    }

    /// All entries of a table whose keys begin so, in the order of their keys.
    pub(super) fn pairs(
        &self,
        table: Table,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Pair, TablesError>> + use<> {
        self.keyspace(table).prefix(prefix).map(|entry| {
            let (key, value) = entry.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        })
    }

    /// Makes all changes or, if it fails, most likely none. When it returns the system has them, with `sync` the
    /// disk. No key may stand in two of them.
    pub(super) fn commit(&self, changes: Vec<Change>, sync: bool) -> Result<(), TablesError> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for change in changes {
            match change {
                Change::Put(table, key, value) => batch.insert(self.keyspace(table), key, value),
                Change::Drop(table, key) => batch.remove(self.keyspace(table), key),
            }
        }
        batch.commit().map_err(TablesError::from)
    }

    /// Waits until the disk has all that was committed.
    pub(super) fn sync(&self) -> Result<(), TablesError> {
        self.database.persist(PersistMode::SyncAll).map_err(TablesError::from)
    }

    fn keyspace(&self, table: Table) -> &Keyspace {
        match table {
            Table::About => &self.about,
            Table::Heads => &self.heads,
            Table::Records => &self.records,
        }
    }
}

impl From<fjall::Error> for TablesError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Self::Io(error),
            fjall::Error::Poisoned => Self::Stopped,
            fjall::Error::InvalidVersion(found) => Self::Version(format!("{found:?}")),
            other => Self::Damaged(format!("{other:?}")),
        }
    }
}

impl fmt::Display for TablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(found) => write!(f, "its version is {found} and not {VERSION}"),
            Self::Damaged(what) => f.write_str(what),
            Self::Io(error) => error.fmt(f),
            Self::Stopped => f.write_str("writing has failed in the background"),
        }
    }
}
