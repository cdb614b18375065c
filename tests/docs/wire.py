"""Examples of what the service answers, beside what it does answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import redis.asyncio

from tests.docs.blocks import Block
from tests.docs.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator

# Values that differ from run to run; what is like another is written in the same way.
_WAYS = (
    re.compile(r"[0-9a-z]{8}-\d+-[0-9a-z]{4}(\.[0-9a-z]{8}-\d+-[0-9a-z]{4})*"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
)
_VARYING = {"lifetime", "expires", "latency", "latencyMs", "retryAfterMs"}


async def after(stranger: Stranger, block: Block, argument: str) -> None:
    """First this request: `METHOD /path {"a": "body"}`."""
    async with await _client(stranger) as http:
        (await _ask(http, argument)).raise_for_status()


async def answers(stranger: Stranger, block: Block, argument: str) -> None:
    """The block is like the JSON that this request is answered with."""
    async with await _client(stranger) as http:
        alike(json.loads(block.text), (await _ask(http, argument)).json())


async def streams(stranger: Stranger, block: Block, argument: str) -> None:
    """The stream at this path has blocks like the ones here, in this order, whatever comes between them."""
    wanted = [text.splitlines() for text in re.split(r"\n\n+", block.text.strip("\n"))]
    async with await _client(stranger) as http, http.stream("GET", argument) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream"), reply.status_code
        real: list[str] = []
        async for line in reply.aiter_lines():
            if line and line != ":":
                real.append(line)
            elif not line and _event(real) == _event(wanted[0]):
                _same_fields(wanted.pop(0), real)
                if not wanted:
                    return
            if not line:
                real = []
    raise AssertionError(f"the stream ended before {wanted[0]}")


async def acl(stranger: Stranger, block: Block, argument: str) -> None:
    """With a user of these rights alone the service is ready, and takes a message."""
    url = stranger.store.tcp_url
    async with redis.asyncio.from_url(url) as client:
        await client.execute_command(*block.text.split(), ">secret")
    own = await stranger.service(REDIS_URL=url.replace("://", "://gapless:secret@"))
    async with httpx.AsyncClient(base_url=own.url, trust_env=False, timeout=30) as http:
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.post("/channels/general/messages", json={"data": 1})).status_code == 201


def alike(example: Any, real: Any, name: str = "") -> None:
    """The same members in the same order, the same values where none is bound to differ."""
    if isinstance(example, dict):
        assert isinstance(real, dict) and list(example) == list(real), f"{example} is not like {real}"
        for key, value in example.items():
            alike(value, real[key], key)
    elif isinstance(example, list):
        assert isinstance(real, list) and len(example) == len(real), f"{example} is not like {real}"
        for one, other in zip(example, real, strict=True):
            alike(one, other, name)
    elif not (name in _VARYING and isinstance(real, int | float)):
        assert _similar(example, real), f"{name}: {example!r} is not like {real!r}"


def _similar(example: Any, real: Any) -> bool:
    if not isinstance(example, str) or not isinstance(real, str):
        return bool(example == real)
    if any(way.fullmatch(example) and way.fullmatch(real) for way in _WAYS):
        return True
    return re.fullmatch(".*".join(map(re.escape, example.split("…"))), real) is not None


def _same_fields(example: list[str], real: list[str]) -> None:
    assert [name for name, _ in _fields(example)] == [name for name, _ in _fields(real)], (
        f"{example} is not like {real}"
    )
    for (name, shown), (_, told) in zip(_fields(example), _fields(real), strict=True):
        if name == "data":
            alike(json.loads(shown), json.loads(told))
        elif name != "retry":  # drawn for each stream
            alike(shown, told, name)


def _event(lines: list[str]) -> str:
    return dict(_fields(lines)).get("event", "message")


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition(": ")
        yield name, value


async def _client(stranger: Stranger) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=(await stranger.service()).url, trust_env=False, timeout=30)


async def _ask(http: httpx.AsyncClient, request: str) -> httpx.Response:
    method, path, *body = request.split(" ", 2)
    return await http.request(method, path, json=json.loads(body[0]) if body else None)
