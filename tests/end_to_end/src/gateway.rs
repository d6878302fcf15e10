//! The gateway as its users start it: the binary with a command line, its start-up lines read for where it
//! listens, its signals, its exit, and its admin listener with the token that it printed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::deadline::Deadline;
use crate::http::{Answer, Request};
use crate::lines::Lines;
use crate::websocket::Dial;

/// Where the system chooses a port.
const ANY_PORT: &str = "127.0.0.1:0";

/// A running gateway, killed when dropped. A test that fails shows what it printed.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    public: SocketAddr,
    admin: Option<SocketAddr>,
    token: String,
    log: Lines,
    folder: tempfile::TempDir,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, unless a signal killed it.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// What it printed to stderr.
    pub printed: String,
}

impl Gateway {
    /// `tidegate serve URL` and further arguments.
    #[track_caller]
    #[must_use]
    pub fn before(url: &str, arguments: &[&str]) -> Self {
        Self::start(&[&["serve", url], arguments].concat(), None, ANY_PORT)
    }

    /// `tidegate serve --config FILE` with this text in the file.
    #[track_caller]
    #[must_use]
    pub fn configured(text: &str) -> Self {
        Self::start(&["serve"], Some(text), ANY_PORT)
    }

    /// `tidegate serve URL --config FILE`: the file is for limits.
    #[track_caller]
    #[must_use]
    pub fn before_configured(url: &str, arguments: &[&str], text: &str) -> Self {
        Self::start(&[&["serve", url], arguments].concat(), Some(text), ANY_PORT)
    }

    /// `tidegate serve`: channels to publish to.
    #[track_caller]
    #[must_use]
    pub fn alone(arguments: &[&str]) -> Self {
        Self::start(&[&["serve"], arguments].concat(), None, ANY_PORT)
    }

    /// `tidegate serve --config FILE` where another gateway has been: for clients that come back.
    #[track_caller]
    #[must_use]
    pub fn configured_at(public: SocketAddr, text: &str) -> Self {
        Self::start(&["serve"], Some(text), &public.to_string())
    }

    /// `tidegate demo`.
    #[track_caller]
    #[must_use]
    pub fn demo() -> Self {
        Self::start(&["demo"], None, ANY_PORT)
    }

    #[track_caller]
    fn start(arguments: &[&str], configuration: Option<&str>, public: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tidegate.toml");
        let mut command = command(folder.path());
        command.args(arguments).args(["--listen", public, "--admin", ANY_PORT]);
        if let Some(text) = configuration {
            std::fs::write(&file, text).expect("a file in a temporary folder");
            command.arg("--config").arg(&file);
        }
        let mut child = command.spawn().expect("the binary runs");
        let log = Lines::of(child.stderr.take().expect("stderr is piped"));
        let lines = log.clone();
        // Killed by its drop from here on, whatever its start-up lines say.
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self { child, public: unknown, admin: None, token: String::new(), log, folder };
        gateway.public = lines.wait("the public address", public_address);
        if arguments[0] != "demo" {
            let (admin, token) = lines.wait("the admin address and token", admin_address);
            (gateway.admin, gateway.token) = (Some(admin), token);
        }
        gateway
    }

    /// Where clients connect.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// The URL of a path for HTTP clients.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// The URL of a path for WebSocket clients.
    #[must_use]
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.public)
    }

    /// Where publishers connect.
    ///
    /// # Panics
    ///
    /// For `demo`, which does not print it.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("demo does not print where its admin listener is")
    }

    /// The admin token that was printed.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What it prints to stderr.
    #[must_use]
    pub fn log(&self) -> &Lines {
        &self.log
    }

    /// The configuration file, for those that have one.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// The folder that the gateway takes for its user's runtime folder.
    #[must_use]
    pub fn runtime_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a request to the admin listener, with the token.
    #[track_caller]
    pub fn ask_admin(&self, request: Request) -> Answer {
        request.header("Authorization", format_args!("Bearer {}", self.token)).send(self.admin())
    }

    /// A handshake of a watcher, with the token.
    #[must_use]
    pub fn dial_watch(&self) -> Dial {
        let dial = Dial::new(self.admin(), "/watch").subprotocol("tidegate.watch.v1");
        dial.header("Authorization", format_args!("Bearer {}", self.token))
    }

    /// Publishes text; gives the position.
    ///
    /// # Panics
    ///
    /// If it is refused.
    #[track_caller]
    pub fn publish(&self, channel: &str, text: &str) -> String {
        let request =
            Request::post(&format!("/channels/{channel}"), text).header("Content-Type", "text/plain");
        let answer = self.ask_admin(request);
        assert!(matches!(answer.status, 201 | 202), "{}: {}", answer.status, answer.text());
        answer.json()["position"].as_str().expect("a position").to_owned()
    }

    /// What the admin listener says of a channel.
    #[track_caller]
    #[must_use]
    pub fn channel(&self, name: &str) -> Value {
        self.ask_admin(Request::get(&format!("/channels/{name}"))).json()
    }

    /// Waits until a channel has so many subscribers. A bare WebSocket is not told when its subscription
    /// stands, so its tests ask here.
    ///
    /// # Panics
    ///
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_subscribers(&self, channel: &str, count: u64) {
        let deadline = Deadline::of_patience();
        loop {
            let answer = self.ask_admin(Request::get(&format!("/channels/{channel}")));
            if answer.status == 200 && answer.json()["subscribers"] == count {
                return;
            }
            assert!(deadline.left().is_some(), "{channel} has not {count} subscribers: {}", answer.text());
        }
    }

    /// Waits until a metric has this value.
    ///
    /// # Panics
    ///
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_metric(&self, name: &str, value: f64) {
        let deadline = Deadline::of_patience();
        while (self.metric(name) - value).abs() > f64::EPSILON {
            assert!(deadline.left().is_some(), "{name} is {} and not {value}", self.metric(name));
        }
    }

    /// The value of one metric, with its labels as they are printed; 0 where there is none yet.
    ///
    /// # Panics
    ///
    /// If there is no number.
    #[track_caller]
    #[must_use]
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.ask_admin(Request::get("/metrics")).text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// If the process is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("the process is there");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        ended(&mut self.child, &self.log)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway printed:\n{}", self.log.text());
        }
    }
}

