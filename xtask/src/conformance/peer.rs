//! Our side of a run: the examples of `tidegate-client` that echo. It builds them and starts the server;
//! the client is started by the suite, once it knows where its fuzzing server listens.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::{checkout::Checkout, process::show};

/// How long the server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Which build of the examples is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    Debug,
    Release,
}

/// Builds both examples in release.
pub(crate) fn build(checkout: &Checkout) -> bool {
    let mut command = checkout.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release", "-p", "tidegate-client"]);
    command.args(["--example", "echo_server", "--example", "autobahn_client"]);
    if checkout.under_ci {
        command.arg("--locked");
    }
    show(&mut command)
}

/// Where the build puts an example.
pub(crate) fn example(checkout: &Checkout, build: Build, name: &str) -> PathBuf {
    let folder = match build {
        Build::Debug => checkout.programs.clone(),
        Build::Release => checkout.programs.with_file_name("release"),
    };
    folder.join("examples").join(name)
}

/// A running echo server; it ends when this is dropped.
pub(crate) struct EchoServer {
    child: Child,
    /// Host and port that it listens on.
    pub(crate) address: String,
}

impl EchoServer {
    /// Starts it on a port of the system's choice and waits until it says which.
    pub(crate) fn start(checkout: &Checkout, build: Build) -> Result<Self, String> {
        let program = example(checkout, build, "echo_server");
        let mut command = Command::new(&program);
        command.arg("127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Self { child, address: String::new() };
        let output = server.child.stdout.take().expect("the output was asked for");
        let (sender, first_line) = sync_channel(1);
        thread::spawn(move || read_on(output, &sender));
        let line = first_line.recv_timeout(START_LIMIT);
        server.address = line.map_err(|_| format!("{} does not say where it listens", program.display()))?;
        Ok(server)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Gives the first line away and reads the others, so that the server never waits for us.
fn read_on(output: ChildStdout, first_line: &SyncSender<String>) {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    if let Some(line) = lines.next() {
        drop(first_line.send(line.trim().to_owned()));
    }
    lines.for_each(drop);
}
