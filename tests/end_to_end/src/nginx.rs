//! nginx in front of a gateway, as an unwilling proxy: on a socket of the file system, so that it needs no port, with
//! what a test writes into its `location`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::lines::Lines;

/// A running nginx, killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    log: Lines,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it before a server. `directives` stand beside `proxy_pass`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[track_caller]
    #[must_use]
    pub fn before(nginx: &Path, server: SocketAddr, directives: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration(folder.path(), server, directives))
            .expect("a file in a temporary folder");
        let mut command = Command::new(nginx);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Lines::of(child.stderr.take().expect("stderr is piped"));
        let server = Self { child, log, folder };
        // It listens before it says how it will wait.
        server.log.wait("nginx", |line| line.contains("event method").then_some(()));
        server
    }

    /// The socket that it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("nginx printed:\n{}", self.log.text());
        }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// One process in the foreground, which writes nothing outside its folder.
fn configuration(folder: &Path, server: SocketAddr, directives: &str) -> String {
    let (folder, socket) = (folder.display(), socket(folder));
    let socket = socket.display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.iter().map(|kind| format!("{kind}_temp_path {folder}/{kind};\n")).collect();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr notice;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n{temporary}access_log off;\n\
         server {{\nlisten unix:{socket};\n\
         location / {{\nproxy_pass http://{server};\nproxy_set_header Host $http_host;\n{directives}\n}}\n}}\n}}\n"
    )
}
