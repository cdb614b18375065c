"""Every sentence of `tests/real/test_rewritten.py` on Upstash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.room import SMALL, House
from tests.real.test_rewritten import *  # noqa: F403 - every one of them
from tests.real.upstash.place import upstash
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two processes that look at a quiet log every second."""
    with upstash(tmp_path_factory.mktemp("rewritten")) as place:
        env = place.env(**SMALL, GAPLESS_RECHECK="1")
        with Service(env) as warm, Service(env) as cold:
            yield House(place.store, warm, cold)
