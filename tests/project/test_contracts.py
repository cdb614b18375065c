"""Each contract between the rooms is broken once, all of them in one copy of the library, and lint-imports names it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.real(seconds=4)

TREE = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")
BREACHES = {
    "rooms": ("log/cursor.py", "gapless.delivery.mode"),
    "root": ("log/errors.py", "gapless"),
    "cli": ("cli/lines.py", "gapless.cli.sending"),
    "cost": ("cli/cost/usage.py", "gapless.cli.cost.bill"),
    "doctor": ("cli/doctor/finding.py", "gapless.cli.doctor.site"),
    "checks": ("cli/doctor/checks/cors.py", "gapless.cli.doctor.checks.clock"),
    "api": ("api/schemas.py", "gapless.api.factory"),
    "routes": ("api/routes/admin.py", "gapless.api.routes.history"),
    "delivery": ("delivery/streaming.py", "gapless.delivery.buffered"),
    "channels": ("channels/tail.py", "gapless.channels.feed"),
    "stores": ("stores/redis/store.py", "gapless.stores.upstash.gate"),
    "auth": ("auth/grant.py", "gapless.auth.tokens"),
    "telemetry": ("telemetry/switches.py", "gapless.telemetry.start"),
    "config": ("config/origins.py", "gapless.config.settings"),
    "log": ("log/cursor.py", "gapless.log.store"),
    "pure": ("log/cursor.py", "time"),
    "services": ("services/pages.py", "gapless.services.history"),
    "inside": ("stores/topic.py", "starlette"),
    "made": ("channels/feed.py", "redis"),
}
"""An import for each contract, by its name in .importlinter, that it must refuse."""


def contracts() -> dict[str, str]:
    """The contracts' titles by their names."""
    parser = ConfigParser()
    parser.read(TREE / ".importlinter", encoding="utf-8")
    parts = [name.split(":") for name in parser.sections()]
    return {part[2]: parser[":".join(part)]["name"] for part in parts if part[1:2] == ["contract"]}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The library and its contracts, elsewhere."""
    shutil.copytree(
        TREE / "app" / "gapless", tmp_path / "app" / "gapless", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy2(TREE / ".importlinter", tmp_path)
    return tmp_path


def lint(copy: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy / "app"), "COLUMNS": "250"}
    command = [str(LINT), "--no-cache"]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False).stdout


def broken(said: str) -> set[str]:
    """The titles that lint-imports says are broken."""
    return set(re.findall(r"^(.+) BROKEN$", said, re.M))


def test_each_contract_has_a_breach() -> None:
    assert set(contracts()) == set(BREACHES)


def test_each_breach_is_named_by_its_contract(copy: Path) -> None:
    """All in one copy, for each look takes seconds; a contract must name the very import that is its breach."""
    for path, imported in BREACHES.values():
        with (copy / "app" / "gapless" / path).open("a", encoding="utf-8") as module:
            module.write(f"\nimport {imported}  # a breach\n")
    said = lint(copy)
    assert broken(said) == set(contracts().values()), said
    told = {name: told_of(title, said) for name, title in contracts().items()}
    assert {name for name, breach in BREACHES.items() if not names(breach, told[name])} == set(), said


def told_of(title: str, said: str) -> str:
    """What lint-imports says of one broken contract."""
    return re.split(r"^-+\n", said.partition(f"\n{title}\n-")[2].partition("\n")[2], maxsplit=1, flags=re.M)[0]


def names(breach: tuple[str, str], told: str) -> bool:
    """Whether that import is among those told of."""
    path, imported = breach
    importer = "gapless." + path.removesuffix(".py").replace("/", ".")
    return bool(re.search(rf"{re.escape(importer)}\b.* -> {re.escape(imported)}\b", told))


def test_a_module_that_no_contract_names_is_found(copy: Path) -> None:
    for room in ("log", "channels"):
        (copy / "app" / "gapless" / room / "stray.py").write_text("")
    assert "stray" in lint(copy)
