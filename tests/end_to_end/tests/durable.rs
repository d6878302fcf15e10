//! Channels on disk: what survives a gateway that is killed, over and over, and what a gateway says that cannot open
//! its store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::Signal;
use serde_json::Value;
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::{Came, WebSocket};

/// Every path is a channel that is kept in `folder`.
fn configuration(folder: &Path, shards: usize, rest: &str) -> String {
    format!(
        "[listen]\nshards = {shards}\n\
         [engine]\nembedded = {{ path = {folder:?} }}\n\
         [[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\nhistory = {{ size = 100000, ttl = \"1h\" }}\n{rest}"
    )
}

fn kill(gateway: Gateway) {
    gateway.signal(Signal::KILL);
    assert_eq!(gateway.ended().signal, Some(9));
}

/// A channel that publishers write to and a subscriber follows, through gateways that are killed.
#[derive(Default)]
struct Ledger {
    /// What was acknowledged: the text by its position.
    acknowledged: BTreeMap<String, String>,
    /// What the subscriber has got, in the order in which it came.
    got: Vec<(String, String)>,
    /// What each publisher does not know the outcome of.
    unknown: BTreeMap<usize, String>,
    /// Where the subscriber stands.
    position: Option<String>,
}

/// What a publisher reports.
enum Report {
    Acknowledged { text: String, position: String },
    Unknown { publisher: usize, text: String },
}

const PUBLISHERS: usize = 3;
const ROUNDS: usize = 50;

/// Publishes one text after the other until the gateway is gone, the one of unknown outcome first; each under a key.
fn publish(
    (admin, token): (SocketAddr, String),
    (publisher, round): (usize, usize),
    unknown: Option<String>,
    reports: &mpsc::SyncSender<Report>,
    is_over: &AtomicBool,
) {
    let fresh = (0..).map(|number| format!("p{publisher} r{round} n{number}"));
    for text in unknown.into_iter().chain(fresh) {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let request = Request::post("/channels/log", text.as_str())
            .header("Content-Type", "text/plain")
            .header("Idempotency-Key", text.replace(' ', "-"))
            .header("Authorization", format_args!("Bearer {token}"));
        let answer = Stream::connect(admin).and_then(|stream| request.begin(stream)?.whole());
        let report = match answer {
            Ok(answer) if matches!(answer.status, 201 | 202) => {
                let position = answer.json()["position"].as_str().expect("a position").to_owned();
                Report::Acknowledged { text, position }
            }
            // It may have been published, and the next gateway is asked again.
            Ok(_) | Err(_) => Report::Unknown { publisher, text },
        };
        let is_unknown = matches!(report, Report::Unknown { .. });
        let _ = reports.send(report);
        if is_unknown {
            return;
        }
    }
}

/// Follows from `after` until the gateway is gone; gives the `open` and what came.
fn follow(public: SocketAddr, after: Option<String>) -> JoinHandle<(Value, Vec<(String, String)>)> {
    let query = after.map_or_else(String::new, |after| format!("?after={after}"));
    let mut socket = WebSocket::enveloped(public, &format!("/log{query}"));
    let open = socket.envelope("open");
    std::thread::spawn(move || {
        let mut got = Vec::new();
        while let Ok(Came::Text(text)) = socket.next_by(Deadline::of_patience()) {
            let envelope: Value = serde_json::from_str(&text).expect("an envelope");
            assert_eq!(envelope["type"], "message", "{envelope}");
            let text_of = |field: &str| envelope[field].as_str().expect("a text").to_owned();
            got.push((text_of("position"), text_of("text")));
        }
        (open, got)
    })
}

