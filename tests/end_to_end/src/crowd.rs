//! The main job, done by a crowd: many clients of a few paths in front of one file server, files that change,
//! and the figures of who saw what. Each client is a thread with its own connection; what each of them saw is
//! judged at the end, against all others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::event_stream::EventStream;
use crate::file_server::FileServer;
use crate::gateway::Gateway;
use crate::http::Request;
use crate::websocket::{Came, Dial};

/// Stack of a client's thread.
const STACK_BYTES: usize = 256 * 1024;

/// A client reads on for so long after the last state: two more polls, which must bring nothing.
const AFTERWARDS: Duration = Duration::from_millis(2500);

/// A poll is due a second after the one before, up to a tenth later: this is just before it.
const JUST_BEFORE_A_POLL: Duration = Duration::from_millis(800);

/// How many clients, paths and states.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// WebSocket clients, spread evenly over the paths.
    pub sockets: usize,
    /// Clients by server-sent events, spread in the same way.
    pub streams: usize,
    /// Paths. The first one changes with each state, the others twice.
    pub paths: usize,
    /// States after the first one; an even number.
    pub states: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Figures {
    /// Clients that connected.
    pub clients: usize,
    /// States written to the first path.
    pub written: u64,
    /// Of these, how many were written in the second in which the state before them was written and polled.
    pub same_second: usize,
    /// States seen by anybody, over all paths.
    pub published: usize,
    /// The same as the gateway counts them.
    pub published_by_gateway: u64,
    /// States of its path that the client with the fewest saw.
    pub seen_least: usize,
    /// And the one with the most.
    pub seen_most: usize,
    /// States that somebody on the path saw and a client did not.
    pub missed: usize,
    /// States that came after a newer one.
    pub out_of_order: usize,
    /// States that came again.
    pub duplicates: usize,
    /// Clients that never saw the last state of their path.
    pub without_last: usize,
    /// Clients that failed, and why.
    pub failures: Vec<String>,
    /// What the file server was asked, by path.
    pub asked: BTreeMap<String, Asked>,
}

/// What the file server was asked of one path.
#[derive(Debug, Default, Clone)]
pub struct Asked {
    /// Requests.
    pub requests: usize,
    /// Of these, answered with 304.
    pub not_modified: usize,
    /// From the first to the last.
    pub span: Duration,
}

/// What one client saw.
#[derive(Debug, Default)]
struct Record {
    path: usize,
    states: Vec<u64>,
    failure: Option<String>,
}

/// What all have seen so far: how many saw the first state, and the newest state of each path as its first
/// client saw it.
#[derive(Debug, Default)]
struct Progress {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    connected: usize,
    failed: usize,
    newest: Vec<u64>,
}

impl Job {
    /// Connects everybody, changes the files, waits until all have seen the end, and lets everybody go.
    ///
    /// # Panics
    ///
    /// If a state is never seen by anybody.
    #[must_use]
    pub fn run(&self, gateway: &Gateway, files: &FileServer) -> Figures {
        for path in 0..self.paths {
            files.write_long_ago(&name(path), &document(path, 0, false));
        }
        let progress = Arc::new(Progress::default());
        progress.lock().newest = vec![0; self.paths];
        let clients = self.connect(gateway.public(), &progress);
        progress.wait("everybody is connected", |seen| seen.connected + seen.failed == clients.len());
        let same_second = self.change(files, &progress);
        let records: Vec<Record> =
            clients.into_iter().map(|client| client.join().expect("a client's thread")).collect();
        let mut figures = self.judge(&records);
        figures.same_second = same_second;
        figures.published_by_gateway = gateway.metric("tidegate_published_total") as u64;
        figures.asked = asked(files);
        figures
    }

    fn connect(&self, address: SocketAddr, progress: &Arc<Progress>) -> Vec<JoinHandle<Record>> {
        let spawn = |number: usize, by_socket: bool| {
            let (path, progress) = (number % self.paths, Arc::clone(progress));
            // The first client of each path is the one whose progress counts.
            let leads = by_socket && number < self.paths;
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            let follow = move || {
                let mut record = Record { path, ..Record::default() };
                let followed = if by_socket {
                    follow_socket(address, &mut record, leads, &progress)
                } else {
                    follow_stream(address, &mut record, leads, &progress)
                };
                if let Err(error) = followed {
                    record.failure = Some(format!("{}: {error}", name(path)));
                    progress.tell(|seen| seen.failed += usize::from(record.states.is_empty()));
                }
                record
            };
            builder.spawn(follow).expect("a thread")
        };
        let sockets = (0..self.sockets).map(|number| spawn(number, true));
        sockets.chain((0..self.streams).map(|number| spawn(number, false))).collect()
    }

