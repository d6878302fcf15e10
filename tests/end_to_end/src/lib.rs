//! What the end-to-end tests stand on: the gateway as a process of its own, backends that do what a test
//! says, and clients that see every byte. Everything goes over sockets of the loopback address, nothing
//! calls into the gateway.
//!
//! A wait is always a wait for an event, with [`deadline::PATIENCE`] as its bound; what does not come in
//! time is a panic that shows what came instead.
#![forbid(unsafe_code)]

// The order is the direction: a module uses those above it.
pub mod deadline;

pub mod lines;

pub mod stream;

pub mod http;

pub mod backend;

pub mod document;

pub mod websocket;

pub mod gateway;

pub mod event_stream;

pub mod json_lines;

pub mod script;

pub mod file_server;

pub mod relay;

pub mod nginx;

pub mod crowd;
