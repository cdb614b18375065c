"""docs/reference.md names every route, event, reason, error and setting, and none that does not exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from starlette.routing import Mount, Route

import gapless
from gapless.api.factory import create_app
from gapless.api.schemas import OWN_EVENTS
from gapless.config.settings import Settings
from gapless.delivery.end import End
from gapless.log.entries import GapReason
from gapless.log.errors import Refused
from tests.project.tables import tables
from tests.project.test_env_example import examples

TREE = Path(__file__).parents[2]


REFERENCE = tables((TREE / "docs" / "reference.md").read_text(encoding="utf-8"))


def names(table: str) -> list[str]:
    """What stands in code in the first column."""
    return [name for row in REFERENCE[table] for name in re.findall(r"`([^`]+)`", row[0])]


def test_every_route() -> None:
    app = create_app(Settings())
    own = [route for route in app.routes if isinstance(route, Route)]
    routes = {f"{method} {route.path}" for route in own for method in route.methods or () if method != "HEAD"}
    files = {f"GET {route.path}/{{file}}" for route in app.routes if isinstance(route, Mount)}
    assert sorted(names("route")) == sorted(routes | files)


def test_every_event_of_a_stream() -> None:
    assert sorted(names("event")) == sorted(OWN_EVENTS | {"message"})


def test_every_reason() -> None:
    assert names("reason of a `gap`") == [str(reason) for reason in GapReason]
    assert names("reason of an `end`") == [str(reason) for reason in End]


def test_every_error() -> None:
    kinds = {(str(kind.status), kind.title) for kind in _below(Refused)} | {("400", Refused.title)}
    told = {(status, title) for status, title, _ in REFERENCE["status"]}
    assert kinds | written() | {("405", "Method Not Allowed")} == told


def _below(kind: type[Refused]) -> set[type[Refused]]:
    return {kind}.union(*map(_below, kind.__subclasses__()))


def written() -> set[tuple[str, str]]:
    """Those that are made without an error of ours: `problem(503, "Service unavailable", …)`."""
    found = set()
    for path in (Path(gapless.__file__).parent / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "problem":
                status, title = node.args[:2]
                if isinstance(status, ast.Constant) and isinstance(title, ast.Constant):
                    found.add((str(status.value), str(title.value)))
    return found


def test_every_setting_and_its_default() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in REFERENCE["setting"]}
    assert shown == examples()


def test_a_table_is_read_cell_by_cell() -> None:
    assert tables("| a | b |\n|---|---|\n| `x` | 1 |\n| `y` | |\n") == {"a": [["`x`", "1"], ["`y`", ""]]}