    /// Writes the states, two by two: one just before a poll, the next as soon as that one has been seen, which
    /// is mostly in the same second, where a date of modification cannot tell them apart. Gives how often it was.
    fn change(&self, files: &FileServer, progress: &Progress) -> usize {
        let mut same_second = 0;
        for first in (1..=self.states).step_by(2) {
            // Nothing has changed, so nothing may come.
            let came = progress.newer_than(first - 1, Deadline::after(JUST_BEFORE_A_POLL));
            assert!(!came, "a state came that nobody wrote");
            files.write(&name(0), &document(0, first, false));
            let written = second();
            progress.wait("the first state of two", |seen| seen.newest[0] >= first);
            same_second += usize::from(second() == written);
            let last = first + 1 >= self.states;
            files.write(&name(0), &document(0, first + 1, last));
            if last || first / 2 == self.states / 4 {
                for path in 1..self.paths {
                    files.write(&name(path), &document(path, first + 1, last));
                }
            }
            progress.wait("the second state of two", |seen| seen.newest[0] > first);
        }
        let states = self.states;
        progress.wait("the last state everywhere", |seen| seen.newest.iter().all(|newest| *newest >= states));
        same_second
    }

    fn judge(&self, records: &[Record]) -> Figures {
        let mut figures = Figures { clients: records.len(), written: self.states, ..Figures::default() };
        let mut polled = vec![BTreeSet::new(); self.paths];
        for record in records {
            polled[record.path].extend(record.states.iter().copied());
        }
        figures.published = polled.iter().map(BTreeSet::len).sum();
        figures.seen_least = usize::MAX;
        for Record { path, states, failure } in records {
            let distinct: BTreeSet<u64> = states.iter().copied().collect();
            figures.failures.extend(failure.clone());
            figures.missed += polled[*path].difference(&distinct).count();
            figures.duplicates += states.len() - distinct.len();
            figures.out_of_order += states.windows(2).filter(|pair| pair[1] < pair[0]).count();
            figures.without_last += usize::from(!distinct.contains(&self.states));
            figures.seen_least = figures.seen_least.min(distinct.len());
            figures.seen_most = figures.seen_most.max(distinct.len());
        }
        figures
    }
}

impl Figures {
    /// Every promise that was not kept.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = self.failures.clone();
        let mut expect = |holds: bool, what: String| {
            if !holds {
                found.push(what);
            }
        };
        expect(self.missed == 0, format!("{} states were missed", self.missed));
        expect(self.out_of_order == 0, format!("{} states came out of order", self.out_of_order));
        expect(self.duplicates == 0, format!("{} states came twice", self.duplicates));
        expect(self.without_last == 0, format!("{} clients never saw the last state", self.without_last));
        expect(
            self.same_second > 0,
            "no two states were written in one second: this proves nothing".to_owned(),
        );
        let (seen, counted) = (self.published, self.published_by_gateway);
        expect(counted == seen as u64, format!("{seen} states were seen and {counted} published"));
        for (path, asked) in &self.asked {
            let most = asked.span.as_secs_f64() + 2.0;
            let what = format!("{path} was asked for {} times in {:?}", asked.requests, asked.span);
            expect(asked.requests as f64 <= most, what);
        }
        let share = self.share_not_modified();
        expect(share > 0.5, format!("only {share:.2} of the answers were 304"));
        found
    }

    /// Answers with 304 among all.
    #[must_use]
    pub fn share_not_modified(&self) -> f64 {
        let all: usize = self.asked.values().map(|asked| asked.requests).sum();
        let not_modified: usize = self.asked.values().map(|asked| asked.not_modified).sum();
        not_modified as f64 / all.max(1) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "clients                     {}", self.clients)?;
        writeln!(f, "states written to one path  {}", self.written)?;
        writeln!(f, "  of these in one second    {} pairs", self.same_second)?;
        writeln!(f, "states published            {}", self.published_by_gateway)?;
        writeln!(f, "states seen by a client     {} to {}", self.seen_least, self.seen_most)?;
        writeln!(f, "missed                      {}", self.missed)?;
        writeln!(f, "order violations            {}", self.out_of_order)?;
        writeln!(f, "duplicates                  {}", self.duplicates)?;
        writeln!(f, "share of 304                {:.2}", self.share_not_modified())?;
        writeln!(f, "requests by path")?;
        for (path, asked) in &self.asked {
            let Asked { requests, not_modified, span } = asked;
            let seconds = span.as_secs_f64();
            writeln!(f, "  {path:<25} {requests} in {seconds:.1} s, {not_modified} answered with 304")?;
        }
        self.failures.iter().try_for_each(|failure| writeln!(f, "failed: {failure}"))
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, what: &str, reached: impl Fn(&Seen) -> bool) {
        let found = Deadline::after(Duration::from_secs(60))
            .wait(self.lock(), &self.changed, |seen| reached(seen).then_some(()))
            .1;
        assert!(found.is_some(), "{what}: did not happen; so far {:?}", self.lock());
    }

    fn newer_than(&self, state: u64, deadline: Deadline) -> bool {
        let newer = |seen: &mut Seen| (seen.newest[0] > state).then_some(());
        deadline.wait(self.lock(), &self.changed, newer).1.is_some()
    }
}

