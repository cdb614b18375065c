"""One module, one name: under a second one every class would be there twice. And the public API is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gapless

LIBRARY = Path(gapless.__file__).parent
TREE = Path(__file__).parent.parent.parent
ENTRIES = TREE / "app" / "main.py"
HEAVY = {"fastapi", "pydantic", "starlette", "httpx", "redis", "upstash_redis", "jwt", "uvicorn", "asyncio"}

in_the_tree = pytest.mark.skipif(not ENTRIES.exists(), reason="an installed gapless has no entry points")


def run(code: str) -> subprocess.CompletedProcess[str]:
    """This code in a fresh interpreter at the top of the tree."""
    return subprocess.run([sys.executable, "-c", code], cwd=TREE, capture_output=True, text=True, check=False)


def modules(*code: str) -> dict[str, str]:
    """Every module with a file that an interpreter holds after this code, and its file."""
    told = "print(json.dumps({n: m.__file__ for n, m in sys.modules.items() if getattr(m, '__file__', None)}))"
    done = run("\n".join([*code, "import json, sys", told]))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.real(seconds=4)
@in_the_tree
def test_no_file_is_loaded_under_two_names() -> None:
    """By neither entry point, in one process: each start of it takes seconds."""
    every = "import importlib, pkgutil, gapless"
    walk = "[importlib.import_module(m.name) for m in pkgutil.walk_packages(gapless.__path__, 'gapless.')]"
    loaded = modules(
        "import os; os.environ['GAPLESS_PUBLIC'] = 'true'", "import app.lambda_handler, app.main", every, walk
    )
    ours = [(name, file) for name, file in loaded.items() if Path(file).is_relative_to(TREE / "app")]
    assert len({file for _, file in ours}) == len(ours) > 80
    assert {name.partition(".")[0] for name, _ in ours} == {"app", "gapless"}


@in_the_tree
def test_the_library_can_have_no_second_name() -> None:
    done = run("import app.gapless")
    assert done.returncode == 1
    assert "ImportError: import this as `gapless`, and not as `app.gapless`" in done.stderr


@in_the_tree
def test_the_entry_points_only_hand_over() -> None:
    for entry in ("main.py", "lambda_handler.py"):
        assert len((TREE / "app" / entry).read_text().splitlines()) <= 12


def test_all_that_is_public_is_there() -> None:
    for name in gapless.__all__:
        assert getattr(gapless, name) is not None
    assert dir(gapless) == gapless.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        gapless.nothing  # noqa: B018


def test_to_import_it_costs_nothing() -> None:
    assert not {name.partition(".")[0] for name in modules("import gapless")} & HEAVY


def test_type_checkers_are_told() -> None:
    assert (LIBRARY / "py.typed").exists()
