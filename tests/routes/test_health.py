"""GET /healthz and GET /readyz."""

from __future__ import annotations

from tests.front.house import House, house
from tests.routes.problem import assert_problem
from tests.support.valkey import Valkey


async def test_the_process_is_up_and_asks_nobody(served: House, valkey: Valkey) -> None:
    await served.client.get("/readyz")  # what is asked once, at the start, has been asked
    with valkey.count_commands(ignore={"info", "hello", "client"}) as counted:
        reply = await served.client.get("/healthz")
    assert (reply.status_code, reply.json(), counted) == (200, {"status": "ok"}, {})


async def test_the_store_answers(served: House, valkey: Valkey) -> None:
    await served.client.get("/readyz")
    with valkey.count_commands(ignore={"info", "hello", "client"}) as counted:
        reply = await served.client.get("/readyz")
    told = reply.json()
    assert (reply.status_code, counted) == (200, {"ping": 1})
    assert (told["status"], told["scripts"], told["notices"]) == ("ok", "plain", "subscribe")
    assert valkey.socket in told["store"]
    assert 0 < told["latencyMs"] < 5000


async def test_without_a_store() -> None:
    async with house("unix:///nowhere/at/all") as served:
        assert (await served.client.get("/healthz")).status_code == 200
        reply = await served.client.get("/readyz")
        assert_problem(reply, 503)
        assert int(reply.headers["retry-after"]) >= 1
