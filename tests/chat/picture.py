"""The picture of the first page in the README: `python -m tests.chat.picture` takes it anew.

A short talk, then the plug is pulled: the network is cut, a robot writes twenty messages, and the network is back.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from tests.chat.person import person, publish
from tests.testkit.browser import chromium
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "chat.jpg"
LARGEST = 60_000
"""Bytes: everybody who clones the project has them."""
TALK = (
    ("ann", "Morning! The deploy went out at nine."),
    ("bob", "I stopped two of the three instances while it ran, just to see."),
    ("bob", "Nothing lost, nothing twice."),
    ("me", "That is the whole idea."),
)


async def take(service: Service) -> None:
    """Leave the picture in its place."""
    for user, words in TALK:
        publish(service, "general", words, user=user)
    size = {"width": 960, "height": 640}
    async with chromium() as browser, person(browser, service.url, "me", "general", viewport=size) as me:
        await me.get_by_role("button", name="Pull the plug").click()
        await me.get_by_label("Cut my network").check()
        await me.locator("#state[data-state=reconnecting]").wait_for()
        await me.get_by_role("button", name="Let a robot write 20").click()
        await me.locator("#counted[data-missing=true]").wait_for()
        await me.get_by_label("Cut my network").uncheck()
        await me.locator("#state[data-state=live]").wait_for()
        await me.locator("#counted[data-missing=false]").wait_for()
        await me.screenshot(path=PICTURE, type="jpeg", quality=60)


def main() -> None:
    """Take it with a service and a store of its own."""
    kinds = json.dumps({"": {"signals": True, "receipts": True, "presence": True}})
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, start_valkey(Path(folder), port=None, unixsocket=True) as valkey:
        env = {"REDIS_URL": valkey.url, "GAPLESS_NAMESPACES": kinds, "GAPLESS_RETRY_MS": "50", "GAPLESS_PUBLIC": "true"}
        with Service(env) as service:
            asyncio.run(take(service))
    assert PICTURE.stat().st_size <= LARGEST, f"{PICTURE.stat().st_size} bytes"


if __name__ == "__main__":
    main()
