"""GET /healthz and GET /readyz."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from gapless.api.routes.health import NOT_READY
from gapless.services import readiness
from tests.api.problem import assert_problem
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey, start_valkey


async def test_the_process_is_up_and_asks_nobody(served: RunningApp, valkey: Valkey) -> None:
    await served.client.get("/readyz")  # what is asked once, at the start, has been asked
    with valkey.count_commands(ignore={"info", "hello", "client"}) as counted:
        reply = await served.client.get("/healthz")
    assert (reply.status_code, reply.json(), counted) == (200, {"status": "ok"}, {})


async def test_it_can_be_written_to_and_heard(served: RunningApp, valkey: Valkey) -> None:
    await served.client.get("/readyz")
    told = (await served.client.get("/readyz")).json()
    assert (told["status"], told["scripts"], told["notices"]) == ("ok", "plain", "subscribe")
    assert valkey.socket in told["store"]
    assert 0 < told["latencyMs"] < 5000


async def test_it_says_how_many_commands_were_sent_to_the_store(
    served: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this process, since its start (docs/protocol.md, 5.1)."""
    await served.client.post("/channels/general/messages", json={"data": 1})  # the script is known from here on
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    await served.client.get("/readyz")  # an answer that is kept from now on, and not one from the start that is old
    monkeypatch.setattr(readiness, "KEPT", 3600.0)

    async def told() -> int:
        return int((await served.client.get("/readyz")).json()["commands"])

    before = await told()
    for _ in range(3):
        await served.client.post("/channels/general/messages", json={"data": 1})
    assert (before > 0, await told()) == (True, before + 3)


async def test_a_hundred_who_ask_cost_what_one_does(
    served: RunningApp, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    await served.client.get("/readyz")
    monkeypatch.setattr(readiness, "KEPT", 3600.0)
    with valkey.count_commands() as counted:
        replies = await asyncio.gather(*(served.client.get("/readyz") for _ in range(100)))
        replies += [await served.client.get("/readyz") for _ in range(20)]
    assert {reply.status_code for reply in replies} == {200}
    assert counted == {"set": 1}


async def test_one_who_leaves_takes_no_answer_with_him(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "KEPT", 0.0)
    async with running_app(valkey.url) as found:
        ready = found.app.wiring.service.ready
        first, second = asyncio.create_task(ready.ask()), asyncio.create_task(ready.ask())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).error is None


async def test_strangers_learn_whether_and_no_more(valkey: Valkey) -> None:
    claims = claims_of(time.time())
    user = bearer(Secret().sign(claims))
    admin = bearer(Secret().sign(claims | {"gapless": {"admin": True}}))
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        for headers in ({}, user, bearer("nonsense"), {"Authorization": "Basic abc"}):
            assert (await found.client.get("/readyz", headers=headers)).json() == {"status": "ok"}
        assert "store" in (await found.client.get("/readyz", headers=admin)).json()
    async with running_app("redis://127.0.0.1:1", jwt_secret=SECRET) as found:
        told = assert_problem(await found.client.get("/readyz"), 503)
        assert told["detail"] == NOT_READY
        told = assert_problem(await found.client.get("/readyz", headers=admin), 503)
        assert "can't be reached" in told["detail"]
    async with running_app(valkey.url, public=True) as found:
        assert (await found.at("192.0.2.1").get("/readyz")).json() == {"status": "ok"}
        assert "store" in (await found.client.get("/readyz")).json()


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an operator has to see to."""
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


async def test_nothing_can_be_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that is full, from the start: the log and the answer say the same."""
    with start_valkey(tmp_path, "--maxmemory", "1") as full:
        async with running_app(full.url) as found:
            reply = await found.client.get("/readyz")
            assert reply.status_code == 503
            assert "full (maxmemory)" in reply.json()["detail"]
            await auntil(lambda: complaints(caplog), "the log says it")
            assert [reply.json()["detail"]] == [f"{said}." for said in complaints(caplog)]


async def test_what_only_an_administrator_lacks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Messages pass, so it is ready, and says what is missing."""
    with start_valkey(tmp_path, port=None) as server:
        server.cli("ACL", "SETUSER", "gapless", "on", ">secret", "+@all", "-scan", "~gapless:*", "&gapless:*")
        async with running_app(f"redis://gapless:secret@127.0.0.1:{server.port}") as found:
            told = (await found.client.get("/readyz")).json()
            assert (told["status"], told["missing"]) == ("ok", "SCAN (GET /channels)")
            sentence = "the store's user may not run SCAN (GET /channels); docs/security.md lists the rights"
            await auntil(lambda: complaints(caplog) == [sentence], "the log says it once")


async def test_without_a_store() -> None:
    async with running_app("unix:///nowhere/at/all") as served:
        assert (await served.client.get("/healthz")).status_code == 200
        reply = await served.client.get("/readyz")
        assert_problem(reply, 503)
        assert int(reply.headers["retry-after"]) >= 1
