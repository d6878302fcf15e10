//! 6000 to 6999: publishing, following, and what is kept on disk.
//!
//! How much of it there may be is 4000 to 4999.

use super::row::{Goes, Known, table};

table! { CHANNELS_AND_STORE:
    FILLED_BY_BACKEND = 6001, "filled by its backend", [status 409, code "upstream"],
        "The channel is filled by the backend of its route: nobody publishes to it.",
        "The path is that of an auto, poll or stream route.",
        "Change what the backend answers, or add a route with channel = {} for what is published.";
    PRECONDITION = 6002, "not at this position", [status 412],
        "Nothing was published, because the channel does not stand at the position of If-Match, or has one in spite of If-None-Match.",
        "Somebody has published in between.",
        "Read what came, and publish after the position that the answer names.";
    BAD_PRECONDITION = 6003, "precondition cannot be read", [status 400],
        "If-Match or If-None-Match is there twice, both are there, or its value is no position.",
        "A position is taken whole, such as k3f9:41, in quotes or not.",
        "Send one: If-Match: POSITION, If-Match: * or If-None-Match: *.";
    UNKNOWN_OUTCOME = 6004, "outcome unknown", [status 503, close 1013, code "limit"],
        "It is not known whether it was published.",
        "The gateway ended while it was under way.",
        "Publish it again with the same Idempotency-Key: then it is published once.";
    OVERLOADED = 6005, "publishing too fast", [status 503, close 1013, code "limit"],
        "The gateway does not keep up with what is published.",
        "More comes than its shards can hand on.",
        "Publish again after Retry-After; publish less, or give the gateway more cores.";
    STORE_CANNOT_WRITE = 6006, "disk takes nothing", [status 503, close 1013, code "limit", log "store_failed"],
        "The store cannot write: nothing was published, and nothing is until it can. What was acknowledged stays.",
        "The disk is full, or the system reports an error of it.",
        "Make room below the folder of [engine]; the gateway looks once a second and goes on by itself.";
    NOT_READ = 6007, "channel only on disk", [status 503, close 1013, code "limit", log "channel_not_read"],
        "The channel is on disk and was not read at the start: nothing is published to it and nobody follows it until it is.",
        "No route wanted it then, or channels_max_total had no room.",
        "Start the gateway anew to read it, or remove it with DELETE /channels/CHANNEL.";
    LEAVING = 6008, "channel is being dropped", [status 503, close 1013, code "limit"],
        "The channel is just being dropped.",
        "Somebody has sent DELETE for it, or its route has changed.",
        "Ask again: it is a new channel then.";
    BAD_IDEMPOTENCY_KEY = 6009, "Idempotency-Key", [status 400],
        "The Idempotency-Key is empty, too long, or has characters that are not visible.",
        "It was made from a text instead of at random.",
        "Send a random one of at most 64 visible characters, such as a UUID.";
    BODY_NOT_TEXT = 6010, "body is not UTF-8", [status 400],
        "The body is not UTF-8, so that it cannot be a text message.",
        "Its Content-Type is text or JSON, or missing, and its bytes are another encoding or binary.",
        "Send it with Content-Type: application/octet-stream, or as UTF-8.";
    DROPPED = 6011, "channel dropped", [close 1001, code "not_found"],
        "The channel was dropped, and all that was kept of it.",
        "Somebody has sent DELETE /channels/CHANNEL to the admin listener.",
        "Come back without a position: it is a new channel then.";
    UNRECOVERABLE = 6012, "position unrecoverable", [close 4409],
        "What was published after this position is no longer kept, and a bare WebSocket cannot be told so otherwise.",
        "The client was away for longer than the history reaches, or the gateway was restarted with channels in memory.",
        "Come back without `after`. A longer `history` in the route, or channels on disk ([engine]), make it rarer.";
    ROUTE_CHANGED = 6013, "route is another one now", [close 1001, code "upstream", log "channel_replaced"],
        "The channel's route has got a backend or lost it in a reload, so that its positions mean nothing any more.",
        "The configuration was changed.",
        "Come back: the channel begins anew.";
    NOT_RESTORED = 6014, "channel left on disk", [log "channel_not_restored"],
        "A channel on disk was not read at the start, because channels_max_total has no room for it. It stays on disk.",
        "There are more channels on disk than there may be in memory; those used longest ago wait.",
        "Raise channels_max_total and start the gateway anew.";
    STORE_RENEWED = 6015, "positions begin anew", [log "store_renewed"],
        "What is in the store may be less than was acknowledged, so every channel begins a new epoch: clients are told of the gap.",
        "The machine lost power, a copy took the store's place, or the end of its journal is missing.",
        "Nothing has to be done; sync = \"commit\" makes it rarer. docs/operation.md, What survives what.";
    STORE_UNSYNCED = 6016, "end of the store not on disk", [log "store_failed"],
        "The last that was written is with the system, and not on the disk itself.",
        "The disk reports an error.",
        "Look at the system's log and at the disk. The end of the process loses nothing, a loss of power may.";

    BAD_COMMAND = 6101, "command cannot be read", [code "bad_request"],
        "A command of tidegate.v1 cannot be read; the message says where.",
        "It is not one JSON object in a text message, its type is unknown, or a field is missing.",
        "docs/protocol.md, tidegate.v1, has the commands with examples.";
    FOLLOWED_ALREADY = 6102, "followed already", [code "bad_request"],
        "The channel is followed already, or is being subscribed to.",
        "The channel of the URL is followed from the start; or a subscribe was sent twice.",
        "Wait for the reply of the first; to change `updates` or `after`, unsubscribe before.";
    NOT_FOLLOWED = 6103, "not followed", [code "bad_request"],
        "The channel is not followed, or was unsubscribed from before it was there.",
        "An unsubscribe overtook its subscribe, or was sent twice.",
        "Wait for the reply to `subscribe` before `unsubscribe`.";
    FOLLOW_ENDED = 6104, "channel has just ended", [close 1013, code "upstream"],
        "The channel ended while a slow client was passed over, so that it cannot go on with the newest.",
        "Its source ended, or it was dropped.",
        "Come back: the channel begins anew.";

    STORE_FOLDER = 6201, "store's folder", [exit 3],
        "The folder of the store cannot be made or used.",
        "This user may not write there, or the disk is full or read-only.",
        "Look at [engine] embedded = { path = … } and at the folder's owner; it must be the gateway's own.";
    STORE_LOCKED = 6202, "store in use", [exit 1],
        "Another process holds the store.",
        "The gateway runs already, or an old one is still draining.",
        "End it first, or give this one a folder of its own.";
    STORE_FOREIGN = 6203, "not a store", [exit 3],
        "The folder holds other files than a store's.",
        "`path` names a folder that something else uses.",
        "Name an empty folder, or one that does not exist yet.";
    STORE_VERSION = 6204, "store of another version", [exit 1],
        "The store is of another version of this program.",
        "The program was exchanged for an older or a newer one.",
        "Start the version that wrote it, or begin with an empty folder.";
    STORE_DAMAGED = 6205, "store damaged", [exit 1],
        "What is in the store is not what was written.",
        "Files are missing or were changed, or the disk lost what it had promised to keep.",
        "Put a copy in its place without the file `reached`, or begin with an empty folder; docs/operation.md tells more.";
}
