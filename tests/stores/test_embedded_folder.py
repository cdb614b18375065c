"""The data folder: private, and refused with a sentence where it can't be."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from app.stores.embedded import EmbeddedValkey
from app.stores.embedded_folder import EmbeddedUnavailable, held, own_folder, socket_path, take

SHORT_ENOUGH = 103


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_private(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "a" / "b")
    assert mode(folder) == 0o700


def test_one_of_ours_that_was_opened_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "server.lock").touch()
    tmp_path.chmod(0o755)
    assert mode(own_folder(tmp_path)) == 0o700


def test_an_empty_one_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert mode(own_folder(tmp_path)) == 0o700


def test_one_that_holds_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(EmbeddedUnavailable, match=r"holds other files.*GAPLESS_DATA_DIR"):
        own_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    foreign = Path("/")
    if os.geteuid() == 0:
        foreign = tmp_path
        os.chown(tmp_path, 12_345, -1)
    with pytest.raises(EmbeddedUnavailable, match=r"belongs to another user .*GAPLESS_DATA_DIR"):
        own_folder(foreign)


def test_a_link_leads_to_the_one_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir(mode=0o700)
    assert own_folder(tmp_path / "link") == own_folder(tmp_path / "real") == (tmp_path / "real").resolve()


def test_what_can_not_be_a_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedUnavailable, match=r"Not a directory.*GAPLESS_DATA_DIR.*REDIS_URL"):
        EmbeddedValkey.start(tmp_path / "file" / "data")


@pytest.mark.parametrize(("length", "inside"), [(SHORT_ENOUGH, True), (SHORT_ENOUGH + 1, False)])
def test_the_socket_lies_in_the_folder_if_its_path_is_short(length: int, inside: bool) -> None:
    folder = Path("/") / ("x" * (length - len("//valkey.sock")))
    path = socket_path(folder)
    assert (path.parent == folder) == inside
    assert len(str(path)) <= SHORT_ENOUGH
    if not inside:
        assert mode(path.parent) == 0o700
        path.parent.rmdir()


def test_bytes_are_counted_and_not_characters() -> None:
    folder = Path("/") / ("ä" * 60)
    path = socket_path(folder)
    assert path.parent != folder
    path.parent.rmdir()


def test_a_runtime_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    runtime = socket_path(deep).parent
    try:
        runtime.chmod(0o755)
        with pytest.raises(EmbeddedUnavailable, match=r"not a private folder of yours"):
            socket_path(deep)
        runtime.rmdir()
        runtime.symlink_to(tmp_path)
        with pytest.raises(EmbeddedUnavailable, match=r"not a private folder of yours"):
            socket_path(deep)
    finally:
        runtime.unlink() if runtime.is_symlink() else runtime.rmdir()


def test_too_long_a_temporary_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(EmbeddedUnavailable, match=r"too long.*TMPDIR"):
        socket_path(deep)


def test_a_lock_is_taken_by_one_alone_or_by_many_together(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    shared = [take(path, exclusive=False), take(path, exclusive=False)]
    assert None not in shared
    assert take(path, exclusive=True) is None
    assert not held(path)
    for lock in shared:
        os.close(lock or -1)
    alone = take(path, exclusive=True)
    assert alone is not None
    assert held(path)
    assert take(path, exclusive=False) is None
    os.close(alone)
    assert not held(path)


def test_the_lock_of_a_file_that_was_replaced_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a lock and having it, someone may have deleted the file; then two could have 'the' lock."""
    path, opened = tmp_path / "lock", 0
    real = os.open

    def open_and_replace(*args: object) -> int:
        nonlocal opened
        opened += 1
        lock = real(*args)  # type: ignore[arg-type]
        path.unlink()
        os.close(real(path, os.O_CREAT | os.O_RDWR))
        return lock

    monkeypatch.setattr(os, "open", open_and_replace)
    assert take(path, exclusive=True) is None
    assert opened == 1
