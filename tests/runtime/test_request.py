"""What is known of the request that is served now, and how log lines say it."""

from __future__ import annotations

import logging
from contextvars import Context

from gapless.runtime.request import ACCESS, LINE, STORE, RequestInfo, WithRequestId, current, current_id, timed


def line(name: str) -> str:
    record = logging.LogRecord(name, logging.WARNING, "", 0, "said %s", ("so",), None)
    assert WithRequestId().filter(record)
    return logging.Formatter(LINE).format(record).partition("WARNING ")[2]


def test_a_line_of_a_request_ends_in_its_id() -> None:
    def served() -> None:
        current.set(RequestInfo("abc"))
        assert line("gapless.problems") == "gapless.problems: said so id=abc"
        assert line(ACCESS) == f"{ACCESS}: said so", "it says the id itself"

    Context().run(served)
    assert line("gapless.feed") == "gapless.feed: said so"
    assert current_id() == ""


def test_what_is_waited_for_is_added_up() -> None:
    def served() -> RequestInfo:
        asked = RequestInfo("abc")
        current.set(asked)
        for _ in range(2):
            with timed(STORE):
                first = asked.spent.get(STORE, 0.0)
        assert asked.spent[STORE] > first >= 0
        return asked

    assert list(Context().run(served).spent) == [STORE]


def test_outside_of_a_request_nothing_is_counted() -> None:
    with timed(STORE):
        assert current.get() is None
