"""A client by `websocket-client`. Usage: URL. Tells what it sees as JSON lines on stdout."""

import json
import struct
import sys

import websocket


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


socket = websocket.create_connection(sys.argv[1], timeout=20)
tell("first", data=socket.recv())
socket.send("hello")
tell("answer", data=socket.recv())
tell("change", data=socket.recv())
socket.send_close(1000)
opcode, payload = socket.recv_data(control_frame=True)
assert opcode == websocket.ABNF.OPCODE_CLOSE, opcode
tell("closed", code=struct.unpack("!H", payload[:2])[0])
socket.shutdown()
