//! `tidegate connect URL`: one WebSocket, stdin and the terminal.
//!
//! Here the command line becomes options, and the connection is opened; what happens then is in `session`.

mod typed;

mod stdin;

mod presence;

mod told;

mod recording;

mod kept;

mod wire;

mod json_layout;

mod history;

mod edited;

mod prompt;

mod report;

mod refused;

mod place;

mod tally;

mod session;

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_client::deflate::Offer;
use tidegate_client::follow::{Attempts, Backoff, Interruption};
use tidegate_client::{ConnectError, Connection, Opened, Options, Trust, Updates};
use tidegate_inspect::head::Secrets;
use tidegate_inspect::recording::Format;
use tidegate_inspect::words::known;
use tidegate_protocol::SUBPROTOCOL;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use url::Url;

use crate::arguments::{Connect, HttpVersion};
use crate::exit::{Exit, Failure};
pub(crate) use edited::{Edited, Key, Step, View};
pub(crate) use json_layout::lay_out;
use place::Place;
use prompt::Prompt;
pub(crate) use prompt::key_of;
use recording::Recording;
pub(crate) use refused::failure as connect_failure;
use report::{Report, handshake};
use session::{Goal, Input, Outcome, Progress, Session};
use stdin::Kind;
pub(crate) use told::{closed as closed_event, message as message_event, open as open_event};

/// How long to wait for messages after the end of stdin.
const LINGER: Duration = Duration::from_secs(1);

pub(crate) fn run(arguments: &Connect) -> Result<Exit, Failure> {
    let recording = arguments.record.as_deref().map(Recording::create).transpose()?;
    let recording = recording.map(|recording| Arc::new(Mutex::new(recording)));
    let secrets = if arguments.show_secrets { Secrets::Show } else { Secrets::Hide };
    let wired = recording.clone().filter(|recording| takes_bytes(recording, arguments.http));
    let mut report = Report::new(arguments.json, recording.filter(|_| wired.is_none()), secrets);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(known::SYSTEM, error))?;
    let outcome = runtime.block_on(connect(arguments, &report, wired.as_ref()));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    let exit = outcome.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    // That nobody reads the last line changes nothing.
    let _ = report.exit(exit);
    let recorded = match wired.and_then(Arc::into_inner) {
        Some(recording) => recording.into_inner().unwrap_or_else(PoisonError::into_inner).end(),
        None => report.end_recording(),
    };
    let exit = outcome?;
    recorded.map(|()| exit)
}

/// Packets hold the bytes of the wire, which over HTTP/2 are not those of a connection.
fn takes_bytes(recording: &wire::Shared, http: HttpVersion) -> bool {
    let recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
    recording.format() == Format::Pcapng && http == HttpVersion::V1
}

/// One attempt.
async fn attempt(
    url: &str,
    arguments: &Connect,
    report: &Report,
    wired: Option<&wire::Shared>,
) -> Result<(Connection, Option<Opened>), ConnectError> {
    if let Some(recording) = wired {
        return wire::connect(url, options(arguments), Arc::clone(recording), report.secrets()).await;
    }
    let mut connection = tidegate_client::connect(url, options(arguments)).await?;
    let opened = connection.take_opened();
    Ok((connection, opened))
}

