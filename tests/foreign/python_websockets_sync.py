"""A client by `websockets`, threaded flavour. Usage: URL. Tells what it sees as JSON lines on stdout."""

import json
import sys

from websockets.sync.client import connect


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


with connect(sys.argv[1]) as socket:
    tell("first", data=socket.recv(timeout=20))
    socket.send("hello")
    tell("answer", data=socket.recv(timeout=20))
    tell("change", data=socket.recv(timeout=20))
    socket.close(1000)
    tell("closed", code=socket.close_code)
