//! 2000 to 2999: requests and handshakes that cannot be answered as they are.
//!
//! Who may do what is 3000 to 3999, how much is 4000 to 4999.

use super::row::{Goes, Known, table};

table! { REQUESTS:
    NO_UPGRADE = 2001, "no upgrade", [status 400],
        "The request asks for a WebSocket and lacks what makes it a handshake: Upgrade or Connection.",
        "A proxy in between does not pass the two headers on, which concern one hop.",
        "In nginx: proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and Connection \"upgrade\".";
    WEBSOCKET_VERSION = 2002, "version of the protocol", [status 426],
        "Sec-WebSocket-Version is missing or another than 13.",
        "The client speaks a draft from before 2011, or the request was written by hand.",
        "Send Sec-WebSocket-Version: 13, or use a current library.";
    WEBSOCKET_KEY = 2003, "Sec-WebSocket-Key", [status 400],
        "Sec-WebSocket-Key is missing, came twice, or is not 16 bytes in base64.",
        "The request was written by hand, or a key was made once and cut or padded.",
        "Let a library make it; `tidegate explain sec-websocket-key` says what it is.";
    HANDSHAKE_METHOD = 2004, "method of a handshake", [status 405],
        "A handshake is a GET over HTTP/1.1 and a CONNECT with `:protocol: websocket` over HTTP/2.",
        "The request was written by hand, or a proxy translated between versions without translating the handshake.",
        "`tidegate explain handshake` and `tidegate explain extended connect` show both.";
    CONNECT_PROTOCOL = 2005, "extended CONNECT for something else", [status 501],
        "An extended CONNECT asks for another protocol than `websocket`.",
        "A client tries CONNECT-UDP, WebTransport or the like here.",
        "Use a WebSocket; nothing else is tunnelled.";
    BAD_HANDSHAKE = 2006, "handshake breaks a rule", [status 400],
        "The handshake breaks a rule of RFC 6455 that the sentence names.",
        "HTTP/1.0, a request with a body, or subprotocols and extensions that cannot be read; often a proxy's doing.",
        "`tidegate inspect ws://…` shows each requirement, met or broken, with the mend.";

    NO_ROUTE = 2101, "no route", [status 404, close 4404, code "not_found"],
        "No [[route]] matches the path.",
        "The path is misspelt, has a slash too many, or its route was removed by a reload.",
        "`tidegate check FILE` prints the routes; add one with this path.";
    BAD_HOST = 2102, "Host header", [status 400],
        "The request must carry exactly one Host header with a host name and a port.",
        "It was written by hand, or a proxy sends several or none.",
        "Send one; in nginx: proxy_set_header Host $http_host.";
    BAD_HEAD = 2103, "head of a request", [status 400],
        "The head of an HTTP/2 request contradicts itself: its target, its Host or its length.",
        "The client or a proxy translates to HTTP/2 wrongly.",
        "The sentence names the field; ask over HTTP/1.1 to see whether that helps.";
    METHOD = 2104, "method not served", [status 405],
        "What is asked for takes other methods; Allow lists them.",
        "A channel is published to on the admin listener, not by a POST to its own URL; CONNECT and TRACE are never passed on.",
        "tidegate publish CHANNEL TEXT, or POST /channels/CHANNEL on the admin listener.";
    BAD_NAME = 2105, "name of a channel", [status 400, close 4400, code "bad_request"],
        "The path or name is none that a channel can have.",
        "It is longer than 255 bytes, has an empty segment, `.`, `..`, a control character, or `%2F`.",
        "Write it as docs/protocol.md has it, under Channels and their names.";
    NAME_WITH_QUERY = 2106, "query in a name", [status 400, close 4400, code "bad_request"],
        "Channels of this route have no query in their name.",
        "Where no backend stands behind a route, anybody could make any number of channels by it.",
        "Leave `?` and what follows away.";
    BAD_AFTER = 2107, "no position", [status 400, close 4400, code "bad_request"],
        "`after`, or Last-Event-ID, is not a position.",
        "A position is taken as it came, such as k3f9:41; a number alone, a time or a half of it is none.",
        "Keep the `position` of the last message whole, and send that.";
    BAD_WAIT = 2108, "no time to wait", [status 400],
        "`wait` is not a whole number of seconds within its bound.",
        "It has a unit, a fraction, or is above longpoll_max_wait.",
        "Write such as ?after=POSITION&wait=30.";
    BAD_UPDATES = 2109, "no kind of updates", [status 400],
        "`updates` in the query is no kind of increments, or the door cannot carry it.",
        "It is misspelt; or the WebSocket is bare, where a patch could not be told from a document.",
        "Write json-patch or merge-patch, and on WebSockets offer the subprotocol tidegate.v1.";
    BODY_BROKE_OFF = 2110, "body broke off", [status 400],
        "The body of the request ended before it was whole.",
        "The client went away, or a proxy cut it.",
        "Send it again; Content-Length and what is sent must agree.";
    TRANSFER_CODING = 2111, "Transfer-Encoding", [status 400],
        "The only Transfer-Encoding that is taken is `chunked`, once.",
        "Where a body with another one ends is a matter of opinion, which is how requests are smuggled.",
        "Send Content-Length, or chunked alone.";
    NOTHING_KEPT = 2112, "nothing kept of the channel", [status 404],
        "The channel is there to be followed, and there is no newest publication to give to a plain GET.",
        "Nothing was published yet, its history has ended, or its route has history = { size = 0 }.",
        "Publish to it, or ask as a WebSocket, with Accept: text/event-stream, or with ?wait=30.";
    NO_BACKEND = 2113, "no server behind it", [status 404],
        "The request is for a server, and this route is a channel, which has none.",
        "A page's other requests reach the route because its pattern is wide, such as /{*rest}.",
        "Make the pattern more exact, or add an `auto` route for the server.";
    LOOP = 2114, "loop", [status 508],
        "The request has come through this gateway ten times.",
        "The backend of a route leads back to the gateway: by its URL, or by a proxy before the backend.",
        "Look at `url` of the route; it names the server, never the gateway's own address.";
    PLAIN_HTTP = 2115, "HTTP without TLS", [status 400],
        "Plain HTTP came to a listener that speaks TLS.",
        "The URL begins with http:// or ws://, or a proxy in front does not speak TLS to its backend.",
        "Write https:// or wss://; or let the proxy end TLS and leave [listen] tls away.";
    RESTARTING = 2116, "the gateway is ending", [status 503, close 1012, code "limit"],
        "The gateway is ending, mostly to be started anew: it takes nothing new.",
        "It got SIGTERM; open connections are closed over some seconds, so that not all come back at once.",
        "Come back after Retry-After or `reconnect_in_ms`; nothing has to be mended.";
    POLL_ENDED = 2117, "long poll ended", [status 503],
        "A long poll was ended before there was anything to tell; the sentence has the close code and its reason.",
        "What closes an open connection ends a poll, too: an operator, a dropped channel, a queue that is full.",
        "Ask again after Retry-After with the position of the last answer.";

    NO_ADMIN_CALL = 2201, "no such admin call", [status 404],
        "There is nothing of this name on the admin listener.",
        "The path is misspelt, or the request was meant for the public listener, which has the routes.",
        "docs/admin.md lists the calls, such as /channels, /connections and /metrics.";
    BAD_PARAMETER = 2202, "parameter of an admin call", [status 400],
        "A parameter of an admin call is not of its form or out of its bounds.",
        "It is a limit above 1000, a close code that may not be sent, or a connection's id that was cut.",
        "The sentence says what it must be; docs/admin.md has each call.";
    NO_CONNECTION = 2203, "no such connection", [status 404],
        "There is no such connection.",
        "It has ended, or the id is of another start of the gateway.",
        "GET /connections lists those that are open.";
    NO_CHANNEL = 2204, "no such channel", [status 404],
        "There is no such channel just now.",
        "Nothing was published to it and nobody follows it, or it has ended since.",
        "GET /channels lists those that are there; publishing to it or following it makes it.";
    METRICS = 2205, "metrics cannot be written", [status 500],
        "The metrics could not be put into text.",
        "It is a fault of the gateway.",
        "Report it with the version of the gateway.";
    ADMIN_METHOD = 2206, "method of an admin call", [status 405],
        "The admin call takes other methods; Allow lists them.",
        "A GET was sent where POST is needed, or the other way round.",
        "docs/admin.md has each call with its methods.";
    WATCH_SUBPROTOCOL = 2207, "subprotocol of a watcher", [status 400],
        "Watching is done in a subprotocol of its own, and the handshake does not offer it.",
        "A WebSocket was opened to /watch by hand.",
        "Offer tidegate.watch.v1; docs/admin.md has what is said in it.";
    WATCH_REFUSED = 2208, "watch refused", [],
        "Something that a watcher asked for cannot be had; the message says why.",
        "The message cannot be read, what it names has ended, or the configuration does not allow it.",
        "docs/admin.md has what may be asked for; [inspect] watch says how much is shown.";
    NO_PAGE = 2209, "no such file of the page", [status 404],
        "The web page has no file of this name.",
        "It is of another version: files have a hash in their name.",
        "Reload the page.";
}
