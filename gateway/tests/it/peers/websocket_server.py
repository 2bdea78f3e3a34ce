"""A WebSocket server: echo, and whatever else its path says. Each connection's end is a line on standard output."""

import asyncio
import http
import json

import websockets


async def handler(socket):
    path = socket.path.partition("?")[0]
    try:
        if path == "/greet":
            for number in range(3):
                await socket.send(f"greeting {number}")
        if path == "/seen":
            await socket.send(json.dumps({
                "path": socket.path,
                "fields": [[name.lower(), value] for name, value in socket.request_headers.raw_items()],
            }))
        if path == "/close":
            await socket.recv()
            await socket.close(4001, "enough")
        if path == "/flood":
            while True:
                await socket.send(b"f" * 65536)
        async for message in socket:
            await socket.send(message)
    finally:
        await socket.wait_closed()
        print("closed", path, socket.close_code, socket.close_reason)


async def refuse(path, fields):
    if path == "/refuse":
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "not you")], b"no\n"
    return None


async def main():
    async with websockets.serve(
        handler, "127.0.0.1", 0, max_size=None, process_request=refuse, subprotocols=["chat.v2"], ping_interval=None
    ) as server:
        print("port", server.sockets[0].getsockname()[1])
        await asyncio.Future()


asyncio.run(main())
