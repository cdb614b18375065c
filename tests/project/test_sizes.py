"""Files and functions are short enough to be read in one go."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

import gapless

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[1]
LIBRARY = Path(gapless.__file__).parent
CODE, TEST, FUNCTION = 250, 400, 7
"""Lines of a file of the product or of the tests' own tools; of a file of tests; of the median function."""


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def functions(path: Path) -> Iterator[int]:
    """How many lines each has."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.end_lineno - node.lineno + 1


def test_no_file_of_the_product_is_long() -> None:
    kinds = ("*.py", "*.lua", "*.js", "*.html", "*.css")
    assert not [path.name for kind in kinds for path in LIBRARY.rglob(kind) if lines(path) > CODE]


def test_no_file_of_tests_is_long() -> None:
    most = {path: TEST if path.name.startswith("test_") else CODE for path in TESTS.rglob("*.py")}
    long = [path for path in most if "node_modules" not in path.parts and lines(path) > most[path]]
    assert not long


@pytest.mark.parametrize("top", [LIBRARY, TESTS / "testkit"], ids=["the library", "the tests' own tools"])
def test_a_function_is_short(top: Path) -> None:
    assert median(length for path in top.rglob("*.py") for length in functions(path)) <= FUNCTION
