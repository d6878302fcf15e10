//! The key sets that issuers publish, as all shards of the process share them: what was fetched last, how old
//! it is, and whether it is time to ask again. State only, at a time that is given; `credential` fetches.
//!
//! A set is asked for by one at a time, and no more often than the limits say, whatever tokens come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use tokio::sync::watch;

use crate::limits::Limits;
use crate::tokens::KeySet;

/// All of them, by URL: two issuers with keys of the same name have nothing to do with each other.
#[derive(Debug, Default)]
pub(crate) struct KeySets(Mutex<HashMap<String, Arc<Fetched>>>);

/// The set of one URL.
#[derive(Debug)]
pub(crate) struct Fetched {
    state: Mutex<State>,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    set: Option<(Arc<KeySet>, Instant)>,
    asked: Option<Instant>,
    fetching: bool,
    /// The last fetch has not brought a set, or not yet.
    lacking: bool,
}

/// The right and the duty to fetch a set once. Dropping it lets those go on who wait.
#[derive(Debug)]
pub(crate) struct Fetching(Arc<Fetched>);

/// How often a set is fetched, and how long it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// From one fetch to the next.
    pub(crate) pause: Duration,
    /// From this age on it is fetched anew, while it still counts.
    pub(crate) refresh: Duration,
    /// From this age on it does not count.
    pub(crate) stale: Duration,
}

impl From<&Limits> for Ages {
    fn from(limits: &Limits) -> Self {
        Self { pause: limits.jwks_pause, refresh: limits.jwks_refresh, stale: limits.jwks_max_stale }
    }
}

impl KeySets {
    /// The set of a URL, which the configuration names.
    pub(crate) fn of(&self, url: &Uri) -> Arc<Fetched> {
        Arc::clone(self.lock().entry(url.to_string()).or_default())
    }

    /// Forgets the sets that the configuration does not name any more.
    pub(crate) fn keep<'u>(&self, urls: impl Iterator<Item = &'u Uri>) {
        let named: Vec<String> = urls.map(Uri::to_string).collect();
        self.lock().retain(|url, _| named.contains(url));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Fetched>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Fetched {
    fn default() -> Self {
        Self { state: Mutex::default(), ended: watch::Sender::new(0) }
    }
}

impl Fetched {
    /// The set, if there is one that counts.
    pub(crate) fn set(&self, now: Instant, ages: Ages) -> Option<Arc<KeySet>> {
        let state = self.lock();
        let (set, at) = state.set.as_ref()?;
        (now.saturating_duration_since(*at) < ages.stale).then(|| Arc::clone(set))
    }

    /// Whether the set is so old that it should be fetched anew.
    pub(crate) fn is_old(&self, now: Instant, ages: Ages) -> bool {
        let state = self.lock();
        state.set.as_ref().is_none_or(|(_, at)| now.saturating_duration_since(*at) >= ages.refresh)
    }

    /// Whether there may be keys that are not known here: the set that was asked for last is on its way, or could not
    /// be had.
    pub(crate) fn is_lacking(&self) -> bool {
        self.lock().lacking
    }

    /// Whether the set has come since then.
    pub(crate) fn has_come_since(&self, then: Instant) -> bool {
        self.lock().set.as_ref().is_some_and(|(_, at)| *at >= then)
    }

    /// Gives the one who asks the duty to fetch, unless somebody has it or had it a moment ago.
    pub(crate) fn begin(self: &Arc<Self>, now: Instant, ages: Ages) -> Option<Fetching> {
        let mut state = self.lock();
        let too_soon = state.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ages.pause);
        if state.fetching || too_soon {
            return None;
        }
        (state.fetching, state.lacking, state.asked) = (true, true, Some(now));
        drop(state);
        Some(Fetching(Arc::clone(self)))
    }

    /// Whether a fetch is on its way, and what tells when it has ended.
    pub(crate) fn on_its_way(&self) -> Option<watch::Receiver<u64>> {
        let state = self.lock();
        // Under the lock: a fetch that ends after this is told.
        state.fetching.then(|| self.ended.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetching {
    /// Puts a set that was fetched in the place of the old one.
    pub(crate) fn done(self, set: KeySet, now: Instant) {
        let mut state = self.0.lock();
        (state.set, state.lacking) = (Some((Arc::new(set), now)), false);
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.lock().fetching = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages {
        pause: Duration::from_secs(10),
        refresh: Duration::from_secs(300),
        stale: Duration::from_secs(3600),
    };

    fn set() -> KeySet {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        KeySet::parse(format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#).as_bytes())
            .expect("a key set")
    }

    #[test]
    fn one_fetches_at_a_time_and_not_too_often() {
        let (fetched, start) =
            (KeySets::default().of(&Uri::from_static("http://localhost/")), Instant::now());
        let fetching = fetched.begin(start, AGES).expect("the first");
        assert!(fetched.begin(start + AGES.pause * 2, AGES).is_none(), "one is on its way");
        let ended = fetched.on_its_way().expect("it is on its way");
        assert!(!ended.has_changed().expect("the sender is there"));
        drop(fetching);
        assert!(ended.has_changed().expect("the sender is there"));
        assert!(fetched.on_its_way().is_none());
        assert!(fetched.begin(start + AGES.pause / 2, AGES).is_none(), "it was asked a moment ago");
        assert!(fetched.begin(start + AGES.pause, AGES).is_some());
    }

    #[test]
    fn a_set_counts_until_it_is_stale() {
        let (fetched, start) = (Arc::new(Fetched::default()), Instant::now());
        assert!(fetched.is_old(start, AGES) && fetched.set(start, AGES).is_none());
        fetched.begin(start, AGES).expect("the first").done(set(), start);
        assert!(!fetched.is_old(start, AGES) && fetched.set(start, AGES).is_some());
        let late = start + AGES.refresh;
        assert!(fetched.is_old(late, AGES) && fetched.set(late, AGES).is_some());
        // It cannot be fetched: the old one goes on counting, up to its bound.
        drop(fetched.begin(late, AGES).expect("time to ask"));
        assert!(fetched.set(late, AGES).is_some());
        assert!(fetched.set(start + AGES.stale, AGES).is_none());
    }

    #[test]
    fn a_set_lacks_what_could_not_be_fetched() {
        let (fetched, start) = (Arc::new(Fetched::default()), Instant::now());
        let fetching = fetched.begin(start, AGES).expect("the first");
        assert!(fetched.is_lacking(), "it is on its way");
        fetching.done(set(), start);
        assert!(!fetched.is_lacking() && fetched.has_come_since(start));
        let late = start + AGES.pause;
        assert!(!fetched.has_come_since(late));
        drop(fetched.begin(late, AGES).expect("time to ask"));
        assert!(fetched.is_lacking() && !fetched.has_come_since(late), "it failed");
        fetched.begin(late + AGES.pause, AGES).expect("time to ask").done(set(), late + AGES.pause);
        assert!(!fetched.is_lacking() && fetched.has_come_since(late));
    }

    #[test]
    fn each_url_has_a_set_of_its_own_while_it_is_named() {
        let (sets, now) = (KeySets::default(), Instant::now());
        let (one, two) = (Uri::from_static("https://a.example/"), Uri::from_static("https://b.example/"));
        sets.of(&one).begin(now, AGES).expect("the first").done(set(), now);
        assert!(sets.of(&one).set(now, AGES).is_some() && sets.of(&two).set(now, AGES).is_none());
        sets.keep([&two].into_iter());
        assert!(sets.of(&one).set(now, AGES).is_none());
    }
}
