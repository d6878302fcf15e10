//! 1000 to 1999: the command line, the configuration, and the start of the gateway.
//!
//! A number is never used for anything else than what it stands for here.

use super::row::{Goes, Known, table};

table! { CONFIGURATION:
    USAGE = 1001, "command line", [exit 2],
        "The command line cannot be read.",
        "An argument is unknown, missing, or not of the form that it must have.",
        "The message names the argument; `tidegate COMMAND --help` lists them all.";
    NOTHING_KNOWN = 1002, "nothing known under this name", [exit 2],
        "`tidegate explain` knows nothing under this name.",
        "The name is misspelt, or it is neither a close code, a header, an error nor the bytes of a frame.",
        "`tidegate explain` alone lists what it knows; `0x` says that digits are bytes.";
    LOG_FILTER = 1003, "TIDEGATE_LOG cannot be read", [],
        "The filter in TIDEGATE_LOG cannot be read, so `info` is used instead.",
        "It is not a level, nor a list such as `warn,tidegate_gateway=debug`.",
        "Write one of error, warn, info, debug and trace.";
    SYSTEM = 1004, "the system refuses", [exit 1],
        "The system refuses what every process needs: a thread, a descriptor, random bytes, a signal handler.",
        "A limit of the user or of the container is reached, or the runtime folder cannot be written to.",
        "Look at `ulimit -a` and at the limits of the container; the message has the system's own words.";

    FAULTY = 1101, "faulty configuration", [exit 3],
        "The configuration has faults, and each of them is listed; nothing was started.",
        "A file was written by hand, or for another version.",
        "Mend what is listed and look again with `tidegate check FILE`.";
    FILE_UNREADABLE = 1102, "configuration cannot be read", [exit 3],
        "The file of the configuration cannot be read.",
        "It is not there, this user may not read it, it is larger than 1 MiB, or it is not UTF-8.",
        "Name another with --config FILE, or mend the rights of this one.";
    NOT_TOML = 1103, "not TOML", [exit 3],
        "The configuration is not TOML.",
        "Mostly a quotation mark or a bracket is missing on the line named, or the one before it.",
        "https://toml.io has the syntax; docs/configuration.md has examples of each table.";
    UNKNOWN_KEY = 1104, "unknown key", [exit 3],
        "A key of the configuration is not known, or not in this table.",
        "It is misspelt, or stands below the wrong [table]. Unknown keys are faults, so that a slip is not a default.",
        "The message names the nearest key, or the table where it belongs.";
    ABSENT_KEY = 1105, "not in this version", [exit 3],
        "The key or value is known and not available in this version.",
        "The file was written for another version, or from a plan of what is to come.",
        "Do what the message says instead, mostly remove it; CHANGELOG.md tells what a version has.";
    MISSING_KEY = 1106, "key missing", [exit 3],
        "A key that must be there is not.",
        "The table was begun and not finished.",
        "Add the line that the message shows.";
    WRONG_TYPE = 1107, "wrong type", [exit 3],
        "The value is of another type than the key needs.",
        "A string stands without quotes, a number in them, or one value where a table or list is needed.",
        "Write it as the message shows.";
    WRONG_VALUE = 1108, "wrong value", [exit 3],
        "The value is none of those that the key can have.",
        "It is misspelt, or of another key.",
        "Write one of those that the message lists.";
    OUT_OF_BOUNDS = 1109, "out of bounds", [exit 3],
        "A quantity cannot be read, or is below or above what is allowed.",
        "The unit is missing or unknown, or the number is beyond the bounds of its limit.",
        "Write a value within the bounds that the message names; the table is in docs/configuration.md, Limits.";
    CONTRADICTION = 1110, "contradiction", [exit 3],
        "Two lines of the configuration contradict each other, or one says nothing beside the other.",
        "One was changed without the other, or a line was copied to a route of another kind.",
        "Remove one of the two, or change it as the message says.";
    TOO_MANY = 1111, "too many entries", [exit 3],
        "A list of the configuration has more entries than it may have.",
        "It was made by a program, or holds what one pattern could say.",
        "Shorten it; routes are joined with {parameters}.";
    BAD_ADDRESS = 1112, "no address to listen on", [exit 3],
        "This is not an address and a port that can be listened on.",
        "The port is missing, or a name stands for the address; names are refused, because they may mean several.",
        "Write such as \"127.0.0.1:8080\", or \"0.0.0.0:8080\" for everybody.";
    LISTENERS_COLLIDE = 1113, "two listeners in one place", [exit 3],
        "Two listeners cannot be bound, because one covers the address of the other.",
        "The public and the admin listener have the same port.",
        "Give each a port of its own: [listen] public and admin, or --listen and --admin.";
    BAD_PATTERN = 1114, "no path of a route", [exit 3],
        "The path of a route cannot be read.",
        "It does not begin with a slash, or a parameter is not a whole segment such as {name} or {*rest}.",
        "Write it as docs/configuration.md shows, such as path = \"/quotes/{symbol}\".";
    ROUTE_KIND = 1115, "kind of a route", [exit 3],
        "A route must say exactly one thing that stands behind it.",
        "None of auto, poll, stream and channel is there, or two of them are.",
        "Add one, such as channel = {}, or make two routes of it.";
    ROUTES_OVERLAP = 1116, "two routes for the same paths", [exit 3],
        "Two routes match the same paths, so that neither could be preferred.",
        "Their patterns differ only in the names of parameters.",
        "Remove one of them, or make one more exact.";
    BAD_URL = 1117, "no URL of a backend", [exit 3],
        "The URL of a backend cannot be used.",
        "The scheme is missing or another than http and https, it has credentials, or a {parameter} where none may stand.",
        "Write such as \"http://127.0.0.1:9000\"; parameters stand in the path and the query of poll and stream.";
    EXPOSED_ROUTE = 1118, "who may subscribe is not said", [exit 3],
        "A listener is open to other machines, and a route does not say who may subscribe.",
        "On loopback everybody may; beyond it that is never taken for granted.",
        "Add subscribe = \"anyone\" or \"token\" to the route, --subscribe anyone, or listen on 127.0.0.1.";
    NO_ISSUER = 1119, "no token would count", [exit 3],
        "A route asks for tokens, and none would count.",
        "[access] tokens is missing, which says with whose key they are signed.",
        "Add tokens = { algorithm = \"EdDSA\", public_key = \"key.pem\" } to [access]; docs/access.md tells more.";
    BAD_KEY = 1120, "key for tokens cannot be used", [exit 3],
        "The key that tokens are checked with cannot be used.",
        "The file holds a private key, a certificate, or a key for another algorithm; or the secret is too short.",
        "Name a file with the public key in PEM, such as `openssl pkey -in private.pem -pubout` writes it.";
    BAD_SECRET = 1121, "secret cannot be used", [exit 3],
        "A secret cannot be read or used.",
        "The environment variable is not set, the file cannot be read, or the text is empty or has characters that no header has.",
        "Set the variable before the start, or name a readable file: admin_token = { env = \"TIDEGATE_ADMIN_TOKEN\" }.";
    BAD_CERTIFICATE = 1122, "certificate or key cannot be used", [exit 3],
        "The certificate or the private key of the public listener cannot be used.",
        "A file is missing, is not PEM, or the key is not that of the certificate.",
        "[listen] tls names the two; the certificate's file holds the whole chain, the server's own first.";
    NO_ROUTES = 1123, "no route at all", [exit 3],
        "There is no route, so nothing would be served.",
        "The file holds settings and no [[route]].",
        "Add a [[route]] with path and kind, or name a backend: tidegate serve URL --config FILE.";
    FILE_MISSING = 1124, "file or folder cannot be used", [exit 3],
        "A file or folder that the configuration names cannot be used.",
        "It is not there, this user may not read it, or it is a file where a folder is needed.",
        "Relative paths begin at the folder of the configuration file; write the right one.";
    BAD_ACCESS = 1125, "no entry of [access]", [exit 3],
        "An origin, host name, proxy, issuer or cookie name in [access] cannot be read.",
        "An origin has a path, a host a port, or a proxy is a name instead of an address or network.",
        "Write it as the message shows: origins as \"https://app.example\", hosts as \"app.example\", proxies as \"10.0.0.0/8\".";
    MORE_FAULTS = 1126, "more faults than are shown", [exit 3],
        "There are more faults than are shown.",
        "One slip may make many of them.",
        "Mend the first, and look again with `tidegate check FILE`.";

    ADDRESS_TAKEN = 1201, "address taken", [exit 1],
        "The address cannot be listened on: another program listens there.",
        "The gateway, or another server, is running already; 8080 is many programs' default.",
        "End it (`ss -ltnp` names it), or choose another address with --listen and --admin.";
    CANNOT_BIND = 1202, "address cannot be bound", [exit 1],
        "The system does not let the gateway listen on this address.",
        "It is no address of this machine, or its port is below 1024 and the user may not.",
        "Choose an address of this machine and a port above 1023; for ports below it see CAP_NET_BIND_SERVICE.";
    SETTINGS_UNUSABLE = 1203, "setting cannot be used", [exit 3],
        "Something that the settings name cannot be used on this machine.",
        "A file has changed since it was read, or the system has no certificates to believe.",
        "Install `ca-certificates`, or name a file with [upstream] ca; the message says what it is.";
    SHARD_ENDED = 1204, "a shard has ended", [exit 1, log "shard_ended"],
        "A thread of the gateway has ended by itself, and the process ends with it.",
        "It is a fault of the gateway.",
        "Let the system start it again, and report it with the last lines of the log.";
    RELOAD_FAILED = 1205, "reload failed", [log "reload_failed"],
        "The changed configuration was not taken; the old one stays in force.",
        "The new file has faults, which are the next lines of the log.",
        "Mend them; `tidegate check FILE` tells before the gateway does. It is read anew when it changes, and at SIGHUP.";
    RELOAD_PARTIAL = 1206, "reload takes the rest", [log "reload_partial"],
        "A changed key takes effect only at the next start; all else of the file is in force.",
        "Listeners, shards and the engine cannot be changed while sockets are open.",
        "Start the gateway anew when it suits, or take the change back.";
    CERTIFICATE_NOT_TAKEN = 1207, "changed certificate not taken", [log "tls_reload_failed"],
        "The changed certificate was not taken; the old one stays in force.",
        "The two files were caught half written, or do not belong together.",
        "Write both anew; they are read again when they change. tidegate_tls_reloads_total counts both outcomes.";
    CERTIFICATE_NOT_VALID = 1208, "certificate not valid now", [log "certificate_not_valid"],
        "The certificate is not valid now: clients will refuse it.",
        "It has expired, begins later, or this machine's clock is wrong.",
        "Renew it; the new files are taken without a restart. Look at `date`, too.";
    ACCEPT_FAILED = 1209, "cannot accept", [log "accept_failed"],
        "A listener cannot accept connections just now; it goes on trying.",
        "The process or the system is out of file descriptors or of memory.",
        "Raise `ulimit -n` or LimitNOFILE; docs/operation.md, File descriptors.";
    ADOPT_FAILED = 1210, "socket not taken over", [log "adopt_failed"],
        "A WebSocket could not be taken over after its handshake, and was closed.",
        "The process or the system is out of file descriptors or of memory.",
        "Raise `ulimit -n` or LimitNOFILE; docs/operation.md, File descriptors.";
    DEMO = 1211, "the demo cannot start", [exit 1],
        "`tidegate demo` cannot start its server or find free ports.",
        "The ports that it tries are taken by other programs.",
        "Name free ones with --listen 127.0.0.1:PORT and --admin 127.0.0.1:PORT.";
}
