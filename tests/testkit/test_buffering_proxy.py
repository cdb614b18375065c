"""Nothing of a reply goes on before its end; a client that leaves takes its request with it."""

from __future__ import annotations

import asyncio

import httpx

from tests.testkit.buffering_proxy import buffering_proxy
from tests.testkit.listener import Listener


async def test_a_reply_is_held_to_its_end_and_a_client_that_leaves_is_gone() -> None:
    ends, gone, both = asyncio.Event(), asyncio.Event(), asyncio.Event()
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        bodies.append(await reader.readexactly(2) if head.startswith(b"POST") else b"")
        if len(bodies) == 2:
            both.set()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nfirst ")
        if bodies[-1]:
            await ends.wait()
            writer.write(b"last")
        else:
            await reader.read()
            gone.set()

    async with (
        Listener(answer) as listener,
        buffering_proxy(listener.port) as url,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        held = asyncio.ensure_future(http.post(url, content=b"hi"))
        left = asyncio.ensure_future(http.get(url))
        await both.wait()
        left.cancel()
        await gone.wait()
        assert not held.done()
        ends.set()
        assert (await held).text == "first last"
        assert b"hi" in bodies
