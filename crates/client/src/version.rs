//! Which version of HTTP opens a WebSocket: the caller's wish, and what it came to.
//! How they do it is in `http1` and `http2`.

/// The version of HTTP that the handshake is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http {
    /// HTTP/1.1: a GET that asks for an upgrade (RFC 6455).
    #[default]
    V1,
    /// HTTP/2: an extended CONNECT on a connection of its own (RFC 8441). Over TLS it is agreed on by ALPN;
    /// without TLS the server must know that it comes.
    V2,
    /// Over TLS what the server prefers; HTTP/1.1 if it opens no WebSockets over HTTP/2, and without TLS.
    Auto,
}
