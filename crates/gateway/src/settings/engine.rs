//! `[engine]`: where channels are kept.
//!
//! Words and a path; whether the path can be used is asked when the gateway starts.

use std::path::{Path, PathBuf};

use tidegate_inspect::words::known;

use super::document::Section;
use super::fault::{Collector, shown};
use super::vocabulary;

/// Where what is published is kept, beside memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedded {
    /// A folder; `None`: channels end with the process.
    pub path: Option<PathBuf>,
    /// When what is kept reaches the disk itself.
    pub synced: Synced,
}

/// When what was handed to the system reaches the disk itself. The end of the process loses nothing either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synced {
    /// Once a second.
    #[default]
    EverySecond,
    /// Before it is acknowledged.
    EachCommit,
}

impl Synced {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EverySecond => "interval",
            Self::EachCommit => "commit",
        }
    }
}

/// Reads the table. A relative path starts at `folder`.
pub(super) fn read(section: Section<'_>, folder: &Path, faults: &mut Collector<'_>) -> Embedded {
    let mut embedded = Embedded::default();
    let Some(section) = section.section("embedded", &vocabulary::EMBEDDED, faults) else { return embedded };
    if let Some((text, at)) = section.text("path", faults) {
        if text.is_empty() {
            faults.add(known::MISSING_KEY, at, "'path' is empty", "write the path of a folder");
        } else if !cfg!(feature = "durable") {
            let mend = "remove it, or build with the feature 'durable'";
            faults.add(known::ABSENT_KEY, at, "this build keeps nothing on disk", mend);
        } else if folder.join(text).is_file() {
            let what = format!("{} is a file", shown(text));
            faults.add(known::FILE_MISSING, at, what, "write the path of a folder");
        } else {
            embedded.path = Some(folder.join(text));
        }
    }
    if let Some((text, at)) = section.text("sync", faults) {
        match [Synced::EverySecond, Synced::EachCommit].into_iter().find(|one| one.name() == text) {
            Some(synced) => embedded.synced = synced,
            None => {
                let what = format!("'sync' is {}", shown(text));
                faults.add(known::WRONG_VALUE, at, what, "write \"interval\" or \"commit\"");
            }
        }
        if section.get("path").is_none() {
            faults.add(known::CONTRADICTION, at, "'sync' without 'path'", "add path = \"…\", or remove it");
        }
    }
    embedded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    const ROUTE: &str = "[[route]]\npath = \"/a\"\nchannel = {}\n";

    fn read(embedded: &str) -> Result<Settings, String> {
        let text = format!("[engine]\nembedded = {embedded}\n{ROUTE}");
        Settings::from_text(&text, "conf/t", &|_| None).map_err(|faults| faults.to_string())
    }

    #[test]
    fn channels_are_in_memory_unless_a_folder_is_named() {
        assert_eq!(Settings::from_text(ROUTE, "t", &|_| None).unwrap().engine, Embedded::default());
        assert_eq!(read("{}").unwrap().engine, Embedded::default());
    }

    #[test]
    #[cfg(feature = "durable")]
    fn a_folder_is_relative_to_the_file() {
        let settings = read("{ path = \"data\", sync = \"commit\" }").unwrap();
        let expected = Embedded { path: Some("conf/data".into()), synced: Synced::EachCommit };
        assert_eq!(settings.engine, expected);
        let settings = read("{ path = \"/var/lib/t\" }").unwrap();
        let expected = Embedded { path: Some("/var/lib/t".into()), synced: Synced::EverySecond };
        assert_eq!(settings.engine, expected);
    }

    #[test]
    #[cfg(feature = "durable")]
    fn what_is_wrong_is_said() {
        for (embedded, fault) in [
            ("{ path = \"\" }", "conf/t:2:21: 'path' is empty; write the path of a folder (TG-1106)"),
            (
                "{ sync = \"commit\" }",
                "conf/t:2:21: 'sync' without 'path'; add path = \"…\", or remove it (TG-1110)",
            ),
            (
                "{ path = \"a\", sync = \"no\" }",
                "conf/t:2:33: 'sync' is no; write \"interval\" or \"commit\" (TG-1108)",
            ),
            (
                "{ pat = \"a\" }",
                "conf/t:2:14: unknown key 'pat' in [engine].embedded; did you mean 'path'? (TG-1104)",
            ),
            (
                "1",
                "conf/t:2:12: 'embedded' is an integer where a table is needed; write embedded = { path = ... } (TG-1107)",
            ),
        ] {
            let found = read(embedded).unwrap_err();
            assert_eq!(found.trim_end(), fault, "{embedded}");
        }
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let found = read(&format!("{{ path = {here:?} }}")).unwrap_err();
        assert!(found.contains("Cargo.toml is a file; write the path of a folder"), "{found}");
    }

    #[test]
    #[cfg(not(feature = "durable"))]
    fn a_build_without_a_disk_says_so() {
        let found = read("{ path = \"data\" }").unwrap_err();
        assert!(found.contains("this build keeps nothing on disk; remove it, or build with"), "{found}");
    }
}
