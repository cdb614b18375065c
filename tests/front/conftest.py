"""What several of these tests share: one running service for those that only talk to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`gapless serve` without keys; streams of a second. Not to be stopped or overloaded.

    On a store of its own: its feeds read on when a test is over, and the next one may count what `valkey` is asked.
    """
    with (
        start_valkey(tmp_path_factory.mktemp("running")) as store,
        Service({"REDIS_URL": store.url, "GAPLESS_LIFETIME": "1"}) as service,
    ):
        yield service


@pytest.fixture
def unhurt(running: Service) -> Iterator[Service]:
    """The same; after the test its log must tell of no failure."""
    before = len(running.log)
    yield running
    told = running.log[before:]
    failures = [line for line in told.splitlines() if re.search(r"Traceback|ERROR|CRITICAL|Exception| 5\d\d ", line)]
    assert not failures, told
