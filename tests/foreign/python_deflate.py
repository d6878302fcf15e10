"""A client by `websockets` that compresses: says each message back until it is `end`. Usage: URL. Tells what it sees
as JSON lines on stdout."""

import json
import sys

from websockets.sync.client import connect


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


with connect(sys.argv[1], compression="deflate", max_size=None) as socket:
    tell("open", extensions=socket.response.headers.get("Sec-WebSocket-Extensions", ""))
    while (message := socket.recv(timeout=20)) != "end":
        socket.send(message)
    socket.close(1000)
    tell("closed", code=socket.close_code)
