"""`gapless tail` against a real service: complete over restarts, and good in pipes."""

from __future__ import annotations

import json
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.command import begin, run
from tests.testkit.alarm import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=2)


def post(url: str, channel: str, *data: Any) -> None:
    body = [{"data": one} for one in data]
    reply = httpx.post(f"{url}/channels/{channel}/messages", json=body, trust_env=False, timeout=20)
    assert reply.status_code == 201, reply.text


@contextmanager
def tailing(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command; nothing runs afterwards."""
    with begin("tail", *args) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_is_there_is_shown_and_counted(service: Service) -> None:
    post(service.url, "shown", "a", {"n": 1}, "c")
    done = run("tail", "shown", "--history", "2", "--count", "2", GAPLESS_URL=service.url)
    assert done.returncode == 0 and done.stderr == ""
    assert [line.partition(" ")[2] for line in done.stdout.splitlines()] == ['shown -: {"n": 1}', "shown -: c"]
    whole = run("tail", "shown", "--from", "start", "--count", "3", "--json", "--url", service.url)
    told = [json.loads(line) for line in whole.stdout.splitlines()]
    assert [one["data"] for one in told] == ["a", {"n": 1}, "c"]
    rest = run("tail", "shown", "--from", told[1]["id"], "--count", "1", "--url", service.url)
    assert rest.stdout.endswith(" shown -: c\n")


def test_several_channels_are_one_stream(service: Service) -> None:
    for channel in ("one", "two"):
        post(service.url, channel, channel)
    done = run("tail", "one", "two", "--from", "start", "--count", "2", "--json", "--url", service.url)
    assert {json.loads(line)["channel"] for line in done.stdout.splitlines()} == {"one", "two"}


@pytest.mark.real(seconds=8)
def test_through_twenty_restarts_nothing_is_missing_doubled_or_out_of_order(service: Service) -> None:
    post(service.url, "restarts", 0)
    with tailing("restarts", "--from", "start", "--count", "81", "--json", "--url", service.url) as process:
        for number in range(20):
            post(service.url, "restarts", *range(4 * number + 1, 4 * number + 3))
            service.restart()
            post(service.url, "restarts", *range(4 * number + 3, 4 * number + 5))
        out, err = process.communicate(timeout=60)
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["data"] for one in told if "data" in one] == [*range(81)], err
    assert not [one for one in told if one["event"] == "gap"]
    assert process.returncode == 0


def test_turns_are_read_as_streams_are(service: Service) -> None:
    """Each has a hundred messages at most; their ends are no news to people."""
    for start in (0, 60):
        post(service.url, "turns", *range(start, start + 60))
    ask = ("tail", "turns", "--buffered", "--from", "start", "--count", "120", "--url", service.url)
    told = [json.loads(line) for line in run(*ask, "--json").stdout.splitlines()]
    assert [one["data"] for one in told if "data" in one] == [*range(120)]
    assert [one for one in told if "data" not in one] == [{"event": "end", "reason": "deadline"}]
    plain = run(*ask)
    assert (plain.stdout.count(" turns -: "), plain.stderr) == (120, "")


def test_a_gap_is_told_before_what_comes_after_it(service: Service) -> None:
    post(service.url, "gap", 1)
    ask = ("tail", "gap", "--from", "t00000aa-7-aaaa", "--count", "1", "--url", service.url)
    gap, message = map(json.loads, run(*ask, "--json").stdout.splitlines())
    assert (gap["event"], gap["reason"], message["data"]) == ("gap", "reset", 1)
    plain = run(*ask)
    assert plain.stdout.endswith(" gap -: 1\n")
    assert plain.stderr == "-- gap in gap: the log is another one; nobody can know what was missed\n"


def test_a_pipe_that_is_closed_ends_it_in_silence(service: Service) -> None:
    post(service.url, "pipe", 1, 2)
    with tailing("pipe", "--from", "start", "--url", service.url) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        until(lambda: post(service.url, "pipe", 3) or process.poll() is not None, "it has ended")
        assert (process.wait(30), process.stderr.read()) == (141, b"")


def test_ctrl_c_ends_it_in_silence(service: Service) -> None:
    post(service.url, "ctrl-c", 1)
    with tailing("ctrl-c", "--from", "start", "--url", service.url) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert (process.wait(30), process.stderr.read().strip()) == (130, b"")


def test_what_is_refused_says_why(keyed: Service) -> None:
    done = run("tail", "general", "--url", keyed.url)
    assert done.returncode == 1 and "answered 401" in done.stderr
    assert run("tail", "general", "--url", "localhost").returncode == 2


def test_what_is_no_event_of_gapless_is_said() -> None:
    """At the URL of another service that streams."""
    evil = b'event: message\ndata: "\x1b[2J\n\n'
    with one_reply(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + evil) as url:
        done = run("tail", "general", "--url", url)
    assert done.returncode == 1 and done.stderr.startswith("gapless: this is no event of Gapless: message: ")
    assert "\x1b" not in done.stderr


@contextmanager
def one_reply(reply: bytes) -> Iterator[str]:
    """The URL of a server that says this to whoever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as client:
                client.recv(65_536)
                client.sendall(reply)

        answering = threading.Thread(target=answer)
        answering.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        answering.join(20)
