"""A port is given once, whoever asks, and not where anybody listens."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.testkit import port as ports
from tests.testkit.port import free_port


class Dice:
    """Falls as it is told."""

    def __init__(self, *falls: int) -> None:
        self._falls: Iterator[int] = iter(falls)

    def randrange(self, low: int, high: int) -> int:
        return next(self._falls)


def some() -> set[int]:
    """Ports that were never given. Others of this machine may take one by the time that it is looked at, not all."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("", 0))) for _ in range(9)]
        return {probe.getsockname()[1] for probe in probes}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that go with a process")
def test_a_port_that_was_given_is_given_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers of two tests would be started on it, and one of them fail."""
    first, second = free_port(), free_port()
    monkeypatch.setattr(ports, "_dice", Dice(first, first, second, *some()))
    assert free_port() not in (first, second)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "0.0.0.0"])
def test_a_port_on_which_somebody_listens_is_not_free(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((host, 0)) as taken:
        monkeypatch.setattr(ports, "_dice", Dice(busy := taken.getsockname()[1], *some()))
        assert free_port() != busy
