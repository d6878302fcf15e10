//! 4000 to 4999: limits. Each row names the key that moves it.
//!
//! They are no close codes, though their numbers look alike: those of Tidegate are 4400 to 4429.

use super::row::{Goes, Known, table};

table! { LIMITS:
    CONNECTIONS = 4001, "max_connections", [status 503],
        "As many connections are open as may be.",
        "The limit is reached; unless it is stated, it follows from the number of file descriptors.",
        "Raise `ulimit -n` or LimitNOFILE, or max_connections under [limits]; docs/operation.md, File descriptors.";
    CONNECTIONS_OF_ADDRESS = 4002, "max_connections_per_ip", [status 429],
        "The client's address has as many connections open as it may.",
        "One client opens many; or a proxy in front is not trusted, so that all clients have its address.",
        "Name the proxy under [access] trusted_proxies, or raise max_connections_per_ip.";
    ACCEPT_RATE = 4003, "accept_rate", [status 503],
        "More connections come than a busy gateway takes in; some are turned away, with a time to come back.",
        "All clients come back at once, as after a restart of what is in front.",
        "Wait: Retry-After spreads them. Otherwise more shards, or accept_rate under [limits].";
    URI_LENGTH = 4004, "http_max_uri", [status 414],
        "The target of the request is longer than http_max_uri.",
        "Something large is in the query, mostly a token or a list.",
        "Send it in a header, or raise http_max_uri.";
    HEADER_COUNT = 4005, "http_max_headers", [status 431],
        "The request has more header fields than http_max_headers.",
        "Cookies of a whole domain gather, or a proxy adds many fields.",
        "Send fewer, or raise http_max_headers.";
    HEADER_TIME = 4006, "http_header_timeout", [status 408],
        "The head of the request did not come in time.",
        "The client is very slow or has stopped, or holds connections open on purpose.",
        "Nothing, if it is a stranger; else look at its network, or raise http_header_timeout.";
    BODY_TIME = 4007, "http_body_timeout", [status 408],
        "The body of the request did not come in time.",
        "The client paused for longer than http_body_timeout, or the whole took longer than http_request_timeout.",
        "Send it without pauses, or raise the two.";
    BODY_SIZE = 4008, "publish_max_body", [status 413],
        "The body of a publishing request is larger than publish_max_body.",
        "A document is published whole that is meant to be fetched.",
        "Publish less, such as its URL, or raise publish_max_body and max_publication.";
    PUBLISH_RATE = 4009, "publish_rate", [status 429],
        "Publishing requests come faster than publish_rate allows.",
        "A program publishes in a loop, each message by itself.",
        "Publish more slowly (`tidegate publish --lines --rate N`), or raise publish_rate and publish_burst.";
    PUBLICATION_SIZE = 4010, "max_publication", [status 413, close 1009, code "too_large"],
        "The publication is larger than max_publication.",
        "Every follower's queue must hold it, so it is bounded.",
        "Publish less, or raise max_publication and with it ws_out_queue_bytes.";
    SOURCES = 4011, "poll_max_urls", [status 503, close 1013, code "limit"],
        "As many distinct URLs are followed as may be.",
        "Each identity or query is a URL of its own; often a cookie that does not matter makes them differ.",
        "Say share = \"public\" or \"cookie:NAME\" in the route, or raise poll_max_urls.";
    CHANNELS = 4012, "channels_max_total", [status 503, close 1013, code "limit"],
        "There are as many channels as there may be.",
        "Clients or publishers use ever new names.",
        "Look at GET /channels for names that should not be there; a token can bound them. Else raise channels_max_total.";
    CHANNELS_OF_CONNECTION = 4013, "channels_max_per_conn", [code "limit"],
        "The connection follows as many channels as it may.",
        "A client subscribes to each item by itself.",
        "Unsubscribe from what is not shown, publish lists to one channel, or raise channels_max_per_conn.";
    SUBSCRIBE_RATE = 4014, "subscribe_rate", [code "rate_limited"],
        "The connection subscribes faster than subscribe_rate allows.",
        "A page subscribes to everything at its start.",
        "Wait and ask again, or raise subscribe_rate and subscribe_burst.";
    AUTH_FAILURES = 4015, "auth_failures_per_minute", [status 429],
        "Too many credentials of this address were no good; it has to wait for up to a minute.",
        "A client repeats one that has expired without getting a new one, or somebody guesses.",
        "Mend the client; behind a proxy name it under trusted_proxies, or all clients count as one.";
    UNAUTHENTICATED = 4016, "max_unauthenticated_per_ip", [status 429],
        "Too many credentials of this address are being judged at once.",
        "The key server is slow, and one address brings many tokens with keys that are new.",
        "Come back after Retry-After; look at the server under `jwks`.";
    FRAME_RATE = 4017, "ws_max_frames_per_s", [close 1008],
        "The client sent frames faster than ws_max_frames_per_s allows.",
        "A page sends on every move of a mouse, or in a loop.",
        "Send less often, or raise ws_max_frames_per_s, also in the route's `limits`.";
    CONTROL_RATE = 4018, "ws_max_control_frames_per_s", [close 1008],
        "The client sent Pings or Pongs faster than ws_max_control_frames_per_s allows.",
        "A library's keep-alive is set to milliseconds, or somebody floods.",
        "Set its interval to some seconds.";
    MESSAGE_TIME = 4019, "ws_message_timeout", [close 1008],
        "A message was begun and not ended within ws_message_timeout.",
        "The client sends fragments with long pauses, or its network has stopped.",
        "Send a message at once, or raise ws_message_timeout.";
    SLOW_CONSUMER = 4020, "slow_consumer", [close 1013, log "slow_consumer"],
        "The client does not take what it asked for: its queue is full, or it has taken nothing for ws_write_timeout.",
        "Its network or its code is slow, or more is published than its link carries.",
        "Come back with the last position. For many clients: publish less, slow = \"latest\" in the route, or raise ws_out_queue_bytes.";
    MESSAGE_SIZE = 4021, "ws_max_message", [close 1009, log "protocol_error"],
        "The client sent a message larger than ws_max_message.",
        "A file or a large document is sent at once.",
        "Send less at once, or raise ws_max_message, also in the route's `limits`.";
    IDENTITIES = 4022, "many identities", [log "many_identities"],
        "Clients of one path carry many different identities, and each is a request of its own to the backend.",
        "A tracking cookie differs from client to client and says nothing about who they are.",
        "Name the cookie that matters with share = \"cookie:NAME\" or --share, or say public.";
    STORE_QUEUE = 4023, "store_queue_bytes", [status 503, close 1013, code "limit"],
        "The disk does not keep up with what is published: nothing of this was.",
        "It is slow, or sync = \"commit\" waits for each batch.",
        "Publish again after Retry-After; use a faster disk, sync = \"interval\", or raise store_queue_bytes.";
    WATCHERS = 4024, "inspect_max_watchers", [status 503],
        "As many watchers are there as may be.",
        "Pages and `tidegate inspect --attach` are left open.",
        "Close those that nobody looks at, or raise inspect_max_watchers.";
    FRAGMENTS = 4025, "ws_max_fragments", [close 1008, log "protocol_error"],
        "A client's message came in more fragments than ws_max_fragments.",
        "Its library sends each piece of a stream as a fragment, or somebody holds memory on purpose.",
        "Send larger fragments, or raise ws_max_fragments.";
}
