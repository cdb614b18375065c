"""Asking one thing over a socket, of a real server and of some that are none."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from gapless.stores.embedded.resp import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.testkit.valkey import Valkey


def test_each_kind_of_reply_becomes_text(valkey: Valkey) -> None:
    assert ask(valkey.socket, "PING") == "PONG"
    assert ask(valkey.socket, "SET", "key", "two\r\nlines") == "OK"
    assert ask(valkey.socket, "GET", "key") == "two\r\nlines"
    assert ask(valkey.socket, "INCR", "count") == "1"
    assert ask(valkey.socket, "CONFIG", "GET", "appendonly") == "no"
    assert ask(valkey.socket, "NONSENSE").startswith("-ERR unknown command")


def test_long_replies_arrive_whole(valkey: Valkey) -> None:
    ask(valkey.socket, "SET", "key", "x" * 1_000_000)
    assert len(ask(valkey.socket, "GET", "key")) == 1_000_000


@pytest.fixture
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], str]]:
    """A socket on which whoever calls is answered with given bytes."""
    path = str(tmp_path_factory.mktemp("s") / "s")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def answer_with(reply: bytes) -> str:
        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        return path

    yield answer_with
    server.close()


def test_a_server_that_closes_instead_of_answering_gives_nothing(impostor: Callable[[bytes], str]) -> None:
    assert ask(impostor(b""), "SHUTDOWN") == ""


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n"])
def test_what_is_not_redis_is_a_value_error(impostor: Callable[[bytes], str], reply: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a Redis reply|invalid literal"):
        ask(impostor(reply), "PING")


def test_nobody_and_silence_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ask(str(tmp_path / "s"), "PING")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(TimeoutError):
            ask(str(tmp_path / "s"), "PING", timeout=0.01)
