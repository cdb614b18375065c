"""Whatever escapes a store ends as a problem, with every header, and never says more than is known."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gapless.channels.feeds import Feeds
from gapless.log.errors import StoreUnavailable
from gapless.stores.redis.store import RedisStore
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, bearer, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

ORIGIN = "https://page.example.com"


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def administrator() -> dict[str, str]:
    """Who may do everything."""
    own = {"admin": True, "publish": ["*"], "subscribe": ["*"]}
    return bearer(Secret().sign(claims_of(time.time()) | {"gapless": own}))


def store_of(found: RunningApp) -> RedisStore:
    store: RedisStore = found.app.wiring.service.store
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
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        for call in ("tail", "slice", "channels", "subscribe"):
            monkeypatch.setattr(store_of(found), call, failing(StoreUnavailable("no answer", outcome_unknown=True)))
        reply = await found.client.get(path, headers=administrator())
    assert assert_problem(reply, 503)["outcome"] == "none"
    assert "unknown" not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("DELETE", "/channels/a", "whether it is deleted is unknown. Delete it again."),
        ("POST", "/channels/a/messages", "whether it is stored is unknown. With a localId, repeat it."),
    ],
)
async def test_a_write_that_fails_may_have_happened(
    valkey: Valkey, method: str, path: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(valkey.url, jwt_secret=SECRET) as found:
        for call in ("publish", "forget"):
            monkeypatch.setattr(store_of(found), call, failing(StoreUnavailable("no answer", outcome_unknown=True)))
        reply = await found.client.request(method, path, json={"data": 1}, headers=administrator())
    problem = assert_problem(reply, 503)
    assert problem["outcome"] == "unknown"
    assert problem["detail"].endswith(told)


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
