"""The tabs of one user share one stream, and the next one goes on where a leader left off."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext

from tests.browser.room import room
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=3)


async def test_all_tabs_show_the_same_and_the_next_one_leads_on(
    context: BrowserContext, origin: str, service: Service
) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url) if "/stream?" in request.url else None)
    tabs = [await room(context, origin, service.url, "tabs", user="ann") for _ in range(3)]
    assert len(asked) == 1
    await tabs[2].send("by a follower")
    for tab in tabs:
        await tab.until_shown(["by a follower"])
    await tabs[0].page.close()
    await tabs[1].send("after the leader was closed")
    for tab in tabs[1:]:
        await tab.until_shown(["by a follower", "after the leader was closed"], alarm=3)
        assert await tab.states() == ["idle", "connecting", "live"], "nobody saw anything of it"
    assert len(asked) == 2