impl Record {
    /// Takes a document; gives whether it is the last.
    fn take(&mut self, text: &str, leads: bool, progress: &Progress) -> io::Result<bool> {
        let value: Value = serde_json::from_str(text)?;
        let of_path = value["path"].as_u64() == Some(self.path as u64);
        let state = value["state"].as_u64().filter(|_| of_path);
        let state =
            state.ok_or_else(|| io::Error::other(format!("this is not for {}: {text}", self.path)))?;
        let first = self.states.is_empty();
        self.states.push(state);
        progress.tell(|seen| {
            seen.connected += usize::from(first);
            if leads {
                seen.newest[self.path] = seen.newest[self.path].max(state);
            }
        });
        Ok(value["last"] == true)
    }
}

fn follow_socket(
    address: SocketAddr,
    record: &mut Record,
    leads: bool,
    progress: &Progress,
) -> io::Result<()> {
    let target = format!("/{}", name(record.path));
    let refused = |answer: crate::http::Answer| io::Error::other(format!("refused with {}", answer.status));
    let mut socket = Dial::new(address, &target).try_open()?.map_err(refused)?;
    let mut deadline = Deadline::after(Duration::from_secs(120));
    loop {
        match socket.next_by(deadline) {
            Ok(Came::Text(text)) => {
                if record.take(&text, leads, progress)? {
                    deadline = Deadline::after(AFTERWARDS);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
    socket.close();
    Ok(())
}

fn follow_stream(
    address: SocketAddr,
    record: &mut Record,
    leads: bool,
    progress: &Progress,
) -> io::Result<()> {
    let mut stream = EventStream::try_ask(address, &Request::get(&format!("/{}", name(record.path))))?;
    let mut deadline = Deadline::after(Duration::from_secs(120));
    loop {
        match stream.next_by(deadline) {
            Ok(Some(event)) if event.name == "tidegate-open" => {}
            Ok(Some(event)) if event.name.is_empty() => {
                if record.take(&event.data, leads, progress)? {
                    deadline = Deadline::after(AFTERWARDS);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

fn name(path: usize) -> String {
    format!("p{path}.json")
}

fn document(path: usize, state: u64, last: bool) -> String {
    json!({ "path": path, "state": state, "last": last }).to_string()
}

fn second() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn asked(files: &FileServer) -> BTreeMap<String, Asked> {
    let mut all: BTreeMap<String, (Asked, Instant)> = BTreeMap::new();
    for access in files.accesses() {
        let (asked, first) = all.entry(access.path).or_insert_with(|| (Asked::default(), access.at));
        asked.requests += 1;
        asked.not_modified += usize::from(access.status == 304);
        asked.span = access.at.duration_since(*first);
    }
    all.into_iter().map(|(path, (asked, _))| (path, asked)).collect()
}
