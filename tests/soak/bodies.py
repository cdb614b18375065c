"""How many bytes of bodies clients were sent, by service and way of reading: a transport for httpx around another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import httpx

from tests.soak.exact import Read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Weighing(httpx.AsyncBaseTransport):
    """Counts in `sizes` the bytes of the bodies of streams, turns and pages, as far as they were read.

    An answer that refuses a stream, with `end` alone, is neither.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.sizes: Counter[Read] = Counter()
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        response = await self._inner.handle_async_request(request)
        if (way := way_of(request)) is None or response.status_code != 200:
            return response

        def add(size: int) -> None:
            self.sizes[way] += size

        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Weighed(response.stream, add))

    async def aclose(self) -> None:
        """See httpx."""
        await self._inner.aclose()


def way_of(request: httpx.Request) -> Read | None:
    """How this request reads; None where it reads nothing."""
    path, url = request.url.path, f"http://{request.url.netloc.decode()}"
    if request.method != "GET":
        return None
    if path.endswith("/stream"):
        return Read(url, "turn" if request.url.params.get("mode") == "buffered" else "stream")
    return Read(url, "page") if path.endswith("/messages") else None


class _Weighed(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, add: Callable[[int], None]) -> None:
        self._inner, self._add, self._refused = inner, add, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        first = True
        async for piece in self._inner:
            self._refused = self._refused or (first and _refuses(piece))
            first = False
            if not self._refused:
                self._add(len(piece))
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def _refuses(first: bytes) -> bool:
    """How a body begins tells: with its first block, which a service writes as a whole."""
    return b"event: end\n" in first.partition(b"\n\n")[0]
