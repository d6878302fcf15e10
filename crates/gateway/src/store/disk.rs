//! The folder of a store: locked for one process, made whole or not at all, read at the start and written in runs of
//! orders. What it holds outlives the process; nothing is cached here.
//!
//! ```text
//!  PATH/lock       held as long as the process lives
//!  PATH/reached    how far the tables have come, see `progress`
//!  PATH/history/   the tables
//! ```

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_hub::{ChannelName, Epoch, Position};
use tidegate_inspect::words::known::{self, Known};

use super::contents::{self, Found};
use super::order::{Act, Order};
use super::progress::{Progress, REACHED};
use super::record::{Head, Record, milliseconds, record_key};
use super::tables::{Change, Table, Tables, TablesError};
use crate::settings::Synced;

/// What may lie in a store's folder; `lost+found` is in every new file system.
const OWN: [&str; 6] = ["lock", REACHED, "history", "new", "probe", "lost+found"];

/// The rights of folders that hold what was published.
const PRIVATE: u32 = 0o700;

/// Room that there must be before a store that could not write is opened again.
const PROBE_BYTES: usize = 1024 * 1024;

/// Stands in the store, with the boot of the machine, while the disk may not have what was acknowledged.
const UNSYNCED: &[u8] = b"unsynced";

/// Stands in the store with the number of its batches.
const COMMITS: &[u8] = b"commits";

/// Why there is no store. The text says what to do.
#[derive(Debug)]
pub enum StoreError {
    /// The folder cannot be made or used.
    Path(PathBuf, io::Error),
    /// Another process holds it.
    Locked(PathBuf),
    /// There are other files in it.
    Foreign(PathBuf, String),
    /// It is of another version of this program.
    Version(PathBuf, String),
    /// What is in it is not what was written.
    Damaged(PathBuf, String),
}

/// Why what is in a store is not believed to be all that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// The machine went down, and not every batch was waited for.
    PowerLost,
    /// There is less than there was, or the file that tells it is not there.
    Behind,
}

/// See the module's head.
pub(crate) struct Disk {
    path: PathBuf,
    /// Closed while it cannot write.
    tables: Option<Tables>,
    progress: Progress,
    /// Held as long as this lives.
    _lock: File,
}

