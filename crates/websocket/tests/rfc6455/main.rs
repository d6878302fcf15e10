//! The rules of RFC 6455, one test each, grouped by subject; and what must hold for all inputs.
//!
//! All of them drive the public API with bytes; `peer` writes what the other end sends.

mod peer;
#[path = "../told/mod.rs"]
mod told;

mod closing;
mod control;
mod corpus;
mod fields;
mod fragments;
mod frames;
mod handshake_client;
mod handshake_server;
mod identity;
mod lent;
mod limits;
mod roles;
mod sending;
mod splits;
mod text;
