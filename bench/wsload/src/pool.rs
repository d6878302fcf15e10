//! A set of client connections under one poller: opened with a bound on how many open at a time, then read
//! round by round. Messages go to whoever calls; pings are answered here. Else only what is queued is sent.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::linux::{self, BOTH, Poller, READABLE, WRITABLE};
use crate::wire::{self, Door, Frame};

/// Connections that are being opened at the same time.
const OPENING: usize = 128;
/// Bytes of one read.
const READ_BYTES: usize = 512 * 1024;

/// Where clients go.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address.
    pub address: SocketAddrV4,
    /// What the Host field says.
    pub host: String,
    /// The path with its query.
    pub path: String,
}

impl Target {
    /// `ws://127.0.0.1:8080/path`, or the same with `http://`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or("a URL begins with ws:// or http://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = host.parse().map_err(|error| format!("{host}: {error}; write ADDRESS:PORT"))?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { address, host: host.to_owned(), path: path.to_owned() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    AwaitingAnswer,
    Open,
    Ended,
}

struct Connection {
    socket: OwnedFd,
    state: State,
    /// An answer or a frame that is not whole.
    partial: Vec<u8>,
    /// What was queued and the socket did not take.
    unsent: Vec<u8>,
    begun: u64,
}

/// The connections.
pub struct Pool {
    door: Door,
    poller: Poller,
    spins: bool,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    open: usize,
    /// Connections that failed or ended.
    pub ended: usize,
    /// Why the first one did.
    pub first_failure: Option<String>,
    /// Bytes that came after the handshakes.
    pub received_bytes: u64,
    /// From the connect to the answer.
    pub handshakes: Histogram,
}

impl Pool {
    /// No connections yet. One that spins never sleeps in its poller.
    pub fn new(door: Door, spins: bool) -> io::Result<Self> {
        Ok(Self {
            door,
            poller: Poller::new()?,
            spins,
            connections: Vec::new(),
            buffer: vec![0; READ_BYTES],
            open: 0,
            ended: 0,
            first_failure: None,
            received_bytes: 0,
            handshakes: Histogram::new(),
        })
    }

    /// Opens connections until there are `count`, or says how far it came by the deadline.
    pub fn open(&mut self, target: &Target, count: usize, limit: Duration) -> Result<(), String> {
        let request = wire::opening(self.door, &target.host, &target.path);
        self.open_each(target, count, limit, |_| request.clone(), || Ok(()))
    }

    /// The same where each connection asks in its own way; `meanwhile` is called again and again.
    pub fn open_each(
        &mut self,
        target: &Target,
        count: usize,
        limit: Duration,
        request_of: impl Fn(usize) -> Vec<u8>,
        mut meanwhile: impl FnMut() -> io::Result<()>,
    ) -> Result<(), String> {
        let deadline = linux::now() + limit.as_nanos() as u64;
        while self.open + self.ended < count && linux::now() < deadline {
            while self.connections.len() < count && self.connections.len() - self.open - self.ended < OPENING
            {
                self.begin(target).map_err(|error| format!("connecting: {error}"))?;
            }
            for place in 0..self.poller.wait(100) {
                self.advance(self.poller.ready(place), &request_of);
            }
            meanwhile().map_err(|error| error.to_string())?;
        }
        if self.open == count {
            return Ok(());
        }
        let why = self.first_failure.as_deref().unwrap_or("time is over");
        Err(format!("{} of {count} connections are open: {why}", self.open))
    }

    fn begin(&mut self, target: &Target) -> io::Result<()> {
        let begun = linux::now();
        let socket = linux::begin_connect(target.address)?;
        self.poller.add(&socket, self.connections.len(), WRITABLE)?;
        let state = State::Connecting;
        self.connections.push(Connection { socket, state, partial: Vec::new(), unsent: Vec::new(), begun });
        Ok(())
    }