impl Disk {
    /// Opens the store in the folder `path`, or makes one there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::Path(path.to_owned(), error);
        private_folder(path).map_err(unusable)?;
        refuse_foreign(path)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"));
        let lock = lock.map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked(path.to_owned()),
            TryLockError::Error(error) => unusable(error),
        })?;
        guarded(path, || {
            if !path.join("history").exists() {
                Progress::begin(path).map_err(TablesError::Io)?;
                make_tables(path)?;
            }
            // The folder that was given may be everybody's, what was published is not.
            let history = path.join("history");
            fs::set_permissions(&history, Permissions::from_mode(PRIVATE)).map_err(TablesError::Io)?;
            let tables = Tables::open(&history)?;
            let progress = Progress::resume(path, commits(&tables)?).map_err(TablesError::Io)?;
            Ok(Self { path: path.to_owned(), tables: Some(tables), progress, _lock: lock })
        })
    }

    /// Begins a life of the store. If the one before was on a machine that has been started anew since, and had not
    /// come to its end, and `synced` was not its way either, then what was heard of last may be gone; so it is if there
    /// is less than there was. Each channel then gets a new epoch, so that no position of before is mistaken for one
    /// of after. Gives why, if that was so.
    pub(crate) fn begin(
        &mut self,
        synced: Synced,
        boot: Option<&str>,
        fresh: &mut dyn FnMut() -> Epoch,
    ) -> Result<Option<Suspicion>, StoreError> {
        let progress = &mut self.progress;
        guarded(&self.path, || {
            let tables = self.tables.as_ref().ok_or(TablesError::Stopped)?;
            let here = boot.unwrap_or_default().as_bytes().to_vec();
            let known = tables.pairs(Table::About, UNSYNCED).next().transpose()?;
            let power_lost = known.is_some_and(|(_, there)| there != here).then_some(Suspicion::PowerLost);
            let behind = progress.is_behind().then_some(Suspicion::Behind);
            let suspicion = power_lost.or(behind);
            if suspicion.is_some() {
                contents::renew(tables, fresh)?;
            }
            let change = match synced {
                Synced::EverySecond => Change::Put(Table::About, UNSYNCED.to_vec(), here),
                Synced::EachCommit => Change::Drop(Table::About, UNSYNCED.to_vec()),
            };
            tables.commit(vec![change], true)?;
            if suspicion.is_some() {
                progress.settle().map_err(TablesError::Io)?;
            }
            Ok(suspicion)
        })
    }

    /// Ends a life of the store: all of it is on the disk itself.
    pub(crate) fn end(&mut self) -> Result<(), Arc<str>> {
        self.sync()?;
        self.commit(vec![Change::Drop(Table::About, UNSYNCED.to_vec())], true)
    }

    /// Reads the contents: see [`contents::load`].
    pub(crate) fn load(
        &self,
        is_wanted: &dyn Fn(&ChannelName) -> bool,
        max_bytes: usize,
        max_dormant: usize,
    ) -> Result<Found, StoreError> {
        guarded(&self.path, || {
            let tables = self.tables.as_ref().ok_or(TablesError::Stopped)?;
            contents::load(tables, is_wanted, max_bytes, max_dormant)
        })
    }

    /// Carries out a run of orders as one batch. No channel is removed in it and also appended to.
    pub(crate) fn write(&mut self, run: &[Order], sync: bool) -> Result<(), Arc<str>> {
        let changes = changes_of(run.iter().map(|order| &order.act));
        self.commit(changes, sync)
    }

    /// Makes sure that the publications of a run that failed are not there, with the places of their channels as
    /// they were before it.
    pub(crate) fn take_back(&mut self, run: &[Act]) -> Result<(), Arc<str>> {
        let mut heads: HashMap<&ChannelName, Head> = HashMap::new();
        let mut changes = Vec::new();
        for act in run {
            let Act::Append { channel, position, at, forgotten, .. } = act else { continue };
            changes.push(Change::Drop(Table::Records, record_key(channel, position.offset)));
            let before = Position { offset: position.offset - 1, ..*position };
            let first = forgotten.end.min(position.offset);
            // The first of the run stands at the place to go back to.
            heads.entry(channel).or_insert(Head { position: before, first, at_ms: milliseconds(*at) });
        }
        for (channel, head) in heads {
            let key = channel.as_ref().as_bytes().to_vec();
            changes.push(match head.position.offset {
                0 => Change::Drop(Table::Heads, key),
                _ => Change::Put(Table::Heads, key, head.write()),
            });
        }
        self.commit(changes, true)
    }

    /// Waits until all that was written is on the disk itself.
    pub(crate) fn sync(&self) -> Result<(), Arc<str>> {
        let Some(tables) = &self.tables else { return Err("the store is closed".into()) };
        tables.sync().map_err(|error| self.reason(&error))
    }

    /// Closes the tables: what could not be written is given up.
    pub(crate) fn close(&mut self) {
        self.tables = None;
    }

    /// Opens them again, if there is room to write.
    pub(crate) fn reopen(&mut self) -> Result<(), Arc<str>> {
        self.probe().map_err(|error| -> Arc<str> { error.to_string().into() })?;
        let folder = self.path.join("history");
        let opened = guarded(&self.path, || Tables::open(&folder));
        self.tables = Some(opened.map_err(|error| -> Arc<str> { error.to_string().into() })?);
        Ok(())
    }

    /// Bytes that the store takes on the disk.
    pub(crate) fn used_bytes(&self) -> u64 {
        used_bytes(&self.path)
    }

    fn commit(&mut self, mut changes: Vec<Change>, sync: bool) -> Result<(), Arc<str>> {
        let Some(tables) = &self.tables else { return Err("the store is closed".into()) };
        let commits = self.progress.commits() + 1;
        changes.push(Change::Put(Table::About, COMMITS.to_vec(), commits.to_be_bytes().to_vec()));
        tables.commit(changes, sync).map_err(|error| self.reason(&error))?;
        self.progress.reach(commits);
        Ok(())
    }

    /// Why the tables cannot be written. What failed in the background left no reason: whether the disk takes
    /// anything tells it.
    fn reason(&self, error: &TablesError) -> Arc<str> {
        match (error, self.probe()) {
            (TablesError::Stopped, Err(cause)) => cause.to_string().into(),
            _ => error.to_string().into(),
        }
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.path.join("probe");
        let probed = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_BYTES])?;
            file.sync_data()
        });
        // A file that cannot be removed is written over by the next probe.
        let _ = fs::remove_file(&path);
        probed
    }
}

/// Makes a folder that no other user can look into, if it is not there.
fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// Tables are made under another name, so that a folder with their own name holds them whole.
fn make_tables(path: &Path) -> Result<(), TablesError> {
    let new = path.join("new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(TablesError::Io)?;
    }
    private_folder(&new).map_err(TablesError::Io)?;
    Tables::make(&new)?.sync()?;
    fs::rename(&new, path.join("history"))
        .and_then(|()| File::open(path)?.sync_all())
        .map_err(TablesError::Io)
}

