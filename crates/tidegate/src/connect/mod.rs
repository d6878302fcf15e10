//! `tidegate connect URL`: one WebSocket, stdin and the terminal.
//!
//! Here the command line becomes options, and the connection is opened; what happens then is in `session`.

mod typed;

mod stdin;

mod report;

mod refused;

mod session;

use std::time::Duration;

use tidegate_client::{Connection, Options, Trust};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use url::Url;

use crate::arguments::Connect;
use crate::exit::{Exit, Failure};
use report::Report;
use session::{Goal, Session};
use stdin::Kind;

/// How long to wait for messages after the end of stdin.
const LINGER: Duration = Duration::from_secs(1);

pub(crate) fn run(arguments: &Connect) -> Result<Exit, Failure> {
    let report = Report::new(arguments.json);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Other, error))?;
    let outcome = runtime.block_on(connect(arguments, &report));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    let exit = outcome.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    // That nobody reads the last line changes nothing.
    let _ = report.exit(exit);
    outcome
}

async fn connect(arguments: &Connect, report: &Report) -> Result<Exit, Failure> {
    let began = Instant::now();
    let other = |error: std::io::Error| Failure::new(Exit::Other, error);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(other)?;
    let url = with_position(arguments)?;
    let Some(mut connection) = open(&url, arguments, report, &mut interrupts).await? else {
        return Ok(Exit::Interrupted);
    };
    // A reader that has gone is noticed with the first event.
    if let Some(opened) = connection.take_opened() {
        let _ = report.opened(&url, &opened, arguments.include);
    }
    let kind = stdin::kind();
    let session = Session {
        connection,
        report,
        goal: Goal { messages: arguments.n, expect: arguments.expect.clone() },
        lines: Some(stdin::read().map_err(other)?),
        stdin: kind,
        linger: linger(arguments, kind),
        deadline: arguments.timeout.map(|timeout| began + timeout),
        auto_pong: !arguments.no_auto_pong,
    };
    Ok(session.run(&mut interrupts).await)
}

/// Connects; `None` if Ctrl-C came first.
async fn open(
    url: &str,
    arguments: &Connect,
    report: &Report,
    interrupts: &mut Signal,
) -> Result<Option<Connection>, Failure> {
    let connected = tokio::select! {
        connected = tidegate_client::connect(url, options(arguments)) => connected,
        _ = interrupts.recv() => return Ok(None),
    };
    connected.map(Some).map_err(|error| {
        let (failure, status) = refused::failure(url, &error);
        let _ = report.failed(&failure, status);
        failure
    })
}

/// The URL, with `after` in its query if a position was given.
fn with_position(arguments: &Connect) -> Result<String, Failure> {
    let Some(position) = &arguments.after else { return Ok(arguments.url.clone()) };
    let mut url = Url::parse(&arguments.url)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", arguments.url)))?;
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&after={position}"),
        _ => format!("after={position}"),
    };
    url.set_query(Some(&query));
    Ok(url.into())
}

fn options(arguments: &Connect) -> Options {
    let defaults = Options::default();
    let trust = match (&arguments.cacert, arguments.insecure) {
        (Some(file), _) => Trust::File(file.clone()),
        (None, true) => Trust::Anyone,
        (None, false) => Trust::System,
    };
    let connect_timeout = defaults.connect_timeout;
    Options {
        headers: arguments.header.clone(),
        subprotocols: arguments.subprotocol.clone(),
        origin: arguments.origin.clone(),
        trust,
        connect_timeout: arguments.timeout.map_or(connect_timeout, |timeout| timeout.min(connect_timeout)),
        auto_pong: !arguments.no_auto_pong,
        ..defaults
    }
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
        ] {
            assert_eq!(with_position(&parsed(line)).expect("a URL"), url);
        }
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
