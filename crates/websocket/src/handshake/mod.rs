//! The opening handshake (RFC 6455, section 4): one HTTP/1.1 request, one answer, and the rules of both.
//!
//! [`server`] judges a request that somebody parsed, or parses it; [`client`] writes one and judges the
//! answer. What a request means beyond WebSocket (path, origin, credentials) is the caller's.

mod key;

mod field;

mod extension_list;

pub mod head;

pub mod server;

pub mod client;

pub use extension_list::{ListedExtension, list_extensions, stated_extensions};
pub use field::HeaderError;
pub use key::{accept_key, decoded_length};
