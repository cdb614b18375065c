"""The tabs of one user share one stream, and the next one goes on where a leader left off."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Error, Route

from tests.browser.room import PATIENCE, Room, Row, room
from tests.browser.test_past import publish
from tests.testkit.page_memory import renderers
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=4)


NO_LOOKS = "window.setInterval = () => 0;"
NO_STEALING = """
const request = LockManager.prototype.request;
LockManager.prototype.request = function (name, ...rest) {
  if (rest[0].steal) delete rest[0].steal;
  return request.call(this, name, ...rest);
};"""


async def three(context: BrowserContext, origin: str, service: Service, channel: str) -> list[Room]:
    """The first one leads. The others are next once it has let go of the lead: nobody looks whether it is frozen."""
    await context.add_init_script(NO_LOOKS)
    return [await room(context, origin, service.url, channel, user="ann") for _ in range(3)]


async def goes_on(tabs: list[Room], service: Service, channel: str, alarm: float = PATIENCE) -> None:
    """What one of them sends and what comes by the stream is on all of them, and nobody saw an interruption."""
    await tabs[0].send("next")
    for tab in tabs:
        await tab.until(tab.shown, lambda rows: rows == [Row("next", "sent")], "it is sent", alarm)
    publish(service, channel, {"data": "bob's", "user": "bob"})
    for tab in tabs:
        await tab.until_shown(["next", "bob's"], alarm)
    for tab in tabs:
        assert await tab.states() == ["idle", "connecting", "live"]


async def test_eight_tabs_have_one_stream_and_all_send(context: BrowserContext, origin: str, service: Service) -> None:
    """Over HTTP/1.1, where a browser has six connections: with a stream each, the sixth could not send."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url) if "/stream?" in request.url else None)
    await context.add_init_script(NO_LOOKS)  # at a leader that is slow because its machine is
    tabs = [await room(context, origin, service.url, "eight", user="ann") for _ in range(8)]
    assert len(asked) == 1
    for number, tab in enumerate(tabs):
        await tab.send(number)
        await tab.until(tab.shown, lambda rows: rows[-1].state == "sent", "sent")
    for tab in tabs:
        await tab.until_shown(list(range(8)))
    assert len(asked) == 1


async def test_the_leader_is_closed(context: BrowserContext, origin: str, service: Service) -> None:
    tabs = await three(context, origin, service, "closed")
    await tabs[0].page.close()
    await goes_on(tabs[1:], service, "closed")


async def test_the_leader_crashes(context: BrowserContext, origin: str, service: Service) -> None:
    tabs = await three(context, origin, service, "crashed")
    session = await context.new_cdp_session(tabs[0].page)
    crash = asyncio.ensure_future(session.send("Page.crash"))
    await goes_on(tabs[1:], service, "crashed")
    crash.cancel()
    with suppress(Error, asyncio.CancelledError):
        await crash


