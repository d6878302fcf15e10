//! Files that are read anew when they change: whether they have, told once they have stopped changing, so
//! that none is read half-written.
//!
//! Looked at from time to time, not by notifications of the system: those miss files behind links and
//! mounts, which is how orchestrators exchange them.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What tells two states of a file apart: when and where it was written, and how long it is.
type Stamp = Option<(i64, i64, u64, u64)>;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Stamp>,
    changing: Option<Vec<Stamp>>,
}

impl Watched {
    /// The files as they are now count as known.
    pub(crate) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watched = Self { files: files.into_iter().collect(), seen: Vec::new(), changing: None };
        watched.seen = watched.stamps();
        watched
    }

    /// True if the files have changed, and were the same at the last two looks.
    pub(crate) fn look(&mut self) -> bool {
        let now = self.stamps();
        if now == self.seen {
            self.changing = None;
            return false;
        }
        if self.changing.as_ref() == Some(&now) {
            self.seen = now;
            self.changing = None;
            return true;
        }
        self.changing = Some(now);
        false
    }

    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &PathBuf| {
            let about = std::fs::metadata(path).ok()?;
            Some((about.mtime(), about.mtime_nsec(), about.len(), about.ino()))
        };
        self.files.iter().map(stamp).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_when_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "1").expect("a file");
        let mut watched = Watched::new([file.clone(), other.clone()]);
        assert!(!watched.look());
        std::fs::write(&file, "22").expect("a file");
        assert!(!watched.look(), "it may still be written to");
        std::fs::write(&file, "333").expect("a file");
        assert!(!watched.look(), "it was");
        assert!(watched.look());
        assert!(!watched.look());
        // Another file in its place, with the same length.
        std::fs::write(&other, "444").expect("a file");
        std::fs::rename(&other, &file).expect("a rename");
        assert_eq!([watched.look(), watched.look(), watched.look()], [false, true, false]);
    }
}
