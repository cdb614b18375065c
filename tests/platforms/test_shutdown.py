"""Requests that wait when the server is told to stop are answered at once, and never with a 500."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gapless.platforms.shutdown import (
    GOODBYE,
    LOOK,
    ClientGone,
    Listening,
    ServerShutdown,
    ShutdownWatch,
    cancel_on_disconnect,
)
from tests.testkit.alarm import auntil
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey
from tests.testkit.variant import Variant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testkit.valkey import Valkey

SOON = 8.0
"""Seconds in which whoever waits must be answered; after 10 the server would break it off with a 500."""


async def answer_when_told_to_stop(service: Service, store: Valkey, path: str) -> tuple[str, httpx.Response]:
    """What a request is told that waited for what comes after a message; and that message's id."""
    async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=30) as client:
        first = (await client.post("/channels/c/messages", json={"data": 1})).json()["id"]
        asked = asyncio.create_task(client.get(f"{path}{first}"))
        await auntil(lambda: store.cli("PUBSUB", "NUMSUB", "gapless:0:c")[1] == 1, "its feed to listen")
        began = time.monotonic()
        stopping = asyncio.create_task(service.aterminate())
        reply = await asked
        assert time.monotonic() - began < SOON
        assert await stopping in {0, -15}, "uvicorn by itself repeats the signal"
        assert "Traceback" not in service.log
    return first, reply


@pytest.mark.real(seconds=5)
async def test_a_long_poll_finds_nothing_and_asks_again(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "valkey") as store:
        async with Service({"REDIS_URL": store.url}) as service:
            first, reply = await answer_when_told_to_stop(service, store, "/channels/c/messages?wait=25&after=")
    assert reply.status_code == 200
    told = reply.json()
    assert (told["messages"], told["cursor"], told["gap"]) == ([], first, None)


@pytest.mark.real(seconds=5)
async def test_a_turn_says_why_and_its_client_keeps_its_place(tmp_path: Path) -> None:
    with start_valkey(tmp_path / "valkey") as store:
        async with Variant({"REDIS_URL": store.url}, buffered=True) as service:
            _, reply = await answer_when_told_to_stop(service, store, "/channels/c/stream?after=")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert 'event: end\ndata: {"reason":"shutdown"}' in reply.text
    assert "id:" not in reply.text
    assert "retry: 0" not in reply.text


# --- one look for all

HERE = ("127.0.0.1", 8000)


class Stopping:
    """A server that stops when it is told to, and counts who looks."""

    def __init__(self) -> None:
        self.stops = False
        self.looks = 0

    def __call__(self, server: object) -> bool:
        self.looks += 1
        return self.stops


@pytest.mark.virtual_time
async def test_one_look_tells_all_and_nobody_looks_for_nobody() -> None:
    server, told, loop = Stopping(), [0] * 100, asyncio.get_running_loop()
    shutdown = ShutdownWatch(server)

    def tell(number: int) -> None:
        told[number] += 1

    async def wait(number: int) -> None:
        with shutdown.on_shutdown(lambda: tell(number), HERE):
            await asyncio.sleep(10)

    waiting = [asyncio.create_task(wait(number)) for number in range(100)]
    await asyncio.sleep(4 * LOOK + 0.01)
    assert server.looks == 5
    server.stops = True
    await asyncio.sleep(LOOK)
    assert told == [1] * 100
    await asyncio.gather(*waiting)
    looks = server.looks
    await asyncio.sleep(60)
    assert (server.looks, told) == (looks, [1] * 100)
    with shutdown.on_shutdown(lambda: tell(7), HERE):
        assert told[7] == 2, "who comes late is told at once"
    assert loop.time() > 60


@pytest.mark.virtual_time
async def test_what_waits_is_broken_off_when_the_server_stops() -> None:
    server = Stopping()
    shutdown = ShutdownWatch(server)
    asyncio.get_running_loop().call_later(1, setattr, server, "stops", True)
    with pytest.raises(ServerShutdown):
        async with shutdown.cancel_on_shutdown(HERE):
            await asyncio.sleep(25)
    assert asyncio.get_running_loop().time() <= 1 + LOOK
    with pytest.raises(TimeoutError, match="another's"):
        async with ShutdownWatch(Stopping()).cancel_on_shutdown(HERE):
            raise TimeoutError("another's")


@pytest.mark.virtual_time
async def test_lifespan_waits_for_goodbyes_but_not_for_ever() -> None:
    loop, bell = asyncio.get_running_loop(), asyncio.Event()

    async def wait(shutdown: ShutdownWatch, seconds: float) -> None:
        with shutdown.on_shutdown(bell.set, HERE):
            await bell.wait()
            await asyncio.sleep(seconds)

    for seconds, waited in ((0.5, 0.5), (60, GOODBYE)):
        bell.clear()
        shutdown = ShutdownWatch(Stopping())
        waiting = asyncio.create_task(wait(shutdown, seconds))
        await asyncio.sleep(0)
        began = loop.time()
        await shutdown.finish()
        assert loop.time() - began == pytest.approx(waited)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_what_waits_is_broken_off_when_the_client_leaves() -> None:
    coming = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> Any:
        return coming.pop()

    with pytest.raises(ClientGone):
        async with cancel_on_disconnect(receive):
            await asyncio.sleep(25)
    assert coming == []


async def test_who_stays_is_not_broken_off() -> None:
    async def receive() -> Any:
        await asyncio.sleep(25)

    async with cancel_on_disconnect(receive):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


# --- the sign


@pytest.mark.parametrize("path", [None, "socket"], ids=["TCP", "unix"])
def test_a_server_is_over_when_its_socket_is(path: str | None, tmp_path: Path) -> None:
    listening = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    with listening, socket.socket() as other:
        listening.bind(str(tmp_path / path) if path else ("127.0.0.1", 0))
        listening.listen()
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = (str(tmp_path / path), None) if path else listening.getsockname()
        sign = Listening()
        assert not sign.is_over(server)
        listening.close()
        assert sign.is_over(server)
        assert not Listening().is_over(server), "who never saw it listen knows nothing"
        assert not Listening().is_over(None)
        assert not Listening().is_over(("127.0.0.1", "no port"))  # type: ignore[arg-type]


def test_a_descriptor_that_is_used_again_is_not_it() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server, sign = listening.getsockname(), Listening()
        assert not sign.is_over(server)
        number = listening.fileno()
        client = socket.create_connection(server)
        listening.close()
        with socket.socket() as again:
            assert again.fileno() == number
            assert sign.is_over(server)
        client.close()


class Uvicorn:
    """What is asked of uvicorn's server."""

    def __init__(self) -> None:
        self.should_exit, self.started, self.serving = False, True, True
        self.servers = [self]

    def is_serving(self) -> bool:
        return self.serving

    def handle_exit(self, *_: object) -> None: ...


def test_uvicorn_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--limit-max-requests` stops it without `should_exit`."""
    for name, value, over in (("started", True, False), ("should_exit", True, True), ("serving", False, True)):
        server = Uvicorn()
        setattr(server, name, value)
        monkeypatch.setattr(signal, "getsignal", lambda _, server=server: server.handle_exit)
        assert Listening().is_over(HERE) == over
