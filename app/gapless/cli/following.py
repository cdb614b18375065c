"""Reads channels over every end of a stream: reconnects, and goes on after the last id (docs/protocol.md, 3.7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx
from httpx_sse import EventSource, SSEError

from gapless.cli.backoff import PASSING, asked_for, pause
from gapless.cli.failure import Failed
from gapless.cli.remote import explain, member, refusal, unreachable

QUIET = 45.0
"""Seconds without a byte after which a connection is given up: a turn is held for 20 s, a platform may take 30."""
MISSED_HEARTBEATS = 2.5


@dataclass(frozen=True, slots=True)
class Event:
    """One block of a stream. `data`: as it came. `id`: the cursor after it; empty where it has none."""

    kind: str
    data: str
    id: str = ""

    def read(self) -> dict[str, Any]:
        """The data, an object, whose numbers may have changed their spelling. Raises ValueError where it is none."""
        told = json.loads(self.data)
        if not isinstance(told, dict):
            raise ValueError("it is no JSON object")
        return told


class Following:
    """`where`: the query that says which channels, and from where on until there is a cursor.

    `tell` is given a sentence when an outage begins; `sleep` and `random` are time and chance.
    """

    def __init__(
        self,
        http: httpx.Client,
        where: Mapping[str, str],
        *,
        tell: Callable[[str], None],
        sleep: Callable[[float], None],
        random: Callable[[], float],
    ) -> None:
        self._http = http
        self._where = where
        self._tell = tell
        self._sleep, self._random = sleep, random
        self._cursor = ""
        self._retry = 1.0
        self._quiet = QUIET
        self._failures = 0

    def events(self) -> Generator[Event, None, NoReturn]:
        """Every event of the service, `hello` and `end` among them, for ever. Raises Failed where it refuses."""
        while True:
            try:
                with self._http.stream("GET", "/stream", **self._asked()) as reply:
                    wait = yield from self._heard(reply)
            except httpx.TransportError as error:
                wait = self._broken(unreachable(error))
            self._sleep(wait)

    def _asked(self) -> dict[str, Any]:
        # A proxy that compresses holds back what it has until there is enough of it.
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if self._cursor:
            headers["Last-Event-ID"] = self._cursor
        timeout = httpx.Timeout(self._quiet, connect=5.0)
        return {"params": dict(self._where), "headers": headers, "timeout": timeout}

    def _heard(self, reply: httpx.Response) -> Generator[Event, None, float]:
        """The events of one stream; returns the seconds until the next one."""
        if reply.status_code != 200:
            reply.read()
            return self._refused(reply)
        ended = False
        try:
            for block in EventSource(reply).iter_sse():
                event = Event(block.event, block.data, block.id)
                self._learn(event, block.retry)
                ended = event.kind == "end"
                yield event
        except SSEError:
            reply.read()
            raise Failed(f"{reply.request.url} is no stream of Gapless: {explain(reply)}") from None
        if not ended:
            return self._broken("The stream was cut off.")
        return self._retry * (0.75 + self._random() / 2)

    def _learn(self, event: Event, retry: int | None) -> None:
        self._cursor = event.id or self._cursor
        self._retry = self._retry if retry is None else retry / 1000
        if event.kind == "hello":
            self._failures = 0
            self._quiet = max(QUIET, MISSED_HEARTBEATS * _heartbeat(event))

    def _refused(self, reply: httpx.Response) -> float:
        if reply.status_code not in PASSING:
            raise refusal(reply)
        asked = asked_for(member(reply, "retryAfterMs"), reply.headers.get("retry-after"))
        return max(asked, self._broken(f"{reply.status_code}: {explain(reply)}"))

    def _broken(self, why: str) -> float:
        """Seconds to wait. Says why where that is new: planned ends are no news, nor is an outage that goes on."""
        self._failures += 1
        if self._failures == 1:
            self._tell(f"{why} Going on as soon as it is there again.")
        return pause(self._failures, self._random())


def _heartbeat(hello: Event) -> float:
    try:
        return float(hello.read().get("heartbeat") or 0)
    except (ValueError, TypeError):
        raise Failed("this is no stream of Gapless: its hello says nothing.") from None
