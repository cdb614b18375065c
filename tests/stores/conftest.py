"""Asserts of the contract's support explain themselves, too."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.stores.contract")
