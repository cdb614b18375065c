"""Upstash over REST: the upstash-redis SDK for commands, server-sent events for notices (`upstash_ears.py`).

The SDK would repeat every failure after three seconds, writes too, and wait for ever: its retries are off, every call
has a time limit, and what may be repeated is decided here. Nothing documents whether Upstash accepts PUBLISH inside a
script that locks only its keys, so the store tries the cheapest way first and goes down a step at the first refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from app.errors import CorruptLog, StartupRefused, StoreUnavailable
from app.events import Entry, format_notice
from app.store import NOTICE_LIMIT, Accepted, ChannelInfo, Listener, Outcome, Publication, Slice, Subscription
from app.stores import keyspace
from app.stores.attempts import persist
from app.stores.scripts import Layout, Script, load, locking, read_entries, read_outcome, read_slice
from app.stores.upstash_ears import Ears

REPLY_TIMEOUT = 4.0


class Scripts(StrEnum):
    """How `publish.lua` is run; each step down costs more."""

    LOCKED = "locked"
    """Locks only its keys, so that channels do not wait for each other."""
    PLAIN = "plain"
    """Runs under Upstash's global lock."""
    TOLD_AFTER = "told after"
    """Scripts may not PUBLISH: a second request does, once the messages are in the log."""


class UpstashStore:
    """A store at a REST `url`. Nothing is connected before the first call."""

    recheck = 240.0
    lag = 3.0

    def __init__(self, url: str, token: str, layout: Callable[[int], Layout], *, page: int) -> None:
        _check(url, token)
        self.name = f"Upstash at {urlsplit(url).hostname}"
        self.page = page
        self._layout = layout(0)
        self._redis = Redis(url.rstrip("/"), token, rest_retries=0, allow_telemetry=False)
        self._ears = Ears(url.rstrip("/"), token, self._layout.pattern, self._newest)
        self._scripts = Scripts.LOCKED

    def state(self) -> dict[str, str]:
        """See the port."""
        return {"scripts": self._scripts.value, "notices": self._ears.how}

    async def publish(self, publication: Publication) -> Outcome:
        """See the port. One EVALSHA, and a PUBLISH where scripts may not."""
        inside = self._scripts is not Scripts.TOLD_AFTER
        keys, args = self._layout.publish(publication, notify=inside)
        reply = await self._run_publish(keys, args, repeatable=publication.repeatable)
        outcome, notified = read_outcome(publication, reply)
        if isinstance(outcome, Accepted) and not notified:
            if inside:
                self._step_down()
            await self._tell(publication.channel, outcome)
        return outcome

    async def tail(self, channel: str, count: int) -> list[Entry]:
        """See the port. One LRANGE."""
        count = min(count, self.page)
        if count < 1:  # to LRANGE, 0 is the beginning
            return []
        return read_entries(await self._call("LRANGE", self._layout.log(channel), -count, -1))

    async def slice(self, channel: str, first: int, last: int) -> Slice:
        """See the port. One EVALSHA around LINDEX, LINDEX, LRANGE."""
        args = [str(first), str(min(last, first + self.page - 1))]
        reply = await self._run(load("slice"), [self._layout.log(channel)], args, repeatable=True)
        return read_slice(reply, first)

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """See the port. Where SUBSCRIBE is refused the channel is polled instead."""
        return await self._ears.subscribe(self._layout.topic(channel), channel, listener)

    async def forget(self, channel: str) -> None:
        """See the port."""
        await keyspace.forget(self._repeat, self._scan, self._layout, channel)

    async def channels(self, cursor: str) -> tuple[list[ChannelInfo], str | None]:
        """See the port."""
        return await keyspace.channels(self._repeat, self._scan, self._layout, cursor)

    async def ping(self) -> None:
        """See the port. PING is free of charge."""
        await self._call("PING")

    async def close(self) -> None:
        """See the port."""
        await self._ears.close()
        await self._redis.close()

    # --- scripts

    async def _run_publish(self, keys: list[str], args: list[Any], *, repeatable: bool) -> Any:
        """The script as locking as it may be. A refusal of the flag comes before anything has run."""
        plain = load("publish")
        if self._scripts is Scripts.LOCKED:
            try:
                return await self._run(locking(plain), keys, args, repeatable=repeatable)
            except _FlagRefused:
                self._scripts = Scripts.PLAIN
        return await self._run(plain, keys, args, repeatable=repeatable)

    def _step_down(self) -> None:
        self._scripts = Scripts.PLAIN if self._scripts is Scripts.LOCKED else Scripts.TOLD_AFTER

    async def _tell(self, channel: str, accepted: Accepted) -> None:
        """Notify after the fact. Where that fails, the readers' next read finds the messages."""
        notice = format_notice(accepted.entries, NOTICE_LIMIT).decode()
        try:
            await self._call("PUBLISH", self._layout.topic(channel), notice)
        except StoreUnavailable:
            return

    async def _run(self, script: Script, keys: list[str], args: list[Any], *, repeatable: bool) -> Any:
        """A script by its SHA-1; with its text where Upstash does not know it (which ran nothing)."""
        texts = [arg.decode() if isinstance(arg, bytes) else arg for arg in args]
        try:
            return await self._call("EVALSHA", script.sha, len(keys), *keys, *texts, repeatable=repeatable)
        except _NoScript:
            return await self._call("EVAL", script.text, len(keys), *keys, *texts, repeatable=repeatable)

    # --- commands

    async def _newest(self, channel: str) -> list[Entry]:
        """What polling reads at each tick."""
        return read_entries(await self._attempt(["LRANGE", self._layout.log(channel), -min(8, self.page), -1]))

    async def _call(self, *command: Any, repeatable: bool = True) -> Any:
        return await persist(lambda: self._attempt(list(command)), repeatable=repeatable)

    async def _repeat(self, *command: Any) -> Any:
        return await self._call(*command)

    async def _scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        return keyspace.read_scan(await self._call("SCAN", cursor, "MATCH", pattern, "COUNT", keyspace.PAGE))

    async def _attempt(self, command: list[Any]) -> Any:
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                return await self._redis.execute(command)
        except UpstashError as error:
            raise translate(str(error)) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise StoreUnavailable(f"{self.name} can't be reached: {error or type(error).__name__}") from None
        except (httpx.HTTPError, TimeoutError) as error:
            detail = f"{self.name} did not answer: {error or type(error).__name__}"
            raise StoreUnavailable(detail, outcome_unknown=True) from None
        except (ValueError, KeyError, AttributeError):  # HTML, or JSON that is no reply
            raise StoreUnavailable(
                f"{self.name} answered with something else than JSON", outcome_unknown=True
            ) from None


