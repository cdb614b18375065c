"""POST /channels/{channel}/messages, for the tests of what is answered."""

from __future__ import annotations

from typing import Any

import httpx

from tests.testkit.app_fixture import RunningApp

PATH = "/channels/general/messages"
LOG = "gapless:{general}:log"


async def post(served: RunningApp, body: Any, path: str = PATH, **headers: str) -> httpx.Response:
    return await served.client.post(path, json=body, headers=headers)
