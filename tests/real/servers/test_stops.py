"""However a server stops, whoever reads is told so within a second, by an event."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.testkit.alarm import until
from tests.testkit.isolation import isolated
from tests.testkit.port import free_port
from tests.testkit.process import Process
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=6)

SOON = 5.0
"""Seconds: five times those within which the word of the stop must come."""


@dataclass(frozen=True)
class Way:
    """A server and how it is made to stop. `{port}` and `{folder}` stand for this run's."""

    command: str
    stop: Callable[[Run], None]


@dataclass
class Run:
    """A server that runs."""

    process: Process
    url: str
    folder: Path

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def tell(number: signal.Signals) -> Callable[[Run], None]:
    """A signal to the process that was started; its workers hear of it from there."""
    return lambda run: os.kill(run.process.pid, number)


def ask_often(run: Run) -> None:
    """As many requests as it takes at most."""
    for _ in range(12):
        run.healthy()


def change_a_file(run: Run) -> None:
    """Until uvicorn has seen it: it looks for times of change that are later than those it knows, and may not yet have
    looked at all."""
    changes = itertools.count(60)

    def seen() -> bool:
        later = time.time() + next(changes)
        os.utime(run.folder / "watched.py", (later, later))
        return "detected changes" in run.process.log

    until(seen, "uvicorn to see a change", alarm=30.0, look=0.1)


WAYS = {
    "gapless serve": Way("gapless serve --port {port}", tell(signal.SIGTERM)),
    "gapless serve, workers": Way("gapless serve --port {port} --workers 2", tell(signal.SIGTERM)),
    "uvicorn": Way("uvicorn gapless.asgi:app --port {port}", tell(signal.SIGTERM)),
    "uvicorn, workers": Way("uvicorn gapless.asgi:app --port {port} --workers 2", tell(signal.SIGTERM)),
    "uvicorn, by asyncio and h11": Way(
        "uvicorn gapless.asgi:app --port {port} --loop asyncio --http h11", tell(signal.SIGINT)
    ),
    "uvicorn --limit-max-requests": Way("uvicorn gapless.asgi:app --port {port} --limit-max-requests 10", ask_often),
    "uvicorn --reload": Way("uvicorn gapless.asgi:app --port {port} --reload --reload-dir {folder}", change_a_file),
    "gunicorn": Way(
        "gunicorn gapless.asgi:app -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port}", tell(signal.SIGTERM)
    ),
    "gunicorn, workers anew": Way(
        "gunicorn gapless.asgi:app -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port}", tell(signal.SIGHUP)
    ),
    "gunicorn --max-requests": Way(
        "gunicorn gapless.asgi:app -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port} --max-requests 10", ask_often
    ),
    "hypercorn": Way("hypercorn gapless.asgi:app -b 127.0.0.1:{port}", tell(signal.SIGTERM)),
    "hypercorn --max-requests": Way("hypercorn gapless.asgi:app -b 127.0.0.1:{port} --max-requests 10", ask_often),
    "granian": Way("granian --interface asgi gapless.asgi:app --port {port}", tell(signal.SIGTERM)),
}


@contextmanager
def started(way: Way, store: Valkey, folder: Path) -> Iterator[Run]:
    port = free_port()
    (folder / "watched.py").touch()
    program, *args = way.command.format(port=port, folder=folder).split()
    argv = [str(Path(sys.executable).with_name(program)), *args]
    with Process(program, argv, env=isolated(os.environ) | {"REDIS_URL": store.url}) as process:
        run = Run(process, f"http://127.0.0.1:{port}", folder)
        until(run.healthy, f"{program} is healthy", alarm=60.0)
        yield run


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_streams_are_told(way: Way, valkey: Valkey, tmp_path: Path) -> None:
    with (
        started(way, valkey, tmp_path) as run,
        httpx.stream("GET", f"{run.url}/channels/a/stream", timeout=20, trust_env=False) as reply,
    ):
        lines = reply.iter_lines()
        assert "event: hello" in [next(lines), next(lines), next(lines)]
        way.stop(run)
        began = time.monotonic()
        rest = list(lines)  # to its proper end: a stream that breaks off raises
        assert time.monotonic() - began < SOON, rest
        assert 'data: {"reason":"shutdown"}' in rest


def test_a_stream_passes_where_the_server_speaks_http_2(valkey: Valkey, tmp_path: Path) -> None:
    """Nothing of a refused body is left over either: hypercorn ends the connection, with all its streams, for that."""
    with (
        started(WAYS["hypercorn"], valkey, tmp_path) as run,
        httpx.Client(http1=False, http2=True, timeout=20, trust_env=False) as client,
        client.stream("GET", f"{run.url}/channels/a/stream") as reply,
    ):
        assert (reply.http_version, "connection" in reply.headers) == ("HTTP/2", False)
        lines = reply.iter_lines()
        assert "event: hello" in [next(lines), next(lines), next(lines)]
        assert client.post(f"{run.url}/channels/a/messages", content=b"no JSON").status_code == 415
        assert client.post(f"{run.url}/channels/a/messages", json={"data": "hi"}).status_code == 201
        assert any('"data":"hi"' in line for line in lines)
