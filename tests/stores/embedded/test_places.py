"""The embedded Valkey in folders that were copied, deleted or left behind, and in those with a long path."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from gapless.stores.embedded.valkey import EmbeddedUnavailable, EmbeddedValkey
from tests.stores.embedded.use import command, kill_server, outcome, servers, user

# --- what lies about


def test_what_a_crash_leaves_is_in_nobodys_way(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    kill_server(use)
    use.stop()
    assert (folder / "valkey.sock").exists()
    assert (folder / "server.lock").read_text()
    again = EmbeddedValkey.start(folder)
    assert not again.joined
    again.stop()


def test_the_server_of_another_folder_is_never_taken_for_ours(folder: Path) -> None:
    """A copied folder names the original's socket; a recycled name leads to a stranger's server."""
    original = EmbeddedValkey.start(folder)
    command(folder, "SET", "whose", "original")
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock"))
    use = EmbeddedValkey.start(copy)
    assert not use.joined
    assert use.pid != original.pid
    command(copy, "SET", "whose", "copy")
    use.stop()
    assert original.alive()
    assert command(folder, "GET", "whose") == "original"
    original.stop()


def test_a_deleted_lock_does_not_let_a_second_server_in(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    (folder / "server.lock").unlink()
    assert use.alive()
    again = EmbeddedValkey.start(folder)
    assert again.pid == use.pid
    assert servers(folder) == [use.pid]
    use.stop()
    again.stop()


def test_a_deleted_folder_takes_no_other_server_down(folder: Path) -> None:
    """Who has lost its folder ends its own server, not the one that was started on the folder made anew."""
    old = EmbeddedValkey.start(folder)
    pid = old.pid
    folder.rename(folder.with_name("gone"))
    shutil.rmtree(folder.with_name("gone"))
    new = EmbeddedValkey.start(folder)
    old.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert new.alive()
    assert servers(folder) == [new.pid]
    new.stop()


def test_a_server_that_does_not_answer_is_not_joined_and_not_doubled(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    os.kill(use.pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedUnavailable, match=r"does not answer at .*valkey\.sock"):
        EmbeddedValkey.start(folder, deadline=0.1)
    assert servers(folder) == [use.pid]
    os.kill(use.pid, signal.SIGCONT)
    use.stop()
    assert servers(folder) == []


# --- long paths


@pytest.fixture
def deep(folder: Path) -> Path:
    return folder / ("deep" * 30)


def test_a_long_path_gets_a_short_private_socket(deep: Path) -> None:
    use = EmbeddedValkey.start(deep)
    socket = Path(use.url.removeprefix("unix://"))
    assert socket.parent.parent == Path(tempfile.gettempdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (socket, socket.parent)] == [0o700, 0o700]
    use.stop()
    assert not socket.parent.exists()


def test_users_with_another_temporary_folder_find_the_socket(
    deep: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = EmbeddedValkey.start(deep)
    with tempfile.TemporaryDirectory() as other, user(deep, gate, {"TMPDIR": other}) as process:
        assert outcome(process) == ("joined", use.pid)
        url = use.url
        monkeypatch.setattr(tempfile, "tempdir", other)
        kill_server(use)
        use.ensure()
        assert use.url == url
        use.stop()
        assert process.terminate() == 0
    assert servers(deep) == []
