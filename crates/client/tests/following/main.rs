//! A follower against a scripted gateway on pipes, with a clock that the test moves: what is resumed, what is
//! declared missing, how long it waits, and when it gives up.

#![allow(missing_docs, reason = "a test program")]

mod gateway;

mod own_channel;
mod presence;
mod resuming;
mod subscriptions;
mod waiting;
