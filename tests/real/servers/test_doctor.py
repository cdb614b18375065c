"""Each wrong deployment is named, with what to change; on a good one all is good."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gapless.cli.doctor.finding import State
from tests.cli.doctor.deployment import deployed, repeating
from tests.testkit.doctor import ORIGIN, examine, failing, token
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.haproxy import haproxy
from tests.testkit.nginx import nginx
from tests.testkit.port import free_port
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gapless.cli.doctor.finding import Finding
    from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=2)

CHECKS = {"reachable", "http", "store", "idle cost", "access", "cors", "stream", "compression", "lifetime"} | {
    "heartbeat",
    "resume",
    "delivery",
    "retries",
    "clock",
    "cleanup",
}


def good(findings: dict[str, Finding]) -> None:
    """Nothing fails, nothing was skipped, and every check has said something."""
    assert failing(findings) == {}
    assert findings.keys() == CHECKS
    assert {one.state for one in findings.values()} <= {State.OK, State.NOTE}


# --- good ones


@pytest.mark.real(seconds=10)
async def test_gapless_serve_is_good_and_nothing_is_left_there(valkey: Valkey) -> None:
    env = {"REDIS_URL": valkey.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_ORIGINS": ORIGIN}
    async with Service({**env, "GAPLESS_HEARTBEAT": "0.5"}) as service:
        findings = await examine(service.url, token=token(), origin=ORIGIN, watch=5.0)
    good(findings)
    assert {name for name, one in findings.items() if one.state is State.NOTE} == set()
    assert not [key for key in valkey.cli("KEYS", "*doctor*") if key.endswith(":log")]


@pytest.fixture(scope="module")
def behind(valkey_server: Valkey) -> Iterator[Service]:
    """A service with keys that fronts lead to."""
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_ORIGINS": ORIGIN}
    with Service({**env, "GAPLESS_HEARTBEAT": "1.5", "GAPLESS_PROXIES": "1"}) as service:
        yield service


@pytest.fixture(scope="module")
def fronts(behind: Service) -> Iterator[str]:
    """An nginx that does right at `/good`, and wrong at each other path."""
    bare = f"proxy_pass {behind.url}/; proxy_set_header X-Forwarded-For $remote_addr;"
    to = f"{bare} proxy_http_version 1.1;"
    gzip = "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0;"
    with nginx(
        f"location /good/ {{ {to} }}"
        f"location /buffers/ {{ {bare} proxy_ignore_headers X-Accel-Buffering; }}"
        f"location /gzip/ {{ {to} {gzip} }}"
    ) as url:
        yield url


@pytest.mark.real(seconds=9)
async def test_behind_nginx_and_haproxy_it_is_good(fronts: str, behind: Service) -> None:
    with haproxy(urlsplit(behind.url).port or 0, silence=30) as url:
        told = {"token": token(), "origin": ORIGIN, "watch": 8.0}
        for findings in await asyncio.gather(examine(f"{fronts}/good", **told), examine(url, **told)):  # type: ignore[arg-type]
            good(findings)
            assert findings["heartbeat"].state is State.OK


# --- wrong fronts


async def test_a_front_that_buffers(fronts: str) -> None:
    findings = await examine(f"{fronts}/buffers", token=token(), watch=2, within=2)
    assert failing(findings).keys() == {"stream"}
    assert "holds the stream back" in findings["stream"].said
    assert "proxy_buffering off" in findings["stream"].change and "mode=buffered" in findings["stream"].change
    assert findings["resume"].state is State.OK, "in turns nothing is lost there"
    assert findings["lifetime"].state is State.NOTE, "2 s are too short for a turn that waits"


@pytest.mark.real(seconds=30)
async def test_a_front_with_a_short_time_limit(valkey: Valkey) -> None:
    """Longer than any reply takes here, and shorter than the time between heartbeats."""
    async with deployed(valkey.url, heartbeat=20.0) as url:
        with nginx(f"location / {{ proxy_pass {url}; proxy_http_version 1.1; proxy_read_timeout 5s; }}") as front:
            findings = await examine(front, token=token(), watch=30)
    assert failing(findings).keys() == {"lifetime"}
    assert "cut off after" in findings["lifetime"].said
    assert "proxy_read_timeout" in findings["lifetime"].change and "20 s" in findings["lifetime"].change


async def test_a_front_that_compresses(fronts: str) -> None:
    findings = await examine(f"{fronts}/gzip", token=token())
    assert failing(findings).keys() == {"compression"}
    assert "gzip_types" in findings["compression"].change


async def test_a_front_that_repeats_posts(valkey: Valkey) -> None:
    async with deployed(valkey.url, before=repeating) as url:
        findings = await examine(url, token=token())
    assert failing(findings).keys() == {"retries"}
    assert "repeats POST requests: 50 of 50; 10 are there twice" in findings["retries"].said
    assert "proxy_next_upstream" in findings["retries"].change


# --- wrong settings


async def test_an_origin_that_is_missing(valkey: Valkey) -> None:
    async with deployed(valkey.url, origins=("https://other.example.com",)) as url:
        findings = await examine(url, token=token(), origin=ORIGIN)
    assert failing(findings).keys() == {"cors"}
    assert f"GAPLESS_ORIGINS={ORIGIN}" in findings["cors"].change


async def test_a_wrong_token(valkey: Valkey) -> None:
    now = time.time()
    async with deployed(valkey.url) as url:
        for given, said in (
            (None, "none was given"),
            ("no token", "It is refused"),
            (Secret().sign_by_another(claims_of(now)), "It is refused"),
            (Secret().sign(claims_of(now, exp=int(now) - 100)), "It has ended 1"),
            (token(rights=("general",)), "It may not read"),
        ):
            findings = await examine(url, token=given)
            assert failing(findings).keys() == {"access"}
            assert said in findings["access"].said and "gapless token" in findings["access"].change
            assert findings["stream"].state is State.SKIP


async def test_a_token_for_some_channels_only_is_examined_there(valkey: Valkey) -> None:
    async with deployed(valkey.url) as url:
        findings = await examine(url, token=token(rights=("chat.*",), admin=False))
    assert failing(findings) == {}
    assert findings["cleanup"].state is State.NOTE and findings["cleanup"].said.startswith("chat.doctor-")


@pytest.mark.parametrize("ahead", [60.0, -60.0])
async def test_a_wrong_clock(valkey: Valkey, ahead: float) -> None:
    async with deployed(valkey.url, ahead=ahead, jwt_secret=None) as url:
        findings = await examine(url)
    assert failing(findings).keys() == {"clock"}
    assert ("ahead of" if ahead > 0 else "behind") in findings["clock"].said
    assert "NTP" in findings["clock"].change


# --- wrong stores


async def test_a_dead_redis() -> None:
    async with deployed(f"redis://127.0.0.1:{free_port()}") as url:
        admin, user = await asyncio.gather(examine(url, token=token()), examine(url, token=token(admin=False)))
    assert failing(admin).keys() == {"store", "access"}
    assert "Start Redis" in admin["store"].change
    assert "ask with a token of an administrator" in user["store"].change, "where it is, only administrators are told"


async def test_a_redis_user_without_rights_and_a_read_only_replica(tmp_path: Path) -> None:
    with (
        start_valkey(tmp_path / "one", port=None, unixsocket=False) as primary,
        start_valkey(
            tmp_path / "two", "--replicaof", "127.0.0.1", str(primary.port), port=None, unixsocket=False
        ) as replica,
    ):
        for command in COMMANDS:
            primary.cli("ACL", "SETUSER", command, "on", ">secret", "~*", "&*", "+@all", f"-{command.lower()}")
        users = [f"redis://{command}:secret@127.0.0.1:{primary.port}" for command in COMMANDS]
        # One after another: beside each other they wait for the processor, and take that for a store that is slow.
        *lacking, reading = [await store_of(url) for url in [*users, replica.tcp_url]]
    for command, finding in zip(COMMANDS, lacking, strict=True):
        assert f"may not run {command}" in finding.said and "docs/security.md" in finding.change
    assert "read-only replica" in reading.said and "primary" in reading.change


COMMANDS = ("PUBLISH", "SUBSCRIBE", "EVAL")


async def store_of(redis_url: str) -> Finding:
    """What is found of this store, by who is no administrator."""
    async with deployed(redis_url) as url:
        return (await examine(url, token=token(admin=False)))["store"]


async def test_nobody_is_there() -> None:
    findings = await examine(f"http://127.0.0.1:{free_port()}")
    assert failing(findings).keys() == findings.keys() == {"reachable"}
