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

from gapless.stores.topic import Topic, TopicSubscriptions
from gapless.stores.traffic import Traffic
from gapless.stores.upstash.gate import Gate
from gapless.stores.upstash.poll import Newest
from gapless.stores.upstash.upstream import ACK_TIMEOUT, Refused, Upstream

OPEN_TIMEOUT = ACK_TIMEOUT + 1.0
"""Seconds in which a subscription must be acknowledged, or its channel polled for the first time."""
MOST_UPSTREAMS = 50
"""Channels with a request of their own."""


class Subscriptions(TopicSubscriptions):
    """Subscriptions over one request for each channel, or for all of them, closed with the last."""

    def __init__(self, url: str, token: str, pattern: str, newest: Newest, traffic: Traffic | None = None) -> None:
        super().__init__()
        self._traffic = traffic or Traffic()
        self._url = url
        self._token = token
        self._pattern = pattern
        self._newest = newest
        self._gate = Gate()
        self._client: httpx.AsyncClient | None = None
        self._upstreams: dict[str, Upstream] = {}
        self._feeding: dict[bytes, Upstream] = {}

    @property
    def how(self) -> str:
        """How notices come in: `subscribe`, or `poll` where that is refused."""
        return "poll" if self._gate.refused else "subscribe"

    @property
    def _patience(self) -> float:
        return OPEN_TIMEOUT

    async def _begin(self, key: bytes, topic: Topic) -> None:
        wide = len(self._upstreams) >= MOST_UPSTREAMS
        name, kind = (self._pattern, "psubscribe") if wide else (key.decode(), "subscribe")
        upstream = self._upstreams.get(name)
        if upstream is None:
            upstream = Upstream(name, lambda: self._lines(kind, name), self._newest, self._gate)
            self._upstreams[name] = upstream
        upstream.add(key, topic)
        self._feeding[key] = upstream

    async def _end(self, key: bytes) -> None:
        """The last topic ends its upstream."""
        upstream = self._feeding.pop(key)
        await upstream.remove(key)
        if not upstream.topics:
            self._upstreams = {name: one for name, one in self._upstreams.items() if one is not upstream}
            await upstream.close()

    def _renew(self, key: bytes) -> None:
        self._feeding[key].renew()

    async def _stop(self) -> None:
        upstreams, self._upstreams = list(self._upstreams.values()), {}
        self._feeding.clear()
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
            self._traffic.sent((kind.upper(), name))
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


def _keepalive() -> list[tuple[int, int, int]]:
    """A peer that died without a word is noticed within 45 s."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
