"""The project as Vercel would deploy it, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.vercel import Bundle, build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """This project, built from what git would take of it now."""
    return build(ROOT)
