"""The data folder: private, and refused with a sentence where it can't be."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from gapless.stores.embedded.folder import EmbeddedUnavailable, held, own_folder, socket_path, take
from gapless.stores.embedded.valkey import EmbeddedValkey

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


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    """Whoever planted it (a repository can hold one) chose the folder; it may be anybody's."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(EmbeddedUnavailable, match=r"is a link.*GAPLESS_DATA_DIR"):
        own_folder(tmp_path / "link")
    assert not (tmp_path / "real").exists()
    (tmp_path / "real").mkdir(mode=0o755)
    with pytest.raises(EmbeddedUnavailable, match=r"is a link.*real"):
        own_folder(tmp_path / "link")
    assert mode(tmp_path / "real") == 0o755


def test_a_link_above_the_folder_is_the_systems(tmp_path: Path) -> None:
    """As /tmp on macOS is one."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    assert own_folder(tmp_path / "link" / "data") == (tmp_path / "real" / "data").resolve()


@pytest.mark.parametrize("name", ["thesis.tex", ".ssh", "appendonly", "dump.rdb.old", "server.lock.bak"])
def test_strange_files_are_named_and_left_alone(tmp_path: Path, name: str) -> None:
    """Also in a folder that is private, and in one that a server of ours has used."""
    for ours in ("server.lock", "users.lock", "valkey.log"):
        (tmp_path / ours).touch()
    (tmp_path / name).touch()
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedUnavailable, match=rf"other files \({name}\).*GAPLESS_DATA_DIR"):
        own_folder(tmp_path)


def test_few_strange_files_are_named(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:03d}\n{'x' * 200}").touch()
    with pytest.raises(EmbeddedUnavailable) as refused:
        own_folder(tmp_path)
    assert len(str(refused.value)) < 1000
    assert "\n" not in str(refused.value)


def test_what_the_server_and_the_system_leave_there_is_not_strange(tmp_path: Path) -> None:
    for name in (
        "server.lock",
        "users.lock",
        "valkey.log",
        "valkey.log.1",
        "valkey.sock",
        "temp-1.aof",
        "core.71",
        ".nfs0a",
    ):
        (tmp_path / name).touch()
    for name in ("appendonlydir", "lost+found"):
        (tmp_path / name).mkdir()
    for name in (".DS_Store", ".gitignore"):
        (tmp_path / name).touch()
    assert own_folder(tmp_path)


@pytest.mark.parametrize("name", ["server.lock", "users.lock", "valkey.log", "appendonlydir"])
def test_a_link_in_the_place_of_one_of_our_files_is_strange(tmp_path: Path, name: str) -> None:
    """The log would be written, and the locks cut to length, wherever it leads."""
    (tmp_path / name).symlink_to(tmp_path.parent / "thesis.tex")
    with pytest.raises(EmbeddedUnavailable, match=rf"other files \({name}\)"):
        own_folder(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_strange(tmp_path: Path) -> None:
    (tmp_path / "server.lock").touch()
    os.chown(tmp_path / "server.lock", 12_345, -1)
    with pytest.raises(EmbeddedUnavailable, match=r"other files \(server.lock\)"):
        own_folder(tmp_path)


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
