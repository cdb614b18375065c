"""Without storage that works: memory, the problem is shown, and sending works; within two seconds."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext, Route

from tests.browser.room import Row, room
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=3)

DENIED = "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('denied', 'SecurityError'); } });"
FULL = """IDBObjectStore.prototype.add = function () {
  const request = IDBObjectStore.prototype.get.call(this, 0);
  this.transaction.abort();
  return request;
};"""  # as where the quota is used up: the request is taken, and its transaction aborted


@pytest.mark.parametrize(("channel", "fault"), [("denied", DENIED), ("full", FULL)])
async def test_memory_is_used_and_the_problem_shown(
    context: BrowserContext, origin: str, service: Service, channel: str, fault: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(fault)
    ann = await room(page, origin, service.url, channel, user="ann")
    await ann.send("one", "two")
    await ann.until(ann.shown, lambda rows: rows == [Row("one", "sent"), Row("two", "sent")], "sent", alarm=10)
    assert (await page.evaluate("client.problem"))["kind"] == "storage"


async def test_a_tab_of_an_older_version_blocks_the_upgrade(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """It holds the database and does not let go of it: the upgrade waits for ever, and sending does not."""
    old = await context.new_page()
    await old.add_init_script("IDBDatabase.prototype.close = () => {};")
    ann = await room(old, origin, service.url, "upgrade", user="ann")
    await ann.send("old")
    await ann.until(ann.shown, lambda rows: rows == [Row("old", "sent")], "sent")

    async def newer(route: Route) -> None:
        reply = await route.fetch()
        code = await reply.text()
        assert "const FORMAT = 1;" in code
        await route.fulfill(response=reply, body=code.replace("const FORMAT = 1;", "const FORMAT = 2;"))

    page = await context.new_page()
    await page.route("**/outbox.js", newer)
    new = await room(page, origin, service.url, "upgrade", user="ann")
    await new.send("one", "two")
    await new.until(new.shown, lambda rows: rows[1:] == [Row("one", "sent"), Row("two", "sent")], "sent", alarm=10)
    assert (await page.evaluate("client.problem"))["kind"] == "storage"
    assert await old.evaluate("client.problem") is None
