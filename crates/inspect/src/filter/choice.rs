//! What a filter says of connections, for who has to choose some before anything happens on them.
//!
//! Terms with the keys `conn`, `path`, `user` and `ch` choose connections, all others events. Terms are joined by *and*, so
//! that the two can be asked apart.

use super::parse::Filter;
use super::term::{Named, Question, Term};

/// A connection that may be chosen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'c> {
    /// Its name.
    pub conn: &'c str,
    /// The path of its request, without the query.
    pub path: &'c str,
    /// Who it is, where a credential says so.
    pub user: Option<&'c str>,
    /// The channels that it follows.
    pub channels: &'c [String],
}

impl Filter {
    /// Parts it into what chooses connections and what chooses events.
    #[must_use]
    pub fn parted(self) -> (Self, Self) {
        let (connections, events) = self.terms.into_iter().partition(Term::is_of_connections);
        (Self { terms: connections }, Self { terms: events })
    }

    /// Whether its terms of connections choose this one; its other terms are not asked.
    #[must_use]
    pub fn chooses(&self, candidate: &Candidate<'_>) -> bool {
        self.terms.iter().filter(|term| term.is_of_connections()).all(|term| term.chooses(candidate))
    }
}

impl Term {
    /// All questions of a term have one key.
    fn is_of_connections(&self) -> bool {
        matches!(self.any.first(), Some(Question::Name(..)))
    }

    fn chooses(&self, candidate: &Candidate<'_>) -> bool {
        let is_answered = |question: &Question| match question {
            Question::Name(Named::Connection, glob) => glob.matches(candidate.conn),
            Question::Name(Named::Path, glob) => glob.matches(candidate.path),
            Question::Name(Named::User, glob) => candidate.user.is_some_and(|user| glob.matches(user)),
            Question::Name(Named::Channel, glob) => {
                candidate.channels.iter().any(|channel| glob.matches(channel))
            }
            _ => false,
        };
        self.any.iter().any(is_answered) != self.is_negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_chosen_by_their_names() {
        let channels = ["quotes/BTC".to_owned(), "news".to_owned()];
        let candidate =
            Candidate { conn: "0-1a.3", path: "/quotes/BTC", user: Some("ann"), channels: &channels };
        for (filter, is_chosen) in [
            ("", true),
            ("op:ping len:>1k", true),
            ("path:/quotes* -op:ping", true),
            ("path:/other", false),
            ("-path:/other", true),
            ("user:ann,bob", true),
            ("-user:ann", false),
            ("ch:news", true),
            ("-ch:news", false),
            ("ch:n*s conn:0-1a.3", true),
            ("conn:1-*", false),
        ] {
            let filter: Filter = filter.parse().expect(filter);
            assert_eq!(filter.chooses(&candidate), is_chosen, "{filter}");
        }
        let nobody = Candidate { user: None, ..candidate };
        assert!(!"user:*".parse::<Filter>().expect("a filter").chooses(&nobody));
    }

    #[test]
    fn the_two_parts_are_the_whole() {
        let filter: Filter = "path:/a -op:ping conn:x len:>1 -user:ann".parse().expect("a filter");
        let (connections, events) = filter.parted();
        assert_eq!(connections.to_string(), "path:\"/a\" conn:\"x\" -user:\"ann\"");
        assert_eq!(events.to_string(), "-op:ping len:>=2");
    }
}
