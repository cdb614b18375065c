"""A reader by long poll that comes back for ever, and writes down what it saw for the checker."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.testkit.history import content_key
from tests.testkit.reader_log import ReaderLog

if TYPE_CHECKING:
    from collections.abc import Sequence

PAUSE = 0.2
"""Seconds before it asks again where it was not served."""


class LongPoller:
    """Reads one channel at `urls` (services, no slash at the end; one drawn for each question) into `log`.

    `cursor`: where it goes on; empty for the newest page. `scale` multiplies its pauses.
    """

    def __init__(
        self,
        log: ReaderLog,
        urls: Sequence[str],
        *,
        client: httpx.AsyncClient,
        seed: int = 0,
        cursor: str = "",
        wait: float = 2.0,
        pause: float = PAUSE,
    ) -> None:
        self.log = log
        self.cursor = cursor
        self.at: dict[str, str] = {}
        """The id of the last message seen, as an EventSourceReader has it."""
        self.messages = 0
        self.stopped: str | None = None
        """Why it will never ask again; None while it goes on."""
        self.refused = 0
        """Questions that were answered with a 503 or a 429, or not at all."""
        [self._channel] = log.channels
        self._urls, self._client, self._dice = list(urls), client, Random(seed)
        self._wait, self._pause = wait, pause
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"poller {self.log.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave. What the poller itself stumbled over is raised here."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while self.stopped is None:
            await self.poll()

    async def poll(self) -> None:
        """Ask once, and note the answer; a pause where there is none."""
        url = f"{self._dice.choice(self._urls)}/channels/{self._channel}/messages"
        asked: dict[str, Any] = {"after": self.cursor, "wait": self._wait} if self.cursor else {}
        try:
            reply = await self._client.get(url, params=asked)
        except httpx.TransportError:
            reply = None
        if reply is None or reply.status_code in {429, 503}:
            self.refused += 1
            await asyncio.sleep(self._pause)
            return
        if reply.status_code == 200:
            self._note(reply.json())
        else:
            self.stopped = f"{reply.status_code} {reply.text}"
            self.log.end(f"stopped by {self.stopped}")

    def _note(self, page: dict[str, Any]) -> None:
        messages, gap, cursor = page["messages"], page["gap"], page["cursor"]
        if gap is not None:
            span = gap["missed"], gap["oldest"], gap["latest"]
            self.log.gap(gap["channel"], gap["reason"], *span, None if messages else cursor)
        elif not messages and cursor != self.cursor:
            self.log.reconnected(self.cursor)  # a first place; at any other time the checker calls it a wrong one
            self.log.hello(cursor)
        for message in messages:
            last = message is messages[-1]
            self.log.message(
                message["channel"],
                message["id"],
                content_key(message["data"]),
                cursor=cursor if last else None,
                publisher=message["user"] or "",
                local_id=message["localId"],
            )
            self.at[message["channel"]] = message["id"]
        self.messages += len(messages)
        self.cursor = cursor
