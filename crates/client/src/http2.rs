//! The handshake over HTTP/2 (RFC 8441): an extended CONNECT on a connection of its own, and a 2xx.
//!
//! The server must have said that it takes them before one is sent (section 3). How long all this may take
//! is the caller's.

use bytes::Bytes;
use h2::Ping;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use http::{Method, Request, Uri, Version};
use tidegate_websocket::handshake::client::{self, ConnectHandshake, HandshakeError};

use crate::address::Address;
use crate::asked::{self, Answer};
use crate::failure::{ConnectError, Http2Error};
use crate::options::Options;
use crate::refusal;
use crate::stream::Stream;
use crate::tunnel::{CHUNK_MAX_BYTES, Keeper, Tunnel};

/// Bytes that may have come and not been read: the connection's memory is bounded by it.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Bytes of fields in an answer, as over HTTP/1.1.
const HEADERS_MAX_BYTES: u32 = 16 * 1024;

/// A request that can be sent, checked before anything is opened.
#[derive(Debug)]
pub(crate) struct Handshake {
    request: Request<()>,
    handshake: ConnectHandshake,
}

impl Handshake {
    pub(crate) fn new(address: &Address, options: &Options) -> Result<Self, ConnectError> {
        let asked = client::ConnectRequest {
            subprotocols: &asked::subprotocols(options),
            headers: &asked::headers(options),
            deflate: options.deflate,
        };
        let handshake = ConnectHandshake::new(&asked).map_err(ConnectError::Request)?;
        let scheme = if address.secure { "https" } else { "http" };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(address.authority.as_str())
            .path_and_query(address.target.as_str())
            .build()
            .map_err(|_| ConnectError::Request(client::RequestError::Target))?;
        let mut request = Request::builder().method(Method::CONNECT).uri(uri).version(Version::HTTP_2);
        for (name, value) in handshake.fields() {
            request = request.header(name, value);
        }
        let mut request =
            request.body(()).map_err(|_| ConnectError::Request(client::RequestError::Target))?;
        request.extensions_mut().insert(Protocol::from_static(ConnectHandshake::PROTOCOL));
        Ok(Self { request, handshake })
    }

    /// Begins HTTP/2 on the stream, awaits the server's settings, sends the request and awaits its answer.
    pub(crate) async fn run(self, stream: Stream) -> Result<(Answer, Stream), ConnectError> {
        let (requests, keeper) = begin(stream).await?;
        if !requests.is_extended_connect_protocol_enabled() {
            return Err(ConnectError::Http2(Http2Error::NoConnect));
        }
        let text = self.as_text();
        let mut requests = requests.ready().await.map_err(broken)?;
        let (answer, send) = requests.send_request(self.request, false).map_err(broken)?;
        let (head, receive) = await_answer(answer).await?;
        let mut tunnel = Tunnel::new(send, receive, keeper);
        let fields: Vec<(&str, &[u8])> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        match self.handshake.check(head.status.as_u16(), &fields) {
            Ok(response) => {
                let answer = Answer { response, request: text, first: Vec::new() };
                Ok((answer, Stream::Other(Box::new(tunnel))))
            }
            Err(HandshakeError::Refused(refused)) => {
                let refused = refusal::read(*refused, &mut tunnel).await;
                Err(ConnectError::Refused(Box::new(refused)))
            }
            Err(error) => Err(ConnectError::Handshake(error)),
        }
    }

    /// The request for people, for it goes out compressed: a field a line, pseudo-headers first.
    fn as_text(&self) -> Vec<u8> {
        let uri = self.request.uri();
        let mut text = format!(
            ":method: CONNECT\r\n:protocol: {}\r\n:scheme: {}\r\n:authority: {}\r\n:path: {}\r\n",
            ConnectHandshake::PROTOCOL,
            uri.scheme_str().unwrap_or_default(),
            uri.authority().map_or("", |authority| authority.as_str()),
            uri.path_and_query().map_or("", |path| path.as_str()),
        );
        for (name, value) in self.handshake.fields() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.into_bytes()
    }
}

/// HTTP/2 from its preface to the server's settings. They come first of all, so that the answer to a Ping
/// says that they are there.
async fn begin(stream: Stream) -> Result<(SendRequest<Bytes>, Keeper), ConnectError> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buffer_size(CHUNK_MAX_BYTES)
        .max_header_list_size(HEADERS_MAX_BYTES);
    let (requests, mut connection) = builder.handshake::<_, Bytes>(stream).await.map_err(broken)?;
    let mut pings = connection.ping_pong().expect("nobody has taken it yet");
    let keeper = Keeper::of(connection);
    pings.ping(Ping::opaque()).await.map_err(broken)?;
    Ok((requests, keeper))
}

async fn await_answer(
    answer: ResponseFuture,
) -> Result<(http::response::Parts, h2::RecvStream), ConnectError> {
    Ok(answer.await.map_err(broken)?.into_parts())
}

fn broken(error: h2::Error) -> ConnectError {
    ConnectError::Http2(Http2Error::Broken(error.to_string()))
}