async def test_the_leader_is_left_for_another_page_and_comes_back(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """It may be in the back/forward cache then, with its script stopped."""
    tabs = await three(context, origin, service, "left")
    await tabs[0].page.goto("about:blank")
    await goes_on(tabs[1:], service, "left")
    await tabs[0].page.go_back()


@pytest.fixture
async def pids() -> AsyncIterator[set[int]]:
    """Renderers that were stopped; they go on at the end."""
    stopped: set[int] = set()
    yield stopped
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


WORK = """() => new Promise((started) => {
  window.worker = new Worker(URL.createObjectURL(new Blob(["postMessage(0)"])));
  worker.onmessage = () => started();
})"""


async def renderer(tab: Room) -> int:
    """The process that shows this page: the one that has a thread more once it has a worker. Browsers do not say."""
    before = workers()
    await tab.page.evaluate(WORK)
    [pid] = {pid for pid, _ in workers() - before}
    return pid


def workers() -> set[tuple[int, str]]:
    """Threads of workers in the renderers of this test's browser: process and thread."""
    found = set()
    for pid in renderers():
        for name in Path(f"/proc/{pid}/task").glob("*/comm"):
            with suppress(OSError):
                if name.read_text().startswith("DedicatedWorker"):
                    found.add((pid, name.parent.name))
    return found


async def test_the_leader_is_frozen(context: BrowserContext, origin: str, service: Service, pids: set[int]) -> None:
    """Its renderer is stopped: it holds its locks and says nothing. The others have a stream within five seconds.

    A browser may show several pages of one site in one process: those are frozen with it.
    """
    leader = await room(context, origin, service.url, "frozen", user="ann")
    pids.add(await renderer(leader))
    tabs: list[Room] = []
    while len(tabs) < 2:
        assert len(context.pages) < 8, "all pages are in the leader's process"
        tab = await room(context, origin, service.url, "frozen", user="ann")
        if await renderer(tab) not in pids:
            tabs.append(tab)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await goes_on(tabs, service, "frozen", alarm=5 * 5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    await tabs[0].send("again")
    for tab in (leader, *tabs):
        await tab.until_shown(["next", "bob's", "again"])


async def test_without_locks_each_tab_streams_and_sends_and_nothing_doubles(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """As on plain http in a LAN: no locks, no randomUUID. Five messages that were written offline, and three tabs."""
    await context.add_init_script(
        "Object.defineProperty(navigator, 'locks', { value: undefined }); delete Crypto.prototype.randomUUID;"
    )
    ann = await room(context, origin, service.url, "lan", user="ann")
    await context.set_offline(True)
    await ann.send(1, 2, 3, 4, 5)
    await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 5, "kept")
    await ann.page.close()
    await context.set_offline(False)
    tabs = await asyncio.gather(*(room(context, origin, service.url, "lan", user="ann") for _ in range(3)))
    for tab in tabs:
        await tab.until_shown([1, 2, 3, 4, 5])
        await tab.until(tab.shown, lambda rows: {row.state for row in rows} == {"sent"}, "all sent")
        await tab.until(lambda: tab.page.evaluate("client.waiting"), lambda waiting: waiting == 0, "none waits")  # noqa: B023
    reader = await room(context, origin, service.url, "lan", user="bob")
    assert await reader.data() == [1, 2, 3, 4, 5]


IN_LINE = """navigator.locks.query().then(({pending}) =>
  pending.filter(({name}) => name.endsWith("send drain")).length)"""


async def test_two_tabs_drain_one_at_a_time(context: BrowserContext, origin: str, service: Service) -> None:
    """Rows of before, two tabs that open at once, and an `online`: one POST in flight, each once, in order."""
    running: set[Route] = set()
    most: list[int] = []
    open_, both = asyncio.Event(), asyncio.Event()

    async def post(route: Route) -> None:
        """It is over here before its page can know."""
        if not open_.is_set():
            return await route.abort()
        running.add(route)
        most.append(len(running))
        await both.wait()
        reply = await route.fetch()
        running.remove(route)
        return await route.fulfill(response=reply)

    await context.add_init_script(NO_STEALING)
    ann = await room(context, origin, service.url, "drain", user="ann")
    await context.set_offline(True)
    await ann.send(*range(6))
    await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 6, "kept")
    await ann.page.close()
    await context.set_offline(False)
    await context.route("**/channels/drain/messages", post)
    tabs = await asyncio.gather(*(room(context, origin, service.url, "drain", user="ann") for _ in range(2)))
    open_.set()
    for tab in tabs:
        await tab.page.evaluate("dispatchEvent(new Event('online'))")
    await tabs[0].until(lambda: tabs[0].page.evaluate(IN_LINE), lambda waiting: waiting == 1, "the other waits for it")
    both.set()
    for tab in tabs:
        await tab.until_shown(list(range(6)))
        await tab.until(tab.shown, lambda rows: {row.state for row in rows} == {"sent"}, "all sent")
    assert most == [1] * 6


async def test_a_user_forgets_in_one_tab(context: BrowserContext, origin: str, service: Service) -> None:
    """The outbox of all that user's tabs is empty then, and another user's is not."""
    tabs = [await room(context, origin, service.url, "forget", user=user) for user in ("ann", "ann", "bob")]
    await context.set_offline(True)
    await tabs[0].send("ann's", "ann's too")
    await tabs[2].send("bob's")
    for tab, rows in zip(tabs, (["ann's", "ann's too"], ["ann's", "ann's too"], ["bob's"]), strict=True):
        await tab.until_shown(rows)
    assert await tabs[1].page.evaluate("client.close({forget: true})") == 2
    for tab, rows in zip(tabs, ([], [], ["bob's"]), strict=True):
        await tab.until_shown(rows)
    await context.set_offline(False)
    await tabs[2].until(tabs[2].shown, lambda rows: [row.state for row in rows] == ["sent"], "bob's is sent")
    reader = await room(context, origin, service.url, "forget", user="cat")
    assert await reader.data() == ["bob's"]
