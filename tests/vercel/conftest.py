"""The project as Vercel would deploy it, built once, on an Upstash that counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testkit.upstash import EmulatorProcess
from tests.testkit.vercel import Bundle, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testkit.valkey import Valkey

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """This project, built from what git would take of it now."""
    return build(ROOT)


@pytest.fixture
def upstash(valkey: Valkey) -> Iterator[EmulatorProcess]:
    """Upstash's REST API, with nothing in it."""
    with EmulatorProcess(valkey.url) as emulator:
        yield emulator


@pytest.fixture
def env(upstash: EmulatorProcess) -> dict[str, str]:
    """What step 1 and 2 of docs/deploy-vercel.md put into the project."""
    return {"KV_REST_API_URL": upstash.url, "KV_REST_API_TOKEN": upstash.token, "GAPLESS_PUBLIC": "true"}
