//! How far a store has come, said twice: in its tables with each batch, and in a small file beside them. Where the tables
//! have less than the file says, something that was written is missing: a journal was cut or lost, or tables come
//! from an older copy.
//!
//! The file is in the system's hands as soon as a batch is, so that it outlives the process; it is not waited for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Its name in the folder of the store.
pub(super) const REACHED: &str = "reached";

/// See the module's head.
pub(super) struct Progress {
    file: File,
    /// What the file said when it was opened; `None` if it was not there, or was none of these.
    said: Option<u64>,
    /// Batches that are in the tables.
    commits: u64,
}

impl Progress {
    /// Begins with a new store: nothing has been written.
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(true).write(true).open(folder.join(REACHED))?;
        let mut progress = Self { file, said: None, commits: 0 };
        progress.settle()?;
        Ok(progress)
    }

    /// Goes on with a store whose tables have so many batches.
    pub(super) fn resume(folder: &Path, commits: u64) -> io::Result<Self> {
        let path = folder.join(REACHED);
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let mut bytes = [0; 9];
        let said = match file.read_at(&mut bytes, 0)? {
            8 => bytes.first_chunk().map(|said| u64::from_be_bytes(*said)),
            _ => None,
        };
        Ok(Self { file, said, commits })
    }

    /// True if the tables lack something, or if nobody knows.
    pub(super) fn is_behind(&self) -> bool {
        self.said.is_none_or(|said| said > self.commits)
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// The tables have so many batches now.
    pub(super) fn reach(&mut self, commits: u64) {
        self.commits = commits;
        // A file that could not be written says less than there is, which accuses nobody.
        let _ = self.file.write_all_at(&commits.to_be_bytes(), 0);
    }

    /// Whatever the file said, it is as the tables are.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.file.set_len(8)?;
        self.file.write_all_at(&self.commits.to_be_bytes(), 0)?;
        self.said = Some(self.commits);
        self.file.sync_data()
    }
}
