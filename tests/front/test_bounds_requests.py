"""What docs/security.md says of connections and requests, with the figures that stand there."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from uvicorn.server import ServerState

from gapless.api import dependencies as deps
from gapless.api.schemas import Message
from gapless.cli.protocol import BoundedHttp
from gapless.cli.server import KEEP_ALIVE
from gapless.config.settings import Settings
from gapless.log.errors import TimedOut
from tests.cli.test_protocol import echo_length
from tests.front.test_bounds import MESSAGES, nested, post
from tests.testkit.app_fixture import running_app
from tests.testkit.bounds import tries
from tests.testkit.raw_http import request, speak, statuses
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

HEAD = "a request's line and headers"
CONNECTION = "a connection without a request, or with one that was answered and is not all there"


@tries(HEAD, "64 KiB", "256")
def test_a_head(running: Service, told: tuple[int, int]) -> None:
    size, fields = told

    def of_size(size: int) -> bytes:
        return request("GET", "/healthz", "x: " + "x" * (size - len(request("GET", "/healthz", "x: "))))

    def of_fields(count: int) -> bytes:
        host, close = 1, 1
        return request("GET", "/healthz", *["a: b"] * (count - host - close))

    assert [statuses(speak(running, head)) for head in (of_size(size), of_fields(fields))] == [[200]] * 2
    # Which of its last bytes are the line's own is the parser's matter.
    assert [statuses(speak(running, head)) for head in (of_size(size + 32), of_fields(fields + 1))] == [[400]] * 2


class Wire(asyncio.Transport):
    """A connection that sends what a test says; `closed` once the service has had enough of it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None: ...

    def close(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def kept(sent: bytes) -> float:
    """Seconds for which `gapless serve` keeps a connection that sends this and then nothing."""
    config = uvicorn.Config(echo_length, ws="none", lifespan="off", log_config=None, timeout_keep_alive=KEEP_ALIVE)
    loop, wire = asyncio.get_running_loop(), Wire()
    connection = BoundedHttp(config, ServerState(), {}, loop)
    began = loop.time()
    connection.connection_made(wire)
    if sent:
        connection.data_received(sent)
    await wire.closed.wait()
    connection.connection_lost(None)
    return loop.time() - began


@pytest.mark.virtual_time
@tries(HEAD, "30 s")
async def test_half_a_head_is_waited_for(told: tuple[float]) -> None:
    assert (await kept(b"GET / HTTP/1.1\r\nhost: x"),) == told


@pytest.mark.virtual_time
@tries(CONNECTION, "30 s", "65 s")
async def test_a_silent_connection_is_not_kept(told: tuple[float, float]) -> None:
    answered = await kept(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx")
    assert (await kept(b""), answered) == (told[0], told[0])
    assert await kept(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") == told[1]


@tries("a body", "GAPLESS_MAX_BODY")
async def test_a_body(valkey: Valkey, told: tuple[int]) -> None:
    text = b"x" * (told[0] - len(b'{"data":""}'))
    async with running_app(valkey.url) as found:
        assert [await post(found, b'{"data":"%b"}' % longer) for longer in (text, text + b"x")] == [201, 413]


@tries("a body", "200")
async def test_how_deep_json_is(valkey: Valkey, told: tuple[int]) -> None:
    async with running_app(valkey.url) as found:
        assert [await post(found, nested(told[0] + more)) for more in (0, 1)] == [201, 400]


@pytest.mark.virtual_time
@tries("a body", "30 s")
async def test_how_long_a_body_takes(told: tuple[float]) -> None:
    service = SimpleNamespace(settings=Settings())
    app = SimpleNamespace(wiring=SimpleNamespace(service=service))
    headers = [(b"content-type", b"application/json")]

    async def one_byte_a_second() -> dict[str, Any]:
        await asyncio.sleep(0.75)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(TimedOut):
        await deps.body(Request({"type": "http", "app": app, "headers": headers}, one_byte_a_second))  # type: ignore[arg-type]
    assert asyncio.get_running_loop().time() == told[0]


@tries("a batch", "100", "GAPLESS_CAP", "GAPLESS_BURST", "GAPLESS_BURST_BYTES")
async def test_a_batch(valkey: Valkey, told: tuple[int, int, int, int]) -> None:
    most, cap, burst, size = told
    each = len(Message(data=1).draft(None).body)
    assert most < cap < burst < size / each, "so each is the first to bind in one of these"
    for settings, limit in (({}, most), ({"cap": 20}, 20), ({"burst": 7}, 7), ({"burst_bytes": 30 * each}, 30)):
        async with running_app(valkey.url, **settings) as found:
            posted = [await post(found, json.dumps([{"data": 1}] * count).encode()) for count in (limit, limit + 1)]
        assert posted == [201, 422], settings
        valkey.flush()


@tries("names, ids, keys", "64", "128")
async def test_names(valkey: Valkey, told: tuple[int, int]) -> None:
    short, long = told
    async with running_app(valkey.url) as found:

        async def status(more: int, **fields: int) -> int:
            named = {name: name[0] * (length + more) for name, length in fields.items()}
            headers = {"Idempotency-Key": named.pop("key")} if "key" in named else {}
            url = MESSAGES.replace("/a/", f"/{named.pop('channel', 'a')}/")
            return (await found.client.post(url, json={"data": 1, **named}, headers=headers)).status_code

        for fields in ({"channel": short}, {"event": short}, {"user": long}, {"localId": long}, {"key": long}):
            assert [await status(more, **fields) for more in (0, 1)] == [201, 422], fields
