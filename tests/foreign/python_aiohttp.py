"""A client by `aiohttp`. Usage: URL. Tells what it sees as JSON lines on stdout."""

import asyncio
import json
import sys

import aiohttp


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(sys.argv[1], compress=15) as socket:
            tell("first", data=await socket.receive_str(timeout=20))
            await socket.send_str("hello")
            tell("answer", data=await socket.receive_str(timeout=20))
            tell("change", data=await socket.receive_str(timeout=20))
            await socket.close(code=1000)
            tell("closed", code=socket.close_code)


asyncio.run(main())
