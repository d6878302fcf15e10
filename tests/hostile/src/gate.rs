//! A gateway in this process, with what a test needs to know about it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;

use tidegate_gateway::settings::{Faults, Settings};
use tidegate_gateway::{Gateway, Options, StartError, Stopped};

use crate::log;
use crate::wire::{Answer, Wire, ask};

/// The admin token of every gateway here.
pub const TOKEN: &str = "not-a-secret-but-long-enough";

/// See the module's head. Dropping it checks that no gateway's thread has panicked.
pub struct Gate {
    /// Where clients connect.
    pub public: SocketAddr,
    /// Where publishers connect.
    pub admin: SocketAddr,
    gateway: Option<Gateway>,
}

/// A whole configuration: ports of the system's choice, the token, `limits` as lines of `[limits]`, and
/// `routes` as they are.
#[must_use]
pub fn configuration(limits: &str, routes: &str) -> String {
    format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nshards = 2\n\
         [access]\nadmin_token = \"{TOKEN}\"\norigins = [\"https://app.example\"]\n\
         [limits]\n{limits}\n{routes}\n"
    )
}

/// Reads a configuration text as the gateway does.
pub fn settings(text: &str) -> Result<Settings, Faults> {
    Settings::from_text(text, "hostile.toml", &|_| None)
}

impl Gate {
    /// Starts a gateway with these limits and routes, and a route `/canary/{*rest}`.
    #[must_use]
    pub fn start(limits: &str, routes: &str) -> Self {
        Self::start_with(&configuration(limits, routes), Options::default())
    }

    /// Starts a gateway whose every other path is a channel that anyone may publish to.
    #[must_use]
    pub fn of_channels(limits: &str) -> Self {
        Self::start(limits, "[[route]]\npath = \"/{*rest}\"\nchannel = {}\npublish = \"anyone\"\n")
    }

    /// Starts a gateway that stands before one backend.
    #[must_use]
    pub fn before(backend: SocketAddr, limits: &str) -> Self {
        Self::start(
            limits,
            &format!("[[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"http://{backend}\" }}\n"),
        )
    }

    /// Starts a gateway with a whole configuration.
    #[must_use]
    pub fn start_with(text: &str, options: Options) -> Self {
        log::collect();
        let text = format!("{text}\n[[route]]\npath = \"/canary/{{*rest}}\"\nchannel = {{}}\n");
        let settings = settings(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let gateway = Gateway::start(settings, options).unwrap_or_else(|error| panic!("{error}"));
        let public = gateway.public_addresses()[0];
        let gate = Self { public, admin: gateway.admin_address(), gateway: Some(gateway) };
        // All shards answer for this, so all of them run and have opened what they need.
        assert_eq!(gate.admin("GET", "/metrics").status, 200);
        gate
    }

    /// Starts a gateway that reads `file` anew when it changes.
    #[must_use]
    pub fn reloading(text: &str, file: PathBuf) -> (Self, JoinHandle<Result<Stopped, StartError>>) {
        let path = file.clone();
        let load = Box::new(move || Settings::from_file(&path));
        let mut gate = Self::start_with(text, Options { reload_from: Some(file), load: Some(load) });
        let gateway = gate.gateway.take().expect("a gateway that was just started");
        (gate, std::thread::spawn(move || gateway.wait()))
    }

    /// Asks the public listener on a connection of its own.
    #[must_use]
    pub fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        ask(self.public, request)
    }

    /// A GET of `target` on a connection of its own.
    #[must_use]
    pub fn get(&self, target: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// A connection to the public listener.
    #[must_use]
    pub fn connect(&self) -> Wire {
        Wire::connect(self.public)
    }

    /// Publishes and gives the answer.
    #[must_use]
    pub fn publish(&self, channel: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let head = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len());
        self.admin_with("POST", &format!("/channels/{channel}"), &head, body)
    }

    /// Asks the admin listener with the token.
    #[must_use]
    pub fn admin(&self, method: &str, target: &str) -> Answer {
        self.admin_with(method, target, "", &[])
    }

    /// The same with further header lines and a body.
    #[must_use]
    pub fn admin_with(&self, method: &str, target: &str, head: &str, body: &[u8]) -> Answer {
        let mut wire = Wire::connect(self.admin);
        wire.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{head}\r\n"
        ));
        wire.send(body);
        wire.answer()
    }

    /// One sample of the metrics; 0 for what never happened.
    #[must_use]
    pub fn metric(&self, sample: &str) -> u64 {
        let text = self.admin("GET", "/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a whole number"))
    }

    /// Asks for a sample until it has the value that is `wanted`; each question is an answer of the gateway,
    /// so the shard gets its turns.
    pub fn await_metric(&self, sample: &str, wanted: u64) {
        let begun = std::time::Instant::now();
        loop {
            let value = self.metric(sample);
            if value == wanted {
                return;
            }
            assert!(begun.elapsed() < crate::wire::PATIENCE, "{sample} is {value}, not {wanted}");
        }
    }

    /// Asks for a channel until it has so many subscribers.
    pub fn await_subscribers(&self, channel: &str, wanted: u64) {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.admin("GET", &format!("/channels/{channel}")).text();
            let status: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
            if status["subscribers"] == wanted {
                return;
            }
            assert!(begun.elapsed() < crate::wire::PATIENCE, "not {wanted} subscribers: {answer}");
        }
    }

    /// Waits until nobody is connected any more.
    pub fn await_empty(&self) {
        for door in ["websocket", "tidegate.v1", "event_stream", "ndjson", "longpoll"] {
            self.await_metric(&format!("tidegate_open_connections{{door=\"{door}\"}}"), 0);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(log::panics(), 0, "a thread of a gateway has panicked");
            let answer = self.admin("GET", "/live");
            assert_eq!(answer.status, 200, "the gateway lives");
            assert!(
                self.metric("tidegate_open_connections{door=\"websocket\"}") < 100_000,
                "all shards answer"
            );
        }
    }
}
