"""A service for the commands that talk to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testkit.forge import SECRET
from tests.testkit.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testkit.valkey import Valkey


@pytest.fixture(scope="module")
def service(valkey_server: Valkey) -> Iterator[Service]:
    """One without keys, on a store that other tests of the module use, too: take a channel of your own."""
    with Service({"REDIS_URL": valkey_server.url, "GAPLESS_RETRY_MS": "20"}) as service:
        yield service


@pytest.fixture(scope="module")
def keyed(valkey_server: Valkey) -> Iterator[Service]:
    """One with keys."""
    with Service({"REDIS_URL": valkey_server.url, "GAPLESS_JWT_SECRET": SECRET}) as service:
        yield service
