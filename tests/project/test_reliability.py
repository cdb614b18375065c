"""docs/reliability.md names a test for each promise, and every test that a page names exists."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

TREE = Path(__file__).parent.parent.parent
PAGE = (TREE / "docs" / "reliability.md").read_text()
PAGES = "".join(page.read_text() for page in (TREE / "docs").rglob("*.md"))
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGES)))


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of its tests, those that it takes over from another file included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


def test_every_test_it_names_exists() -> None:
    missing = [f"{path}::{name}" for path, name in NAMED if not _is_there(path, name)]
    assert not missing
    assert len(NAMED) > 30


def _is_there(path: str, name: str) -> bool:
    return (TREE / path).is_file() and name in names_in(TREE / path)


def test_every_promise_has_a_guard() -> None:
    """The twelve of docs/architecture.md, and the protocol's own."""
    rows = [line.split("|")[1:3] for line in PAGE.splitlines() if line.startswith("| ")]
    guarded = {promise.split()[0] for promise, guards in rows if "tests/" in guards}
    assert guarded >= {"3.7", *(str(number) for number in range(1, 13))}


def test_the_soak_that_is_kept_ended_well() -> None:
    """Its summary stands beside the page, with seed and commit, and the page's figures are its own."""
    [path] = re.findall(r"\]\((reliability/[\w.-]+\.json)\)", PAGE)
    soak = json.loads((TREE / "docs" / path).read_text())
    assert soak["ok"]
    assert [world["store"] for world in soak["worlds"]] == ["tcp", "upstash"]
    for world in soak["worlds"]:
        assert not any(world["findings"].values())
        assert world["hits"] and all(world["hits"].values())
        assert all(f"{world[count]:,}" in PAGE for count in ("ids", "messages", "reconnects", "cuts"))
    assert str(soak["seed"]) in PAGE
