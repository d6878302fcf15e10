//! The tables of a store in a folder, as fjall keeps them: where channels stand, and their publications. Bytes only;
//! what they mean is decided in `disk`.
//!
//! A batch is in all tables or in none, whenever the process ends.

use std::fmt;
use std::fs;
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

/// Stands in each table since it was made; no channel's name begins so.
const MARK: &[u8] = &[0];

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
    /// Makes tables in `folder`, where there are none.
    pub(super) fn make(folder: &Path) -> Result<Self, TablesError> {
        let tables = Self::at(folder)?;
        tables.about.insert(VERSION_KEY, [VERSION])?;
        tables.heads.insert(MARK, [VERSION])?;
        tables.records.insert(MARK, [VERSION])?;
        Ok(tables)
    }

    /// Opens the tables in `folder`. One of them that was lost is not taken for an empty one.
    pub(super) fn open(folder: &Path) -> Result<Self, TablesError> {
        if !has_journal(folder).map_err(TablesError::Io)? {
            return Err(TablesError::Damaged("its journal is gone".to_owned()));
        }
        let tables = Self::at(folder)?;
        match tables.about.get(VERSION_KEY)?.as_deref() {
            Some([VERSION]) => {}
            Some(other) => return Err(TablesError::Version(format!("{other:?}"))),
            None => return Err(TablesError::Damaged("it lacks what was written to it first".to_owned())),
        }
        for (table, name) in [(&tables.heads, "channels"), (&tables.records, "publications")] {
            if table.get(MARK)?.is_none() {
                return Err(TablesError::Damaged(format!(
                    "the table of {name} is not the one that was made"
                )));
            }
        }
        Ok(tables)
    }

    fn at(folder: &Path) -> Result<Self, TablesError> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(GATHERED_BYTES);
        let about = database.keyspace("about", options)?;
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
        let pairs = self.keyspace(table).prefix(prefix).map(|entry| {
            let (key, value) = entry.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        });
        pairs.filter(|pair: &Result<Pair, _>| !pair.as_ref().is_ok_and(|(key, _)| key == MARK))
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

/// Without one fjall begins to count anew, and takes what is written then for older than what is in its tables.
fn has_journal(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if Path::new(&entry?.file_name()).extension().is_some_and(|kind| kind == "jnl") {
            return Ok(true);
        }
    }
    Ok(false)
}

impl From<fjall::Error> for TablesError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Self::Io(error),
            fjall::Error::Poisoned => Self::Stopped,
            fjall::Error::InvalidVersion(Some(found)) => Self::Version(format!("{found:?}")),
            fjall::Error::InvalidVersion(None) => {
                Self::Damaged("the file that says its version says none".to_owned())
            }
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
