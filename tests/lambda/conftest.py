"""Stores for the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testkit.upstash.process import EmulatorProcess
from tests.testkit.valkey import Valkey, start_valkey

from .serving import upstash

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tcp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A server on a TCP port; not to be killed."""
    with start_valkey(tmp_path_factory.mktemp("tcp"), port=None, unixsocket=False) as server:
        yield server


@pytest.fixture
def tcp(tcp_server: Valkey) -> dict[str, str]:
    """Settings of an empty store over TCP."""
    tcp_server.flush()
    return {"REDIS_URL": tcp_server.tcp_url}


@pytest.fixture(params=["tcp", "upstash"])
def store(request: pytest.FixtureRequest, tcp_server: Valkey) -> Iterator[dict[str, str]]:
    """Settings of an empty store, over TCP and over REST."""
    tcp_server.flush()
    if request.param == "tcp":
        yield {"REDIS_URL": tcp_server.tcp_url}
        return
    with EmulatorProcess(tcp_server.tcp_url) as emulator:
        yield upstash(emulator)