impl Ledger {
    /// One life of a gateway: it is killed after `enough` acknowledgements.
    fn round(&mut self, folder: &Path, round: usize, enough: usize) {
        let gateway = Gateway::configured(&configuration(folder, 1 + round % 3, ""));
        let follower = follow(gateway.public(), self.position.clone());
        let (sender, reports) = mpsc::sync_channel(1024);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let (sender, is_over) = (sender.clone(), &is_over);
                let way = (gateway.admin(), gateway.token().to_owned());
                let unknown = self.unknown.remove(&publisher);
                scope.spawn(move || publish(way, (publisher, round), unknown, &sender, is_over));
            }
            drop(sender);
            for count in 1.. {
                let Ok(report) = reports.recv() else { panic!("the publishers ended before the gateway") };
                self.note(report);
                if count == enough {
                    break;
                }
            }
            kill(gateway);
            is_over.store(true, Ordering::Relaxed);
            reports.iter().for_each(|report| self.note(report));
        });
        let (open, got) = follower.join().expect("a follower");
        assert_eq!(open["recovered"], true, "round {round}: {open}");
        self.got.extend(got);
        // Whoever got nothing yet comes back with what was said when it came.
        let opened = || open["position"].as_str().expect("a position").to_owned();
        self.position = Some(self.got.last().map_or_else(opened, |(last, _)| last.clone()));
    }

    fn note(&mut self, report: Report) {
        match report {
            Report::Acknowledged { text, position } => {
                let other = self.acknowledged.insert(text.clone(), position.clone());
                assert!(other.is_none_or(|other| other == position), "{text} has two places");
            }
            Report::Unknown { publisher, text } => drop(self.unknown.insert(publisher, text)),
        }
    }

    /// Nothing acknowledged is missing, nothing came twice, and no offset is left out.
    fn check(&self) {
        let epochs: Vec<&str> =
            self.got.iter().filter_map(|(position, _)| position.split(':').next()).collect();
        assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "the epoch goes on");
        let offsets: Vec<u64> = self
            .got
            .iter()
            .map(|(position, _)| position.split(':').nth(1).and_then(|offset| offset.parse().ok()).unwrap())
            .collect();
        assert_eq!(offsets, (1..=offsets.len() as u64).collect::<Vec<_>>());
        let places: BTreeMap<&str, &str> =
            self.got.iter().map(|(position, text)| (text.as_str(), position.as_str())).collect();
        assert_eq!(places.len(), self.got.len(), "nothing was published twice");
        for (text, position) in &self.acknowledged {
            assert_eq!(places.get(text.as_str()), Some(&position.as_str()), "{text}");
        }
    }
}

#[test]
fn what_is_acknowledged_survives_fifty_kills_and_comes_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        ledger.round(folder.path(), round, fastrand::usize(1..60));
    }
    // A last life in peace: what was of unknown outcome is settled, and all is followed to its end.
    let gateway = Gateway::configured(&configuration(folder.path(), 2, ""));
    for text in std::mem::take(&mut ledger.unknown).into_values() {
        let request = Request::post("/channels/log", text.as_str())
            .header("Content-Type", "text/plain")
            .header("Idempotency-Key", text.replace(' ', "-"));
        let answer = gateway.ask_admin(request);
        let position = answer.json()["position"].as_str().expect("a position").to_owned();
        ledger.note(Report::Acknowledged { text, position });
    }
    let end = gateway.channel("log")["position"].as_str().expect("a position").to_owned();
    let query = ledger.position.clone().map_or_else(String::new, |after| format!("?after={after}"));
    let mut socket = WebSocket::enveloped(gateway.public(), &format!("/log{query}"));
    assert_eq!(socket.envelope("open")["recovered"], true);
    while ledger.position.as_ref() != Some(&end) {
        let envelope = socket.envelope("message");
        let position = envelope["position"].as_str().expect("a position").to_owned();
        ledger.got.push((position.clone(), envelope["text"].as_str().expect("a text").to_owned()));
        ledger.position = Some(position);
    }
    ledger.check();
    assert!(ledger.acknowledged.len() >= ROUNDS, "{} were acknowledged", ledger.acknowledged.len());
}
