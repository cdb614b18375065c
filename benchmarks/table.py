"""One table: each row on servers of its own, beside its peers in the same run, by turns. Medians; JSON beside it.

`make bench ARGS=table`; ROUNDS=5 for as many turns, ROWS=burst for one row. `build/bench.json` gets the figures, the
machine and the versions.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import fanout, nchan
from benchmarks.fanout import ask
from benchmarks.server import Server, gapless_serve, serving, valkey
from tests.testkit.cost import raise_limits

ROUNDS = int(os.environ.get("ROUNDS", "3"))
OUT = Path("build", "bench.json")
ENV = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_READ_RATE": "0", "GAPLESS_ADDRESS_SHARE": "1"}
POSTS, PUBLISHERS, BURST_STREAMS = 4000, 16, 100
Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """What is measured, and beside which peers."""

    name: str
    measure: Callable[[Server], Figures]
    peers: tuple[str, ...] = ()


@contextmanager
def _ours(*, bare: bool = False) -> Iterator[Server]:
    with valkey() as url:
        env = ENV | {"REDIS_URL": url}
        with serving("gapless.asgi:app", env) if bare else gapless_serve(env) as server:
            yield server


def _peer(name: str) -> AbstractContextManager[Server]:
    return serving(f"benchmarks.peers:{name}")


def contenders() -> dict[str, Callable[[], AbstractContextManager[Server]]]:
    """By name; Nchan only where it is installed."""
    found: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        "gapless serve": _ours,
        "uvicorn": lambda: _ours(bare=True),
        "sse-starlette": lambda: _peer("sse_starlette"),
        "StreamingResponse": lambda: _peer("streaming"),
        "FastAPI POST": lambda: _peer("fastapi_post"),
    }
    if nginx := nchan.found():
        found["Nchan"] = lambda: nchan.serving(nginx)
    return found


def fan_out(streams: int, messages: int) -> Callable[[Server], Figures]:
    """20 messages a second to so many streams."""

    def measure(server: Server) -> Figures:
        found = fanout.measure(server, streams, messages)
        return {"us_cpu": found.cpu, "p50_ms": found.p50, "p99_ms": found.p99}

    return measure


def opening(streams: int) -> Callable[[Server], Figures]:
    """Connect them one after another, as fast as they are answered; then they are idle."""

    def measure(server: Server) -> Figures:
        empty, before = server.memory, server.cpu
        with readers(server, streams):
            return {
                "us_cpu": (server.cpu - before) / streams * 1e6,
                "kib": (server.memory - empty) / streams,
            }

    return measure


def publishing(server: Server) -> Figures:
    """Posts as fast as they are answered, with nobody reading."""
    before, seconds = server.cpu, post(server)
    return {"us_cpu": (server.cpu - before) / POSTS * 1e6, "per_second": POSTS / seconds}


def burst(server: Server) -> Figures:
    """The same with streams on the channel; counts only if each gets every message."""
    with readers(server, BURST_STREAMS) as process:
        assert process.stdin and process.stdout
        before, seconds = server.cpu, post(server)
        told = ask(process.stdin, process.stdout, POSTS * BURST_STREAMS)
        assert told["count"] == POSTS * BURST_STREAMS, told
        spent = server.cpu - before
        return {"us_cpu": spent / told["count"] * 1e6, "per_second": told["count"] / seconds, "p50_ms": told["p50"]}


def post(server: Server) -> float:
    """Seconds for all posts."""
    argv = [sys.executable, "-m", "benchmarks.publishers", f"{server.url}/channels/bench/messages"]
    return float(subprocess.check_output([*argv, str(POSTS), str(PUBLISHERS)], text=True))


@contextmanager
def readers(server: Server, count: int) -> Iterator[subprocess.Popen[str]]:
    """So many streams, open."""
    argv = [sys.executable, "-m", "benchmarks.readers", f"{server.url}/channels/bench/stream", str(count)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


STREAMING = ("uvicorn", "Nchan", "sse-starlette", "StreamingResponse")
ROWS = [
    Row("fan-out, 1 stream", fan_out(1, 100), ("Nchan",)),
    Row("fan-out, 100 streams", fan_out(100, 100), ("Nchan",)),
    Row("fan-out, 1,000 streams", fan_out(1000, 100), STREAMING),
    Row("burst, 100 streams", burst, ("Nchan",)),
    Row("publish, 16 publishers", publishing, ("uvicorn", "FastAPI POST", "Nchan")),
    Row("open, 1,000 streams", opening(1000), STREAMING),
    Row("open, 4,000 streams", opening(4000), ("Nchan",)),
]


def main() -> None:
    """Measure, print, and keep."""
    raise_limits()
    servers, found = contenders(), {}
    chosen = os.environ.get("ROWS", "")
    for row in ROWS:
        if chosen in row.name:
            named = [name for name in ("gapless serve", *row.peers) if name in servers]
            turns = [{name: _once(servers[name], row) for name in named} for _ in range(ROUNDS)]
            found[row.name] = {name: _medians([turn[name] for turn in turns]) for name in named}
            _print(row.name, found[row.name])
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"machine": _machine(), "rounds": ROUNDS, "rows": found}, indent=1) + "\n")


def _once(start: Callable[[], AbstractContextManager[Server]], row: Row) -> Figures:
    with start() as server:
        return row.measure(server)


def _medians(rounds: list[Figures]) -> Figures:
    return {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}


def _print(name: str, found: dict[str, Figures]) -> None:
    ours = found["gapless serve"]
    print(name)
    for who, figures in found.items():
        told = "  ".join(
            f"{figure} {value:10.1f} ({value / (ours[figure] or 1):.2f})" for figure, value in figures.items()
        )
        print(f"  {who:18}{told}", flush=True)


def _machine() -> dict[str, str | int | None]:
    libraries = {name: version(name) for name in ("uvicorn", "uvloop", "fastapi", "redis", "sse-starlette")}
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(), **libraries}
