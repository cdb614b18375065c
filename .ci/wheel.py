"""Builds the wheel and tests it where the tree cannot be seen. Run by `make wheel`, with the Python of .venv.

What the wheel lacks (a .lua file, a static page, a module) an editable install never shows.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
LEFT_OUT = {"app", ".git", ".venv", ".gapless", ".hypothesis", ".mypy_cache", ".ruff_cache", "dist", "build"}
# What may differ under an installed wheel or another Python. What begins tasks and cancels them: from Python 3.12 on,
# frames are written by eager tasks, and no cancellation is swallowed. And what looks for files, imports and commands.
# Not again: rules that are pure (auth, config, log), and what routes answer (api, front, services).
ON_THE_LOOP = (
    "tests/channels",
    "tests/delivery",
    "tests/platforms",
    "tests/runtime",
    "tests/stores/redis",
    "tests/stores/upstash",
)
INSTALLED = (
    "tests/api/test_app.py",
    "tests/api/test_factory.py",
    "tests/api/test_static_files.py",
    "tests/cli",
    "tests/project/test_env_example.py",
    "tests/project/test_names.py",
)
STARTED = ("tests/project/test_cold_start.py", "tests/project/test_mounted.py")
"""These take longer, and are run all the same: what an import costs, and an app of a user's own around it."""

ENTRY_POINTS = tuple(
    f"tests/project/test_names.py::{name}"
    for name in (
        "test_no_file_is_loaded_under_two_names",
        "test_the_library_can_have_no_second_name",
        "test_the_entry_points_only_hand_over",
    )
)
"""Tests of app/main.py and app/lambda_handler.py, which no wheel holds: a skip would fail in CI."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="wheel-") as name:
        top = Path(name)
        wheel = build(top)
        check_contents(wheel)
        keep(wheel)
        python = environment(top / "venv", wheel)
        check_command(python, wheel)
        return tests(python, copy_without_app(top / "tree"))


def build(top: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", top, TREE)
    return next(top.glob("*.whl"))


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (file for file in (TREE / "app/gapless").rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    in_tree = {file.relative_to(TREE / "app").as_posix() for file in files}
    if inside != in_tree:
        sys.exit(f"{wheel.name} and the tree differ in {sorted(inside ^ in_tree)}")
    for kind in ("gapless/stores/lua/*.lua", "gapless/web/*.html"):
        if not any(Path(name).match(kind) for name in inside):
            sys.exit(f"{wheel.name} holds no {kind}")
    print(f"{wheel.name}: {len(inside)} files")


def keep(wheel: Path) -> None:
    """Leave it in `dist/`, as the only one."""
    folder = TREE / "dist"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("gapless-*.whl"):
        old.unlink()
    print(f"it is {shutil.copy(wheel, folder)}")


def environment(folder: Path, wheel: Path) -> Path:
    """The wheel in an environment of its own, with the packages of this one and without its editable install.

    A path in a .pth file is searched for modules, but its own .pth files, which name the tree, are not read.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "packages.pth").write_text("".join(f"{path}\n" for path in packages))
    return python


def check_command(python: Path, wheel: Path) -> None:
    said = run(python.parent / "gapless", "--version")
    version = wheel.name.split("-")[1]
    if version not in said.split():
        sys.exit(f"`gapless --version` says {said!r}, and the wheel is {version}")


def copy_without_app(folder: Path) -> Path:
    def left_out(parent: str, names: list[str]) -> set[str]:
        here = LEFT_OUT if Path(parent) == TREE else set()
        return {name for name in names if name in here or name in ("node_modules", "__pycache__")}

    shutil.copytree(TREE, folder, ignore=left_out)
    return folder


def tests(python: Path, tree: Path) -> int:
    """The quick ones of those chosen, and those that start it from outside, on the installed files."""
    where = run(python, "-c", "import gapless; print(gapless.__file__)", cwd=tree)
    if not Path(where).is_relative_to(python.parent.parent):
        sys.exit(f"`import gapless` finds {where}, and not the wheel's")
    without = [f"--deselect={test}" for test in ENTRY_POINTS]
    command: list[str | Path] = [python, "-m", "pytest", "-q", "-n4", "--dist=worksteal"]
    for chosen in (["-m", "not real", *without, *ON_THE_LOOP, *INSTALLED], STARTED):
        code = subprocess.run([*command, *chosen], cwd=tree, check=False).returncode
        if code:
            return code
    return 0


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What the command prints; where it fails, that ends the run."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
