"""What is sent stands in the list from the keystroke on, once, in order, whatever becomes of requests and replies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Error, Route, async_playwright

from tests.browser.conftest import Held
from tests.browser.room import Row, room
from tests.testkit.browser import chromium_binary
from tests.testkit.fault_proxy import DropReply, FaultProxy
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=3)


async def test_a_message_is_shown_at_once_and_by_the_others(
    context: BrowserContext, origin: str, service: Service
) -> None:
    ann = await room(context, origin, service.url, "hello", user="ann")
    bob = await room(context, origin, service.url, "hello", user="bob")
    row = await ann.page.evaluate("room.send({text: 'hi'})")
    assert (row["state"], row["id"], row["data"]) == ("sending", None, {"text": "hi"})
    await bob.until_shown([{"text": "hi"}])
    await ann.until(ann.shown, lambda rows: rows == [Row({"text": "hi"}, "sent")], "sent")
    [sent] = await ann.rows()
    assert sent["key"] == row["key"], "the same row"


async def test_a_reply_is_lost_and_the_post_sent_again(context: BrowserContext, origin: str, service: Service) -> None:
    """One row, `sent`: the echo comes though the reply does not, and what is sent again is not appended again."""
    async with FaultProxy(("127.0.0.1", service.port or 0)) as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        ann = await room(context, origin, service.url, "lost", base=base, user="ann")
        lost = proxy.arm(DropReply(b"POST /channels/lost/messages"), times=1)
        await ann.send("once", "then")
        await lost.fired()
        await ann.until_shown(["once", "then"])
        await ann.until(ann.shown, lambda rows: [row.state for row in rows] == ["sent", "sent"], "both sent")
        await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 0, "nothing waits")
        reader = await room(context, origin, service.url, "lost", user="bob")
        assert await reader.data() == ["once", "then"]


DRAW = """() => {
  const nodes = new Map();
  room.subscribe(() => {
    for (const { key, data, state } of room.messages) {
      if (!nodes.has(key)) nodes.set(key, document.body.appendChild(document.createElement("p")));
      nodes.get(key).textContent = `${data}: ${state}`;
    }
  });
}"""


async def test_the_echo_comes_and_the_reply_never(
    context: BrowserContext, origin: str, service: Service, held: Held
) -> None:
    """It is sent then, and what a page drew for it at the keystroke is what shows that."""

    async def swallow(route: Route) -> None:
        if route.request.method == "POST":
            await posted.wait()
            await route.fetch()
            held.hold(route)
        else:
            await route.continue_()

    posted = asyncio.Event()
    ann = await room(context, origin, service.url, "echo", user="ann")
    await ann.page.route("**/channels/echo/messages", swallow)
    await ann.page.evaluate(DRAW)
    await ann.send("x")
    node = await ann.page.get_by_text("x: sending").element_handle()
    posted.set()
    await ann.page.get_by_text("x: sent").wait_for()
    assert node and await node.inner_text() == "x: sent"
    await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 0, "nothing waits")


ONLY = """async ([from, base]) => {
  const { gapless } = await import(`${from}/static/gapless.js`);
  window.client = gapless(base, { user: "quiet" });
  client.channel("nobody").send("looks");
}"""
HELD = """navigator.locks.query().then(({held, pending}) =>
  [...held, ...pending].filter(({name}) => name.includes("quiet")).length)"""


async def test_one_that_nobody_looks_at_is_sent_and_nothing_is_left_open(
    context: BrowserContext, origin: str, service: Service
) -> None:
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/stream?" in request.url else None)
    await page.goto(f"{origin}/")
    await page.evaluate(ONLY, [service.url, service.url])
    bob = await room(context, origin, service.url, "nobody", user="bob")
    await bob.until_shown(["looks"])
    await bob.until(lambda: page.evaluate(HELD), lambda held: held == 0, "no lock is left")
    assert (asked, await page.evaluate("client.state")) == ([], "idle")


async def test_a_is_refused_b_is_late_and_c_waits(context: BrowserContext, origin: str, service: Service) -> None:
    """A failed one stays and lets the next go; a store in trouble holds the line. An edited one has another localId."""
    ann = await room(context, origin, service.url, "abc", user="ann")
    asked: list[str] = []

    async def answer(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        asked.append(body.get("data"))
        problem = {"A": (422, {"detail": "no A"}), "B": (503, {"detail": "later", "outcome": "none"})}
        if body.get("data") not in problem or asked.count(body["data"]) > 2:
            return await route.continue_()
        status, said = problem[body["data"]]
        headers = {"Access-Control-Allow-Origin": origin}
        kind = "application/problem+json"
        return await route.fulfill(status=status, content_type=kind, body=json.dumps(said), headers=headers)

    await ann.page.route("**/messages", answer)
    await ann.send("A", "B", "C")
    await ann.until(ann.shown, lambda rows: rows[0:2] == [Row("B", "sent"), Row("C", "sent")], "B and C are sent")
    assert asked == ["A", "B", "B", "B", "C"], "A once, then B until it went, then C"
    [failed] = [row for row in await ann.rows() if row["data"] == "A"]
    assert (failed["state"], failed["error"]["detail"]) == ("failed", "no A")
    edited = await ann.page.evaluate("(localId) => room.edit(localId, 'better')", failed["localId"])
    assert (edited["key"], edited["state"]) == (failed["key"], "sending")
    assert edited["localId"] != failed["localId"]
    await ann.until(ann.shown, lambda rows: rows[-1] == Row("better", "sent"), "the edited one is sent")


async def test_a_retry_that_is_clicked_twice_is_one_post(
    context: BrowserContext, origin: str, service: Service
) -> None:
    ann = await room(context, origin, service.url, "twice", user="ann")
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.method)
        if len(asked) > 1:
            return await route.continue_()
        headers = {"Access-Control-Allow-Origin": origin}
        return await route.fulfill(status=403, content_type="application/problem+json", body="{}", headers=headers)

    await ann.page.route("**/messages", answer)
    await ann.send("x")
    await ann.until(ann.shown, lambda rows: rows == [Row("x", "failed")], "failed")
    await ann.page.evaluate("() => { for (let n = 0; n < 2; n++) room.retry(room.messages[0].localId); }")
    await ann.until(ann.shown, lambda rows: rows == [Row("x", "sent")], "sent")
    await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 0, "nothing waits")
    assert len(asked) == 2


async def test_written_offline_and_sent_by_a_page_that_comes_later(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """Five messages, once and in order, by the next page: this one is closed before it is online."""
    ann = await room(context, origin, service.url, "offline", user="ann")
    await context.set_offline(True)
    await ann.send(1, 2, 3, 4, 5)
    await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 5, "kept")
    await ann.page.close()
    await context.set_offline(False)
    again = await room(context, origin, service.url, "offline", user="ann")
    await again.until_shown([1, 2, 3, 4, 5])
    await again.until(again.shown, lambda rows: {row.state for row in rows} == {"sent"}, "all sent")
    bob = await room(context, origin, service.url, "offline", user="bob")
    assert await bob.data() == [1, 2, 3, 4, 5]


async def test_written_offline_and_the_browser_is_killed(tmp_path: Path, origin: str, service: Service) -> None:
    """The same profile in a new browser: all five, once and in order."""
    whole = chromium_binary(whole=True)
    options = {"executable_path": whole, "args": ["--no-sandbox", "--disable-gpu"], "headless": True}
    async with async_playwright() as playwright:
        first = await playwright.chromium.launch_persistent_context(tmp_path, **options)
        ann = await room(first, origin, service.url, "killed", user="ann")
        await first.set_offline(True)
        await ann.send(1, 2, 3, 4, 5)
        await ann.until(lambda: ann.page.evaluate("client.waiting"), lambda waiting: waiting == 5, "kept")
        killed = asyncio.Event()
        first.on("close", lambda _: killed.set())
        for pid in of_profile(tmp_path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await killed.wait()
        # What a browser that ends in peace takes away itself.
        shutil.rmtree((tmp_path / "SingletonSocket").readlink().parent)
        (tmp_path / "SingletonLock").unlink()
        second = await playwright.chromium.launch_persistent_context(tmp_path, **options)
        again = await room(second, origin, service.url, "killed", user="ann")
        await again.until_shown([1, 2, 3, 4, 5])
        await again.until(again.shown, lambda rows: {row.state for row in rows} == {"sent"}, "all sent")
        await second.close()


def of_profile(folder: Path) -> list[int]:
    """The processes of the browser that has this profile."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"--user-data-dir={folder}".encode() in command.read_bytes():
                found.append(int(command.parent.name))
    return found