async fn connect(
    arguments: &Connect,
    report: &Report,
    wired: Option<&wire::Shared>,
) -> Result<Exit, Failure> {
    let began = Instant::now();
    let other = |error: io::Error| Failure::of(known::SYSTEM, error);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(other)?;
    let goal = Goal { messages: arguments.n, expect: arguments.expect.clone() };
    let deadline = arguments.timeout.map(|timeout| began + timeout);
    let mut attempts = Attempts::new(Backoff::default(), None);
    let updates = arguments.updates.and_then(Updates::name);
    let asked = updates.map_or_else(
        || arguments.url.clone(),
        |updates| with_parameter(&arguments.url, "updates", Some(updates)),
    );
    let mut session = begin(arguments, &asked, report, goal.clone(), deadline);
    let mut has_opened = false;
    loop {
        let url = with_parameter(&asked, "after", session.position());
        let connected = tokio::select! {
            connected = attempt(&url, arguments, report, wired) => connected,
            // The first attempt has a time-out of its own, which says what was awaited.
            () = session::at(deadline), if has_opened => return Ok(goal.late()),
            _ = interrupts.recv() => return Ok(Exit::Interrupted),
        };
        let (ended, why, hint) = match connected {
            Err(error) => {
                let (failure, status) = refused::failure(&url, &error);
                (Err((failure, status)), Interruption::Connect(error), None)
            }
            Ok((connection, opened)) => {
                session.handshake = show(report, &url, opened.as_ref(), arguments.include);
                if !has_opened {
                    session.input = Some(input(report).map_err(other)?);
                    has_opened = true;
                }
                let opened = Instant::now();
                match session.run(connection, &mut interrupts).await {
                    Outcome::Exit(exit) => return Ok(exit),
                    Outcome::Lost { exit, why, hint } => {
                        attempts.handle_end(opened.elapsed());
                        (Ok(exit), why, hint)
                    }
                }
            }
        };
        if why.loses_position() {
            session.forget_position();
        }
        let retry_in = if arguments.reconnect { attempts.wait(&why, hint) } else { None };
        let Some(retry_in) = retry_in else { return give_up(report, ended) };
        report.lost(&why, retry_in);
        tokio::select! {
            () = sleep(retry_in) => {}
            () = session::at(deadline) => return Ok(goal.late()),
            _ = interrupts.recv() => return Ok(Exit::Interrupted),
        }
    }
}

/// The end of the last connection, or of the attempt to open it, is that of the command.
fn give_up(report: &Report, ended: Result<Exit, (Failure, Option<u16>)>) -> Result<Exit, Failure> {
    ended.map_err(|(failure, status)| {
        // That nobody reads the last line changes nothing.
        let _ = report.failed(&failure, status);
        failure
    })
}

/// Where lines come from: a row of the terminal on which they are edited, or stdin as it is.
fn input(report: &Report) -> io::Result<Input> {
    if report.is_for_people() && prompt::is_possible() {
        let prompt = Rc::new(Prompt::open()?);
        report.show_above(&prompt);
        return Ok(Input::Typed(prompt));
    }
    stdin::read().map(Input::Lines)
}

/// Gives the handshake in words, for who asks for it later.
fn show(report: &Report, url: &str, opened: Option<&Opened>, include: bool) -> String {
    let Some(opened) = opened else { return String::new() };
    // A reader that has gone is noticed with the first event.
    let _ = report.opened(url, opened, include);
    handshake(opened, report.secrets())
}

/// `url` says where to begin, unless `--after` does.
fn begin<'r>(
    arguments: &Connect,
    url: &str,
    report: &'r Report,
    goal: Goal,
    deadline: Option<Instant>,
) -> Session<'r> {
    let kind = stdin::kind();
    let after = arguments.after.clone().or_else(|| parameter(url, "after"));
    let place = Place::new(after, parameter(url, "updates").is_some());
    Session {
        report,
        goal,
        input: None,
        stdin: kind,
        linger: linger(arguments, kind),
        deadline,
        auto_pong: !arguments.no_auto_pong,
        handshake: String::new(),
        progress: Progress::new(place),
    }
}

/// What the URL has under that name in its query, as it stands there: of several the first counts.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let (_, value) = url
        .query()?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|pair| pair.0 == name)?;
    Some(value.to_owned())
}

/// The URL with the value as the only one of that name in its query, or with none. What is no URL is refused where it is
/// opened.
fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    if parameter(url, name).as_deref() == value {
        return url.to_owned();
    }
    let own = value.map(|value| format!("{name}={value}"));
    let others = parsed.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let query: Vec<&str> = others.chain(own.as_deref()).collect();
    let query = query.join("&");
    parsed.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
    parsed.into()
}

/// The headers that were asked for, and the token as one of them. An empty one is none.
fn headers(arguments: &Connect) -> Vec<(String, String)> {
    let bearer = |token: &String| ("Authorization".to_owned(), format!("Bearer {token}"));
    let token = arguments.token.as_ref().filter(|token| !token.is_empty());
    arguments.header.iter().cloned().chain(token.map(bearer)).collect()
}

