"""`gapless publish` against a real service: complete, in order, once."""

from __future__ import annotations

import re
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.command import begin, run
from tests.testkit.alarm import until

if TYPE_CHECKING:
    from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=3)


def history(url: str, channel: str) -> list[dict[str, Any]]:
    """All that the channel holds."""
    messages: list[dict[str, Any]] = []
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
        after = "start"
        while True:
            page = http.get(f"/channels/{channel}/messages", params={"after": after, "limit": 200}).json()
            if not page["messages"]:
                return messages
            messages += page["messages"]
            after = page["cursor"]


def data(url: str, channel: str) -> list[Any]:
    return [one["data"] for one in history(url, channel)]


def test_a_text_is_one_message_and_its_id_is_printed(service: Service) -> None:
    done = run("publish", "text", "[1]", "--user", "ann", "--event", "note", GAPLESS_URL=service.url)
    (message,) = history(service.url, "text")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{message['id']}\n", "")
    assert (message["data"], message["user"], message["event"]) == ("[1]", "ann", "note")


def test_lines_of_json_are_data_and_a_wrong_one_is_named(service: Service) -> None:
    done = run("publish", "json", "--json", "--url", service.url, text='{"a":1}\n\n[2]')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "2 published to json\n")
    wrong = run("publish", "json", "-", "--json", "--url", service.url, text="{")
    assert wrong.returncode == 2 and "line 1 is no JSON value" in wrong.stderr
    assert data(service.url, "json") == [{"a": 1}, [2]]


def test_the_same_key_again_publishes_the_rest(service: Service) -> None:
    for lines in ("a\nb\n", "a\nb\nc\nd\n"):
        assert run("publish", "again", "--key", "k", "--url", service.url, text=lines).returncode == 0
    assert data(service.url, "again") == ["a", "b", "c", "d"]


def test_a_line_is_published_before_the_next_is_written(service: Service) -> None:
    """As of a program that writes one now and then."""
    with begin("publish", "slow", "--url", service.url) as process:
        assert process.stdin
        for count in (1, 2):
            process.stdin.write(f"{count}\n".encode())
            process.stdin.flush()
            until(lambda count=count: len(data(service.url, "slow")) == count, "it is there")
        process.stdin.close()
        assert process.wait(30) == 0


def test_ctrl_c_says_what_is_published(service: Service) -> None:
    with begin("publish", "ctrl-c", "--url", service.url) as process:
        assert process.stdin and process.stderr
        process.stdin.write(b"1\n2\n")
        process.stdin.flush()
        until(lambda: data(service.url, "ctrl-c") == ["1", "2"], "both are there")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        said = process.stderr.read().decode()
    # Those that are there may not have been answered yet.
    assert re.search("stopped: the first [0-2] are published", said) and "Traceback" not in said


def test_what_is_refused_says_why(keyed: Service) -> None:
    done = run("publish", "general", "hi", "--url", keyed.url)
    assert done.returncode == 1 and "answered 401" in done.stderr and "--token" in done.stderr


def at_least(count: int, url: str) -> bool:
    return len(data(url, "kills")) >= count


def test_a_thousand_lines_over_two_kills_are_there_once_and_in_order(service: Service) -> None:
    lines = [f"line {number}" for number in range(1000)]
    with begin("publish", "kills", "-", "--url", service.url) as process:
        assert process.stdin
        for number in range(0, 1000, 50):
            process.stdin.write("".join(f"{line}\n" for line in lines[number : number + 50]).encode())
            process.stdin.flush()
            if number in (300, 700):  # it has to be at work: some are there, and not all that were written
                there = partial(at_least, number - 100, service.url)
                until(there, "some are there", alarm=60, look=0.1)
                service.kill()
            if number in (500, 900):
                service.start()
        process.stdin.close()
        assert process.wait(120) == 0
        assert process.stderr
        assert "1,000 published to kills" in process.stderr.read().decode()
    found = history(service.url, "kills")
    assert [one["data"] for one in found] == lines
    assert len({one["id"] for one in found}) == 1000
    key = found[0]["localId"].removesuffix("-1")
    assert [one["localId"] for one in found] == [f"{key}-{number}" for number in range(1, 1001)], "the first ones, ever"
