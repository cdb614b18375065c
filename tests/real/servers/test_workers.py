"""`gapless serve --workers`: several processes, and what a client or an operator sees is one service."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.routes.test_metrics import read
from tests.cli.test_cli import Serving, history, post
from tests.stores.embedded.use import private_folder, servers
from tests.testkit.alarm import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

pytestmark = [pytest.mark.real(seconds=10), pytest.mark.timeout(180)]
POSTS, STREAMS = 30, 12
PUBLISHED = "gapless_messages_published_total"


@pytest.fixture
def folder() -> Iterator[Path]:
    """The data folder of a test's services; nothing runs on it afterwards."""
    with private_folder() as folder:
        yield folder


def children(pid: int) -> list[int]:
    """The worker processes of a service."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # others come to their end meanwhile
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return sorted(found)


def test_they_are_one_service(folder: Path) -> None:
    """One start for all of it: each process costs a second."""
    with Serving(folder, "--workers", "2", GAPLESS_METRICS="true") as serving:
        url = serving.ready()
        one, other = children(serving.pid)
        assert len(servers(folder)) == 1
        os.kill(other, signal.SIGSTOP)
        post(url, 0)
        os.kill(other, signal.SIGCONT)
        for number in range(1, POSTS):
            post(url, number)
        kept = each_tells_of_both(url, one, other)
        os.kill(one, signal.SIGKILL)
        assert history(url) == list(range(POSTS))  # the other one reads what this one has written
        the_dead_is_replaced(serving, url, one)
        now = scrape_of(url, other)
        assert now.pop(other) == kept  # what is lost is what the dead one had counted
        assert [*now.values()] == [0]
        streams_are_told(serving, url)
        assert serving.wait(alarm=30) == 0  # and nothing is left of the folder in which they met
        assert serving.log.count("http://") == 1
    assert servers(folder) == []


def each_tells_of_both(url: str, one: int, other: int) -> float:
    """A scrape of any of them shows the numbers of all; what `other` has published."""
    found = [scrape_of(url, one, other) for _ in range(8)]
    assert all(told.keys() == {one, other} and sum(told.values()) == POSTS for told in found), found
    return found[0][other]


def the_dead_is_replaced(serving: Serving, url: str, dead: int) -> None:
    """And what the new one has published is told of, in its place."""
    until(lambda: dead not in (now := scrape(url)) and len(now) == 2, "a new worker is told of", alarm=60)
    workers = children(serving.pid)
    assert len(workers) == 2 and dead not in workers
    until(lambda: "a worker has ended (code -9)" in serving.log, "it is said")


def streams_are_told(serving: Serving, url: str) -> None:
    """SIGTERM to the process that was started, and to no other, as platforms do: each stream of each worker ends with
    what was posted before, and a word.
    """
    with ExitStack() as stack:
        streams = [stack.enter_context(stream_of(url)) for _ in range(STREAMS)]
        lines = [stream.iter_lines() for stream in streams]
        for one in lines:
            assert any(line == "event: hello" for line in one)
        post(url, "the last")
        serving.signal_alone(signal.SIGTERM)
        for one in lines:
            rest = list(one)  # to its proper end: a stream that breaks off raises
            assert sum('"data":"the last"' in line for line in rest) == 1
            assert rest[rest.index("event: end") + 1 :] == ['data: {"reason":"shutdown"}', ""]
            [pause] = [line.removeprefix("retry: ") for line in rest if line.startswith("retry: ")]
            assert 700 <= int(pause) <= 1050


def stream_of(url: str) -> AbstractContextManager[httpx.Response]:
    """On a connection of its own, which any worker may get."""
    return httpx.stream("GET", f"{url}/channels/general/stream", trust_env=False, verify=False, timeout=20)


def scrape_of(url: str, *processes: int) -> dict[int, float]:
    """One in which these are told of, at least: who stands still for two seconds is left out until it goes on."""
    return until(lambda: set(processes) <= (now := scrape(url)).keys() and now, "all are told of", alarm=60) or {}


def scrape(url: str) -> dict[int, float]:
    """What each process has published, by its id. Over a connection of its own, which any worker may get."""
    reply = httpx.get(f"{url}/metrics", trust_env=False, verify=False, timeout=20)
    assert reply.status_code == 200, reply.text
    return {
        int(name.split('"')[1]): value
        for name, value in read(reply.text).items()
        if name.startswith(f"{PUBLISHED}{{process=")
    }


def test_they_end_with_a_parent_that_was_killed(folder: Path) -> None:
    with Serving(folder, "--workers", "2") as serving:
        url = serving.ready()
        post(url, "kept")
        workers = children(serving.pid)
        assert len(workers) == 2
        serving.signal_alone(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "they have ended", alarm=30)
    with Serving(folder, PORT=url.rpartition(":")[2]) as serving:
        assert history(serving.ready()) == ["kept"]
        assert serving.terminate() == 0