/// Runs the binary with these arguments until it ends by itself.
///
/// # Panics
///
/// If it does not.
#[track_caller]
#[must_use]
pub fn run(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = command(folder.path()).args(arguments).spawn().expect("the binary runs");
    let log = Lines::of(child.stderr.take().expect("stderr is piped"));
    let mut guard = Killed(child);
    ended(&mut guard.0, &log)
}

/// A process that does not outlive a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn ended(child: &mut Child, log: &Lines) -> Ended {
    log.wait_end();
    let status = child.wait().expect("the process can be waited for");
    Ended { code: status.code(), signal: status.signal(), printed: log.text() }
}

fn command(runtime_folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.env("XDG_RUNTIME_DIR", runtime_folder);
    for variable in ["TIDEGATE_ADMIN_TOKEN", "TIDEGATE_ADMIN_URL", "TIDEGATE_LOG"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The binary beside the running test: in the folder of the build's programs, one or two above the test's own.
///
/// # Panics
///
/// If it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_else(|error| panic!("this program has no path: {error}"));
    let folders: Vec<&Path> = own.ancestors().skip(1).take(2).collect();
    let found = folders.iter().map(|folder| folder.join("tidegate")).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        let error = io::Error::from(io::ErrorKind::NotFound);
        panic!("tidegate in {folders:?}: {error}. Build the workspace first: cargo build --workspace")
    })
}

/// `tidegate listens on http://127.0.0.1:8080, before …`, or the demo's line for its page.
fn public_address(line: &str) -> Option<SocketAddr> {
    let rest =
        line.strip_prefix("tidegate listens on ").or_else(|| line.trim_start().strip_prefix("page "))?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("http://").or_else(|| rest.strip_prefix("https://"))?;
    rest.split([',', '/']).next()?.parse().ok()
}

/// `  admin     curl -H 'Authorization: Bearer …' http://127.0.0.1:8081/channels`.
fn admin_address(line: &str) -> Option<(SocketAddr, String)> {
    let rest = line.trim_start().strip_prefix("admin ")?;
    let (_, rest) = rest.split_once("Bearer ")?;
    let (token, rest) = rest.split_once('\'')?;
    let address = rest.trim_start().strip_prefix("http://")?.split('/').next()?;
    Some((address.parse().ok()?, token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_up_lines_are_read() {
        let public = public_address("tidegate listens on http://127.0.0.1:80, before http://127.0.0.1:90/");
        assert_eq!(public, "127.0.0.1:80".parse().ok());
        assert_eq!(public_address("tidegate listens on http://[::1]:80"), "[::1]:80".parse().ok());
        assert_eq!(public_address("tidegate listens on https://[::1]:80"), "[::1]:80".parse().ok());
        assert_eq!(public_address("  page      http://127.0.0.1:80/"), "127.0.0.1:80".parse().ok());
        assert_eq!(public_address("pages of http://127.0.0.1:80 may connect, too"), None);
        let line = "  admin     curl -H 'Authorization: Bearer ab12' http://127.0.0.1:81/channels";
        let expected = Some((SocketAddr::from(([127, 0, 0, 1], 81)), "ab12".to_owned()));
        assert_eq!(admin_address(line), expected);
    }
}
