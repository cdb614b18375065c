"""Every sentence of `tests/real/test_gaps.py` on Upstash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.real.test_gaps import *  # noqa: F403 - every one of them
from tests.testkit.room import SMALL, Services
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Two processes; nothing is owed to a recheck, for there is none."""
    with upstash(tmp_path_factory.mktemp("gaps")) as place:
        env = place.env(**SMALL, GAPLESS_RECHECK="3600")
        with Service(env) as warm, Service(env) as cold:
            yield Services(place.store, warm, cold)
            for service in (warm, cold):
                assert httpx.get(f"{service.url}/readyz", trust_env=False).json()["notices"] == "subscribe"
                assert "Traceback" not in service.log, service.log
