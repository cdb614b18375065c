"""Whatever escapes a store ends as a problem, with every header, and never says more than is known."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gapless.channels.feeds import Feeds
from gapless.log.errors import StoreUnavailable
from gapless.stores.redis.store import RedisStore
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.valkey import Valkey

ORIGIN = "https://page.example.com"


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def store_of(found: RunningApp) -> RedisStore:
    store: RedisStore = found.app.state.wiring.service.store
    return store


async def test_a_defect_is_a_problem_with_all_headers_and_its_status_in_the_log(
    valkey: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "gapless.access")
    async with running_app(valkey.url, origins=[ORIGIN]) as found:
        monkeypatch.setattr(store_of(found), "publish", failing(ZeroDivisionError()))
        reply = await found.client.post("/channels/a/messages", json={"data": 1}, headers={"Origin": ORIGIN})
    assert (reply.status_code, reply.headers["content-type"]) == (500, "application/problem+json")
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "ZeroDivisionError" not in reply.text
    [line] = [one.getMessage() for one in caplog.records if one.name == "gapless.access"]
    assert line.startswith("POST /channels/a/messages 500 ")
    assert [one for one in caplog.records if one.exc_info], "with what has happened"


@pytest.mark.parametrize("path", ["/channels/a/messages", "/channels/a/messages?before=t9x2k0ab-1-aaaa", "/channels"])
async def test_a_read_that_fails_has_written_nothing(
    valkey: Valkey, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(valkey.url) as found:
        for call in ("tail", "slice", "channels", "subscribe"):
            monkeypatch.setattr(store_of(found), call, failing(StoreUnavailable("no answer", outcome_unknown=True)))
        reply = await found.client.get(path)
        if reply.status_code != 403:  # the list is for administrators
            assert assert_problem(reply, 503)["outcome"] == "none"
            assert "unknown" not in reply.text


async def test_a_store_is_closed_whatever_else_fails_to(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, close = [], RedisStore.close

    async def closing(store: RedisStore) -> None:
        closed.append(store)
        await close(store)

    monkeypatch.setattr(RedisStore, "close", closing)
    monkeypatch.setattr(Feeds, "close", failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        async with running_app(valkey.url) as found:
            assert (await found.client.get("/healthz")).status_code == 200
    assert len(closed) == 1
