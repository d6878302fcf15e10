//! Connections as the gateway's shard has them: one thread, one poller that tells edges, a slab whose places are its
//! tokens, and one read buffer and one output for all. What one read brought is answered with one send; what the
//! socket did not take waits with its connection, of which nothing is read meanwhile, so that an idle connection owns
//! no buffer. It is the table alone: no hub, no clock, no TLS.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use bytes::{Buf, Bytes};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use slab::Slab;
use tidegate_websocket::handshake::server;
use tidegate_websocket::{Connection, Limits, Role};

use super::peers::answer;
use crate::link::READ_BYTES;

/// The listener's token; connections have those of their places.
const LISTENER: Token = Token(usize::MAX);
/// Events of one wait.
const EVENTS: usize = 1024;

struct Shard {
    poll: Poll,
    listener: TcpListener,
    peers: Slab<Peer>,
    /// Places of those that are read again without an event, each once.
    unread: VecDeque<usize>,
    buffer: Box<[u8]>,
    output: Vec<u8>,
}

struct Peer {
    stream: TcpStream,
    phase: Phase,
    /// What the socket did not take: the answer to one read at most.
    unsent: Bytes,
    /// It waits among the unread.
    is_unread: bool,
    /// The poller told that its bytes have ended, which it does not tell twice.
    is_ending: bool,
}

enum Phase {
    /// The part of the request that came.
    AwaitRequest(Vec<u8>),
    Open(Connection),
    /// Refused; what comes is discarded until the peer ends the connection.
    Refused,
}

/// How a turn of a peer ended.
enum Turn {
    /// The poller tells when there is more to read, or room to write.
    Done,
    /// There may be more to read, which no event will tell.
    Unread,
}

/// Serves until it is killed.
pub(super) fn serve(listener: std::net::TcpListener) -> Result<(), String> {
    Shard::new(listener).and_then(Shard::run).map_err(|error| error.to_string())
}

impl Shard {
    fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let buffer = vec![0; READ_BYTES].into();
        Ok(Self { poll, listener, peers: Slab::new(), unread: VecDeque::new(), buffer, output: Vec::new() })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let timeout = (!self.unread.is_empty()).then_some(Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for _ in 0..self.unread.len() {
                let Some(place) = self.unread.pop_front() else { break };
                self.peers[place].is_unread = false;
                self.take_turn(place);
            }
            let mut comes_someone = false;
            for event in &events {
                match event.token() {
                    LISTENER => comes_someone = true,
                    Token(place) => self.handle_event(place, event.is_read_closed() || event.is_error()),
                }
            }
            // Last, so that none of these events is taken for one of a new peer in the place of an old one.
            if comes_someone {
                self.accept()?;
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let vacant = self.peers.vacant_entry();
            // Both at once and for ever: an edge costs nothing while there is none.
            let interests = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(vacant.key()), interests)?;
            let phase = Phase::AwaitRequest(Vec::new());
            vacant.insert(Peer { stream, phase, unsent: Bytes::new(), is_unread: false, is_ending: false });
        }
    }

    fn handle_event(&mut self, place: usize, is_ending: bool) {
        let Some(peer) = self.peers.get_mut(place) else { return };
        peer.is_ending |= is_ending;
        if !peer.is_unread {
            self.take_turn(place);
        }
    }

    fn take_turn(&mut self, place: usize) {
        let peer = &mut self.peers[place];
        match peer.take_turn(&mut self.buffer, &mut self.output) {
            Ok(Turn::Done) => {}
            Ok(Turn::Unread) => {
                peer.is_unread = true;
                self.unread.push_back(place);
            }
            // Dropping its socket takes it off the poller, too.
            Err(_) => drop(self.peers.remove(place)),
        }
    }
}

