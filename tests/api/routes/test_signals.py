"""POST /channels/{channel}/signals. (docs/protocol.md, section 9)"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gapless.log.signals import MOST_BYTES
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

KINDS = {"room": {"signals": True}, "slow": {"signals": True, "rate": 0.01, "burst": 1}}
PATH = "/channels/room:1/signals"


@pytest.fixture
async def served(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, namespaces=KINDS, lifetime=60) as found:
        yield found


async def send(served: RunningApp, path: str = PATH, **signal: Any) -> httpx.Response:
    return await served.client.post(path, json={"event": "typing", **signal})


async def test_streams_that_are_open_get_it_and_history_does_not(served: RunningApp) -> None:
    async with served.live("/channels/room:1/stream") as stream:
        await stream.until("hello")
        raw = '{"event":"typing","user":"ann","data":{"n":1.50, "text":"\u2028\\n"}}'
        reply = await served.client.post(PATH, content=raw, headers={"Content-Type": "application/json"})
        [told] = await stream.until("signal")
    assert reply.status_code == 202
    assert told == {**reply.json(), "data": {"n": 1.5, "text": "\u2028\n"}}
    assert list(told) == ["channel", "event", "user", "data", "timestamp", "nonce"]
    assert b'"n":1.50' in stream.body, "numbers stay as they were written"
    assert (await served.client.get("/channels/room:1/messages")).json()["messages"] == []


async def test_streams_of_many_channels_get_it(served: RunningApp) -> None:
    async with served.live("/stream?channel=room:2,room:1") as stream:
        await stream.until("hello")
        await send(served)
        assert (await stream.until("signal"))[0]["channel"] == "room:1"


async def test_it_has_the_rate_of_its_namespace(served: RunningApp) -> None:
    assert (await send(served, "/channels/slow:1/signals")).status_code == 202
    refused = await send(served, "/channels/slow:1/signals")
    assert_problem(refused, 429, "Too many signals")
    assert 50 < int(refused.headers["retry-after"]) <= 100
    message = await served.client.post("/channels/slow:1/messages", json={"data": 1})
    assert message.status_code == 201, "messages have a bucket of their own"


async def test_where_they_are_off_there_is_no_such_thing(served: RunningApp) -> None:
    assert_problem(await send(served, "/channels/general/signals"), 404, "GAPLESS_NAMESPACES turns them on")


WRONG: dict[str, tuple[Any, int, str]] = {
    "no event": ({}, 422, "^event: Field required"),
    "a list": ([], 422, "^The body is one signal"),
    "a bad name": ({"event": "a b"}, 422, "^event: "),
    "an unknown member": ({"event": "a", "localId": "x"}, 422, "^localId: "),
    "a user of control characters": ({"event": "a", "user": "a\n"}, 422, "^user: "),
    "too large": ({"event": "a", "data": "x" * MOST_BYTES}, 413, "at most 8192 bytes"),
}


@pytest.mark.parametrize(("body", "status", "detail"), WRONG.values(), ids=WRONG)
async def test_what_is_refused(body: Any, status: int, detail: str, served: RunningApp) -> None:
    assert_problem(await served.client.post(PATH, json=body), status, detail)


async def test_it_needs_the_right_to_publish_and_speaks_for_the_tokens_user(valkey: Valkey) -> None:
    async with running_app(valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True) as served:
        for claim, status in (("publish", 202), ("subscribe", 403)):
            claims = claims_of(time.time(), sub="ann", gapless={claim: ["*"]})
            reply = await served.client.post(
                PATH, json={"event": "typing", "user": "bob"}, headers=bearer(Secret().sign(claims))
            )
            assert reply.status_code == status
            if status == 202:
                assert json.loads(reply.content)["user"] == "ann"
        assert (await send(served)).status_code == 401
