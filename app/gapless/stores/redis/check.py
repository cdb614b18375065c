"""Checks that the server can do all that the service needs, and names what is missing before a client needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from redis import exceptions

from gapless.log.errors import StoreMisconfigured, StoreUnavailable
from gapless.log.namespaces import Feature
from gapless.stores.redis.lines import Line, send
from gapless.stores.refusals import RIGHTS, PermanentError, read_refusal, said
from gapless.stores.scripts import Layout, NoScript, load

NOBODYS = "~check"
"""In the place of a channel's name, which can't begin so."""
COMMANDS = (
    *("EVAL", "EVALSHA", "GET", "SET", "MGET", "RPUSH", "LINDEX", "LRANGE", "LTRIM", "PEXPIRE", "DEL", "UNLINK"),
    *("PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE", "PING"),
)
"""What a user must be allowed to run. `docs/security.md` lists them."""
ALSO = {
    "GET /channels": ("LLEN", "SCAN"),
    "receipts": ("HMGET", "HSET", "HLEN", "HDEL", "HGETALL"),
    "presence": ("TIME", "ZADD", "ZRANGEBYSCORE", "ZCOUNT", "ZSCORE", "ZREM", "ZREMRANGEBYSCORE"),
}
"""What messages do without, by what needs it. Receipts and presence are tried where a namespace has them."""

Call = Callable[..., Awaitable[Any]]


async def check_writing(call: Call, layout: Layout) -> None:
    """One small write; raises StoreUnavailable that says why nothing can be published."""
    try:
        await call("SET", f"{layout.home(NOBODYS)}:key:", "1", "PX", 1)
    except StoreUnavailable as error:
        raise await _explained(call, error) from None


async def check_all(call: Call, line: Line, layout: Layout) -> str:
    """Everything once; raises StoreUnavailable for what nothing works without.

    Returns what else lacks and what needs it: `HSET HDEL (receipts), ZADD (presence)`.
    """
    home = layout.home(NOBODYS)
    keys = f"{home}:log", f"{home}:key:", layout.receipts(NOBODYS), layout.presence(NOBODYS)
    script = load("rights")
    tried = ["1" if feature in layout.features else "" for feature in (Feature.RECEIPTS, Feature.PRESENCE)]
    asked = len(keys), *keys, layout.topic(NOBODYS), *tried
    try:
        for command in (("PING",), ("UNLINK", *keys), ("LRANGE", keys[0], -1, -1)):
            await call(*command)
        refused = await call("EVAL", script.text, *asked)
        with suppress(NoScript):  # forgotten since, or another server: it may be asked for, and that is the question
            await call("EVALSHA", script.sha, *asked)
    except StoreUnavailable as error:
        raise await _explained(call, error) from None
    lacks = []
    for raw, reply in refused:
        if (name := raw.decode()) in COMMANDS:
            raise await _explained(call, _named(name, read_refusal(reply.decode().lstrip("-"))))
        lacks.append(name)
    await _check_hearing(line, layout)
    return _by_need([*lacks, *[name for name in ALSO["GET /channels"] if not await _may(call, line, layout, name)]])


def _by_need(lacks: Collection[str]) -> str:
    found = {need: [name for name in names if name in lacks] for need, names in ALSO.items()}
    return ", ".join(f"{' '.join(names)} ({need})" for need, names in found.items() if names)


async def _may(call: Call, line: Line, layout: Layout, name: str) -> bool:
    try:
        if name == "SCAN":
            await line.scan("0", layout.home(NOBODYS))
        else:
            await call(name, f"{layout.home(NOBODYS)}:log")
    except (StoreMisconfigured, exceptions.ResponseError):
        return False
    return True


async def _check_hearing(line: Line, layout: Layout) -> None:
    """Listen for a moment, on a connection of its own: a refusal would end what the one that is there listens to."""
    connection: Any = await _listening(line)
    name = ""
    try:
        for name in ("SUBSCRIBE", "UNSUBSCRIBE"):
            await send(connection, name, layout.topic(NOBODYS), check_health=False)
            await connection.read_response()
    except exceptions.ResponseError as error:
        raise _named(name, read_refusal(said(error))) from None
    except (exceptions.RedisError, OSError) as error:
        raise StoreUnavailable(f"the store did not acknowledge a subscription: {error}") from None
    finally:
        await connection.disconnect(nowait=True)


async def _listening(line: Line) -> Any:
    try:
        return await line.listen()
    except (exceptions.RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis can't be reached: {error}") from None


async def _explained(call: Call, error: StoreUnavailable) -> StoreUnavailable:
    """What the refusal of a write means for the people who set this up."""
    detail = error.detail
    if "READONLY" in detail:
        return PermanentError("REDIS_URL leads to a read-only replica; it must lead to the primary")
    if "OOM" in detail:
        return PermanentError(
            "Redis is full (maxmemory) and evicts nothing; nothing can be published until it has room"
        )
    if "unknown command" in detail and b"_mode:sentinel" in await _server(call):
        return PermanentError("REDIS_URL leads to a Sentinel; it must lead to the primary itself")
    return error


async def _server(call: Call) -> bytes:
    try:
        return bytes(await call("INFO", "server"))
    except StoreUnavailable:
        return b""


def _named(name: str, refusal: StoreUnavailable) -> StoreUnavailable:
    """With the command, or the kind of names, that its user may not use."""
    if not isinstance(refusal, PermanentError):
        return refusal
    if "pub/sub channels" in refusal.detail or "our keys" in refusal.detail:
        return refusal
    return PermanentError(f"Redis refuses: its user may not run {name}; {RIGHTS}")
