"""Who is measured: Gapless in its ways, over each store, and its peers where they are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from redis import Redis

from benchmarks import nchan
from benchmarks.server import Server, gapless_serve, node_serve, serving, valkey
from tests.testkit.upstash import EmulatorProcess

ENV = {
    "GAPLESS_RATE": "0",
    "GAPLESS_STREAM_RATE": "0",
    "GAPLESS_READ_RATE": "0",
    "GAPLESS_ADDRESS_SHARE": "1",
    "GAPLESS_HEARTBEAT": "60",
}
OURS = "gapless serve"
DJANGO = "django-eventstream"
REALTIME = "@upstash/realtime"
_NODE = Path(__file__).parent / "realtime"
Start = Callable[[], AbstractContextManager[Server]]


def contenders() -> dict[str, Start]:
    """By name; those of others' packages only where they are installed."""
    found: dict[str, Start] = {
        OURS: _tcp,
        "uvicorn": lambda: _tcp(bare=True),
        "cap 100": lambda: _tcp(GAPLESS_CAP="100"),
        "cap 10,000": lambda: _tcp(GAPLESS_CAP="10000"),
        "embedded": _embedded,
        "Upstash emulator": _upstash,
        "sse-starlette": lambda: _peer("sse_starlette"),
        "StreamingResponse": lambda: _peer("streaming"),
        "FastAPI SSE": lambda: _peer("fastapi_sse"),
        "FastAPI POST": lambda: _peer("fastapi_post"),
    }
    if nginx := nchan.found():
        found["Nchan"] = lambda: nchan.serving(nginx)
    if find_spec("django_eventstream"):
        found[DJANGO] = lambda: serving("benchmarks.eventstream:app")
    if shutil.which("node") and (_NODE / "node_modules" / REALTIME).exists():
        found[REALTIME] = _realtime
    return found


def versions() -> dict[str, str]:
    """Of the packages of others that are installed."""
    told: dict[str, str] = {}
    found = contenders()
    if DJANGO in found:
        told |= {name: version(name) for name in ("django", DJANGO)}
    if REALTIME in found:
        told["node"] = subprocess.check_output(["node", "--version"], text=True).strip().removeprefix("v")
        told |= json.loads((_NODE / "package.json").read_text())["dependencies"]
    return told


@contextmanager
def _tcp(*, bare: bool = False, **settings: str) -> Iterator[Server]:
    with valkey() as url, Redis.from_url(url) as redis:
        env = ENV | {"REDIS_URL": url} | settings
        with serving("gapless.asgi:app", env) if bare else gapless_serve(env) as server:
            server.sent = lambda: int(redis.info("stats")["total_net_output_bytes"])
            yield server


@contextmanager
def _embedded() -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory() as folder,
        gapless_serve(ENV | {"GAPLESS_DATA_DIR": folder, "REDIS_URL": ""}) as server,
    ):
        yield server


@contextmanager
def _upstash() -> Iterator[Server]:
    with _emulator() as (up, env), gapless_serve(ENV | env) as server:
        server.sent = up.sent
        yield server


@contextmanager
def _realtime() -> Iterator[Server]:
    with _emulator() as (up, env), node_serve(_NODE / "server.js", env) as server:
        server.sent = up.sent
        yield server


@contextmanager
def _emulator() -> Iterator[tuple[EmulatorProcess, dict[str, str]]]:
    with valkey() as url, EmulatorProcess(url) as up:
        yield up, {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}


def _peer(name: str) -> AbstractContextManager[Server]:
    return serving(f"benchmarks.peers:{name}")
