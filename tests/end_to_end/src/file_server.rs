//! Python's own `http.server` on a folder, as people start it, with its access log. It sends Last-Modified
//! and honours If-Modified-Since, to the second.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::deadline::Deadline;
use crate::lines::Lines;

/// The running server and its folder.
#[derive(Debug)]
pub struct FileServer {
    child: Child,
    url: String,
    log: Lines,
    folder: tempfile::TempDir,
}

/// One line of the access log.
#[derive(Debug, Clone)]
pub struct Access {
    /// When the line came.
    pub at: Instant,
    /// The path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

impl FileServer {
    /// Starts `python3 -m http.server` on an empty folder and a free port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    #[must_use]
    pub fn start(python: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python);
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
        command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Lines::of(child.stdout.take().expect("stdout is piped"));
        let log = Lines::of(child.stderr.take().expect("stderr is piped"));
        let mut server = Self { child, url: String::new(), log, folder };
        // `Serving HTTP on 127.0.0.1 port 8000 (http://127.0.0.1:8000/) ...`
        server.url = output.wait("the server's port", |line| {
            let (_, rest) = line.split_once("(http://")?;
            Some(format!("http://{}", rest.split_once('/')?.0))
        });
        server
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a file by writing another one and renaming it, so that no half of it is ever served.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        self.write_modified(name, text, None);
    }

    /// The same with a file that was modified long ago.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write_long_ago(&self, name: &str, text: &str) {
        self.write_modified(name, text, Some(SystemTime::now() - Duration::from_secs(3600)));
    }

    fn write_modified(&self, name: &str, text: &str, modified: Option<SystemTime>) {
        let written = || -> io::Result<()> {
            let unfinished = self.path(&format!(".{name}.unfinished"));
            fs::write(&unfinished, text)?;
            if let Some(time) = modified {
                File::options().write(true).open(&unfinished)?.set_modified(time)?;
            }
            fs::rename(unfinished, self.path(name))
        };
        written().unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether anything is asked by then.
    #[must_use]
    pub fn is_asked_by(&self, deadline: Deadline) -> bool {
        self.log.more_than(self.log.count(), deadline)
    }

    /// The access log so far.
    #[must_use]
    pub fn accesses(&self) -> Vec<Access> {
        self.log.all().iter().filter_map(|line| access(&line.text, line.at)).collect()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the file server printed:\n{}", self.log.text());
        }
    }
}

/// `127.0.0.1 - - [22/Nov/2026 17:20:01] "GET /a.json HTTP/1.1" 200 -`.
fn access(line: &str, at: Instant) -> Option<Access> {
    let (_, rest) = line.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let path = request.split(' ').nth(1)?.to_owned();
    let status = rest.split(' ').next()?.parse().ok()?;
    Some(Access { at, path, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_access_log_is_read() {
        let line = "127.0.0.1 - - [22/Nov/2026 17:20:01] \"GET /a.json HTTP/1.1\" 304 -";
        let access = access(line, Instant::now()).expect("a line of the log");
        assert_eq!((access.path.as_str(), access.status), ("/a.json", 304));
    }
}
