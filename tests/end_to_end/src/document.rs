//! One resource of a backend that a test changes: a body with its ETag, answered with 304 where the client has
//! it already, and failures instead while the test wants them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::{Asked, Reply};

/// The resource. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Document(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    body: String,
    version: u64,
    headers: Vec<(String, String)>,
    failing: Option<Reply>,
}

impl Document {
    /// A resource with this body.
    #[must_use]
    pub fn new(body: &str) -> Self {
        let state = State { body: body.to_owned(), version: 1, headers: Vec::new(), failing: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The same with a field in all of its answers.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.lock().headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From now on the body is this one, under another ETag.
    pub fn set(&self, body: &str) {
        let mut state = self.lock();
        state.body = body.to_owned();
        state.version += 1;
    }

    /// From now on every request gets this answer.
    pub fn fail(&self, reply: Reply) {
        self.lock().failing = Some(reply);
    }

    /// From now on all is well again.
    pub fn mend(&self) {
        self.lock().failing = None;
    }

    /// The answer to a GET.
    #[must_use]
    pub fn reply(&self, asked: &Asked) -> Reply {
        let state = self.lock();
        if let Some(failing) = &state.failing {
            return failing.clone();
        }
        let tag = format!("\"v{}\"", state.version);
        let known = asked.header("if-none-match") == Some(&tag);
        let reply = if known { Reply::status(304) } else { Reply::ok(state.body.as_str()) };
        let tagged = reply.header("ETag", &tag);
        state.headers.iter().fold(tagged, |reply, (name, value)| reply.header(name, value))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
