//! 3000 to 3999: who may do what: tokens, origins, host names, the admin token.
//!
//! What limits how often a credential may be tried is 4000 to 4999.

use super::row::{Goes, Known, table};

table! { ACCESS:
    TOKEN_MISSING = 3001, "token missing", [status 401, close 4401, code "unauthorized"],
        "The route needs a token and none came.",
        "A browser cannot add Authorization to a WebSocket or an EventSource, or the cookie was not sent.",
        "Send Authorization: Bearer TOKEN, ?token=TOKEN, or the subprotocol that docs/access.md has for pages.";
    TOKEN_TOO_LONG = 3002, "token too long", [status 401, close 4401, code "unauthorized"],
        "The token is longer than token_max_bytes.",
        "Its claims list very many channels.",
        "Use patterns in its claims, or raise token_max_bytes under [limits].";
    TOKEN_MALFORMED = 3003, "no token", [status 401, close 4401, code "unauthorized"],
        "What came is not a JSON Web Token in compact form: three parts of base64url.",
        "It is a session id or another kind of token, was cut, or has quotes or the word Bearer twice.",
        "Look at what is sent, with `tidegate connect -i --token TOKEN URL`.";
    TOKEN_CRITICAL = 3004, "token wants something unknown", [status 401, close 4401, code "unauthorized"],
        "The token's header lists under `crit` something that must be understood, and is not.",
        "The issuer uses an extension of RFC 7515 (section 4.1.11).",
        "Let the issuer leave it away.";
    TOKEN_ALGORITHM = 3005, "algorithm of a token", [status 401, close 4401, code "unauthorized"],
        "The token is signed with an algorithm for which no key is configured.",
        "The issuer signs with RS256 by default, or the token is a forged one with `none`.",
        "Name the issuer's algorithm in [access] tokens, or let it sign with that one.";
    TOKEN_UNKNOWN_KEY = 3006, "key of a token", [status 401, close 4401, code "unauthorized"],
        "The token names a key (`kid`) that is not known.",
        "The key set is of another issuer, or the key is newer than the last fetch and has not been published.",
        "Look whether the URL under `jwks` lists the `kid`; jwks_pause says how often it is asked.";
    TOKEN_SIGNATURE = 3007, "signature of a token", [status 401, close 4401, code "unauthorized"],
        "The signature of the token does not hold.",
        "It is signed with another key: of another environment, or from before a change of keys; or it was altered.",
        "Compare the configured public key with the issuer's; tests and production often have two.";
    TOKEN_CLAIMS = 3008, "claims of a token", [status 401, close 4401, code "unauthorized"],
        "The token is signed well, but its claims cannot be used.",
        "`exp` is missing, a time is text or in milliseconds, or channels are not a list of path patterns.",
        "docs/access.md has the claims; times are seconds since 1970, as numbers.";
    TOKEN_ISSUER = 3009, "issuer of a token", [status 401, close 4401, code "unauthorized"],
        "`iss` of the token is none of those that count.",
        "Another tenant or environment made it, or the two differ in a slash at the end.",
        "Compare `iss` with `issuer` in [access] tokens, letter by letter.";
    TOKEN_AUDIENCE = 3010, "audience of a token", [status 401, close 4401, code "unauthorized"],
        "`aud` of the token is none of those that count, or is there and none is configured.",
        "The token was made for another service.",
        "Write it as `audience` in [access] tokens if it is meant for this one.";
    TOKEN_NOT_YET = 3011, "token not valid yet", [status 401, close 4401, code "unauthorized"],
        "`nbf` of the token lies ahead.",
        "The clocks of the issuer and of this machine differ.",
        "Compare `date` on both; let the issuer set nbf a little earlier, or leave it away.";
    TOKEN_EXPIRED = 3012, "token expired", [status 401, close 4401, code "unauthorized"],
        "The token has expired: it was refused, or the connection that it opened has ended with it.",
        "That is what `exp` is for; clients are to get a new one before they come back.",
        "Give the client a function that gets tokens: `token` in the browser module, TokenProvider in Rust.";
    TOKEN_BEYOND = 3013, "token does not grant this channel", [status 403, close 4403, code "forbidden"],
        "The token counts, but its claims do not grant this channel.",
        "The channel is missing in its `subscribe` or `publish` claim, or a pattern has a leading slash too few.",
        "Let the issuer add it; docs/access.md has the patterns.";
    KEYS_UNAVAILABLE = 3014, "keys for tokens unavailable", [status 503, close 1013, code "limit"],
        "The keys that tokens are checked with cannot be fetched just now, so nobody can say whether this one counts.",
        "The server under `jwks` does not answer, or answers with something else than a key set.",
        "Ask for its URL from the gateway's machine; `jwks_failed` in the log has the reason.";
    KEYS_NOT_FETCHED = 3015, "key set not fetched", [log "jwks_failed"],
        "The key set could not be fetched; the last one counts up to jwks_max_stale.",
        "The server under `jwks` does not answer, or answers with something else than a key set.",
        "Ask for its URL with curl from the gateway's machine. It is tried again after jwks_pause.";
    ORIGIN = 3101, "origin", [status 403],
        "A page of another origin may not connect here.",
        "The page is not the gateway's own; or a proxy ends TLS and is not trusted, so that https is taken for http.",
        "List the origin exactly as shown under [access] origins, or the proxy under trusted_proxies.";
    HOST = 3102, "host name", [status 421],
        "A listener on loopback does not answer to this host name.",
        "Otherwise a page of anybody could reach it by a name that leads to 127.0.0.1 (DNS rebinding).",
        "List the name under [access] hosts, or name the proxy in front under trusted_proxies.";
    PUBLISHING_CLOSED = 3103, "clients do not publish here", [status 403, close 1003, code "forbidden"],
        "The route takes no messages from clients.",
        "publish = \"nobody\" is the default, and on channels there is no backend to hand messages to.",
        "Write publish = \"anyone\" or \"token\" in the route, or messages = \"post\" where a backend stands behind it.";
    ADMIN_TOKEN = 3201, "admin token", [status 401],
        "The admin listener needs `Authorization: Bearer TOKEN` with the admin token.",
        "None came, or that of another gateway or of an earlier start: without a configured one it is made anew at each start.",
        "Take the one that `tidegate serve` prints, or set TIDEGATE_ADMIN_TOKEN for the gateway and for `tidegate publish`.";
    ADMIN_ORIGIN = 3202, "page on the admin listener", [status 403],
        "Pages of other origins may not use the admin listener.",
        "A page of another site, or of a development server, asks it.",
        "Ask from the listener's own page or from a program; a server of yours may ask for pages.";
}