class _NoScript(StoreUnavailable):
    """The server does not know the script; nothing ran."""


class _FlagRefused(StoreUnavailable):
    """The server does not take the flag in the script's first line; nothing ran."""


def translate(error: str) -> StoreUnavailable:
    """A refusal in our terms. Upstash refused before it wrote: scripts write only after everything was read."""
    if error.startswith("NOSCRIPT"):
        return _NoScript(error)
    if "allow-key-locking" in error or "shebang" in error.lower() or "flag" in error.lower():
        return _FlagRefused(error)
    if "WRONGTYPE" in error or "GAPLESS" in error:
        return CorruptLog(f"something else is stored under our keys: {error}")
    if error.startswith(("WRONGPASS", "NOAUTH")):
        return StoreUnavailable(
            "Upstash refused the token; check UPSTASH_REDIS_REST_TOKEN (it may be another database's)"
        )
    if error.startswith("NOPERM"):
        return StoreUnavailable(
            "Upstash refused the command: UPSTASH_REDIS_REST_TOKEN is a read-only token; use the standard one"
        )
    return StoreUnavailable(f"Upstash refused: {error}")


def _check(url: str, token: str) -> None:
    """Refuse at the start what can never work."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise StartupRefused(
            "UPSTASH_REDIS_REST_URL is no REST URL: it looks like https://name-12345.upstash.io (not redis://)."
        )
    if not token.strip():
        raise StartupRefused("UPSTASH_REDIS_REST_TOKEN is missing: copy it from the database's page, beside the URL.")
