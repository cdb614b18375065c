"""An examination ends within a minute, also where nothing is answered, and does not stumble over what is not ours."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from gapless.cli.doctor.examine import MOST, Examination
from gapless.cli.doctor.finding import Finding, State
from gapless.cli.doctor.site import Site

FOR_EVER = 10**6
HELLO = 'id: a-0-0\nevent: hello\ndata: {"mode":"streaming"}\n\n'


class Front:
    """Answers all but what it is told to hang at. `stream`: what it streams."""

    def __init__(self, *hangs: str, stream: str = HELLO) -> None:
        self._hangs = hangs
        self._stream = stream

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if any(f"{request.method} {path}".endswith(words) for words in self._hangs):
            await asyncio.sleep(FOR_EVER)
        if path.endswith("/stream"):
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=self._stream)
        if request.method == "POST":
            return httpx.Response(201, json={"id": "a-1-m", "timestamp": "2026-11-26T12:00:00.000Z"})
        return httpx.Response(200, json={"status": "ok"})


async def examined(front: Front) -> dict[str, Finding]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(front), base_url="http://service") as http:
        site = Site(http, "a", "a.quiet", None, None, 40, time.time)
        return {one.check: one for one in await Examination(site, lambda _: None).run()}


@pytest.mark.virtual_time
@pytest.mark.parametrize("hangs", ["/healthz", "/readyz", "/messages", "DELETE /channels/a"])
async def test_whoever_does_not_answer_is_not_waited_for(hangs: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    findings = await examined(Front(hangs))
    assert loop.time() - began <= MOST + 1 <= 60
    assert findings["time"].state is State.FAIL and findings["time"].change


@pytest.mark.virtual_time
async def test_a_stream_that_never_begins_is_held_back() -> None:
    findings = await examined(Front("/stream"))
    assert findings["stream"].state is State.FAIL and "came no event" in findings["stream"].said


@pytest.mark.virtual_time
async def test_an_event_that_something_changed_is_told() -> None:
    for stream, said in (("event: hello\ndata: <html>\n\n", "none of Gapless"), (HELLO, "closed at once")):
        findings = await examined(Front(stream=stream))
        assert findings["stream"].state is State.FAIL and said in findings["stream"].said
