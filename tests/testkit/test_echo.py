"""What is asked of the echo server comes back through the proxy, and is counted."""

from __future__ import annotations

from tests.testkit.alarm import auntil
from tests.testkit.echo import connected, echoing


async def test_it_sends_back_what_it_gets_and_keeps_count() -> None:
    async with echoing() as (proxy, echo):
        async with connected(proxy) as first, connected(proxy) as second:
            assert await first.ask(b"one", 3) == b"one"
            assert await second.ask(b"two", 3) == b"two"
            assert (echo.received, echo.opened, echo.ends) == (b"onetwo", 2, [])
        await auntil(lambda: echo.ends == ["fin", "fin"], "both ends")
