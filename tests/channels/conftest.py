"""What the tests of channels share."""

from __future__ import annotations

import pytest

from tests.testkit.model_store import ModelStore


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()
