"""Publishers: they post, do what a careful client does when the answer fails to come, and write down every answer."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.history import content_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.history import History, Outcome

PAUSE = 0.05
"""Seconds before a publisher that was not served tries again."""


def new_client(timeout: float = 10.0) -> httpx.AsyncClient:
    """A client for any number of connections to servers of this machine."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(trust_env=False, limits=limits, timeout=timeout)


class Publisher:
    """Posts to one channel as one user, each time at one of `urls` (services, no slash at the end), drawn from `seed`.

    `keyed`: every message has a `localId`, and is posted again until it is answered. Without, one that was not answered
    is never posted again, for it may be there.
    """

    def __init__(
        self,
        history: History,
        client: httpx.AsyncClient,
        urls: str | Sequence[str],
        channel: str,
        user: str = "ann",
        *,
        keyed: bool = True,
        seed: int = 0,
    ) -> None:
        self.user = user
        self.answers: Counter[str] = Counter()
        """How often each came: a status, a status with its `outcome`, or the name of an error of the network."""
        self.ids: list[str] = []
        """Of each message that was answered with 201 or 200, in the order of the answers."""
        self._history = history
        self._client = client
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._channel = channel
        self._keyed = keyed
        self._dice = Random(f"{seed} {user}")
        self._numbers = itertools.count(1)

    async def publish(self, data: Any = None) -> str | None:
        """Post one message (its own number, if not given); its id, or None where nobody knows whether it is stored."""
        number = next(self._numbers)
        data = f"{self.user} {number}" if data is None else data
        key = f"{self.user}-{number}" if self._keyed else None
        while True:
            outcome, id_ = await self._post(data, key)
            if id_ is not None:
                self.ids.append(id_)
                return id_
            if outcome == "unknown" and not self._keyed:
                return None
            await asyncio.sleep(PAUSE)

    async def publish_many(self, count: int) -> list[str]:
        """One after the other; the ids of those that were answered."""
        ids = [await self.publish() for _ in range(count)]
        return [id_ for id_ in ids if id_ is not None]

    async def publish_for(self, ticks: AsyncIterator[object]) -> None:
        """One message a tick."""
        async for _ in ticks:
            await self.publish()

    async def _post(self, data: Any, key: str | None) -> tuple[Outcome, str | None]:
        begun = self._history.tick()
        body = {"data": data, "user": self.user} | ({} if key is None else {"localId": key})
        try:
            reply = await self._client.post(
                f"{self._dice.choice(self._urls)}/channels/{self._channel}/messages", json=body
            )
        except httpx.ConnectError:
            return self._note(data, key, begun, "refused", "ConnectError")
        except httpx.TransportError as error:
            return self._note(data, key, begun, "unknown", type(error).__name__)
        answer = reply.json()
        match reply.status_code:
            case 201:
                return self._note(data, key, begun, "acked", "201", answer["id"])
            case 200:
                assert answer["duplicate"] is True
                return self._note(data, key, begun, "duplicate", "200", answer["id"])
            case 503:
                assert int(reply.headers["retry-after"]) >= 1, reply.headers
                assert reply.headers["content-type"] == "application/problem+json"
                outcome: Outcome = "refused" if answer["outcome"] == "none" else "unknown"
                return self._note(data, key, begun, outcome, f"503 {answer['outcome']}")
        raise AssertionError(f"{self.user} was answered {reply.status_code}: {reply.text}")

    def _note(
        self, data: Any, key: str | None, begun: int, outcome: Outcome, answer: str, id_: str | None = None
    ) -> tuple[Outcome, str | None]:
        self.answers[answer] += 1
        where = self._channel, self.user, content_key(data), outcome, id_
        self._history.publish(*where, local_id=key, begun=begun)
        return outcome, id_
