//! The admin token that is made when nobody configured one, and the file by which the commands of the same
//! user find it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::settings::Secret;

/// A token's bytes of randomness.
const TOKEN_BYTES: usize = 32;

/// A file with a token, removed when dropped.
#[derive(Debug)]
pub(crate) struct TokenFile(PathBuf);

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
    folder().join(format!("admin-{}.token", admin.port()))
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
        let path = token_path(admin);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let metadata = fs::symlink_metadata(folder)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::getuid().as_raw() {
            // Somebody else made a folder of this name in a place that all may write to.
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} belongs to somebody else: set XDG_RUNTIME_DIR or TIDEGATE_ADMIN_TOKEN",
                    folder.display()
                ),
            ));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        // A file that a killed gateway left behind.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", token.expose())?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // Another gateway may have taken the port and written its own; ours is then gone already.
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads the token that a running gateway of this user left, if there is one.
pub fn read_token(admin: SocketAddr) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(token_path(admin))?.take(4096).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
