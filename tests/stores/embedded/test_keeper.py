"""The keeper: revives the embedded Valkey, says so, and says once what it can't do."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gapless.stores.embedded import keeper as embedded_keeper
from gapless.stores.embedded.keeper import Keeper
from gapless.stores.embedded.valkey import EmbeddedValkey
from tests.stores.embedded.use import command, servers
from tests.testkit.alarm import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedValkey]:
    monkeypatch.setattr(embedded_keeper, "LOOK", 0.01)
    monkeypatch.setattr(embedded_keeper, "PAUSE", 0.02)
    use = EmbeddedValkey.start(folder)
    thread = Keeper(use)
    thread.start()
    yield use
    thread.end()
    thread.join()
    use.stop()
    assert servers(folder) == []


def test_a_killed_server_comes_back_by_itself(
    kept: EmbeddedValkey, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 4):
        assert command(folder, "INCR", "rounds") == str(number)
        os.kill(kept.pid, signal.SIGKILL)
        until(lambda number=number: len(caplog.records) == number, "it says that it was started again")
    assert {record.getMessage() for record in caplog.records} == {
        "the embedded Valkey had ended; it was started again with its data"
    }


def test_what_keeps_it_from_coming_back_is_said_once_and_tried_again(
    kept: EmbeddedValkey, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (aof,) = (folder / "appendonlydir").glob("*.incr.aof")
    good = aof.read_bytes()
    aof.write_bytes(b"rubbish\r\n" + good)
    os.kill(kept.pid, signal.SIGKILL)
    log = folder / "valkey.log"
    until(lambda: log.read_text().count("Bad file format") >= 3, "it was tried three times")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Bad file format" in caplog.records[0].getMessage()
    aof.write_bytes(good)
    until(lambda: len(caplog.records) == 2, "it was started again")
    assert kept.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file a descriptor is")
def test_what_is_written_is_put_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Path] = []
    monkeypatch.setattr(embedded_keeper, "LOOK", 0.01)
    monkeypatch.setattr(os, "fsync", lambda descriptor: settled.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    use = EmbeddedValkey.start(folder)
    thread = Keeper(use)
    thread.start()
    (aof,) = (folder / "appendonlydir").glob("*.incr.aof")
    until(lambda: settled.count(aof.resolve()) >= 2, "a second time, too")
    thread.end()
    thread.join()
    use.stop()
