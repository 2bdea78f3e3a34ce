"""A WebSocket client of websocket_server.py: websocket_client.py URL CA-OR-DASH SCENARIO... names each that has held."""

import asyncio
import json
import ssl
import sys

import websockets

URL, CA, SCENARIOS = sys.argv[1], sys.argv[2], sys.argv[3:]


def connect(path, **options):
    if CA != "-":
        options["ssl"] = ssl.create_default_context(cafile=CA)
        options["server_hostname"] = "edge.test"
    return websockets.connect(URL + path, max_size=None, open_timeout=20, close_timeout=20, **options)


async def text():
    async with connect("/echo", compression=None) as socket:
        for message in ["hello", "", "\u00e9\u4e16\U0001f30d" * 1000]:
            await socket.send(message)
            assert await socket.recv() == message


async def binary():
    async with connect("/echo", compression=None) as socket:
        for size in [0, 1, 125, 126, 65535, 65536, 1_000_000]:
            message = bytes(range(256)) * (size // 256) + bytes(size % 256)
            await socket.send(message)
            assert await socket.recv() == message, size
        # In fragments, which stay one message.
        await socket.send([b"a" * 1000, b"b" * 1000, b"c"])
        assert await socket.recv() == b"a" * 1000 + b"b" * 1000 + b"c"


async def compressed():
    """permessage-deflate is for the two ends to agree on."""
    async with connect("/echo", compression="deflate") as socket:
        assert [extension.name for extension in socket.extensions] == ["permessage-deflate"]
        message = "so much of the same " * 10_000
        await socket.send(message)
        assert await socket.recv() == message


async def ping():
    async with connect("/echo", ping_interval=None) as socket:
        for payload in [b"", b"are you there"]:
            await asyncio.wait_for(await socket.ping(payload), 20)


async def greet():
    async with connect("/greet") as socket:
        assert [await socket.recv() for _ in range(3)] == [f"greeting {number}" for number in range(3)]
        await socket.send("thanks")
        assert await socket.recv() == "thanks"


async def large():
    message = bytes(range(256)) * (64 * 1024)
    async with connect("/echo", compression=None, write_limit=2**20) as socket:
        await socket.send(message)
        assert await socket.recv() == message


async def closed_by_server():
    async with connect("/close") as socket:
        await socket.send("close, please")
        try:
            await socket.recv()
            raise AssertionError("it is open")
        except websockets.ConnectionClosed:
            pass
        assert (socket.close_code, socket.close_reason) == (4001, "enough")


async def closed_by_client():
    async with connect("/echo") as socket:
        await socket.close(4000, "done")
        assert (socket.close_code, socket.close_reason) == (4000, "done")


async def subprotocol():
    async with connect("/echo", subprotocols=["chat.v3", "chat.v2"]) as socket:
        assert socket.subprotocol == "chat.v2"


async def refused():
    try:
        async with connect("/refuse"):
            raise AssertionError("it was let in")
    except websockets.InvalidStatusCode as error:
        assert error.status_code == 403, error
        assert error.headers["X-Why"] == "not you", error.headers


async def many():
    async def one(number):
        async with connect("/echo") as socket:
            for turn in range(20):
                await socket.send(f"{number} {turn}")
                assert await socket.recv() == f"{number} {turn}"

    await asyncio.gather(*(one(number) for number in range(100)))


async def seen():
    async with connect("/seen?room=7", extra_headers={"X-Forwarded-For": "203.0.113.9", "Cookie": "sid=1"}) as socket:
        said = json.loads(await socket.recv())
        fields = dict(said["fields"])
        assert said["path"] == "/seen?room=7", said
        assert fields["x-forwarded-for"] == "127.0.0.1" and fields["cookie"] == "sid=1", said
        assert fields["via"] == "1.1 tidegate" and fields["connection"].lower() == "upgrade", said
        assert len(fields) == len(said["fields"]), said


async def main():
    for scenario in SCENARIOS:
        await asyncio.wait_for(globals()[scenario](), 60)
        print(scenario)


asyncio.run(main())
