//! What a source says while it runs: publications, and how its backend fares. Made by the loops of `poll`
//! and `stream`, handed to whoever runs them.

use tidegate_hub::Item;

/// One thing that a source says. After `Unauthorized` and `Ended` it says nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something new.
    Publication(Item),
    /// It does not get what it asks for, and goes on trying. Said once until it is well again.
    Failing {
        /// A sentence for people.
        reason: String,
    },
    /// It is well again after `Failing`; comes before the next publication.
    Recovered,
    /// The backend refuses this identity (401, 403, or a redirect to another origin).
    Unauthorized {
        /// A sentence for people.
        reason: String,
    },
    /// The backend says that there is nothing more to come.
    Ended {
        /// A sentence for people.
        reason: String,
    },
}
