"""Chromium's own EventSource reads everything once, in order, from a server that keeps cutting."""

from __future__ import annotations

import pytest

from tests.testkit.browser import chromium, empty_origin, event_source
from tests.testkit.cutting_server import cutting_server

pytestmark = pytest.mark.real(seconds=6)


async def test_reads_across_cuts_from_another_origin() -> None:
    async with (
        chromium() as browser,
        empty_origin() as origin,
        cutting_server(total=60, every=7) as server,
        event_source(browser, server.url, page_url=origin, events=["message", "ping", "hello", "end"]) as stream,
    ):
        await stream.until(lambda s: len(s.messages) >= 60, "60 messages")
        await stream.close()

    assert [int(seen.id) for seen in stream.messages] == list(range(1, 61))
    # On a cut Chromium may drop what it had received and not yet handed to the page; it resumes before that.
    assert server.resumed == sorted(server.resumed)
    assert len(server.resumed) >= 9
    assert all(server.ends.values())
    assert (stream.opens, stream.reconnects) == (len(server.resumed), len(server.resumed) - 1)
    assert stream.errors == stream.reconnects
    assert stream.closed


async def test_a_refusal_closes_it_for_ever() -> None:
    """A page where a stream was expected: the wrong content type stops an EventSource."""
    async with (
        chromium() as browser,
        empty_origin() as origin,
        event_source(browser, "/", page_url=origin) as stream,
    ):
        await stream.until(lambda s: s.closed, "the browser gives up")
    assert (stream.opens, stream.errors, stream.seen) == (0, 1, [])
