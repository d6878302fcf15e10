//! What stands for the tables of a store in a build without the feature `durable`: there are none, and the
//! configuration says so before anybody asks for them.

use std::fmt;
use std::io;
use std::path::Path;

/// An entry of a table.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    About,
    Heads,
    Records,
}

/// One change within a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code, reason = "nothing reads changes that nothing carries out")]
pub(super) enum Change {
    Put(Table, Vec<u8>, Vec<u8>),
    Drop(Table, Vec<u8>),
}

/// Why the tables cannot be read or written.
#[derive(Debug)]
#[allow(dead_code, reason = "only one of them happens here")]
pub(super) enum TablesError {
    Version(String),
    Damaged(String),
    Io(io::Error),
    Stopped,
}

/// There is none.
pub(super) enum Tables {}

impl Tables {
    pub(super) fn make(_folder: &Path) -> Result<Self, TablesError> {
        Err(TablesError::Io(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn open(_folder: &Path) -> Result<Self, TablesError> {
        Err(TablesError::Io(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn pairs(
        &self,
        _table: Table,
        _prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Pair, TablesError>> + use<> {
        match *self {}
        #[allow(unreachable_code, reason = "an iterator must have a type")]
        std::iter::empty()
    }

    pub(super) fn commit(&self, _changes: Vec<Change>, _sync: bool) -> Result<(), TablesError> {
        match *self {}
    }

    pub(super) fn sync(&self) -> Result<(), TablesError> {
        match *self {}
    }
}

impl fmt::Display for TablesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build keeps nothing on disk")
    }
}
