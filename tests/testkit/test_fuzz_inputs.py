"""Strange requests by those whom the service knows: a good token opens every door behind which something may break."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gapless.auth.grant import Grant
from tests.testkit import fuzz_inputs as strange
from tests.testkit.app_fixture import URL, RunningApp, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.fuzz_inputs import Asked
from tests.testkit.valkey import Valkey

EASY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    """Exceptions that no handler expects are raised here, and not made into a 500."""
    async with running_app(valkey.url, jwt_secret=SECRET, origins="https://app.example.com", recheck=3600.0) as found:
        yield found


def ways_in() -> st.SearchStrategy[tuple[bytes, bytes]]:
    """A header or two that let one in."""
    claims = claims_of(time.time())
    good = Secret().sign(claims | {"gapless": {**claims["gapless"], "admin": True}}).encode()
    return st.sampled_from([(b"Authorization", b"Bearer " + good), (b"Cookie", b"gapless_token=" + good)])


@EASY
@given(asked=strange.requests, way=ways_in(), origin=st.sampled_from([b"http://localhost", b"http://[", b"\xff", b""]))
async def test_whatever_those_we_know_ask_is_answered(
    found: RunningApp, asked: Asked, way: tuple[bytes, bytes], origin: bytes
) -> None:
    headers = [*asked.headers, way, (b"Origin", origin)]
    reply = await found.client.request(asked.method, URL + asked.target, headers=headers, content=asked.body)
    assert reply.status_code < 500
    if reply.status_code >= 400 and asked.method != "HEAD":
        assert reply.headers["content-type"] in ("application/problem+json", "text/plain; charset=utf-8")


@EASY
@given(asked=strange.requests)
async def test_and_by_ticket(found: RunningApp, asked: Asked) -> None:
    bearer = Grant("ann", (), ("*",), expires=time.time() + 60)
    ticket, _ = found.app.wiring.service.tickets.make(bearer, ["a", "general"], time.time())
    mark = "&" if "?" in asked.target else "?"
    url = f"{URL}{asked.target}{mark}ticket={ticket}"
    reply = await found.client.request(asked.method, url, headers=list(asked.headers), content=asked.body)
    assert reply.status_code < 500
