"""PUT and GET /channels/{channel}/receipts, and streams that ask for them. (docs/protocol.md, 9.7)"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gapless.log.cursor import base36
from gapless.services import receipts
from gapless.services.receipts import PER_SECOND
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

KINDS = {"room": {"receipts": True}}
PATH = "/channels/room:1/receipts"
FIRST, SECOND = "t9x2k0ab-1-m4ez", "t9x2k0ab-2-7qd1"


@pytest.fixture
async def served(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, namespaces=KINDS, lifetime=60) as found:
        yield found


async def put(served: RunningApp, user: str | None = "ann", path: str = PATH, **marks: Any) -> httpx.Response:
    return await served.client.put(path, json={**marks, **({"user": user} if user else {})})


async def test_a_reply_says_what_holds_and_everybody_can_ask(served: RunningApp) -> None:
    reply = await put(served, delivered=SECOND, read=FIRST)
    ann = {"delivered": SECOND, "read": FIRST}
    assert reply.status_code == 200
    assert reply.json() == {"channel": "room:1", "receipts": {"ann": ann}, "whole": False}
    assert (await put(served, delivered=FIRST)).json()["receipts"] == {"ann": ann}, "never down"
    await put(served, "bob", read=FIRST)
    assert (await served.client.get(PATH)).json() == {
        "channel": "room:1",
        "receipts": {"ann": ann, "bob": {"delivered": FIRST, "read": FIRST}},
        "whole": True,
    }


async def test_streams_that_ask_are_told_and_others_are_not(served: RunningApp) -> None:
    await put(served, read=FIRST)
    async with (
        served.live("/stream?channel=room:1,general&receipts=1") as asks,
        served.live("/channels/room:1/stream") as does_not,
    ):
        await asks.until("receipt")
        await put(served, "bob", read=SECOND)
        first, second = await asks.until("receipt", 2)
        assert (first["whole"], list(first["receipts"])) == (True, ["ann"])
        assert (second["whole"], list(second["receipts"])) == (False, ["bob"])
        assert [event.type for event in does_not.events] == ["hello"]
    async with served.live("/channels/general/stream?receipts=1") as off:
        await off.until("hello")
        assert [event.type for event in off.events] == ["hello"], "ignored where they are off"


async def test_in_turns_they_ride_along(served: RunningApp) -> None:
    await served.client.post("/channels/room:1/messages", json={"data": 1})
    await put(served, read=FIRST)
    async with served.live("/channels/room:1/stream?receipts=1") as warm:
        await warm.until("receipt")
        found = await served.whole("/channels/room:1/stream?receipts=1&mode=buffered&history=1")
    assert [event.type for event in found][:2] == ["hello", "message"]


async def test_where_they_are_off_there_is_no_such_thing(served: RunningApp) -> None:
    path = "/channels/general/receipts"
    assert_problem(await put(served, path=path, read=FIRST), 404, "GAPLESS_NAMESPACES turns them on")
    assert_problem(await served.client.get(path), 404, "GAPLESS_NAMESPACES turns them on")


LATER = f"{base36(int(time.time()) + 3600, 6)}ab-1-m4ez"
WRONG: dict[str, tuple[Any, str]] = {
    "neither": ({"user": "ann"}, "^Send delivered, read, or both"),
    "nulls": ({"user": "ann", "read": None}, "^Send delivered, read, or both"),
    "nobody": ({"read": FIRST}, "^user: needed where there are no tokens"),
    "no id": ({"user": "ann", "read": "x"}, "^read: "),
    "a position": ({"user": "ann", "read": "t9x2k0ab-0-0"}, "^read: "),
    "an unknown member": ({"user": "ann", "seen": FIRST}, "^seen: "),
    "a list": ([], "^The body is one receipt"),
    "an epoch that has not begun": ({"user": "ann", "delivered": LATER}, "has not begun"),
}


@pytest.mark.parametrize(("body", "detail"), WRONG.values(), ids=WRONG)
async def test_what_is_refused(body: Any, detail: str, served: RunningApp) -> None:
    assert_problem(await served.client.put(PATH, json=body), 422, detail)


async def test_a_user_says_so_five_times_a_second_at_most(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute's worth at once; here it is three, and a slow machine fills in none meanwhile."""
    assert PER_SECOND == 5
    monkeypatch.setattr(receipts, "PER_SECOND", 3 / 60)
    async with running_app(valkey.url, namespaces=KINDS) as served:
        codes = [(await put(served, read=FIRST)).status_code for _ in range(4)]
        assert codes == [200] * 3 + [429]
        assert_problem(await put(served, read=FIRST), 429, "Too many receipts of this user")
        assert (await put(served, "bob", read=FIRST)).status_code == 200, "others are not kept waiting"


async def test_other_names_do_not_help_an_address_that_has_no_token(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has what four users have: there may be an office behind it. A user of a token has his own, wherever he is."""
    monkeypatch.setattr(receipts, "PER_SECOND", 3 / 60)
    async with running_app(valkey.url, namespaces=KINDS) as served:
        codes = [(await put(served, f"user-{number}", read=FIRST)).status_code for number in range(13)]
        assert codes == [200] * 12 + [429]
        assert (await put(served, path="/channels/room:2/receipts", read=FIRST)).status_code == 200
    async with running_app(valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True) as served:
        for number in range(13):
            headers = bearer(Secret().sign(claims_of(time.time(), sub=f"user-{number}")))
            assert (await served.client.put(PATH, json={"read": SECOND}, headers=headers)).status_code == 200


async def test_who_may_read_may_say_so_and_in_no_name_but_his(valkey: Valkey) -> None:
    async with running_app(valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True) as served:
        for claim, status in (("subscribe", 200), ("publish", 403)):
            headers = bearer(Secret().sign(claims_of(time.time(), sub="ann", gapless={claim: ["*"]})))
            reply = await served.client.put(PATH, json={"read": FIRST, "user": "bob"}, headers=headers)
            assert reply.status_code == status
            assert (await served.client.get(PATH, headers=headers)).status_code == status
            if status == 200:
                assert list(reply.json()["receipts"]) == ["ann"]


async def test_they_are_gone_with_the_channel(valkey: Valkey) -> None:
    async with running_app(valkey.url, namespaces=KINDS, jwt_secret=SECRET, public=True) as served:
        claims = claims_of(time.time(), sub="ann")
        claims["gapless"]["admin"] = True
        headers = bearer(Secret().sign(claims))
        await served.client.put(PATH, json={"read": FIRST}, headers=headers)
        assert (await served.client.delete("/channels/room:1", headers=headers)).status_code == 204
        assert (await served.client.get(PATH, headers=headers)).json()["receipts"] == {}
