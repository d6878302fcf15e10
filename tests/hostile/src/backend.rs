//! A server behind the gateway that does what a test says, byte by byte, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::wire::PATIENCE;

/// One request as it came: the head, and the body that its Content-Length or its chunks announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The head as text, lines divided by CR LF.
    pub head: String,
    /// The body; of a chunked one the bytes as they came.
    pub body: Vec<u8>,
}

/// See the module's head. It runs until the process ends.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<(Mutex<Vec<Asked>>, Condvar)>,
}

impl Backend {
    /// Starts a backend that gives each request to `answer`, which writes what it likes and returns whether
    /// the connection goes on.
    #[must_use]
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::start_on(listener, answer)
    }

    /// The same on a listener that is bound already.
    #[must_use]
    pub fn start_on(
        listener: TcpListener,
        answer: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a bound listener");
        let asked = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let backend = Self { address, asked: Arc::clone(&asked) };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &asked, &*answer));
            }
        });
        backend
    }

    /// A backend that answers every request with 200 and `body`.
    #[must_use]
    pub fn answering(body: &'static str) -> Self {
        Self::start(move |_, stream| write(stream, ok(body)))
    }

    /// What came so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests whose head begins with `start`.
    #[must_use]
    pub fn count(&self, start: &str) -> usize {
        self.asked().iter().filter(|asked| asked.head.starts_with(start)).count()
    }

    /// Waits for the `count`th request whose head begins with `start`, and gives it.
    #[must_use]
    pub fn await_nth(&self, start: &str, count: usize) -> Asked {
        let mut all = self.asked.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = all.iter().filter(|asked| asked.head.starts_with(start)).nth(count - 1) {
                return found.clone();
            }
            let (guard, waited) =
                self.asked.1.wait_timeout(all, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            all = guard;
            assert!(!waited.timed_out(), "the backend was not asked for {start:?} {count} times");
        }
    }
}

/// A whole answer with status 200.
#[must_use]
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Writes; false if the gateway has gone.
pub fn write(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

/// Waits until the gateway closes the connection.
pub fn await_gone(stream: &mut TcpStream) {
    let mut byte = [0; 1024];
    while stream.read(&mut byte).is_ok_and(|count| count > 0) {}
}

fn serve(
    stream: TcpStream,
    asked: &(Mutex<Vec<Asked>>, Condvar),
    answer: &dyn Fn(&Asked, &mut TcpStream) -> bool,
) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        asked.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        asked.1.notify_all();
        if !answer(&request, &mut out) {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if lower.contains("transfer-encoding: chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            body.extend(line);
        }
    } else if let Some(length) = lower.split("content-length: ").nth(1) {
        let length = length.split("\r\n").next()?.parse().ok()?;
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some(Asked { head, body })
}
