//! The handshake over HTTP/1.1 (RFC 6455, section 4): a GET that asks for an upgrade, and a 101.
//!
//! Afterwards the stream carries frames. How long all this may take is the caller's.

use std::io;

use tidegate_websocket::handshake::client::{ClientHandshake, ClientRequest, HandshakeError, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::address::Address;
use crate::asked::{self, Answer};
use crate::failure::ConnectError;
use crate::options::Options;
use crate::refusal;
use crate::stream::Stream;

/// A request that can be sent, checked before anything is opened.
#[derive(Debug)]
pub(crate) struct Handshake {
    request: Vec<u8>,
    handshake: ClientHandshake,
}

impl Handshake {
    pub(crate) fn new(address: &Address, options: &Options) -> Result<Self, ConnectError> {
        let asked = ClientRequest {
            host: &address.authority,
            target: &address.target,
            key: asked::random()?,
            subprotocols: &asked::subprotocols(options),
            headers: &asked::headers(options),
            deflate: options.deflate,
        };
        let mut request = Vec::new();
        let handshake = ClientHandshake::new(&asked, &mut request).map_err(ConnectError::Request)?;
        Ok(Self { request, handshake })
    }

    /// Sends the request and reads until the answer's head has come.
    pub(crate) async fn run(mut self, stream: &mut Stream) -> Result<Answer, ConnectError> {
        stream.write_all(&self.request).await.map_err(ConnectError::Lost)?;
        stream.flush().await.map_err(ConnectError::Lost)?;
        let mut buffer = vec![0; 4096];
        loop {
            let length = stream.read(&mut buffer).await.map_err(ConnectError::Lost)?;
            if length == 0 {
                let why = "the server ended the connection without an answer";
                return Err(ConnectError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            match self.handshake.handle_input(&buffer[..length]) {
                Ok(Progress::NeedMore) => {}
                Ok(Progress::Done(response)) => {
                    let first = buffer[response.consumed..length].to_vec();
                    return Ok(Answer { response, request: self.request, first });
                }
                Err(HandshakeError::Refused(refused)) => {
                    let refused = refusal::read(*refused, stream).await;
                    return Err(ConnectError::Refused(Box::new(refused)));
                }
                Err(error) => return Err(ConnectError::Handshake(error)),
            }
        }
    }
}
