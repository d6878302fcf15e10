//! Where the token of a follower comes from: it is asked for before each connection, so that a token that has
//! ended is followed by the next one. Who makes tokens, and how they are fetched, is the application's.

use std::fmt;
use std::sync::Arc;

/// Gives the token for the connection that is about to be opened. It must not block: an application that
/// fetches its tokens keeps the newest where this finds it.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tidegate_client::follow::{Options, TokenProvider};
///
/// let newest = Arc::new(Mutex::new("the first one".to_owned()));
/// let kept = Arc::clone(&newest);
/// let token = TokenProvider::new(move || kept.lock().map(|token| token.clone()).unwrap_or_default());
/// let options = Options { token: Some(token), ..Options::default() };
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct TokenProvider(Arc<dyn Fn() -> String + Send + Sync>);

impl TokenProvider {
    /// By this function.
    pub fn new(give: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(give))
    }

    /// The field of the next request.
    pub(super) fn header(&self) -> (String, String) {
        ("Authorization".to_owned(), format!("Bearer {}", (self.0)()))
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenProvider")
    }
}
