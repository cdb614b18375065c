"""POST /tickets, and what its tickets open: the channels they name, to read, until they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.testkit.app_fixture import RunningApp, bearer, events, of_kind, running_app
from tests.testkit.forge import OTHER_SECRET, SECRET, Published, Secret, claims_of
from tests.testkit.key_server import KeyServer
from tests.testkit.valkey import Valkey


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        yield found


def token(**claims: Any) -> dict[str, str]:
    return bearer(Secret().sign(claims_of(time.time(), **claims)))


async def ticket(found: RunningApp, *channels: str, **claims: Any) -> str:
    reply = await found.client.post("/tickets", json={"channels": channels}, headers=token(**claims))
    assert reply.status_code == 201, reply.text
    return str(reply.json()["ticket"])


async def read(client: httpx.AsyncClient, path: str, ticket: str) -> int:
    return (await client.get(path, params={"ticket": ticket})).status_code


async def test_it_says_when_it_ends(found: RunningApp) -> None:
    reply = await found.client.post("/tickets", json={"channels": ["a"]}, headers=token(exp=int(time.time()) + 7200))
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json().keys() == {"ticket", "expires"}
    ends = datetime.fromisoformat(reply.json()["expires"]).timestamp()
    assert 890 < ends - time.time() <= 900
    ends = int(time.time()) + 60
    short = await found.client.post("/tickets", json={"channels": ["a"]}, headers=token(exp=ends))
    assert datetime.fromisoformat(short.json()["expires"]).timestamp() == ends


async def test_it_reads_what_it_names_in_every_way_there_is(found: RunningApp) -> None:
    await found.client.post("/channels/a/messages", json={"data": "hi"}, headers=token())
    mine = await ticket(found, "a", "b")
    assert await read(found.client, "/channels/a/messages", mine) == 200
    assert await read(found.client, "/channels/b/stream", mine) == 200
    message = await found.first(f"/stream?ticket={mine}&channel=a,b&history=5", "message")
    assert message["data"] == "hi"


@pytest.mark.parametrize(
    "path", ["/channels/c/messages", "/channels/c/stream", "/stream?channel=c", "/stream?channel=a,c"]
)
async def test_other_channels_are_not_its_business(found: RunningApp, path: str) -> None:
    url = httpx.URL(path).copy_merge_params({"ticket": await ticket(found, "a", "b")})
    assert (await found.client.get(url)).status_code == 403


async def test_it_writes_nothing_and_makes_no_other(found: RunningApp) -> None:
    mine = await ticket(found, "a", gapless={"publish": ["*"], "subscribe": ["*"], "admin": True})
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/channels/a/messages", {"data": 1}),
        ("POST", "/tickets", {"channels": ["a"]}),
        ("DELETE", "/channels/a", None),
        ("GET", "/channels", None),
    ]
    for method, path, body in asked:
        ways: list[dict[str, Any]] = [
            {"params": {"ticket": mine}},
            {"params": {"access_token": mine}},
            {"headers": bearer(mine)},
            {"headers": {"Cookie": f"gapless_token={mine}", "Origin": "http://localhost"}},
        ]
        for way in ways:
            assert (await found.client.request(method, path, json=body, **way)).status_code == 401
    for way in ways[1:]:
        assert (await found.client.get("/channels/a/messages", **way)).status_code == 401, "a ticket is no token"


async def test_it_ends(found: RunningApp) -> None:
    grant = await found.app.wiring.service.verifier.verify(Secret().sign(claims_of(time.time())))
    late, _ = found.app.wiring.service.tickets.make(grant, ["a"], time.time() - 901)
    assert await read(found.client, "/channels/a/messages", late) == 401
    assert await read(found.client, "/channels/a/stream", late) == 401


async def test_it_ends_with_its_token_and_so_does_its_stream(valkey: Valkey) -> None:
    now = [time.time()]
    async with running_app(valkey.url, jwt_secret=SECRET, lifetime=60, clock=lambda: now[0]) as found:
        ends = int(now[0]) + 60
        mine = await ticket(found, "a", exp=ends)
        now[0] = ends - 0.2
        stream = await found.client.get("/channels/a/stream", params={"ticket": mine})
        assert of_kind(events(stream.content), "end") == ['{"reason":"auth"}']
        now[0] = ends
        assert await read(found.client, "/channels/a/stream", mine) == 401


async def test_a_token_past_its_end_makes_none(found: RunningApp) -> None:
    """The skew lets it in, but a ticket would be over before it is read."""
    reply = await found.client.post("/tickets", json={"channels": ["a"]}, headers=token(exp=int(time.time()) - 5))
    assert reply.status_code == 401


async def test_one_bit_makes_it_worthless(found: RunningApp) -> None:
    mine = await ticket(found, "a")
    for where in range(0, len(mine), 7):
        changed = mine[:where] + chr(ord(mine[where]) ^ 1) + mine[where + 1 :]
        assert await read(found.client, "/channels/a/messages", changed) == 401, where
    assert await read(found.client, "/channels/a/messages", mine) == 200


async def test_any_instance_honours_it_and_nothing_is_stored(valkey: Valkey, found: RunningApp) -> None:
    await found.checked()
    with valkey.count_commands() as counted:
        mine = await ticket(found, "a")
    assert counted.total() == 0
    async with running_app(valkey.url, jwt_secret=SECRET) as other:
        assert await read(other.client, "/channels/a/stream", mine) == 200
    async with running_app(valkey.url, jwt_secret=OTHER_SECRET) as stranger:
        assert await read(stranger.client, "/channels/a/stream", mine) == 401


@pytest.mark.parametrize(
    "body",
    [
        {"channels": []},
        {"channels": ["a"] * 2},
        {"channels": [f"c{number}" for number in range(17)]},
        {"channels": ["*"]},
        {"channels": ["a*"]},
        {"channels": ["a,b"]},
        {"channels": [""]},
        {"channels": [7]},
        {"channels": "a"},
        {"channels": ["a"], "minutes": 5},
        {},
        [],
    ],
)
async def test_what_names_no_channels_is_refused(found: RunningApp, body: Any) -> None:
    reply = await found.client.post("/tickets", json=body, headers=token())
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


async def test_published_keys_need_a_secret_for_tickets(valkey: Valkey) -> None:
    signer = Published("EC")
    headers = bearer(signer.sign(claims_of(time.time())))
    async with KeyServer(signer.jwk) as server:
        async with running_app(valkey.url, jwks_url=server.url) as without:
            reply = await without.client.post("/tickets", json={"channels": ["a"]}, headers=headers)
            assert reply.status_code == 422
            assert "GAPLESS_TICKET_SECRET" in reply.json()["detail"]
            reply = await without.client.get("/channels/a/messages", params={"ticket": "a.b.c"})
            assert reply.status_code == 401
        async with running_app(valkey.url, jwks_url=server.url, ticket_secret=SECRET) as found:
            reply = await found.client.post("/tickets", json={"channels": ["a"]}, headers=headers)
            assert await read(found.client, "/channels/a/messages", reply.json()["ticket"]) == 200


@pytest.mark.parametrize("other", [{"jwt_audience": "them"}, {"jwt_issuer": "https://them"}, {"prefix": "staging"}])
async def test_a_service_of_another_audience_issuer_or_prefix_honours_none(
    valkey: Valkey, other: dict[str, str]
) -> None:
    """With one secret: the ticket of a staging service read production."""
    ours = {"jwt_audience": "us", "jwt_issuer": "https://us", "prefix": "gapless"}
    async with running_app(valkey.url, jwt_secret=SECRET, **ours) as here:
        mine = await ticket(here, "a", aud="us", iss="https://us")
        assert await read(here.client, "/channels/a/messages", mine) == 200
    async with running_app(valkey.url, jwt_secret=SECRET, **(ours | other)) as there:
        assert await read(there.client, "/channels/a/messages", mine) == 401
        assert await read(there.client, "/channels/a/stream", mine) == 401


async def test_a_secret_of_their_own_leaves_those_of_the_tokens_good(valkey: Valkey) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET) as before:
        earlier = await ticket(before, "a")
    async with running_app(valkey.url, jwt_secret=SECRET, ticket_secret=OTHER_SECRET) as after:
        assert await read(after.client, "/channels/a/messages", earlier) == 200
        later = await ticket(after, "a")
        assert await read(after.client, "/channels/a/messages", later) == 200
    async with running_app(valkey.url, jwt_secret=SECRET) as before:
        assert await read(before.client, "/channels/a/messages", later) == 401


async def test_a_secret_for_tickets_alone_asks_nobody_for_a_token(valkey: Valkey) -> None:
    async with running_app(valkey.url, ticket_secret=SECRET) as found:
        assert (await found.client.post("/tickets", json={"channels": ["a"]})).status_code == 422
        assert await read(found.client, "/channels/a/messages", "whatever") == 200


async def test_a_ticket_wins_over_a_token_that_has_ended(found: RunningApp) -> None:
    """A browser sends an old cookie along with whatever its page asks for."""
    mine = await ticket(found, "a")
    old = Secret().sign(claims_of(time.time(), exp=1))
    reply = await found.client.get(
        "/channels/a/messages", params={"ticket": mine}, headers={"Cookie": f"gapless_token={old}"}
    )
    assert reply.status_code == 200


async def test_a_long_poll_by_ticket_is_answered(found: RunningApp) -> None:
    mine = await ticket(found, "a")
    start = (await found.client.get("/channels/a/messages", params={"ticket": mine})).json()["cursor"]
    asking = asyncio.create_task(
        found.client.get("/channels/a/messages", params={"ticket": mine, "after": start, "wait": 20})
    )
    posted = await found.client.post("/channels/a/messages", json={"data": 1}, headers=token())
    assert [one["id"] for one in (await asking).json()["messages"]] == [posted.json()["id"]]
