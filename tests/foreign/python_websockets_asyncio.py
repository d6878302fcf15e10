"""A client by `websockets`, asyncio flavour. Usage: URL. Tells what it sees as JSON lines on stdout."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def main():
    async with connect(sys.argv[1]) as socket:
        tell("first", data=await socket.recv())
        await socket.send("hello")
        tell("answer", data=await socket.recv())
        tell("change", data=await socket.recv())
        await socket.close(1000)
        tell("closed", code=socket.close_code)


asyncio.run(main())
