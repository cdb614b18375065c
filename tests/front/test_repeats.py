"""A localId is its user's: the same again is told its first id, other content is refused in so many words."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/a/messages"


@pytest.fixture
async def open_app(valkey: Valkey) -> AsyncIterator[RunningApp]:
    """Nobody has a token."""
    async with running_app(valkey.url) as found:
        yield found


@pytest.fixture
async def keyed(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        yield found


async def post(found: RunningApp, body: Any, *, key: str | None = None, sub: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    if sub is not None:
        headers |= bearer(Secret().sign(claims_of(time.time(), sub=sub)))
    return await found.client.post(MESSAGES, json=body, headers=headers)


async def kept(found: RunningApp, sub: str | None = None) -> list[str]:
    headers = {} if sub is None else bearer(Secret().sign(claims_of(time.time(), sub=sub)))
    return [one["id"] for one in (await found.client.get(MESSAGES, headers=headers)).json()["messages"]]


def one(data: Any = "hi", local_id: str | None = "1", **more: Any) -> dict[str, Any]:
    return {"data": data, **({} if local_id is None else {"localId": local_id}), **more}


# --- one message


async def test_the_same_again_is_told_its_first_id(open_app: RunningApp) -> None:
    first = await post(open_app, one())
    again = await post(open_app, one())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert await kept(open_app) == [first.json()["id"]]


@pytest.mark.parametrize("user", [None, "ann"])
async def test_a_stranger_with_the_same_id_is_told_that_his_message_is_another(
    open_app: RunningApp, user: str | None
) -> None:
    """Without tokens anyone may use any name; what he says is not taken for what was said before."""
    mine = await post(open_app, one("mine", user=user))
    his = await post(open_app, one("his", user=user))
    assert his.status_code == 409
    assert "localId" in his.json()["detail"]
    assert mine.json()["id"] not in his.text
    assert await kept(open_app) == [mine.json()["id"]]


@pytest.mark.parametrize("other", [{"data": "Hi"}, {"event": "x"}, {"data": ["hi"]}, {"data": "hi "}, {"data": None}])
async def test_whatever_differs_is_other_content(open_app: RunningApp, other: dict[str, Any]) -> None:
    await post(open_app, one())
    assert (await post(open_app, one() | other)).status_code == 409
    assert len(await kept(open_app)) == 1


async def test_users_are_told_apart(open_app: RunningApp) -> None:
    posts = [await post(open_app, one("hi", user=user)) for user in (None, "ann", "bob", "null", "0:")]
    assert [reply.status_code for reply in posts] == [201] * 5
    assert len(set(await kept(open_app))) == 5


async def test_subjects_are_told_apart_whatever_they_call_themselves(keyed: RunningApp) -> None:
    ann = await post(keyed, one("mine", user="bob"), sub="ann")
    bob = await post(keyed, one("mine", user="bob"), sub="bob")
    assert (ann.status_code, bob.status_code) == (201, 201)
    again = await post(keyed, one("mine"), sub="ann")
    assert (again.status_code, again.json()["id"]) == (200, ann.json()["id"])
    assert (await post(keyed, one("other"), sub="bob")).status_code == 409


async def test_channels_are_told_apart(open_app: RunningApp) -> None:
    assert (await post(open_app, one())).status_code == 201
    assert (await open_app.client.post("/channels/b/messages", json=one("other"))).status_code == 201


async def test_the_header_is_the_local_id(open_app: RunningApp) -> None:
    first = await post(open_app, one(local_id=None), key="1")
    assert first.json()["localId"] == "1"
    assert (await post(open_app, one(), key=None)).json()["id"] == first.json()["id"]
    assert (await post(open_app, one(), key="1")).status_code == 200
    assert (await post(open_app, one("other", local_id=None), key="1")).status_code == 409
    assert (await post(open_app, one(local_id="2"), key="1")).status_code == 422


# --- batches

BATCH = [one("a", "1"), one("b", "2"), one("c", "3")]


@pytest.mark.parametrize(("batch", "key"), [(BATCH, None), (BATCH, "k"), ([one("a", None), one("b", None)], "k")])
async def test_a_batch_repeated_whole(open_app: RunningApp, batch: list[dict[str, Any]], key: str | None) -> None:
    first = await post(open_app, batch, key=key)
    again = await post(open_app, batch, key=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == [{**message, "duplicate": True} for message in first.json()]
    assert await kept(open_app) == [message["id"] for message in first.json()]


@pytest.mark.parametrize("part", [[*BATCH[:2], one("d", "4")], [one("d", "4"), BATCH[0]], [*BATCH, one("d", None)]])
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_batch_repeated_in_part(open_app: RunningApp, part: list[dict[str, Any]], key: str | None) -> None:
    first = await post(open_app, BATCH, key=key)
    again = await post(open_app, part, key=key)
    assert again.status_code == 409
    assert await kept(open_app) == [message["id"] for message in first.json()]
    assert (await post(open_app, BATCH, key=key)).status_code == 200, "and the first is remembered as it was"


async def test_a_part_of_a_batch_alone_is_known(open_app: RunningApp) -> None:
    first = await post(open_app, BATCH)
    assert (await post(open_app, BATCH[1])).json()["id"] == first.json()[1]["id"]
    assert (await post(open_app, BATCH[:2])).status_code == 200


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_batch_with_other_content(open_app: RunningApp, key: str | None) -> None:
    await post(open_app, BATCH, key=key)
    assert (await post(open_app, [*BATCH[:2], one("other", "3")], key=key)).status_code == 409
    assert len(await kept(open_app)) == 3


async def test_keys_of_strangers_for_batches(keyed: RunningApp) -> None:
    batch = [one("a", None)]
    assert (await post(keyed, batch, key="k", sub="ann")).status_code == 201
    assert (await post(keyed, batch, key="k", sub="bob")).status_code == 201
    assert (await post(keyed, [one("b", None)], key="k", sub="bob")).status_code == 409
    assert len(await kept(keyed, "ann")) == 2
