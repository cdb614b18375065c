"""POST /run: who may begin a run, and that it ends with its server."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from gapless.services.typewriter import QUESTION
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey


@pytest.mark.parametrize("body", [{}, {"channel": "general"}, {"channel": "run:abc"}, {"channel": "run:a/bc"}, []])
async def test_only_a_channel_of_its_own(valkey: Valkey, body: object) -> None:
    async with running_app(valkey.url) as found:
        assert (await found.client.post("/run", json=body)).status_code == 422
        assert (await found.client.post("/run")).status_code == 415


async def test_who_may_not_publish_there_begins_none(valkey: Valkey) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        asked = {"json": {"channel": "run:1234"}}
        assert (await found.client.post("/run", **asked)).status_code == 401
        token = Secret().sign(claims_of(time.time(), rights=("general",)))
        assert (await found.client.post("/run", headers=bearer(token), **asked)).status_code == 403


async def test_a_run_ends_with_its_server_and_leaves_no_task(valkey: Valkey) -> None:
    before = asyncio.all_tasks()
    async with running_app(valkey.url) as found:
        run = asyncio.create_task(found.client.post("/run", json={"channel": "run:1234"}))
        await auntil(partial(_begun, found), "it has begun", alarm=60)
    assert (await run).status_code == 503
    assert asyncio.all_tasks() == before


async def _begun(found: RunningApp) -> bool:
    messages = (await found.client.get("/channels/run:1234/messages")).json()["messages"]
    return bool(messages) and messages[0]["data"] == {"question": QUESTION}
