//! 5000 to 5999: the servers behind routes, and the polls and streams of them.
//!
//! What they answered is in the message; here is what that means.

use super::row::{Goes, Known, table};

table! { BACKENDS:
    UPSTREAM_CONNECT = 5001, "backend does not accept", [status 502, close 1014, code "upstream"],
        "No address of the backend accepts a connection.",
        "It is not running, listens on another port or only on IPv6, or a firewall is between.",
        "Ask for the same URL with curl from the gateway's machine; `url` of the route says where it is.";
    UPSTREAM_RESOLVE = 5002, "backend's name", [status 502, close 1014, code "upstream"],
        "The backend's host name has no address.",
        "It is misspelt, or known only in another network, such as inside of a cluster.",
        "Look with `getent hosts NAME` on the gateway's machine, or write the address.";
    UPSTREAM_TLS = 5003, "TLS of the backend", [status 502, close 1014, code "upstream"],
        "TLS with the backend failed, or its certificate is not believed.",
        "It is signed by an authority of your own, has expired, or is for another name.",
        "Name the authority's certificate with [upstream] ca, or renew the backend's.";
    UPSTREAM_TIME = 5004, "backend too slow", [status 504, close 1014, code "upstream"],
        "The backend did not answer in time.",
        "It is overloaded, or the URL is one that holds its answers back.",
        "The message says what was awaited: upstream_connect_timeout, upstream_first_byte or upstream_total under [limits].";
    UPSTREAM_SIZE = 5005, "backend's answer too large", [status 502, close 1014, code "upstream"],
        "The backend's answer is larger than upstream_max_response.",
        "The URL is a list without an end, or a file.",
        "Poll a smaller document, or raise upstream_max_response and max_publication.";
    UPSTREAM_INVALID = 5006, "backend's answer unusable", [status 502, close 1014, code "upstream"],
        "The backend's answer is not HTTP, breaks off, or means nothing here.",
        "It speaks TLS or HTTP/2 on this port, or ended in the middle.",
        "Ask for the same URL with `curl -v`; write https:// where it speaks TLS.";
    UPSTREAM_BUSY = 5007, "too many requests at once", [status 503, close 1013, code "limit"],
        "As many requests to the backend are in flight as may be.",
        "It answers slowly, so that they gather.",
        "Look at its times; upstream_inflight_host and upstream_inflight_total under [limits] say how many.";
    UPSTREAM_REFUSED = 5008, "backend refused", [code "upstream"],
        "The backend answered with a status that refuses: its own answer is passed on, whatever it is.",
        "It wants credentials, does not know the path, or fails.",
        "Ask for the same URL with curl; `forward` and `share` say which credentials a request carries.";

    SOURCE_FAILING = 5101, "source fails", [code "upstream", log "upstream_failing"],
        "The server behind the channel does not answer, or answers what cannot be published. Clients stay, and are told when it is well again.",
        "It restarts, is overloaded, or its answer has changed its kind.",
        "GET /channels/CHANNEL on the admin listener has its last error. It is asked again after a pause that grows to a minute.";
    SOURCE_UNAUTHORIZED = 5102, "source refuses this identity", [close 4401, code "unauthorized"],
        "The server behind the channel refuses the identity of its clients: 401, 403, or a redirect to elsewhere.",
        "The session has ended, and a login page is what it answers with.",
        "Log in anew and come back; a `poll` route needs forward = [\"cookie\"] to carry it at all.";
    SOURCE_ENDED = 5103, "source has ended", [close 1000, code "upstream"],
        "The stream behind the channel has ended for good, and the channel with it.",
        "The server behind answered 204, which says that there is nothing to come back for.",
        "Ask for another channel; if it should be there, ask the server for the same URL.";
    SOURCE_GONE = 5104, "source has just ended", [close 1013, code "upstream"],
        "The source of the channel ended just when it was subscribed to.",
        "The last follower had left, and its time to linger was over.",
        "Subscribe again: it is begun anew.";
    SOURCE_REFUSED = 5105, "publication of a source refused", [log "publish_refused"],
        "There was no place for what a source has brought. A document is published when there is; an event of a stream is lost.",
        "channels_max_total is reached, or the gateway does not keep up.",
        "See TG-4012 and TG-6005; tidegate_source_refused_total counts them.";
}
