"""GET and DELETE /channels/{channel}/presence, POST …/leave, and streams that are there. (docs/protocol.md, 9.8)"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gapless.services import presence
from gapless.services.presence import PER_MINUTE
from tests.api.problem import assert_problem
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

KINDS = {"room": {"presence": True}}
PATH, STREAM = "/channels/room:1/presence", "/channels/room:1/stream"
QUICK = 10.0
"""A lease of so many seconds makes everything twenty times as quick."""


@pytest.fixture
async def served(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, namespaces=KINDS, lifetime=60, presence=QUICK) as found:
        yield found


async def there(served: RunningApp, path: str = PATH) -> list[str]:
    reply = await served.client.get(path)
    assert reply.status_code == 200, reply.text
    users: list[str] = reply.json()["users"]
    assert reply.json() == {"channel": "room:1", "users": users, "count": len(users)}
    return users


async def test_who_reads_is_there_and_who_goes_is_not(served: RunningApp) -> None:
    async with served.live(f"{STREAM}?presence=watch") as watches:
        assert (await watches.until("presence"))[0] == {"channel": "room:1", "users": [], "count": 0}
        async with served.live(f"{STREAM}?presence=1&user=ann") as ann:
            assert (await ann.until("presence"))[0]["users"] == ["ann"]
            _, came = await watches.until("presence", 2)
            assert came == {"channel": "room:1", "joined": ["ann"], "left": [], "count": 1}
            await auntil(lambda: _is_there(served, "ann"), "the store knows")
        *_, left = await watches.until("presence", 3)
        assert (left["left"], left["count"]) == (["ann"], 0)
    assert await there(served) == []


async def test_who_only_watches_is_not_there(served: RunningApp) -> None:
    async with served.live(f"{STREAM}?presence=watch&user=ann") as watches:
        assert (await watches.until("presence"))[0]["users"] == []
        assert await there(served) == []


async def test_a_stream_of_many_channels_is_there_where_presence_is_on(served: RunningApp) -> None:
    async with served.live("/stream?channel=room:1,general&presence=1&user=ann") as stream:
        await stream.until("presence")
        await auntil(lambda: _is_there(served, "ann"), "she is there")
    assert_problem(await served.client.get("/channels/general/presence"), 404, "GAPLESS_NAMESPACES turns them on")


async def _is_there(served: RunningApp, user: str) -> bool:
    return user in await there(served)


@pytest.mark.parametrize(("method", "path"), [("DELETE", PATH), ("POST", f"{PATH}/leave")])
async def test_leaving_now(served: RunningApp, method: str, path: str) -> None:
    """A turn is there until its lease ends, or until the page says that it leaves."""
    await served.client.post("/channels/room:1/messages", json={"data": 1})
    async with served.live(f"{STREAM}?presence=watch") as watches:
        await watches.until("presence")
        async with served.live(f"{STREAM}?presence=1&user=ann"):
            await watches.until("presence", 2)
            reply = await served.client.request(method, path, params={"user": "ann"}, content=b"beacon")
            assert (reply.status_code, reply.content) == (204, b"")
        *_, left = await watches.until("presence", 3)
        assert left["left"] == ["ann"]


REFUSED: dict[str, tuple[str, str, int, str]] = {
    "nobody": ("DELETE", PATH, 422, "^user: needed where there are no tokens"),
    "a user of control characters": ("DELETE", f"{PATH}?user=a%0A", 422, "user: "),
    "where it is off": ("DELETE", "/channels/general/presence?user=a", 404, "GAPLESS_NAMESPACES"),
    "another wish": ("GET", f"{STREAM}?presence=yes", 422, "presence: "),
}


@pytest.mark.parametrize(("method", "path", "status", "detail"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(served: RunningApp, method: str, path: str, status: int, detail: str) -> None:
    assert_problem(await served.client.request(method, path), status, detail)


async def test_a_user_leaves_so_often_a_minute_at_most(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PER_MINUTE == 60
    monkeypatch.setattr(presence, "PER_MINUTE", 3)
    async with running_app(valkey.url, namespaces=KINDS) as served:
        codes = [(await served.client.delete(f"{PATH}?user=ann")).status_code for _ in range(4)]
        assert codes == [204] * 3 + [429]
        assert (await served.client.delete(f"{PATH}?user=bob")).status_code == 204


async def test_a_user_is_whom_his_token_names_and_a_beacon_brings_a_ticket(valkey: Valkey) -> None:
    async with running_app(
        valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True, lifetime=60, presence=QUICK
    ) as served:
        headers = bearer(Secret().sign(claims_of(time.time(), sub="ann", gapless={"subscribe": ["room:*"]})))
        ticket: Any = await served.client.post("/tickets", json={"channels": ["room:1"]}, headers=headers)
        asked = f"?ticket={ticket.json()['ticket']}"
        async with served.live(f"{STREAM}{asked}&presence=1&user=bob") as stream:
            assert (await stream.until("presence"))[0]["users"] == ["ann"]
        assert (await served.client.post(f"{PATH}/leave{asked}&user=bob")).status_code == 204
        assert (await served.client.get(f"{PATH}{asked}")).json()["users"] == []
        assert (await served.client.post(f"{PATH}/leave")).status_code == 401
        cookie = {"Cookie": f"gapless_token={headers['Authorization'][7:]}"}
        foreign = {**cookie, "Origin": "https://elsewhere.example"}
        assert (await served.client.post(f"{PATH}/leave", headers=foreign)).status_code == 403
        own = {**cookie, "Origin": "http://localhost"}
        assert (await served.client.post(f"{PATH}/leave", headers=own)).status_code == 204


WITH_COOKIE: dict[str, tuple[dict[str, str], int]] = {
    "its own page, which names no origin": ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
    "a program": ({}, 200),
    "an allowed page": ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}, 200),
    "another page": ({"Origin": "https://elsewhere.example"}, 403),
    "an image on another page": ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    "a link on a neighbour's page": ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
}


async def test_no_other_page_says_by_a_visitors_cookie_that_he_is_there(valkey: Valkey) -> None:
    """To be there is written, though the request is a GET."""
    origins = "https://app.example.com"
    async with running_app(valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True, origins=origins) as served:
        token = Secret().sign(claims_of(time.time(), sub="ann"))
        for page, (said, status) in WITH_COOKIE.items():
            headers = {**said, "Cookie": f"gapless_token={token}"}
            assert await _opened(served, headers, "1") == status, page
            assert await _opened(served, headers, "watch") == 200, page
        assert await _opened(served, {**WITH_COOKIE["another page"][0], **bearer(token)}, "1") == 200, "no cookie"


async def _opened(served: RunningApp, headers: dict[str, str], presence: str) -> int:
    path = f"{STREAM}?mode=buffered&presence={presence}"
    return (await served.client.get(path, headers=headers)).status_code
