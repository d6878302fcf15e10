//! The admin token that is made when nobody configured one, and the file by which the commands of the same
//! user find it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::settings::Secret;

/// A token's bytes of randomness.
const TOKEN_BYTES: usize = 32;

/// Bytes of a file that is read.
const FILE_MAX_BYTES: u64 = 4096;

/// A file with a token, removed when dropped.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    token: Secret,
}

/// A new token: 256 random bits in hexadecimal.
pub(crate) fn make() -> io::Result<Secret> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::parse(&text).map_err(|error| io::Error::other(error.to_string()))
}

/// Where a gateway with this admin address leaves the token that it made.
#[must_use]
pub fn token_path(admin: SocketAddr) -> PathBuf {
    path_in(&folder(), admin)
}

/// Reads the token that a running gateway of this user left, if there is one.
pub fn read_token(admin: SocketAddr) -> io::Result<String> {
    read(&token_path(admin))
}

/// A listener on every address is reached by loopback.
fn path_in(folder: &Path, mut admin: SocketAddr) -> PathBuf {
    match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => admin.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => admin.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    folder.join(format!("admin-{admin}.token"))
}

/// The runtime folder of this user.
fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("tidegate"),
        None => std::env::temp_dir().join(format!("tidegate-{}", rustix::process::getuid().as_raw())),
    }
}

impl TokenFile {
    pub(crate) fn write(admin: SocketAddr, token: &Secret) -> io::Result<Self> {
        Self::write_in(&folder(), admin, token)
    }

    fn write_in(folder: &Path, admin: SocketAddr, token: &Secret) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::getuid().as_raw() {
            // Somebody else made a folder of this name in a place that all may write to.
            return Err(denied(
                folder,
                "belongs to somebody else: set XDG_RUNTIME_DIR or TIDEGATE_ADMIN_TOKEN",
            ));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let path = path_in(folder, admin);
        // A file that a killed gateway left behind.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", token.expose())?;
        Ok(Self { path, token: token.clone() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // Another gateway may have taken the address and written its own.
        if read(&self.path).is_ok_and(|text| text == self.token.expose()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file that others could have written, or can read, holds no token of this user.
fn read(path: &Path) -> io::Result<String> {
    let file: fs::File =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?.into();
    let metadata = file.metadata()?;
    if !metadata.is_file()
        || metadata.uid() != rustix::process::getuid().as_raw()
        || metadata.mode() & 0o077 != 0
    {
        return Err(denied(path, "does not belong to this user alone"));
    }
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

fn denied(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn a_file_for_each_address_that_goes_with_its_gateway() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("tidegate");
        let (ours, theirs) = (make().expect("random bytes"), make().expect("random bytes"));
        let file = TokenFile::write_in(&folder, address("0.0.0.0:8081"), &ours).expect("written");
        let _other = TokenFile::write_in(&folder, address("127.0.0.2:8081"), &theirs).expect("written");
        let read_at = |text: &str| read(&path_in(&folder, address(text)));
        assert_eq!(read_at("127.0.0.1:8081").expect("read"), ours.expose());
        assert_eq!(read_at("127.0.0.2:8081").expect("read"), theirs.expose());
        assert!(read_at("[::1]:8081").is_err());
        assert_eq!((mode(file.path()), mode(&folder)), (0o600, 0o700));
        // Another gateway has the address meanwhile.
        let again = TokenFile::write_in(&folder, address("127.0.0.1:8081"), &theirs).expect("written");
        drop(file);
        assert_eq!(read_at("127.0.0.1:8081").expect("read"), theirs.expose());
        drop(again);
        assert!(read_at("127.0.0.1:8081").is_err());
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_a_link_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path_in(folder.path(), address("127.0.0.1:8081"));
        fs::write(&path, "token").expect("written");
        for (mode, is_believed) in [(0o640, false), (0o604, false), (0o600, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
            assert_eq!(read(&path).is_ok(), is_believed, "{mode:o}");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(read(&link).is_err());
    }

    #[test]
    fn a_place_that_is_no_folder_gets_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::create_dir(&real).expect("a folder");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let token = make().expect("random bytes");
        assert!(TokenFile::write_in(&link, address("127.0.0.1:1"), &token).is_err());
    }
}
