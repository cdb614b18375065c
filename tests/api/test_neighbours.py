"""Worker processes find each other in a folder, and each tells the numbers of all."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gapless.api import neighbours
from gapless.api.exposition import encode, labelled
from gapless.api.neighbours import Neighbours


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    return Path("meet")


def sockets(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def worker(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Neighbours:
    monkeypatch.setattr("os.getpid", lambda: number)
    return Neighbours(folder, f"gapless_turns_total {number}\n".encode)


async def test_each_tells_what_all_of_them_tell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = worker(folder, 1, monkeypatch), worker(folder, 2, monkeypatch)
    async with one.told(), other.told():
        told = {"1": "gapless_turns_total 1\n", "2": "gapless_turns_total 2\n"}
        assert await one.ask() == await other.ask() == told
    assert await one.ask() == {"1": "gapless_turns_total 1\n"}
    assert sockets(folder) == []


async def test_one_that_was_killed_is_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = worker(folder, 1, monkeypatch)
    async with one.told():
        with socket.socket(socket.AF_UNIX) as dead:  # closed, and its name stays
            dead.bind(str(folder / "7.sock"))
        assert [*await one.ask()] == ["1"]
        assert sockets(folder) == ["1.sock"]


async def test_one_that_stands_still_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "PATIENCE", 0.05)
    one = worker(folder, 1, monkeypatch)
    async with one.told():
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(folder / "7.sock"))
            silent.listen()
            assert [*await one.ask()] == ["1"]
        assert sockets(folder) == ["1.sock", "7.sock"]  # it may turn again


async def test_one_that_tells_too_much_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = worker(folder, 1, monkeypatch), worker(folder, 2, monkeypatch)
    async with one.told(), other.told():
        monkeypatch.setattr(neighbours, "MOST_BYTES", 10)
        assert [*await one.ask()] == ["1"]


async def test_a_folder_that_cannot_be_used_is_told_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    one = worker(tmp_path / "file", 1, monkeypatch)
    async with one.told():
        assert [*await one.ask()] == ["1"]
    assert "GAPLESS_METRICS_DIR" in caplog.text


def test_each_sample_says_whose_it_is() -> None:
    text = '# TYPE gapless_gaps_total counter\ngapless_gaps_total{reason="reset"} 3.0\n'
    body, _ = encode(labelled({"7": text, "8": text}), "")
    assert body.decode().splitlines()[1:] == [
        "# TYPE gapless_gaps_total counter",
        'gapless_gaps_total{process="7",reason="reset"} 3.0',
        'gapless_gaps_total{process="8",reason="reset"} 3.0',
    ]
