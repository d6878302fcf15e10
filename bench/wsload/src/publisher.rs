//! A publisher: one connection, kept alive, over which each publication is a POST. It blocks while it waits for
//! an answer, and what subscribers get is not its business.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::pool::Target;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of a body that an answer to a publication has.
const ANSWER_BYTES: u64 = 64 * 1024;

/// One connection to the publishing URL.
pub struct Publisher {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Publisher {
    /// Connects. Each of `fields` is a line such as `Authorization: Bearer …`.
    pub fn connect(target: &Target, fields: &[String]) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n", target.path, target.host);
        head.extend(fields.iter().map(|field| format!("{field}\r\n")));
        head.push_str("Content-Type: text/plain\r\n");
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// Sends one publication, in one write.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut request = format!("{}Content-Length: {}\r\n\r\n", self.head, payload.len()).into_bytes();
        request.extend_from_slice(payload);
        self.stream.get_mut().write_all(&request)
    }

    /// Waits for the answer to the oldest publication that has none yet; gives its body.
    pub fn confirm(&mut self) -> io::Result<String> {
        let status = self.line()?;
        let mut length = 0;
        loop {
            let field = self.line()?.to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            if field.is_empty() {
                break;
            }
        }
        let mut body = Vec::new();
        self.stream.by_ref().take(length.min(ANSWER_BYTES)).read_to_end(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.starts_with("HTTP/1.1 2") {
            return Ok(body);
        }
        Err(io::Error::other(format!("publishing: {status}: {body}")))
    }

    /// Publishes something that is no publication of the run until the answer says that so many subscribe.
    pub fn await_subscribers(&mut self, count: u64) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.send(b"is everybody here?")?;
            let answer: serde_json::Value = serde_json::from_str(&self.confirm()?)?;
            if answer["subscribers"] == count {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("not {count} subscribers: {answer}")));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