impl Peer {
    /// Writes what waits; then reads once and answers. An error is the end of the peer.
    fn take_turn(&mut self, buffer: &mut [u8], output: &mut Vec<u8>) -> io::Result<Turn> {
        if !self.unsent.is_empty() {
            self.flush()?;
            if !self.unsent.is_empty() {
                return Ok(Turn::Done);
            }
        }
        let count = match recv(&self.stream, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Ok(Turn::Done),
            Err(Errno::INTR) => return Ok(Turn::Unread),
            Err(error) => return Err(error.into()),
        };
        output.clear();
        self.handle_bytes(&mut buffer[..count], output);
        self.send(output)?;
        // A short read has drained the socket, unless its end is still to be read. Who has no room is read when
        // it has some.
        let may_have_more = count == buffer.len() || self.is_ending;
        Ok(if may_have_more && self.unsent.is_empty() { Turn::Unread } else { Turn::Done })
    }

    fn handle_bytes(&mut self, bytes: &mut [u8], output: &mut Vec<u8>) {
        match &mut self.phase {
            Phase::Open(connection) => answer(bytes, connection, output),
            Phase::AwaitRequest(request) => {
                request.extend_from_slice(bytes);
                if let Some(phase) = open(request, output) {
                    self.phase = phase;
                }
            }
            Phase::Refused => {}
        }
    }

    fn send(&mut self, output: &[u8]) -> io::Result<()> {
        let count = send_all_it_takes(&self.stream, output)?;
        if count < output.len() {
            self.unsent = Bytes::copy_from_slice(&output[count..]);
        }
        self.shut_if_over();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let count = send_all_it_takes(&self.stream, &self.unsent)?;
        self.unsent.advance(count);
        if self.unsent.is_empty() {
            // An empty one may still hold what it was.
            self.unsent = Bytes::new();
        }
        self.shut_if_over();
        Ok(())
    }

    /// Ends our direction when the last byte has left. The peer's is read to its end: dropping a socket with
    /// unread bytes would reset it, and could cost the peer our Close.
    fn shut_if_over(&mut self) {
        let is_over = match &self.phase {
            Phase::AwaitRequest(_) => false,
            Phase::Open(connection) => connection.is_closed(),
            Phase::Refused => true,
        };
        if is_over && self.unsent.is_empty() {
            // Fails only if the peer has gone, which the next read tells.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// Answers the request once its head is there, and the frames behind it. The library bounds the head.
fn open(request: &mut [u8], output: &mut Vec<u8>) -> Option<Phase> {
    let judged = match server::parse(request) {
        Ok(None) => return None,
        Ok(Some(head)) => server::accept(&head.request(), &[], None).map(|accepted| (accepted, head.length)),
        Err(refusal) => Err(refusal),
    };
    match judged {
        Ok((accepted, length)) => {
            server::write_response(&accepted, &[], output).expect("no fields beside its own");
            let mut connection = Connection::new(Role::Server, Limits::default());
            answer(&mut request[length..], &mut connection, output);
            Some(Phase::Open(connection))
        }
        Err(refusal) => {
            server::write_refusal(&refusal, output);
            Some(Phase::Refused)
        }
    }
}

/// Sends until all is sent or the socket takes no more; says how many bytes it took. Only a socket that said so
/// tells the poller when it has room again.
fn send_all_it_takes(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(stream, &bytes[sent..], SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::thread;

    use tidegate_websocket::{CloseCode, Event, Input, MaskKeys, Message};

    use super::*;
    use crate::echo::ANSWER;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    /// The server sends nothing for so long: it waits for room.
    const STALLED: Duration = Duration::from_millis(200);

    fn start() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || serve(listener));
        address
    }

    fn client() -> Connection {
        Connection::new(Role::Client(MaskKeys::from_seed([7; 16])), Limits::default())
    }

    fn open_at(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.write_all(REQUEST).expect("a request");
        expect_answer(&mut stream);
        stream
    }

    fn expect_answer(stream: &mut TcpStream) {
        let mut answer = vec![0; ANSWER.len()];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(ANSWER));
    }

    /// Reads until the server ends the connection; gives the messages and the code of the Close.
    fn read_all(stream: &mut TcpStream, client: &mut Connection) -> (Vec<Vec<u8>>, Option<CloseCode>) {
        let (mut messages, mut code) = (Vec::new(), None);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = stream.read(&mut buffer).expect("bytes or their end");
            if count == 0 {
                return (messages, code);
            }
            let mut input = Input::new(&mut buffer[..count]);
            while let Some(event) = client.handle_input(&mut input, &mut Vec::new()) {
                match event {
                    Event::Message(message) => messages.push(message.as_bytes().to_vec()),
                    Event::Close(close) => code = close.code,
                    event => panic!("{event:?}"),
                }
            }
        }
    }

