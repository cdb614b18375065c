"""Publishers: they post, do what a careful client does when the answer fails to come, and write down every answer."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.testkit.history import content_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.testkit.history import History, Outcome

PAUSE = 0.05
"""Seconds before a publisher that was not served tries again."""


class Post(NamedTuple):
    """One attempt: to which service, when it was begun and ended (`time.monotonic`), and its answer's word."""

    url: str
    begun: float
    ended: float
    messages: int
    answer: str


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
        self.posts: list[Post] = []
        self.ids: list[str] = []
        """Of each message that was answered with 201 or 200, in the order of the answers."""
        self._history = history
        self._client = client
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self.channel = channel
        self._keyed = keyed
        self._dice = Random(f"{seed} {user}")
        self._numbers = itertools.count(1)

    async def publish(self, *data: Any) -> list[str]:
        """Post these together, a single one as it is and more as a batch.

        Returns their ids; none where nobody knows whether they are stored.
        """
        bodies = [{"data": one, "user": self.user} for one in data]
        if self._keyed:
            bodies = [body | {"localId": f"{self.user}-{next(self._numbers)}"} for body in bodies]
        while True:
            outcome, ids = await self._post(bodies)
            self.ids += ids
            if ids or (outcome == "unknown" and not self._keyed):
                return ids
            await asyncio.sleep(PAUSE)

    async def publish_many(self, count: int, *, most: int = 1) -> list[str]:
        """So many, each saying who posts it and its number, in posts of 1 to `most`; the ids of those answered."""
        ids: list[str] = []
        numbers = iter(range(len(self.ids) + 1, len(self.ids) + 1 + count))
        while data := [f"{self.user} {n}" for n in itertools.islice(numbers, self._dice.randint(1, most))]:
            ids += await self.publish(*data)
        return ids

    async def _post(self, bodies: list[dict[str, Any]]) -> tuple[Outcome, list[str]]:
        """One attempt: what became of it, and the ids, none unless it was answered with them."""
        begun, at, url = self._history.tick(), monotonic(), self._dice.choice(self._urls)
        try:
            path, body = f"/channels/{self.channel}/messages", bodies[0] if len(bodies) == 1 else bodies
            reply = await self._client.post(url + path, json=body)
            answer, outcome, ids = _read(reply)
        except httpx.ConnectError:
            answer, outcome, ids = "ConnectError", "refused", []
        except httpx.TransportError as error:
            answer, outcome, ids = type(error).__name__, "unknown", []
        self.answers[answer] += 1
        self.posts.append(Post(url, at, monotonic(), len(bodies), answer))
        for body, id_ in itertools.zip_longest(bodies, ids):
            said = self.channel, self.user, content_key(body["data"]), outcome, id_
            self._history.publish(*said, local_id=body.get("localId"), begun=begun)
        return outcome, ids


def _read(reply: httpx.Response) -> tuple[str, Outcome, list[str]]:
    """A reply in the words of `Publisher.answers`, what it means, and its ids. AssertionError for any other reply."""
    told = reply.json()
    if reply.status_code in {200, 201}:
        sent = told if isinstance(told, list) else [told]
        assert all(one.get("duplicate", False) == (reply.status_code == 200) for one in sent)
        return str(reply.status_code), "acked" if reply.status_code == 201 else "duplicate", [one["id"] for one in sent]
    assert reply.status_code == 503, (reply.status_code, told)
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["content-type"] == "application/problem+json"
    return f"503 {told['outcome']}", "refused" if told["outcome"] == "none" else "unknown", []
