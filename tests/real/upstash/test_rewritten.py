"""Every sentence of `tests/real/test_rewritten.py` on Upstash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.test_rewritten import *  # noqa: F403 - every one of them
from tests.testkit.room import SMALL, Services
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Two processes that look at a quiet log every second."""
    with upstash(tmp_path_factory.mktemp("rewritten")) as place:
        env = place.env(**SMALL, GAPLESS_RECHECK="1")
        with Service(env) as warm, Service(env) as cold:
            yield Services(place.store, warm, cold)