GONE = """(ahead) => { const now = Date.now; Date.now = () => now.call(Date) + ahead; }"""


async def test_a_reply_is_lost_and_the_page_comes_back_eleven_minutes_later(
    context: BrowserContext, origin: str, service: Service, valkey_server: Valkey, held: Held
) -> None:
    """The service has forgotten the localId: the channel is read for it, and nothing is sent again."""
    posts: list[str] = []

    async def lose(route: Route) -> None:
        posts.append(route.request.method)
        with suppress(Error):  # the page may be left meanwhile
            if len(posts) == 1:  # what is tried again might reach the service after it has forgotten the first
                await route.fetch()
            await route.abort()

    page = await context.new_page()
    await page.route("**/messages", lose)
    await page.route("**/stream?*", held.hold)  # and so is the echo
    ann = await room(page, origin, service.url, "later", user="ann", wait=None)
    await ann.send("once")
    bob = await room(context, origin, service.url, "later", user="bob")
    await bob.until_shown(["once"])
    await page.goto("about:blank")
    await held.let_go()
    await page.close()
    posts.clear()
    for key in valkey_server.cli("KEYS", "*"):
        if valkey_server.cli("TYPE", key) != "list":
            valkey_server.cli("DEL", key)
    context.on("request", lambda request: posts.append(request.method) if request.method == "POST" else None)
    await context.add_init_script(f"({GONE})(660000)")
    again = await room(context, origin, service.url, "later", user="ann", history=1)
    await again.until_shown(["once"])
    await again.until(again.shown, lambda rows: rows == [Row("once", "sent")], "sent")
    await again.until(lambda: again.page.evaluate("client.waiting"), lambda waiting: waiting == 0, "nothing waits")
    assert (await bob.data(), posts) == (["once"], [])
