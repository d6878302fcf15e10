//! The program under test, and a server that follows a script: plain bytes on a thread of its own.
//!
//! Every read and write of the server has a time limit, so that a test that fails ends.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod pty;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_websocket::handshake::accept_key;

/// No test takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with these arguments and nothing of our environment that it reads.
pub(crate) fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in [
        "TIDEGATE_ADMIN_TOKEN",
        "TIDEGATE_ADMIN_URL",
        "TIDEGATE_TOKEN",
        "TIDEGATE_LOG",
        "CLICOLOR_FORCE",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end with this stdin.
pub(crate) fn run(arguments: &[&str], stdin: &str) -> Run {
    let mut child = tidegate(arguments).spawn().unwrap();
    // A program that ends early does not read its stdin.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    finish(child)
}

pub(crate) fn finish(child: Child) -> Run {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Run {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Sends a signal to a program.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

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
    listen_often(move |listener| script(accept(listener)))
}

/// The same with a script that accepts by itself.
pub(crate) fn listen_often<T: Send + 'static>(
    script: impl FnOnce(&TcpListener) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::spawn(move || script(&listener)))
}

pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A WebSocket server; gives its URL.
pub(crate) fn serve<T: Send + 'static>(
    script: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let (address, thread) = listen(|stream| script(&mut Peer::accept(stream, "X-Server: script\r\n")));
    (format!("ws://{address}/"), thread)
}

impl Peer {
    /// Answers the handshake with 101 and these fields.
    pub(crate) fn accept(mut stream: TcpStream, fields: &str) -> Self {
        let request = read_head(&mut stream);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{fields}\r\n",
            accept_key(key)
        );
        stream.write_all(answer.as_bytes()).unwrap();
        Self { stream, request }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame of the client: first byte and unmasked payload.
    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        let length = usize::from(head[1] & 0x7f);
        assert!(head[1] & 0x80 != 0 && length < 126, "the scripts use short messages, masked");
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask).unwrap();
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).unwrap();
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        (head[0], payload)
    }

    /// The next frame, which is a text message.
    pub(crate) fn text(&mut self) -> String {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x81);
        String::from_utf8(payload).unwrap()
    }

    /// Waits for the client's Close and answers it; gives its code.
    pub(crate) fn closed(&mut self) -> u16 {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x88);
        self.send(&frame(0x88, &payload));
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Closes and waits for the end.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.send(&frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat()));
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

/// An unmasked frame with a short payload.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, length], payload].concat()
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
