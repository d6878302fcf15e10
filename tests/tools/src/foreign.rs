//! Where the packages of npm and PyPI live: `node_modules` in `tests/foreign`, `web/client` and `web/page`, and a virtual
//! environment in the user's cache, each stamped with the list that it was made from. It decides places and
//! whether they are current; filling them is in the set-up of `xtask`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The folder `tests/foreign` of this checkout: scripts in other languages and their package lists.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("foreign")
}

/// The folder `web/client` of this checkout: the browser module.
pub fn browser_module() -> PathBuf {
    root().join("web/client")
}

/// The folder `web/page` of this checkout: the page of the admin listener.
pub fn page() -> PathBuf {
    root().join("web/page")
}

fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("tests/tools lies two folders below the root")
}

/// `$XDG_CACHE_HOME/tidegate`, or `~/.cache/tidegate`, or the system's temporary folder without a home.
pub fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("tidegate")
}

/// A set of packages installed from a list, and the stamp that says from which one.
#[derive(Debug)]
pub struct Installed {
    /// The list: `package-lock.json` or `requirements.txt`.
    pub list: PathBuf,
    /// Where the packages are.
    pub folder: PathBuf,
}

impl Installed {
    /// The packages of npm that tests drive.
    pub fn node() -> Self {
        Self::npm(&folder())
    }

    /// The packages of npm that make and test the browser module.
    pub fn browser_module() -> Self {
        Self::npm(&browser_module())
    }

    /// The packages of npm that make the page of the admin listener.
    pub fn page() -> Self {
        Self::npm(&page())
    }

    fn npm(folder: &Path) -> Self {
        Self { list: folder.join("package-lock.json"), folder: folder.join("node_modules") }
    }

    /// The packages of PyPI. Checkouts share the cache, so the list's hash is part of the name.
    pub fn python() -> Self {
        let list = folder().join("requirements.txt");
        let hash = fnv1a(&fs::read(&list).unwrap_or_default());
        Self { list, folder: cache().join(format!("python-{hash:016x}")) }
    }

    /// Whether a complete installation of the present list is there.
    pub fn is_current(&self) -> bool {
        match (fs::read(&self.list), fs::read(self.stamp())) {
            (Ok(list), Ok(stamp)) => list == stamp,
            _ => false,
        }
    }

    /// Says that the installation is complete; to be called last.
    pub fn mark_current(&self) -> io::Result<()> {
        fs::copy(&self.list, self.stamp()).map(drop)
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join(".tidegate-installed-from")
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_current_only_for_the_list_it_was_made_from() {
        let folder = env::temp_dir().join(format!("tidegate-installed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let installed = Installed { list: folder.join("list"), folder: folder.clone() };
        assert!(!installed.is_current());
        fs::write(&installed.list, "one==1").unwrap();
        assert!(!installed.is_current());
        installed.mark_current().unwrap();
        assert!(installed.is_current());
        fs::write(&installed.list, "one==2").unwrap();
        assert!(!installed.is_current());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