/// How many batches the tables have.
fn commits(tables: &Tables) -> Result<u64, TablesError> {
    let Some((_, value)) = tables.pairs(Table::About, COMMITS).next().transpose()? else { return Ok(0) };
    let commits = value.try_into().map(u64::from_be_bytes);
    commits.map_err(|_| TablesError::Damaged("the number of its batches".to_owned()))
}

/// The machine's present boot, where the system tells it.
pub(crate) fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let unusable = |error| StoreError::Path(path.to_owned(), error);
    if path.join("history").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name().to_string_lossy().into_owned();
        if !OWN.contains(&name.as_str()) {
            return Err(StoreError::Foreign(path.to_owned(), name));
        }
    }
    Ok(())
}

/// Does what reads tables: where these are damaged it may panic, which is an answer, too.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, TablesError>) -> Result<T, StoreError> {
    let damaged = |what: String| StoreError::Damaged(path.to_owned(), what);
    let caught = catch_unwind(AssertUnwindSafe(act));
    let result = caught.map_err(|_| damaged("reading it has panicked".to_owned()))?;
    result.map_err(|error| match error {
        TablesError::Version(found) => StoreError::Version(path.to_owned(), found),
        // A file is missing, or cut, or there where none should be.
        TablesError::Io(error) if is_damage(&error) => damaged(error.to_string()),
        TablesError::Io(error) => StoreError::Path(path.to_owned(), error),
        TablesError::Damaged(_) | TablesError::Stopped => damaged(error.to_string()),
    })
}

fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), AlreadyExists | InvalidData | NotFound | UnexpectedEof)
}

/// What a run of orders changes; where a channel stands is written once, as the last of them says.
fn changes_of<'o>(run: impl Iterator<Item = &'o Act>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut heads: HashMap<&ChannelName, Option<Head>> = HashMap::new();
    for act in run {
        let (channel, gone) = match act {
            Act::Append { channel, position, item, key, at, forgotten } => {
                let at_ms = milliseconds(*at);
                let record = Record { epoch: position.epoch, at_ms, key: key.clone(), item: item.clone() };
                let mut value = Vec::with_capacity(64 + item.payload.bytes().len());
                record.write(&mut value);
                changes.push(Change::Put(Table::Records, record_key(channel, position.offset), value));
                heads.insert(channel, Some(Head { position: *position, first: forgotten.end, at_ms }));
                (channel, forgotten)
            }
            // The head stays as it is: appends to the channel may be on their way behind this.
            Act::Forget { channel, forgotten } => (channel, forgotten),
            Act::Remove { channel, offsets } => {
                heads.insert(channel, None);
                (channel, offsets)
            }
        };
        let drop = |offset| Change::Drop(Table::Records, record_key(channel, offset));
        changes.extend(gone.clone().map(drop));
    }
    for (channel, head) in heads {
        let key = channel.as_ref().as_bytes().to_vec();
        changes.push(match head {
            Some(head) => Change::Put(Table::Heads, key, head.write()),
            None => Change::Drop(Table::Heads, key),
        });
    }
    changes
}

/// Counts blocks, since a journal is longer than what is in it. What vanishes meanwhile does not count.
fn used_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let used = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => used_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    used.sum()
}

impl StoreError {
    /// Which error it is.
    #[must_use]
    pub fn known(&self) -> &'static Known {
        match self {
            Self::Path(..) => known::STORE_FOLDER,
            Self::Locked(_) => known::STORE_LOCKED,
            Self::Foreign(..) => known::STORE_FOREIGN,
            Self::Version(..) => known::STORE_VERSION,
            Self::Damaged(..) => known::STORE_DAMAGED,
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerLost => {
                f.write_str("the machine went down while the store was open, and sync is not \"commit\"")
            }
            Self::Behind => write!(f, "the store has less than it had, or lacks its file '{REACHED}'"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path, error) => write!(
                f,
                "the store in {} cannot be used: {error}. Choose another path in [engine], or give this \
                 user the right to write there",
                path.display()
            ),
            Self::Locked(path) => write!(
                f,
                "the store in {} is in use: another process holds it. Stop that one, or choose another path \
                 in [engine]",
                path.display()
            ),
            Self::Foreign(path, name) => write!(
                f,
                "{} holds other files, such as {name:?}, and no store. Choose an empty folder in [engine]",
                path.display()
            ),
            Self::Version(path, found) => write!(
                f,
                "the store in {} was written by another version of this program (it says {found}). Start that \
                 version, or move the folder away to begin anew",
                path.display()
            ),
            Self::Damaged(path, what) => write!(
                f,
                "the store in {} is damaged: {what}. Put a copy of the folder in its place, without its file \
                 '{REACHED}', or move the folder away to begin anew; every channel is then a new epoch",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StoreError {}
