"""Calls are counted: Python's and C's, and nobody else's."""

from __future__ import annotations

import gc

from tests.testkit.calls import calls


def _twice() -> None:
    len("")
    len("")


def test_functions_of_both_kinds_are_counted() -> None:
    with calls() as none:
        pass
    with calls() as some:
        _twice()
    assert some.count - none.count == 3


def test_the_collector_of_garbage_is_none_of_them() -> None:
    with calls():
        assert not gc.isenabled()
    assert gc.isenabled()
