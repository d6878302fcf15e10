//! A server that follows a script, on a thread of its own: plain bytes, no WebSocket library.
//!
//! Every read and write has a time limit, so that a test that fails ends.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_websocket::handshake::accept_key;

/// No test takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// The request's head.
    pub(crate) request: String,
}

/// A listener on a free port, and a thread that runs the script for the first connection.
pub(crate) fn listen<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        script(stream)
    });
    (address, thread)
}

/// The same with the handshake done.
pub(crate) fn serve<T: Send + 'static>(
    script: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let (address, thread) = listen(|stream| {
        let mut peer = Peer::accept(stream, "", b"");
        script(&mut peer)
    });
    (format!("ws://{address}/"), thread)
}

impl Peer {
    /// Answers the handshake with 101, `fields`, and the first frames in the same write.
    pub(crate) fn accept(mut stream: TcpStream, fields: &str, frames: &[u8]) -> Self {
        let request = read_head(&mut stream);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = accept_key(key);
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(frames);
        stream.write_all(&answer).unwrap();
        Self { stream, request }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame of the client: first byte and unmasked payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let [first, second] = self.read::<2>();
        assert_eq!(second & 0x80, 0x80, "a client masks its frames");
        let length = match second & 0x7f {
            126 => u16::from_be_bytes(self.read()).into(),
            127 => u64::from_be_bytes(self.read()),
            short => short.into(),
        };
        let mask: [u8; 4] = self.read();
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        (first, payload)
    }

    /// True if the client ended the connection in order.
    pub(crate) fn is_at_end(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }
}

pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// An unmasked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}
