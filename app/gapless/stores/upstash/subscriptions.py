"""Subscriptions over REST: one request per channel; above a bound, one request for all channels of the prefix.

An upstream that says nothing looks like a channel without messages. TCP keepalive finds a dead peer. A peer that keeps
its connection open and stays silent is found by this process's own messages (`expect`), else by the feed's recheck,
which then calls `suspect`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from urllib.parse import quote

import httpx

from gapless.log.cursor import Position
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Listener
from gapless.stores.topic import CLOSED, Topic
from gapless.stores.upstash.gate import Gate
from gapless.stores.upstash.poll import Newest
from gapless.stores.upstash.upstream import ACK_TIMEOUT, Refused, Upstream

OPEN_TIMEOUT = ACK_TIMEOUT + 1.0
"""Seconds in which a subscription must be acknowledged, or its channel polled for the first time."""
MOST_UPSTREAMS = 50
"""Channels with a request of their own."""


class Subscriptions:
    """The subscriptions of a process, closed with the last of them."""

    def __init__(self, url: str, token: str, pattern: str, newest: Newest) -> None:
        self._url = url
        self._token = token
        self._pattern = pattern
        self._newest = newest
        self._gate = Gate()
        self._client: httpx.AsyncClient | None = None
        self._upstreams: dict[str, Upstream] = {}
        self._topics: dict[str, tuple[Topic, Upstream]] = {}
        self._closed = False

    @property
    def how(self) -> str:
        """How notices come in: `subscribe`, or `poll` where that is refused."""
        return "poll" if self._gate.refused else "subscribe"

    async def subscribe(self, name: str, channel: str, listener: Listener) -> _Subscription:
        """Listen to a topic; returns once it hears or polls, or raises StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable(CLOSED)
        topic, _ = self._topics.get(name) or self._begin(name, channel)
        topic.listeners.append(listener)
        subscription = _Subscription(self, name, listener)
        try:
            await topic.opened(OPEN_TIMEOUT)
        except BaseException:
            await subscription.close()
            raise
        return subscription

    def _begin(self, name: str, channel: str) -> tuple[Topic, Upstream]:
        wide = len(self._upstreams) >= MOST_UPSTREAMS
        key, kind = (self._pattern, "psubscribe") if wide else (name, "subscribe")
        upstream = self._upstreams.get(key)
        if upstream is None:
            upstream = self._upstreams[key] = Upstream(key, lambda: self._lines(kind, key), self._newest, self._gate)
        topic = Topic(channel)
        upstream.add(name, topic)
        self._topics[name] = topic, upstream
        return topic, upstream

    def expect(self, name: str, position: Position | None = None) -> None:
        """Something was appended that this topic, if it is listened to, must soon be told: else it is silent.

        Up to `position`, where that is known: its notice may have come before the reply that says so.
        """
        topic, upstream = self._topics.get(name, (None, None))
        if topic is None or upstream is None or (position is not None and topic.knows(position)):
            return
        topic.doubt(upstream.renew)

    async def forget(self, name: str, listener: Listener) -> None:
        """The last listener ends its topic, and the last topic its upstream."""
        topic, upstream = self._topics.get(name, (None, None))
        if topic is None or upstream is None or listener not in topic.listeners:
            return
        topic.listeners.remove(listener)
        if topic.listeners:
            return
        del self._topics[name]
        await upstream.remove(name)
        if not upstream.topics:
            self._upstreams = {key: one for key, one in self._upstreams.items() if one is not upstream}
            await upstream.close()

    async def close(self) -> None:
        """Stop listening to everything."""
        self._closed = True
        for topic, _ in self._topics.values():
            topic.end()
        upstreams, self._upstreams, self._topics = list(self._upstreams.values()), {}, {}
        for upstream in upstreams:
            await upstream.close()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _lines(self, kind: str, name: str) -> AsyncGenerator[bytes, None]:
        """The lines of one request; raises httpx.HTTPError, or Refused where it is no event stream."""
        url = f"{self._url}/{kind}/{quote(name, safe=':*')}"
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # lines are read as they come
        }
        async with self._open().stream("POST", url, headers=headers) as response:
            if response.status_code != 200 or "text/event-stream" not in response.headers.get("content-type", ""):
                raise Refused(f"status {response.status_code}")
            rest = b""
            async for chunk in response.aiter_raw():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line.removesuffix(b"\r")

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=MOST_UPSTREAMS + 10, max_keepalive_connections=4)
            transport = httpx.AsyncHTTPTransport(limits=limits, socket_options=_keepalive())
            self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(ACK_TIMEOUT, read=None))
        return self._client


class _Subscription:
    """One subscription: the port `Subscription` of `log/store.py`."""

    def __init__(self, subscriptions: Subscriptions, name: str, listener: Listener) -> None:
        self._subscriptions = subscriptions
        self._name = name
        self._listener = listener

    def suspect(self) -> None:
        self._subscriptions.expect(self._name)

    async def close(self) -> None:
        await self._subscriptions.forget(self._name, self._listener)


def _keepalive() -> list[tuple[int, int, int]]:
    """A peer that died without a word is noticed within 45 s."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