    #[test]
    fn what_comes_byte_by_byte_goes_back_and_a_close_ends_it() {
        let address = start();
        let mut client = client();
        let mut bytes = REQUEST.to_vec();
        client.send_text("Grüße", &mut bytes).expect("open");
        client.send_binary(&[], &mut bytes).expect("open");
        client.send_binary(&[9; 300], &mut bytes).expect("open");
        client.close(CloseCode::NORMAL, "", &mut bytes);
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.set_nodelay(true).expect("a socket");
        for byte in bytes {
            stream.write_all(&[byte]).expect("a byte");
        }
        expect_answer(&mut stream);
        let expected = vec!["Grüße".as_bytes().to_vec(), Vec::new(), vec![9; 300]];
        assert_eq!(read_all(&mut stream, &mut client), (expected, Some(CloseCode::NORMAL)));
    }

    #[test]
    fn frames_behind_the_request_are_answered_behind_the_answer() {
        let mut client = client();
        let mut bytes = REQUEST.to_vec();
        client.send_text("early", &mut bytes).expect("open");
        client.close(CloseCode::NORMAL, "", &mut bytes);
        let mut stream = TcpStream::connect(start()).expect("a server");
        stream.write_all(&bytes).expect("a request and frames");
        // Its end comes with them, and is told once.
        stream.shutdown(Shutdown::Write).expect("an open socket");
        expect_answer(&mut stream);
        assert_eq!(read_all(&mut stream, &mut client).0, [b"early"]);
    }

    #[test]
    fn who_reads_nothing_is_read_no_further_and_gets_all_of_it_later() {
        let mut stream = open_at(start());
        let mut client = client();
        let message = |number: u32| number.to_le_bytes().repeat(4096);
        let mut bytes = Vec::new();
        let count = 4096;
        for number in 0..count {
            client.send(Message::Binary(&message(number)), &mut bytes).expect("open");
        }
        client.close(CloseCode::NORMAL, "", &mut bytes);
        stream.set_write_timeout(Some(STALLED)).expect("a socket");
        let mut sent = 0;
        while let Ok(count) = stream.write(&bytes[sent..]) {
            sent += count;
            assert!(sent < bytes.len(), "nothing holds the server back");
        }
        stream.set_write_timeout(None).expect("a socket");
        let mut writer = stream.try_clone().expect("a descriptor");
        let writing = thread::spawn(move || writer.write_all(&bytes[sent..]).expect("room"));
        let (messages, code) = read_all(&mut stream, &mut client);
        writing.join().expect("all is written");
        assert_eq!(code, Some(CloseCode::NORMAL));
        assert_eq!(messages.len(), count as usize);
        assert!(messages.iter().zip(0..).all(|(echoed, number)| *echoed == message(number)));
    }

    #[test]
    fn what_is_no_handshake_is_refused_in_words_and_ended() {
        let mut stream = TcpStream::connect(start()).expect("a server");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[test]
    fn a_place_serves_one_after_the_other() {
        let address = start();
        for number in 0..100u8 {
            let (mut stream, mut client) = (open_at(address), client());
            let mut bytes = Vec::new();
            client.send_binary(&[number], &mut bytes).expect("open");
            client.close(CloseCode::NORMAL, "", &mut bytes);
            stream.write_all(&bytes).expect("frames");
            assert_eq!(read_all(&mut stream, &mut client).0, [[number]]);
        }
    }
}
