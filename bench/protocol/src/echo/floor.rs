//! The least that an echo server does: one thread that waits, receives, unmasks and sends. It believes every header,
//! knows no message and no limit, and answers what one read brought with one send.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tidegate_websocket::mask;

use super::ANSWER;
use crate::link::READ_BYTES;

/// The listener's number; connections have those above.
const LISTENER: u64 = 0;
/// Events of one wait.
const EVENTS: usize = 256;

struct Peer {
    stream: TcpStream,
    is_open: bool,
    /// A frame that is not whole.
    partial: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

struct Floor {
    epoll: rustix::fd::OwnedFd,
    peers: Vec<Option<Peer>>,
    buffer: Vec<u8>,
    output: Vec<u8>,
}

/// Serves until it is killed.
pub(super) fn serve(listener: TcpListener) -> Result<(), String> {
    run(&listener).map_err(|error| error.to_string())
}

fn run(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut floor =
        Floor { epoll, peers: Vec::from([None]), buffer: vec![0; READ_BYTES], output: Vec::new() };
    let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
    let mut events = vec![nothing; EVENTS];
    loop {
        let count = epoll::wait(&floor.epoll, events.as_mut_slice(), None::<&Timespec>).unwrap_or(0);
        for event in &events[..count] {
            match event.data.u64() {
                LISTENER => floor.accept(listener)?,
                number => {
                    let number = number as usize;
                    if floor.handle(number).is_err() {
                        floor.peers[number] = None;
                    }
                }
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            epoll::add(&self.epoll, &stream, EventData::new_u64(self.peers.len() as u64), EventFlags::IN)?;
            let peer = Peer { stream, is_open: false, partial: Vec::new(), unsent: Vec::new() };
            self.peers.push(Some(peer));
        }
        Ok(())
    }

    fn handle(&mut self, number: usize) -> io::Result<()> {
        let Some(peer) = &mut self.peers[number] else { return Ok(()) };
        if !peer.unsent.is_empty() {
            let count = send_some(&peer.stream, &peer.unsent)?;
            peer.unsent.drain(..count);
            if peer.unsent.is_empty() {
                watch(&self.epoll, &peer.stream, number, EventFlags::IN)?;
            }
            return Ok(());
        }
        let kept = peer.partial.len();
        self.buffer.resize(READ_BYTES + kept, 0);
        self.buffer[..kept].copy_from_slice(&peer.partial);
        let count = match recv(&peer.stream, &mut self.buffer[kept..], RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.output.clear();
        let bytes = &self.buffer[..kept + count];
        let taken =
            if peer.is_open { echo(bytes, &mut self.output) } else { open(bytes, peer, &mut self.output) };
        peer.partial.clear();
        peer.partial.extend_from_slice(&bytes[taken..]);
        let sent = send_some(&peer.stream, &self.output)?;
        if sent < self.output.len() {
            peer.unsent.extend_from_slice(&self.output[sent..]);
            watch(&self.epoll, &peer.stream, number, EventFlags::OUT)?;
        }
        Ok(())
    }
}

fn watch(epoll: impl AsFd, stream: &TcpStream, number: usize, events: EventFlags) -> io::Result<()> {
    Ok(epoll::modify(epoll, stream, EventData::new_u64(number as u64), events)?)
}

fn send_some(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match send(stream, bytes, SendFlags::NOSIGNAL) {
        Ok(count) => Ok(count),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Answers the handshake once its head is there; gives how many bytes it took.
fn open(bytes: &[u8], peer: &mut Peer, output: &mut Vec<u8>) -> usize {
    if !bytes.ends_with(b"\r\n\r\n") {
        return 0;
    }
    peer.is_open = true;
    output.extend_from_slice(ANSWER);
    bytes.len()
}

/// Answers all whole frames; gives how many bytes they took.
fn echo(bytes: &[u8], output: &mut Vec<u8>) -> usize {
    let mut rest = bytes;
    while let [first, second, after @ ..] = rest {
        let short = second & 0x7f;
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, after)) = after.split_at_checked(length_bytes) else { break };
        let extended = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let size = if length_bytes == 0 { usize::from(short) } else { extended };
        let Some((key, after)) = after.split_first_chunk::<4>() else { break };
        let Some((payload, after)) = after.split_at_checked(size) else { break };
        output.extend_from_slice(&[*first, short]);
        output.extend_from_slice(length);
        mask::append(payload, *key, 0, output);
        rest = after;
    }
    bytes.len() - rest.len()
}
