"""Where the server of a folder listens, and whose server it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gapless.stores.embedded.answer import answer_of, socket_of
from gapless.stores.embedded.resp import ask

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey


def test_the_lock_names_the_socket(tmp_path: Path) -> None:
    assert socket_of(tmp_path) == str(tmp_path / "valkey.sock")
    (tmp_path / "server.lock").write_bytes(b"")
    assert socket_of(tmp_path) == str(tmp_path / "valkey.sock")
    (tmp_path / "server.lock").write_bytes(b"/elsewhere/s")
    assert socket_of(tmp_path) == "/elsewhere/s"


def test_the_server_of_a_folder_answers(valkey: Valkey) -> None:
    folder = Path(ask(valkey.socket, "CONFIG", "GET", "dir"))
    lock = folder / "server.lock"
    lock.write_text(valkey.socket)
    try:
        answer = answer_of(folder)
    finally:
        lock.unlink()
    assert answer is not None
    assert f"process_id:{answer.pid}" in ask(valkey.socket, "INFO", "server")
    assert not answer.loading


def test_the_server_of_another_folder_is_none(valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / "server.lock").write_text(valkey.socket)
    assert answer_of(tmp_path) is None


def test_nobody_there_is_none(tmp_path: Path) -> None:
    assert answer_of(tmp_path) is None
