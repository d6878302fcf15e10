//! `tidegate publish CHANNEL`: sends what the arguments, a file or stdin hold to the admin listener.
//!
//! stdout says for each publication its position and how many subscribers there were. The HTTP exchange is
//! in `admin`.

mod admin;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tidegate_inspect::event::json_line;
use tidegate_inspect::words::known;
use tokio::time::sleep_until;

use crate::arguments::Publish;
use crate::exit::{Exit, Failure};
use crate::left_token;
use crate::terminal::{Look, escape_json};
use crate::timestamp::now;
pub(crate) use admin::sentence;
use admin::{Admin, Item, Published};

/// Longest message. The gateway's own bound is lower by default, and it says so.
const MESSAGE_MAX_BYTES: usize = 64 << 20;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(arguments: &Publish) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(known::SYSTEM, error))?;
    let outcome = runtime.block_on(publish(arguments));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    outcome.map(|()| Exit::Done)
}

async fn publish(arguments: &Publish) -> Result<(), Failure> {
    let token = arguments.token.clone().or_else(|| left_token::of(&arguments.admin));
    let admin = Admin::new(&arguments.admin, token.as_deref())?;
    let mut publisher = Publisher { arguments, admin, keys: Keys::new()?, stdout: Look::of_stdout() };
    if arguments.lines {
        return publisher.lines().await;
    }
    let body = match &arguments.text {
        Some(text) => Bytes::from(text.clone()),
        None => whole_input(arguments)?,
    };
    let published = publisher.one(body).await?;
    publisher.tell(&published).map_or(Ok(()), |error| written(&error))
}

/// Publishes one after the other, each after the answer to the one before.
struct Publisher<'p> {
    arguments: &'p Publish,
    admin: Admin,
    keys: Keys,
    stdout: Look,
}

impl Publisher<'_> {
    async fn one(&mut self, body: Bytes) -> Result<Published, Failure> {
        let content_type = content_type(&body, self.arguments.binary)?;
        let item = Item { content_type, body, key: self.keys.next(), if_match: self.arguments.if_match };
        self.admin.publish(&self.arguments.channel, &item).await
    }

    async fn lines(&mut self) -> Result<(), Failure> {
        let mut input = input(self.arguments)?;
        let began = tokio::time::Instant::now();
        let mut progress = Progress::new();
        let mut number = 0_u64;
        while let Some(line) = next_line(&mut input).map_err(|error| unreadable(self.arguments, &error))? {
            if let Some(rate) = self.arguments.rate {
                // From the beginning, so that what a slow answer costs is made good.
                sleep_until(began + Duration::from_secs_f64(number as f64 / rate)).await;
            }
            number += 1;
            let published = self.one(line.into()).await.map_err(|failure| {
                progress.end();
                Failure { what: format!("line {number}: {}", failure.what), ..failure }
            })?;
            if let Some(error) = self.tell(&published) {
                return written(&error);
            }
            progress.show(number);
        }
        progress.end();
        Ok(())
    }

    /// Says what was published; gives the error if nobody reads it.
    fn tell(&self, published: &Published) -> Option<io::Error> {
        let channel = self.arguments.channel.to_string();
        let Published { position, subscribers } = published;
        let line = if self.arguments.json {
            let body = PublishedBody { channel: &channel, position, subscribers: *subscribers };
            escape_json(json_line(now(), "published", &body))
        } else if self.stdout.is_terminal {
            let plural = if *subscribers == 1 { "" } else { "s" };
            format!("{}  {subscribers} subscriber{plural}", crate::terminal::escape(position))
        } else {
            format!("{}\t{subscribers}", crate::terminal::escape(position))
        };
        writeln!(io::stdout().lock(), "{line}").err()
    }
}

#[derive(Serialize)]
struct PublishedBody<'l> {
    channel: &'l str,
    position: &'l str,
    subscribers: u64,
}

/// A reader of stdout that has gone is no failure, anything else is.
fn written(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::of(known::OUTPUT, format!("it was published, but stdout cannot be written: {error}")))
}

fn content_type(body: &[u8], binary: bool) -> Result<&'static str, Failure> {
    if binary {
        return Ok("application/octet-stream");
    }
    if std::str::from_utf8(body).is_err() {
        return Err(Failure::of(known::NOT_TEXT, "this is not UTF-8, which a text message must be")
            .mend("publish it as it is with --binary"));
    }
    let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok();
    Ok(if is_json { "application/json" } else { "text/plain; charset=utf-8" })
}

fn input(arguments: &Publish) -> Result<Box<dyn BufRead>, Failure> {
    match &arguments.file {
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(arguments, &error))?;
            Ok(Box::new(BufReader::new(file)))
        }
        None => Ok(Box::new(BufReader::new(io::stdin()))),
    }
}

/// Everything up to the end, without the line end that closes it: `echo` adds one that nobody meant.
fn whole_input(arguments: &Publish) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = input(arguments)?.take(MESSAGE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(arguments, &error))?;
    if bytes.len() > MESSAGE_MAX_BYTES {
        return Err(unreadable(arguments, &too_long()));
    }
    if arguments.file.is_none() && !arguments.binary && bytes.last() == Some(&b'\n') {
        bytes.pop();
        bytes.pop_if(|byte| *byte == b'\r');
    }
    Ok(bytes.into())
}

fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.take(MESSAGE_MAX_BYTES as u64 + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() > MESSAGE_MAX_BYTES {
        return Err(too_long());
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        line.pop_if(|byte| *byte == b'\r');
    }
    Ok(Some(line))
}

fn too_long() -> io::Error {
    io::Error::other(format!("a message of more than {MESSAGE_MAX_BYTES} bytes"))
}

fn unreadable(arguments: &Publish, error: &io::Error) -> Failure {
    let name = arguments.file.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string());
    Failure::of(known::INPUT, format!("cannot read {name}: {error}"))
}

/// Idempotency keys: random, then counted.
struct Keys {
    prefix: u128,
    count: u64,
}

impl Keys {
    fn new() -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Failure::of(known::SYSTEM, error))?;
        Ok(Self { prefix: u128::from_ne_bytes(bytes), count: 0 })
    }

    fn next(&mut self) -> String {
        self.count += 1;
        format!("{:032x}-{}", self.prefix, self.count)
    }
}

/// How many lines were published, on a terminal that does not show each.
struct Progress {
    is_shown: bool,
    began: Instant,
    last: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        let is_shown = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Self { is_shown, began: Instant::now(), last: None }
    }

    fn show(&mut self, number: u64) {
        if !self.is_shown || self.last.is_some_and(|last| last.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        self.last = Some(Instant::now());
        let rate = number as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        // Progress that cannot be shown is not missed.
        let _ = write!(io::stderr().lock(), "\r{number} published, {rate:.0} a second ");
    }

    /// Goes to a new line, if there is one to leave.
    fn end(&mut self) {
        if self.last.take().is_some() {
            let _ = writeln!(io::stderr().lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_content() {
        for (body, kind) in [
            (&b"{\"price\":1}"[..], "application/json"),
            (b" 5 ", "application/json"),
            (b"hello", "text/plain; charset=utf-8"),
            (b"", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(content_type(body, false).expect("text"), kind);
        }
        assert_eq!(content_type(b"\xff", true).expect("binary"), "application/octet-stream");
        assert_eq!(content_type(b"\xff", false).expect_err("not UTF-8").exit, Exit::Usage);
    }

    #[test]
    fn keys_differ() {
        let mut keys = Keys::new().expect("randomness");
        assert_ne!(keys.next(), keys.next());
        assert_ne!(keys.next(), Keys::new().expect("randomness").next());
    }
}
