"""The file `.env`: read where it is, the environment wins, and no value of it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless.cli.dotenv import load
from gapless.config.startup import BadSetting


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_nothing_is_read() -> None:
    environ = {"A": "1"}
    assert load(None, environ) is None
    assert environ == {"A": "1"}


def test_the_file_of_the_current_folder_is_read_and_the_environment_wins(folder: Path) -> None:
    (folder / ".env").write_text('# ours\nGAPLESS_CAP=50\nexport PORT="9000"\nREDIS_URL=redis://:secret@host\n')
    environ = {"PORT": "8001"}
    found = load(None, environ)
    assert environ == {"PORT": "8001", "GAPLESS_CAP": "50", "REDIS_URL": "redis://:secret@host"}
    assert str(found) == "settings from .env: GAPLESS_CAP, REDIS_URL; set already: PORT"


def test_an_empty_variable_of_the_environment_is_set_too(folder: Path) -> None:
    (folder / ".env").write_text("REDIS_URL=redis://host\n")
    environ = {"REDIS_URL": ""}
    load(None, environ)
    assert environ == {"REDIS_URL": ""}


def test_another_file_is_read_instead(folder: Path) -> None:
    (folder / ".env").write_text("A=1\n")
    (folder / "production.env").write_text("B=2\n")
    environ: dict[str, str] = {}
    assert str(load("production.env", environ)) == "settings from production.env: B"
    assert environ == {"B": "2"}


def test_what_is_named_has_to_be_there() -> None:
    with pytest.raises(BadSetting, match=r"^nothing\.env can't be read: No such file or directory\.$"):
        load("nothing.env", {})


def test_what_is_no_text_is_refused(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(BadSetting, match="it is no UTF-8 text"):
        load(None, {})
