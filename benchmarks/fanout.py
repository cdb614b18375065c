"""One channel, many streams: processor time a delivery, memory a stream, delay; beside its peers in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO, Any

import httpx

from benchmarks import nchan
from benchmarks.server import Server, gapless_serve, serving, valkey

STREAMS, MESSAGES, EVERY = 1000, 200, 0.05
"""1,000 streams, 20 messages a second for 10 s."""


@dataclass
class Found:
    """Microseconds of processor a delivery, KiB a stream, milliseconds."""

    cpu: float
    memory: float
    p50: float
    p99: float


def main() -> None:
    """Measure, and print each beside ours."""
    found: dict[str, Found] = {}
    with valkey() as url:
        env = {"REDIS_URL": url, "GAPLESS_RATE": "0"}
        with gapless_serve(env) as server:
            found["gapless serve"] = measure(server)
        with serving("gapless.asgi:app", env) as server:
            found["… on uvicorn"] = measure(server)
    for name in ("streaming", "sse_starlette"):
        with serving(f"benchmarks.peers:{name}") as server:
            found[name] = measure(server)
    if nginx := nchan.found():
        with nchan.serving(nginx) as server:
            found["nchan (C)"] = measure(server)
    ours = found["gapless serve"]
    print(f"{STREAMS} streams, {MESSAGES} messages, Python {sys.version.split()[0]}")
    print(f"{'':16}{'µs CPU/delivery':>16}{'ratio':>8}{'KiB/stream':>12}{'p50 ms':>9}{'p99 ms':>9}")
    for name, one in found.items():
        ratio = one.cpu / ours.cpu
        print(f"{name:16}{one.cpu:16.1f}{ratio:8.2f}{one.memory:12.1f}{one.p50:9.1f}{one.p99:9.1f}")


def measure(server: Server, streams: int = STREAMS, messages: int = MESSAGES) -> Found:
    """Publish at a steady pace to readers in another process; counts only if every reader got every message."""
    empty = server.memory
    argv = [sys.executable, "-m", "benchmarks.readers", f"{server.url}/channels/bench/stream", str(streams)]
    readers = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert readers.stdin and readers.stdout
        assert readers.stdout.readline() == "ready\n"
        memory = (server.memory - empty) / streams
        before = server.cpu
        publish(server.url, messages)
        told = ask(readers.stdin, readers.stdout, streams * messages)
        assert told["count"] == streams * messages, f"{told['count']} of {streams * messages} arrived"
        return Found((server.cpu - before) / told["count"] * 1e6, memory, told["p50"], told["p99"])
    finally:
        readers.kill()
        readers.wait()


def publish(url: str, messages: int) -> None:
    """Messages that carry the time at which they were sent."""
    with httpx.Client() as client:
        began = time.monotonic()
        for i in range(messages):
            time.sleep(max(0.0, began + i * EVERY - time.monotonic()))
            client.post(f"{url}/channels/bench/messages", json=message(50)).raise_for_status()


def message(size: int) -> dict[str, Any]:
    """One with so many characters of text, and the time of sending."""
    return {"data": {"text": "x" * size, "sent": time.time()}}


def ask(commands: IO[str], answers: IO[str], count: int) -> dict[str, float]:
    """What the readers saw, once they have seen so many messages."""
    commands.write(f"wait {count}\n")
    commands.flush()
    answer: dict[str, float] = json.loads(answers.readline())
    return answer
