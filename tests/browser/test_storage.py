"""Without storage that works: memory, the problem is shown, and sending works; within two seconds."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext

from tests.browser.room import Row, room
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=3)

DENIED = "Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('denied', 'SecurityError'); } });"
BLOCKED = "IDBFactory.prototype.open = () => new EventTarget();"  # an older tab holds it, and no event ever comes
FULL = """IDBObjectStore.prototype.add = function () {
  const request = IDBObjectStore.prototype.get.call(this, 0);
  this.transaction.abort();
  return request;
};"""  # as where the quota is used up: the request is taken, and its transaction aborted


@pytest.mark.parametrize(("channel", "fault"), [("denied", DENIED), ("blocked", BLOCKED), ("full", FULL)])
async def test_memory_is_used_and_the_problem_shown(
    context: BrowserContext, origin: str, service: Service, channel: str, fault: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(fault)
    ann = await room(page, origin, service.url, channel, user="ann")
    await ann.send("one", "two")
    await ann.until(ann.shown, lambda rows: rows == [Row("one", "sent"), Row("two", "sent")], "sent", alarm=4)
    assert (await page.evaluate("client.problem"))["kind"] == "storage"
