//! What is said on the gateway's socket: the wish that asks for events, and the messages that bring them.
//!
//! Nothing is read from a socket here. What the gateway could not send is an event, too.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tidegate_inspect::Event;
use tidegate_inspect::event::{Body, Dropped};
use tidegate_inspect::words::known;

use crate::arguments::Inspect;
use crate::exit::Failure;
use crate::terminal::escape;
use crate::timestamp::now;

/// There is one watch on a socket.
const ID: u64 = 1;

/// What is asked for, and how far it has come.
pub(super) struct Feed {
    wish: String,
    /// One connection is followed.
    is_of_connection: bool,
    /// Connections whose end is awaited.
    ends_left: Option<u64>,
}

/// What follows from a message.
#[derive(Debug)]
pub(super) enum Next {
    More,
    Done,
    Failed(Failure),
}

/// A message of the gateway. Those of other feeds, and members of which nothing is known here, are passed over.
#[derive(Deserialize)]
struct Said<'s> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'s, str>,
    #[serde(borrow, default)]
    events: Vec<&'s RawValue>,
    #[serde(default)]
    lost: u64,
    #[serde(borrow, default)]
    message: Option<Cow<'s, str>>,
}

impl Feed {
    pub(super) fn new(arguments: &Inspect) -> Self {
        let level = arguments.following.level.map(|level| level.name());
        let wish = match &arguments.following.connection {
            Some(connection) => {
                json!({"type":"watch","id":ID,"what":"connection","connection":connection,"level":level})
            }
            None => {
                let filter = arguments.filter.as_ref().map(ToString::to_string);
                json!({"type":"watch","id":ID,"what":"events","filter":filter,"level":level})
            }
        };
        let is_of_connection = arguments.following.connection.is_some();
        Self { wish: wish.to_string(), is_of_connection, ends_left: arguments.n }
    }

    /// What is sent on each new socket.
    pub(super) fn wish(&self) -> String {
        self.wish.clone()
    }

    /// Takes a message, and tells its events.
    pub(super) fn handle_message(&mut self, text: &str, tell: &mut dyn FnMut(&Event)) -> Next {
        let said: Said<'_> = match serde_json::from_str(text) {
            Ok(said) => said,
            Err(error) => return Next::Failed(not_understood(&error.to_string())),
        };
        match &*said.kind {
            "events" => self.take(&said, tell),
            "error" => Next::Failed(refused(&said.message.unwrap_or_default())),
            _ => Next::More,
        }
    }

    fn take(&mut self, said: &Said<'_>, tell: &mut dyn FnMut(&Event)) -> Next {
        if said.lost > 0 {
            let reason = "the gateway had more than could be taken in time".to_owned();
            let dropped = Dropped { what: "events".to_owned(), count: said.lost, reason };
            tell(&Event { ts: now(), conn: None, body: Body::Dropped(dropped) });
        }
        for event in &said.events {
            let event = match Event::read_json(event.get()) {
                Ok(Some(event)) => event,
                // A newer gateway knows more.
                Ok(None) => continue,
                Err(error) => return Next::Failed(not_understood(&error.to_string())),
            };
            tell(&event);
            if matches!(event.body, Body::Close(_)) && self.ends() {
                return Next::Done;
            }
        }
        Next::More
    }

    /// A connection has ended; true if nothing more is awaited.
    fn ends(&mut self) -> bool {
        let left = self.ends_left.map(|left| left.saturating_sub(1));
        self.ends_left = left;
        self.is_of_connection || left == Some(0)
    }
}

fn refused(message: &str) -> Failure {
    let failure = Failure::of(known::REFUSED, format!("the gateway refused it: {}", escape(message)));
    if message.contains("[inspect]") {
        failure.mend("the gateway's configuration decides how much may be seen; ask for less with --level")
    } else if message.contains("no such connection") {
        failure.mend(
            "GET /connections lists those that are open; --filter 'path:/x*' follows those to come, too",
        )
    } else {
        failure
    }
}

fn not_understood(error: &str) -> Failure {
    Failure::of(known::GATEWAY_ODD, format!("the gateway said what is not understood: {}", escape(error)))
        .mend("is it of another version? tidegate --version")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::exit::Exit;

    fn feed(line: &str) -> Feed {
        let arguments = Arguments::try_parse_from(
            ["tidegate", "inspect", "--attach"].into_iter().chain(line.split_whitespace()),
        );
        match arguments.map(|arguments| arguments.command) {
            Ok(Some(Command::Inspect(inspect))) => Feed::new(&inspect),
            other => panic!("{other:?}"),
        }
    }

    fn take(feed: &mut Feed, text: &str) -> (Vec<String>, Next) {
        let mut events = Vec::new();
        let next = feed.handle_message(text, &mut |event| events.push(event.body.word().to_owned()));
        (events, next)
    }

    const NOTE: &str = r#"{"n":1,"v":1,"ts":"2026-03-01T12:03:04Z","type":"note","conn":"0-1a.3","level":"info","message":"x"}"#;
    const CLOSE: &str = r#"{"n":2,"v":1,"ts":"2026-03-01T12:03:04Z","type":"close","conn":"0-1a.3","code":1000,"clean":true}"#;

    #[test]
    fn what_is_asked_for() {
        let wish = |line: &str| serde_json::from_str::<serde_json::Value>(&feed(line).wish()).expect("JSON");
        assert_eq!(
            wish("--filter path:/x --level frames"),
            json!({"type":"watch","id":1,"what":"events","filter":"path:\"/x\"","level":"frames"})
        );
        assert_eq!(
            wish("--connection 0-1a.3"),
            json!({"type":"watch","id":1,"what":"connection","connection":"0-1a.3","level":null})
        );
    }

    #[test]
    fn events_come_in_order_and_what_was_lost_is_told() {
        let mut feed = feed("");
        let later = r#"{"v":1,"ts":"2026-03-01T12:03:04Z","type":"later"}"#;
        let text =
            format!(r#"{{"type":"events","id":1,"events":[{NOTE},{later},{CLOSE}],"lost":4,"later":1}}"#);
        let (events, next) = take(&mut feed, &text);
        assert_eq!(events, ["drop", "note", "close"]);
        assert!(matches!(next, Next::More));
        assert!(matches!(take(&mut feed, r#"{"type":"connection","id":1,"row":{}}"#).1, Next::More));
    }

    #[test]
    fn when_it_is_done() {
        let text = format!(r#"{{"type":"events","id":1,"events":[{CLOSE},{NOTE}],"lost":0}}"#);
        assert!(
            matches!(take(&mut feed("--connection 0-1a.3"), &text), (events, Next::Done) if events.len() == 1)
        );
        let mut two = feed("-n 2");
        assert!(matches!(take(&mut two, &text).1, Next::More));
        assert!(matches!(take(&mut two, &text).1, Next::Done));
    }

    #[test]
    fn what_ends_it() {
        for (text, exit, part) in [
            (
                r#"{"type":"error","id":1,"message":"[inspect] watch = \"meta\" \u001b"}"#,
                Exit::Refused,
                "\\u{1b}",
            ),
            ("[]", Exit::Protocol, "not understood"),
            (r#"{"type":"events","events":[{"v":2,"ts":"","type":"x"}]}"#, Exit::Protocol, "version 2"),
        ] {
            let (_, next) = take(&mut feed(""), text);
            let Next::Failed(failure) = next else { panic!("{text}: {next:?}") };
            assert_eq!(failure.exit, exit, "{text}");
            assert!(failure.what.contains(part), "{}", failure.what);
        }
    }
}
