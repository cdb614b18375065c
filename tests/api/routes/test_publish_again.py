"""POST /channels/{channel}/messages, sent again: under one local id or one key a message is stored once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.posting import LOG, post
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp
from tests.testkit.valkey import Valkey


async def test_the_same_again_appends_nothing(served: RunningApp, valkey: Valkey) -> None:
    body = {"data": {"n": 1}, "user": "ann", "localId": "4f"}
    first = (await post(served, body)).json()
    await post(served, {"data": "between"})
    again = await post(served, body)
    assert (again.status_code, again.json()) == (200, {**first, "duplicate": True})
    assert valkey.cli("LLEN", LOG) == 2


@pytest.mark.parametrize("other", [{"data": {"n": 2}}, {"event": "other"}], ids=["data", "event"])
async def test_other_content_under_a_known_key(other: dict[str, Any], served: RunningApp, valkey: Valkey) -> None:
    body = {"data": {"n": 1}, "user": "ann", "localId": "4f"}
    await post(served, body)
    assert_problem(await post(served, body | other), 409, "^This localId was used for other content")
    assert valkey.cli("LLEN", LOG) == 1


async def test_a_key_belongs_to_its_user_and_channel(served: RunningApp) -> None:
    body = {"data": 1, "user": "ann", "localId": "4f"}
    replies = [
        await post(served, body),
        await post(served, body | {"user": "bob"}),
        await post(served, {"data": 1, "localId": "4f"}),
        await post(served, body, "/channels/other/messages"),
    ]
    assert [reply.status_code for reply in replies] == [201] * 4
    assert len({reply.json()["id"] for reply in replies}) == 4


async def test_the_header_is_a_single_messages_local_id(served: RunningApp) -> None:
    key = {"Idempotency-Key": "4f"}
    first = await post(served, {"data": 1}, **key)
    assert (first.status_code, first.json()["localId"]) == (201, "4f")
    for again in (await post(served, {"data": 1}, **key), await post(served, {"data": 1, "localId": "4f"})):
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (await post(served, {"data": 1, "localId": "4f"}, **key)).status_code == 200
    assert_problem(await post(served, {"data": 2}, **key), 409)


async def test_a_quoted_header_is_the_same_as_an_unquoted_one(served: RunningApp) -> None:
    """docs/protocol.md, 2.3. The IETF's draft has it in quotes."""
    first = await post(served, {"data": 1}, **{"Idempotency-Key": '"4f"'})
    assert (first.status_code, first.json()["localId"]) == (201, "4f")
    for again in (
        await post(served, {"data": 1}, **{"Idempotency-Key": "4f"}),
        await post(served, {"data": 1, "localId": "4f"}, **{"Idempotency-Key": '"4f"'}),
        await post(served, {"data": 1, "localId": "4f"}),
    ):
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    batch = [{"data": 1}, {"data": 2}]
    assert (await post(served, batch, **{"Idempotency-Key": '"4f"'})).status_code == 201
    assert (await post(served, batch, **{"Idempotency-Key": "4f"})).status_code == 200


async def test_a_browsers_own_key_yields_to_the_pages(served: RunningApp, valkey: Valkey) -> None:
    """Firefox adds a quoted key to each POST, another one when the page sends its message again."""
    for status, key in ((201, '"100"'), (200, '"101"')):
        reply = await post(served, {"data": 1, "localId": "4f"}, **{"Idempotency-Key": key})
        assert (reply.status_code, reply.json()["localId"]) == (status, "4f")
    batch = [{"data": 1, "localId": "a"}, {"data": 2, "localId": "b"}]
    for status, key in ((201, '"102"'), (200, '"103"')):
        assert (await post(served, batch, **{"Idempotency-Key": key})).status_code == status
    assert valkey.cli("LLEN", LOG) == 3


@pytest.mark.parametrize("empty", ["", '""'])
async def test_an_empty_header_is_none(served: RunningApp, empty: str) -> None:
    replies = [await post(served, {"data": 1}, **{"Idempotency-Key": empty}) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json()["localId"] is None


async def test_a_batch_under_one_key(served: RunningApp, valkey: Valkey) -> None:
    batch, key = [{"data": 1, "user": "ann"}, {"data": 2, "user": "ann"}], {"Idempotency-Key": "4f"}
    first = await post(served, batch, **key)
    again = await post(served, batch, **key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == [{**one, "duplicate": True} for one in first.json()]
    for other in (batch[:1], [*batch, {"data": 3}], batch[::-1], [batch[0], {"data": 2}]):
        assert_problem(await post(served, other, **key), 409)
    assert valkey.cli("LLEN", LOG) == 2
    # It is not the key of a message of that name.
    assert (await post(served, {"data": 1, "user": "ann", "localId": "4f"})).status_code == 201


async def test_a_batch_of_keyed_messages(served: RunningApp, valkey: Valkey) -> None:
    batch = [{"data": n, "localId": f"k{n}"} for n in range(3)]
    first = await post(served, batch)
    again = await post(served, batch)
    assert (again.status_code, [one["id"] for one in again.json()]) == (200, [one["id"] for one in first.json()])
    detail = "^Part of this batch was published before"
    assert_problem(await post(served, [*batch, {"data": 3, "localId": "k3"}]), 409, detail)
    assert_problem(await post(served, [batch[0], {"data": 3}]), 409)
    assert_problem(await post(served, [batch[0], {"data": 9, "localId": "k1"}]), 409)
    assert valkey.cli("LLEN", LOG) == 3
    one = await post(served, batch[1])
    assert (one.status_code, one.json()["id"]) == (200, first.json()[1]["id"])
