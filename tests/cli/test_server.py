"""How uvicorn is set up, and how workers are looked after, as far as no real process is needed."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gapless.cli.protocol import BoundedHttp
from gapless.cli.server import (
    COLLECTED,
    LOGGING,
    Lines,
    Sentences,
    collect_rarely,
    configure,
    end_with_parent,
    is_up,
    look_about,
)
from gapless.log.errors import StartupRefused


@pytest.fixture(autouse=True)
def _levels_as_they_were() -> Iterator[None]:
    """A configuration of uvicorn's sets up logging as it is made."""
    before = {one: one.level for one in map(logging.getLogger, (None, *LOGGING["loggers"]))}
    yield
    for one, level in before.items():
        one.setLevel(level)


def test_nothing_of_a_request_is_believed_or_told_by_the_server() -> None:
    config = configure()
    assert not config.proxy_headers
    assert not config.server_header
    assert not config.access_log
    assert config.h11_max_incomplete_event_size == 65_536
    config.load()
    assert config.http_protocol_class is BoundedHttp
    assert config.ws_protocol_class is None


def test_workers_get_the_same_configuration() -> None:
    copy = pickle.loads(pickle.dumps(configure(workers=2)))
    assert copy.workers == 2
    assert copy.callback_notify is look_about
    assert copy.http is BoundedHttp


def test_a_refusal_in_a_traceback_is_logged_as_its_sentence() -> None:
    try:
        raise StartupRefused("Set this or that.")
    except StartupRefused:
        text = traceback.format_exc()
    refused = logging.makeLogRecord({"msg": text})
    assert Sentences().filter(refused)
    assert refused.getMessage() == "Set this or that."
    other = logging.makeLogRecord({"msg": "%d requests", "args": (3,)})
    assert Sentences().filter(other)
    assert other.getMessage() == "3 requests"


def test_the_time_of_a_line_is_what_logging_would_write() -> None:
    lines, usual = Lines(), logging.Formatter()
    for created in (0.0, 1764262000.9996, 1764262001.0, 1764262001.25, 1764262000.5):
        record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000})
        assert lines.formatTime(record) == usual.formatTime(record)


async def test_a_process_that_serves_collects_rarely_and_never_what_its_start_has_made() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    collect_rarely.cache_clear()
    try:
        await look_about()
        assert gc.get_threshold() == COLLECTED
        assert gc.get_freeze_count() > frozen
        gc.set_threshold(*before)
        await look_about()
        assert gc.get_threshold() == before, "once is enough"
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.parametrize("alive", [True, False])
async def test_a_worker_ends_with_its_parent(alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(is_alive=lambda: alive))
    end_with_parent()
    assert sent == ([] if alive else [signal.SIGTERM])


def test_only_a_workers_newest_answer_counts() -> None:
    """While it imports it answers nothing, and then every question at once."""
    ours, theirs = multiprocessing.Pipe()
    process = SimpleNamespace(parent_conn=ours, is_ready=lambda timeout: ours.poll(timeout) and ours.recv())
    assert not is_up(process)
    for answer in (False, False, True):
        theirs.send(answer)
    assert is_up(process)
    ours.close()
    theirs.close()
