//! The gateway that is measured: a process of its own, mostly with one shard, its addresses read from what it prints,
//! its counters asked for over HTTP. It ends by SIGINT, so that a tool around it can write its report.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

use super::record::TOKEN;
use crate::process::{forward, quiet};

/// What a start may take, under a tool that makes it fifty times slower.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running gateway, killed when dropped.
pub(super) struct Gateway {
    child: Child,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Starts `command`, whose last argument is the binary, with so many shards and ports of the system's choice.
    pub(super) fn start(command: Command, shards: &str) -> Result<Self, String> {
        Self::start_with(command, shards, &[])
    }

    /// The same with further arguments of `serve`.
    pub(super) fn start_with(mut command: Command, shards: &str, further: &[&str]) -> Result<Self, String> {
        command.args(["serve", "--shards", shards, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(further);
        command.env("TIDEGATE_ADMIN_TOKEN", TOKEN).env_remove("TIDEGATE_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the gateway: {error}"))?;
        let (sender, lines) = sync_channel(256);
        let output = child.stderr.take();
        thread::spawn(move || output.map(|output| forward(output, &sender)));
        match addresses(&lines) {
            Some((public, admin)) => {
                // What it prints from now on is of no use, but has to be taken.
                thread::spawn(move || lines.iter().for_each(drop));
                Ok(Self { child, public, admin })
            }
            None => {
                drop(child.kill());
                drop(child.wait());
                Err("the gateway does not say where it listens".to_owned())
            }
        }
    }

    /// Its process.
    pub(super) fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// Where clients of the channel connect.
    pub(super) fn channel_url(&self) -> String {
        format!("ws://{}/load", self.public)
    }

    /// Where publications of the channel are posted.
    pub(super) fn publish_url(&self) -> String {
        format!("http://{}/channels/load", self.admin)
    }

    /// The value of a counter.
    pub(super) fn counter(&self, name: &str) -> Result<f64, String> {
        let text = self.metrics().map_err(|error| format!("metrics: {error}"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("no {name} in the metrics"))
    }

    fn metrics(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        let fields = format!("Host: {}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close", self.admin);
        stream.write_all(format!("GET /metrics HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Ends it and waits until it has ended.
    pub(super) fn end(mut self) -> Result<(), String> {
        interrupt(&self.process());
        self.child.wait().map(drop).map_err(|error| format!("the gateway: {error}"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends SIGINT.
pub(super) fn interrupt(process: &str) {
    quiet(Command::new("kill").args(["-INT", process]));
}

/// The public and the admin address, from the lines that a gateway prints at its start.
fn addresses(lines: &Receiver<String>) -> Option<(SocketAddr, SocketAddr)> {
    let mut public = None;
    loop {
        let line = lines.recv_timeout(START_LIMIT).ok()?;
        let address = || line.split_once("http://")?.1.split(['/', ',']).next()?.parse().ok();
        if line.starts_with("tidegate listens on ") {
            public = address();
        } else if line.trim_start().starts_with("admin ") {
            return Some((public?, address()?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_up_lines_are_read() {
        let (sender, lines) = sync_channel(8);
        for line in [
            "==1== a tool says something",
            "tidegate listens on http://127.0.0.1:80",
            "  publish   tidegate publish hello 'first message' --admin http://127.0.0.1:81",
            "  admin     curl -H \"Authorization: Bearer $TIDEGATE_ADMIN_TOKEN\" http://127.0.0.1:81/channels",
        ] {
            sender.send(line.to_owned()).unwrap();
        }
        let expected = (SocketAddr::from(([127, 0, 0, 1], 80)), SocketAddr::from(([127, 0, 0, 1], 81)));
        assert_eq!(addresses(&lines), Some(expected));
        drop(sender);
        assert_eq!(addresses(&lines), None);
    }
}
