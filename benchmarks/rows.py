"""The rows of the table: what is done to a server, and what it has cost. A row counts only if everything arrived."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from benchmarks import fanout
from benchmarks.fanout import ask
from benchmarks.server import Server

PAGE = 262_144
"""Bytes that opening a channel may cost beside what is delivered (docs/architecture.md)."""

Figures = dict[str, float]
Measure = Callable[[Server], Figures]


@dataclass(frozen=True)
class Row:
    """What is measured, and beside which peers."""

    name: str
    measure: Measure
    peers: tuple[str, ...] = ()


def fan_out(streams: int, messages: int = 100) -> Measure:
    """20 messages a second to so many streams of one channel."""

    def measure(server: Server) -> Figures:
        found = fanout.measure(server, streams, messages)
        return {"us_cpu": found.cpu, "p50_ms": found.p50, "p99_ms": found.p99}

    return measure


def lone(messages: int) -> Measure:
    """One publisher and one stream: each message is posted when the one before has arrived."""

    def measure(server: Server) -> Figures:
        found = json.loads(start("lone", f"{server.url}/channels/bench", str(messages)).communicate(timeout=120)[0])
        return {"p50_ms": found["p50"], "p99_ms": found["p99"]}

    return measure


def many_channels(channels: int, each: int, messages: int = 4) -> Measure:
    """So many streams on each of so many channels; every channel gets so many messages."""

    def measure(server: Server) -> Figures:
        with readers(server, channels * each, f"/channels/c{{}}/stream?{channels}") as wait, httpx.Client() as http:
            before = server.cpu
            for number in range(channels * messages):
                publish(http, server, channel=f"c{number % channels}")
            told = wait(channels * each * messages)
        return {"us_cpu": (server.cpu - before) / told["count"] * 1e6, "p50_ms": told["p50"]}

    return measure


def publishing(publishers: int, posts: int) -> Measure:
    """Posts as fast as they are answered, with nobody reading."""

    def measure(server: Server) -> Figures:
        before, seconds = server.cpu, post(server, posts, publishers)
        return {"us_cpu": (server.cpu - before) / posts * 1e6, "per_second": posts / seconds}

    return measure


def burst(streams: int, publishers: int, posts: int) -> Measure:
    """The same with streams on the channel."""

    def measure(server: Server) -> Figures:
        with readers(server, streams) as wait:
            before, seconds = server.cpu, post(server, posts, publishers)
            told = wait(posts * streams)
            spent = server.cpu - before
        return {"us_cpu": spent / told["count"] * 1e6, "per_second": told["count"] / seconds, "p50_ms": told["p50"]}

    return measure


def opening(streams: int) -> Measure:
    """Connect them one after another, as fast as they are answered; then they are idle."""

    def measure(server: Server) -> Figures:
        empty, before = server.memory, server.cpu
        with readers(server, streams):
            return {"us_cpu": (server.cpu - before) / streams * 1e6, "kib": (server.memory - empty) / streams}

    return measure


def catching_up(streams: int, behind: int, *, log: int = 0, size: int = 50) -> Measure:
    """So many streams come back at once, each so many messages behind; the log holds so many more before those."""

    def measure(server: Server) -> Figures:
        with httpx.Client(timeout=60) as http:
            fill(http, server, log)
            first = publish(http, server, size)
            for _ in range(behind):
                publish(http, server, size)
        before, sent = server.cpu, server.sent()
        with readers(server, streams, f"/channels/bench/stream?after={first}") as wait:
            told = wait(streams * behind)
            return {"us_cpu": (server.cpu - before) / told["count"] * 1e6, **read(server, sent, told["bytes"])}

    return measure


def above_notices(streams: int, messages: int, size: int = 70_000) -> Measure:
    """Live messages that no notice carries."""

    def measure(server: Server) -> Figures:
        with readers(server, streams) as wait, httpx.Client(timeout=60) as http:
            before, sent = server.cpu, server.sent()
            for _ in range(messages):
                publish(http, server, size)
            told = wait(streams * messages)
            return {"us_cpu": (server.cpu - before) / told["count"] * 1e6, **read(server, sent, told["bytes"])}

    return measure


def polling(query: str, clients: int, messages: int) -> Measure:
    """Clients that ask again and again, each time from where the last answer ended, until each has every message."""

    def measure(server: Server) -> Figures:
        with httpx.Client(timeout=60) as http:
            first = publish(http, server)
            argv = [f"{server.url}/channels/bench{query}", first, str(clients), str(messages)]
            process = start("pollers", *argv)
            before, sent = server.cpu, server.sent()
            for _ in range(messages):
                publish(http, server)
        told = json.loads(process.communicate(timeout=120)[0])
        assert told["count"] == clients * messages, told
        return {"us_cpu": (server.cpu - before) / told["turns"] * 1e6, **read(server, sent, told["bytes"])}

    return measure


def read(server: Server, before: int, delivered: float) -> Figures:
    """Bytes that Redis has sent for each that was delivered, beside a page; nothing where nobody counts them."""
    after = server.sent()
    return {"redis_bytes": max(0, after - before - PAGE) / delivered} if after else {}


def post(server: Server, posts: int, publishers: int) -> float:
    """Seconds for all posts."""
    argv = [f"{server.url}/channels/bench/messages", str(posts), str(publishers)]
    return float(start("publishers", *argv).communicate()[0])


def publish(http: httpx.Client, server: Server, size: int = 50, channel: str = "bench") -> str:
    """One message, with the time at which it was sent. Its id."""
    reply = http.post(f"{server.url}/channels/{channel}/messages", json=fanout.message(size))
    reply.raise_for_status()
    return str(reply.json().get("id", ""))


def fill(http: httpx.Client, server: Server, count: int) -> None:
    """So many messages in the log, a hundred at a time."""
    for _ in range(count // 100):
        batch = [fanout.message(50) for _ in range(100)]
        http.post(f"{server.url}/channels/bench/messages", json=batch).raise_for_status()


@contextmanager
def readers(
    server: Server, count: int, path: str = "/channels/bench/stream"
) -> Iterator[Callable[[int], dict[str, float]]]:
    """So many streams, open. What is yielded waits for so many messages altogether, and says what came."""
    process = start("readers", f"{server.url}{path}", str(count))
    assert process.stdin and process.stdout
    commands, answers = process.stdin, process.stdout

    def wait(messages: int) -> dict[str, float]:
        told = ask(commands, answers, messages)
        assert told["count"] == messages, f"{told['count']} of {messages} arrived"
        return told

    try:
        assert answers.readline() == "ready\n"
        yield wait
    finally:
        process.kill()
        process.wait()


def start(name: str, *argv: str) -> subprocess.Popen[str]:
    """A process of load: `benchmarks/<name>.py`."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *argv]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
