//! The files of the repository: paths relative to its root, and text. Build output, foreign packages
//! and version control are left out; a file that is not UTF-8 has no text and no rule reads it.

use std::{
    fs,
    path::{Path, PathBuf},
};

const LEFT_OUT: &[&str] = &[".git", "__pycache__", "node_modules", "target"];

/// One text file.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative to the root, with `/` between the parts.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl File {
    /// A file from its parts, for samples.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether this is Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test or benchmark code. `src` inside `tests/` is the source of a test crate.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let in_folder = |folder| self.path.starts_with(folder) || self.path.contains(&format!("/{folder}"));
        name == "tests.rs" || name.ends_with("_tests.rs") || in_folder("tests/") || in_folder("benches/")
    }

    /// The last part of the path, without `.rs`.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".rs").unwrap_or(name)
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_owned()
}

/// All text files, sorted by path.
///
/// # Panics
///
/// If a folder cannot be read: a rule that sees only half of the tree would hold by accident.
pub fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry of a readable folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the type of an entry");
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        } else if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_sees_sources_and_leaves_build_output_out() {
        let files = files();
        assert!(files.iter().any(|file| file.path == "tests/tidy/src/tree.rs"));
        assert!(files.iter().any(|file| file.path == "Cargo.lock"));
        assert!(!files.iter().any(|file| file.path.contains("target/")));
    }

    #[test]
    fn test_files_are_told_from_sources() {
        let is_test = |path| File::new(path, "").is_test();
        assert!(is_test("crates/hub/tests/order.rs"));
        assert!(is_test("crates/hub/src/hub/tests.rs"));
        assert!(is_test("tests/tools/src/lib.rs"));
        assert!(!is_test("crates/hub/src/hub.rs"));
        assert!(!is_test("crates/hub/src/contests.rs"));
    }
}
