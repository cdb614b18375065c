"""A secret is changed under an open stream: nobody is logged out, nothing is missed. (docs/security.md, Rotation)"""

from __future__ import annotations

import time

import httpx
import pytest

from tests.testkit.app_fixture import bearer
from tests.testkit.forge import OTHER_SECRET, SECRET, Secret, claims_of
from tests.testkit.node import node_reader
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=8)

OLD, NEW = Secret(SECRET), Secret(OTHER_SECRET)


def signed(secret: Secret) -> dict[str, str]:
    return bearer(secret.sign(claims_of(time.time(), exp=int(time.time()) + 600)))


async def test_an_open_stream_does_not_notice(valkey: Valkey) -> None:
    base = {"REDIS_URL": valkey.url, "GAPLESS_RETRY_MS": "30"}
    before = base | {"GAPLESS_JWT_SECRET": OLD.secret}
    between = base | {"GAPLESS_JWT_SECRET": NEW.secret, "GAPLESS_JWT_SECRET_OLD": OLD.secret}
    after = base | {"GAPLESS_JWT_SECRET": NEW.secret}
    messages = "/channels/a/messages"
    async with Service(before) as service, httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=30) as http:
        sent: list[str] = []

        async def publish(secret: Secret) -> int:
            posted = await http.post(messages, json={"data": 1}, headers=signed(secret))
            sent.extend([posted.json()["id"]] if posted.status_code == 201 else [])
            return posted.status_code

        async def ticket(secret: Secret) -> str:
            made = await http.post("/tickets", json={"channels": ["a"]}, headers=signed(secret))
            return str(made.json()["ticket"])

        async def reads(ticket: str) -> int:
            return (await http.get(messages, params={"ticket": ticket})).status_code

        mine = await ticket(OLD)
        async with node_reader("eventsource", f"{service.url}/channels/a/stream?ticket={mine}") as reader:
            await reader.until(lambda seen: seen.of("hello"), "a hello")
            assert [await publish(OLD), await publish(NEW)] == [201, 401]
            await service.arestart(between)
            assert [await publish(OLD), await publish(NEW)] == [201, 201], "the application changes when it likes"
            await reader.until(lambda seen: len(seen.messages) == len(sent), "they have come, by the ticket of before")
            assert [seen.id for seen in reader.messages] == sent
            assert reader.of("gap") == []
            later, same = await ticket(OLD), await ticket(NEW)
            assert [await reads(one) for one in (mine, later, same)] == [200, 200, 200]
            await service.arestart(after)
            assert [await publish(OLD), await publish(NEW)] == [401, 201]
            assert [await reads(one) for one in (mine, later, same)] == [401, 200, 200], (
                "new ones are of the new secret"
            )
            await reader.until(lambda seen: seen.closed, "the old ticket has ended")
            assert reader.details[-1] == "401"
        assert len(sent) == 4