fn options(arguments: &Connect) -> Options {
    let defaults = Options::default();
    let trust = trust(arguments.cacert.as_ref(), arguments.insecure);
    let connect_timeout = defaults.connect_timeout;
    Options {
        headers: headers(arguments),
        subprotocols: subprotocols(arguments),
        origin: arguments.origin.clone(),
        http: arguments.http.into(),
        deflate: arguments.compress.then(Offer::default),
        trust,
        connect_timeout: arguments.timeout.map_or(connect_timeout, |timeout| timeout.min(connect_timeout)),
        auto_pong: !arguments.no_auto_pong,
        ping_interval: arguments.ping_interval,
        ..defaults
    }
}

/// Whose certificates are believed.
pub(crate) fn trust(cacert: Option<&PathBuf>, insecure: bool) -> Trust {
    match (cacert, insecure) {
        (Some(file), _) => Trust::File(file.clone()),
        (None, true) => Trust::Anyone,
        (None, false) => Trust::System,
    }
}

/// Increments come in envelopes only.
fn subprotocols(arguments: &Connect) -> Vec<String> {
    let mut offered = arguments.subprotocol.clone();
    if arguments.updates.is_some() && !offered.iter().any(|name| name == SUBPROTOCOL) {
        offered.push(SUBPROTOCOL.to_owned());
    }
    offered
}

/// One rule for the end of stdin: keep reading until the server closes or nothing came for this time.
fn linger(arguments: &Connect, kind: Kind) -> Option<Duration> {
    let waits_for_more = kind == Kind::Nothing || arguments.n.is_some() || arguments.expect.is_some();
    arguments.linger.or(if waits_for_more { None } else { Some(LINGER) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(line: &str) -> Connect {
        let words = ["tidegate", "connect"].into_iter().chain(line.split_whitespace());
        match Arguments::parse_from(words).command {
            Some(Command::Connect(connect)) => connect,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_position_joins_the_query() {
        for (line, url) in [
            ("ws://h/a?b=c --after k:4", "ws://h/a?b=c&after=k:4"),
            ("ws://h --after k:4", "ws://h/?after=k:4"),
            ("ws://h/a?b", "ws://h/a?b"),
            ("ws://h/a?after=k:1&b=after=&after=2 --after k:4", "ws://h/a?b=after=&after=k:4"),
            ("ws://h/a?after=k%3A1&b", "ws://h/a?after=k%3A1&b"),
        ] {
            let arguments = parsed(line);
            let after = arguments.after.clone().or_else(|| parameter(&arguments.url, "after"));
            assert_eq!(with_parameter(&arguments.url, "after", after.as_deref()), url);
        }
        assert_eq!(with_parameter("ws://h/a?after=k:1&b&after=k:2", "after", None), "ws://h/a?b");
        assert_eq!(with_parameter("ws://h/a?after=k:1", "after", None), "ws://h/a");
    }

    #[test]
    fn increments_come_in_envelopes() {
        assert_eq!(subprotocols(&parsed("ws://h --subprotocol p")), ["p"]);
        assert_eq!(subprotocols(&parsed("ws://h --updates json-patch")), [SUBPROTOCOL]);
        let twice = parsed("ws://h --updates json-patch --subprotocol tidegate.v1");
        assert_eq!(subprotocols(&twice), [SUBPROTOCOL]);
    }

    #[test]
    fn the_end_of_stdin_has_one_rule() {
        let plain = parsed("ws://h");
        assert_eq!(linger(&plain, Kind::Other), Some(LINGER));
        assert_eq!(linger(&plain, Kind::Nothing), None);
        for goal in ["ws://h -n 1", "ws://h --expect re:x"] {
            assert_eq!(linger(&parsed(goal), Kind::Other), None);
        }
        let stated = parsed("ws://h --linger 5s -n 1");
        assert_eq!(linger(&stated, Kind::Nothing), Some(Duration::from_secs(5)));
    }
}