    /// One step of a handshake.
    fn advance(&mut self, number: usize, request_of: &impl Fn(usize) -> Vec<u8>) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let advanced = match connection.state {
            State::Connecting => {
                connection.state = State::AwaitingAnswer;
                let sent = linux::send_all(&connection.socket, &request_of(number));
                sent.and_then(|()| self.poller.modify(&connection.socket, number, READABLE))
            }
            State::AwaitingAnswer => self.read_answer(number),
            // What comes meanwhile waits in the socket for the first round.
            State::Open | State::Ended => Ok(()),
        };
        if let Err(error) = advanced {
            self.end(number, &format!("handshake: {error}"));
        }
    }

    fn read_answer(&mut self, number: usize) -> io::Result<()> {
        let connection = &mut self.connections[number];
        let Some(count) = linux::receive(&connection.socket, &mut self.buffer)? else { return Ok(()) };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        connection.partial.extend_from_slice(&self.buffer[..count]);
        match wire::opened(self.door, &connection.partial) {
            None => Ok(()),
            Some(Err(answer)) => Err(io::Error::other(answer)),
            Some(Ok(length)) => {
                connection.partial = connection.partial.split_off(length);
                connection.state = State::Open;
                self.open += 1;
                self.handshakes.record(linux::now() - connection.begun);
                Ok(())
            }
        }
    }

    fn end(&mut self, number: usize, why: &str) {
        let connection = &mut self.connections[number];
        if connection.state == State::Open {
            self.open -= 1;
        }
        connection.state = State::Ended;
        self.ended += 1;
        self.first_failure.get_or_insert_with(|| why.to_owned());
        // The socket stays until the end of the run; nothing is watched for any more.
        let _ = self.poller.modify(&connection.socket, number, rustix::event::epoll::EventFlags::empty());
    }

    /// One round: reads what is there and gives each message with the number of its connection. Events of a
    /// stream are not taken apart: their bytes are counted only.
    pub fn round(&mut self, milliseconds: u32, mut on_message: impl FnMut(usize, &Frame<'_>)) {
        let ready = self.poller.wait(if self.spins { 0 } else { milliseconds });
        for place in 0..ready {
            let number = self.poller.ready(place);
            if self.connections.get(number).is_some_and(|connection| connection.state == State::Open)
                && let Err(error) = self.read(number, &mut on_message).and_then(|()| self.send_unsent(number))
            {
                self.end(number, &format!("reading: {error}"));
            }
        }
    }

    /// Sends frames on a connection, at once or as soon as its socket takes them.
    pub fn queue(&mut self, number: usize, frames: &[u8]) -> io::Result<()> {
        let connection = &mut self.connections[number];
        if !connection.unsent.is_empty() {
            connection.unsent.extend_from_slice(frames);
            return Ok(());
        }
        let count = linux::send_some(&connection.socket, frames)?;
        if count == frames.len() {
            return Ok(());
        }
        connection.unsent.extend_from_slice(&frames[count..]);
        self.poller.modify(&connection.socket, number, BOTH)
    }

    fn send_unsent(&mut self, number: usize) -> io::Result<()> {
        let connection = &mut self.connections[number];
        if connection.unsent.is_empty() {
            return Ok(());
        }
        let count = linux::send_some(&connection.socket, &connection.unsent)?;
        connection.unsent.drain(..count);
        if connection.unsent.is_empty() {
            self.poller.modify(&connection.socket, number, READABLE)
        } else {
            Ok(())
        }
    }

    fn read(&mut self, number: usize, on_message: &mut impl FnMut(usize, &Frame<'_>)) -> io::Result<()> {
        let connection = &mut self.connections[number];
        let kept = connection.partial.len();
        self.buffer.resize(READ_BYTES.max(kept * 2), 0);
        self.buffer[..kept].copy_from_slice(&connection.partial);
        let Some(count) = linux::receive(&connection.socket, &mut self.buffer[kept..])? else {
            return Ok(());
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received_bytes += count as u64;
        connection.partial.clear();
        if self.door == Door::EventStream {
            return Ok(());
        }
        let (mut rest, mut pongs) = (&self.buffer[..kept + count], Vec::new());
        while let Some(frame) = wire::frame(rest) {
            rest = &rest[frame.length..];
            match frame.opcode {
                0..=2 => on_message(number, &frame),
                8 => return Err(io::Error::other("the server closed")),
                9 => wire::append_pong(frame.payload, &mut pongs),
                _ => {}
            }
        }
        connection.partial.extend_from_slice(rest);
        if pongs.is_empty() { Ok(()) } else { linux::send_all(&connection.socket, &pongs) }
    }
}
