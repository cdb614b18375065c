"""What several of these tests share: one running service for those that only talk to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.service import Service
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def running(valkey_server: Valkey) -> Iterator[Service]:
    """`gapless serve` without keys; streams of a second. Not to be stopped or overloaded."""
    with Service({"REDIS_URL": valkey_server.url, "GAPLESS_LIFETIME": "1"}) as service:
        yield service


@pytest.fixture
def unhurt(running: Service) -> Iterator[Service]:
    """The same; after the test its log must tell of no failure."""
    before = len(running.log)
    yield running
    told = running.log[before:]
    failures = [line for line in told.splitlines() if re.search(r"Traceback|ERROR|CRITICAL|Exception| 5\d\d ", line)]
    assert not failures, told
