//! An HTTP server that does what a test says and remembers what it was asked. It is plain HTTP/1.1 and knows
//! nothing of WebSockets: whatever clients of the gateway see of them is the gateway's doing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::http::{Body, Head, Headers};
use crate::stream::Stream;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fields.
    pub headers: Headers,
    /// The body; empty for those that the test reads itself.
    pub body: Vec<u8>,
    /// When it had come.
    pub at: Instant,
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request whose body has not been read, and the connection for the answer. Dropping it without an answer
/// ends the connection.
#[derive(Debug)]
pub struct Exchange {
    /// The request's head.
    pub asked: Asked,
    /// The connection.
    pub stream: Stream,
    /// What is left of the request's body.
    pub body: Body,
}

/// Something that a test lets happen: those who wait for it go on when it is opened.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

#[derive(Debug, Default)]
struct Memory {
    asked: Mutex<Vec<Asked>>,
    changed: Condvar,
}

/// The server. Its threads end with the process.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    memory: Arc<Memory>,
}

impl Backend {
    /// A server that gives each request, body and all, the answer that `answer` makes.
    ///
    /// # Panics
    ///
    /// If no port of the loopback address is free.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(true, move |exchange| {
            let reply = answer(&exchange.asked);
            exchange.reply(&reply).map(Some)
        })
    }

    /// A server whose answers `serve` writes by itself. It gives the connection back where it may serve on.
    ///
    /// # Panics
    ///
    /// If no port of the loopback address is free.
    pub fn exchanging(
        serve: impl Fn(Exchange) -> io::Result<Option<Stream>> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(false, serve)
    }

    fn listen(
        whole: bool,
        serve: impl Fn(Exchange) -> io::Result<Option<Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let memory = Arc::new(Memory::default());
        let (serve, kept) = (Arc::new(serve), Arc::clone(&memory));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (serve, memory) = (Arc::clone(&serve), Arc::clone(&kept));
                let Some(stream) = socket.ok().and_then(|socket| Stream::new(socket).ok()) else { continue };
                // Who broke off, and why, is what the test looks at from the other side.
                std::thread::spawn(move || drop(serve_connection(stream, whole, &memory, &*serve)));
            }
        });
        Self { address, memory }
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked of this path and query so far.
    #[must_use]
    pub fn asked(&self, target: &str) -> Vec<Asked> {
        self.memory.lock().iter().filter(|asked| asked.target == target).cloned().collect()
    }

    /// How often this path and query was asked for so far.
    #[must_use]
    pub fn count(&self, target: &str) -> usize {
        self.memory.lock().iter().filter(|asked| asked.target == target).count()
    }

    /// Waits until this path and query has been asked for `count` times; gives all that was asked of it.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    #[track_caller]
    pub fn wait(&self, target: &str, count: usize) -> Vec<Asked> {
        let found = |all: &mut Vec<Asked>| {
            let asked: Vec<_> = all.iter().filter(|asked| asked.target == target).cloned().collect();
            (asked.len() >= count).then_some(asked)
        };
        let (all, found) = Deadline::of_patience().wait(self.memory.lock(), &self.memory.changed, found);
        let targets: Vec<_> = all.iter().map(|asked| asked.target.clone()).collect();
        drop(all);
        found
            .unwrap_or_else(|| panic!("{target} was not asked for {count} times, but there were {targets:?}"))
    }

    /// Whether anything is asked within this time from now.
    #[must_use]
    pub fn is_asked_within(&self, time: Duration) -> bool {
        let before = self.memory.lock().len();
        let found = |all: &mut Vec<Asked>| (all.len() > before).then_some(());
        Deadline::after(time).wait(self.memory.lock(), &self.memory.changed, found).1.is_some()
    }

    /// Waits until nothing has been asked for this time.
    ///
    /// # Panics
    ///
    /// If it goes on being asked.
    #[track_caller]
    pub fn wait_quiet(&self, time: Duration) {
        let deadline = Deadline::of_patience();
        while self.is_asked_within(time) {
            assert!(deadline.left().is_some(), "the backend is asked again and again");
        }
    }
}

fn serve_connection(
    mut stream: Stream,
    whole: bool,
    memory: &Memory,
    serve: &(dyn Fn(Exchange) -> io::Result<Option<Stream>> + Send + Sync),
) -> io::Result<()> {
    // A gateway may keep its connection for long.
    while let Some(head) = Head::read(&mut stream, Deadline::after(Duration::from_secs(600)))? {
        let mut body = Body::of(&head.headers, Body::Length(0));
        let read = if whole { body.whole(&mut stream, Deadline::of_patience())? } else { Vec::new() };
        let asked = Asked {
            method: head.word(0).to_owned(),
            target: head.word(1).to_owned(),
            headers: head.headers,
            body: read,
            at: Instant::now(),
        };
        memory.lock().push(asked.clone());
        memory.changed.notify_all();
        match serve(Exchange { asked, stream, body })? {
            Some(next) => stream = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// The value of the first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Exchange {
    /// Answers, and gives the connection back for the next request.
    pub fn reply(mut self, reply: &Reply) -> io::Result<Stream> {
        let with_body = self.asked.method != "HEAD";
        self.stream.send(&reply.bytes(with_body))?;
        Ok(self.stream)
    }
}

impl Reply {
    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
    }

    /// Another status, with an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The same with a body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same with one field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn bytes(&self, with_body: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !matches!(self.status, 204 | 304) {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

impl Gate {
    /// Lets everybody through, from now on.
    pub fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    ///
    /// # Panics
    ///
    /// If nobody opens it.
    pub fn pass(&self) {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = Deadline::of_patience().wait(guard, &self.0.1, |open| open.then_some(())).1;
        assert!(opened.is_some(), "nobody opened the gate");
    }
}
