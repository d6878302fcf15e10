//! Whether a connection of a list is one that a filter shows.
//!
//! As with events, what is asked that has no answer, such as the opcode, is answered with no.

use super::parse::Filter;
use super::term::{Has, Named, Quantity, Question};

/// What is known of a connection in a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listed<'l> {
    /// Its name.
    pub conn: &'l str,
    /// The path of its request, without the query.
    pub path: &'l str,
    /// Who it is, where a credential says so.
    pub user: Option<&'l str>,
    /// The channels that it follows.
    pub channels: &'l [&'l str],
    /// The client's address.
    pub remote: &'l str,
    /// The door that it came by.
    pub door: &'l str,
    /// `open`, `closing` or `closed`.
    pub state: &'l str,
    /// Who ended it.
    pub by: Option<&'l str>,
    /// The code that it ended with.
    pub code: Option<u16>,
    /// What is told of its end.
    pub what: Option<&'l str>,
    /// It ended otherwise than by Close frames both ways.
    pub is_unclean: bool,
    /// It compresses.
    pub is_compressed: bool,
    /// Bytes that wait for it.
    pub queue: u64,
    /// Bytes that it was sent.
    pub sent: u64,
    /// Bytes that came from it.
    pub received: u64,
    /// Microseconds since it opened.
    pub age_us: u64,
    /// Microseconds since its last byte.
    pub idle_us: u64,
    /// Microseconds of its last answered Ping.
    pub rtt_us: Option<u64>,
}

impl Filter {
    /// Whether to show the connection.
    #[must_use]
    pub fn lists(&self, connection: &Listed<'_>) -> bool {
        self.terms
            .iter()
            .all(|term| term.any.iter().any(|question| connection.answer(question)) != term.is_negated)
    }
}

impl Listed<'_> {
    fn answer(&self, question: &Question) -> bool {
        match question {
            Question::Number(quantity, range) => {
                self.number(*quantity).is_some_and(|number| range.contains(number))
            }
            Question::Name(Named::Channel, glob) => self.channels.iter().any(|channel| glob.matches(channel)),
            Question::Name(named, glob) => self.name(*named).is_some_and(|name| glob.matches(name)),
            Question::Has(Has::Error) => self.is_unclean,
            Question::Has(Has::Compressed) => self.is_compressed,
            Question::Has(Has::Rtt) => self.rtt_us.is_some(),
            Question::Text(text) => self.texts().any(|found| found.contains(text)),
            Question::Matches(regex) => self.texts().any(|found| regex.is_match(found)),
            Question::Direction(_)
            | Question::Type(_)
            | Question::Op(_)
            | Question::Flag(..)
            | Question::Has(_)
            | Question::Json(_) => false,
        }
    }

    fn number(&self, quantity: Quantity) -> Option<u64> {
        match quantity {
            Quantity::Code => self.code.map(u64::from),
            Quantity::Age => Some(self.age_us),
            Quantity::Idle => Some(self.idle_us),
            Quantity::RoundTrip => self.rtt_us,
            Quantity::Queue => Some(self.queue),
            Quantity::Sent => Some(self.sent),
            Quantity::Received => Some(self.received),
            Quantity::Length | Quantity::Wire | Quantity::Status | Quantity::Message => None,
        }
    }

    fn name(&self, named: Named) -> Option<&str> {
        match named {
            Named::Connection => Some(self.conn),
            Named::Path => Some(self.path),
            Named::User => self.user,
            Named::Channel => None,
            Named::Remote => Some(self.remote),
            Named::Door => Some(self.door),
            Named::State => Some(self.state),
            Named::By => self.by,
        }
    }

    /// Where words are looked for.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let known = [Some(self.conn), Some(self.path), self.user, Some(self.remote), self.what];
        known.into_iter().flatten().chain(self.channels.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_listed_by_their_fields() {
        let connection = Listed {
            conn: "0-1a.3",
            path: "/quotes/BTC",
            user: Some("ann"),
            channels: &["quotes/BTC", "news"],
            remote: "192.0.2.7",
            door: "tidegate.v1",
            state: "closed",
            by: Some("network"),
            code: Some(1006),
            what: Some("the connection was reset (RST)"),
            is_unclean: true,
            queue: 5000,
            sent: 2_000_000,
            received: 10,
            age_us: 90_000_000,
            idle_us: 1_500_000,
            ..Listed::default()
        };
        for (filter, is_listed) in [
            ("", true),
            ("path:/quotes* -op:ping", true),
            ("op:ping", false),
            ("door:tidegate.v1 state:closed by:network", true),
            ("door:websocket,ndjson", false),
            ("remote:192.0.2.*", true),
            ("-remote:192.0.2.7", false),
            ("ch:news user:ann conn:0-*", true),
            ("-ch:news", false),
            ("queue:>4k sent:>=1m received:<11", true),
            ("queue:<4k", false),
            ("idle:>1s age:<2m", true),
            ("idle:>2s", false),
            ("rtt:>1ms", false),
            ("code:1006 has:error", true),
            ("code:1000,1001", false),
            ("has:compressed", false),
            ("RST", true),
            ("text:BTC /R.T/", true),
            ("elsewhere", false),
        ] {
            let parsed: Filter = filter.parse().unwrap_or_else(|error| panic!("{filter}: {error}"));
            assert_eq!(parsed.lists(&connection), is_listed, "{filter}");
            let again: Filter = parsed.to_string().parse().expect("what is written is read");
            assert_eq!(again, parsed, "{filter}");
        }
    }
}
