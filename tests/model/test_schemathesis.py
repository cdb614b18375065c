"""schemathesis reads the running service's own description and holds it to each word of it.

Its settings, and each check that is off with its reason, are in `schemathesis.toml`; `schemathesis_hooks.py` tells it
what OpenAPI can't say.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.isolation import isolated
from tests.testkit.process import Process
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
KINDS = '{"": {"signals": true, "receipts": true, "presence": true}}'
"""For channels without a colon; what others do not offer is a 404, which the description knows, too."""


@pytest.mark.real(seconds=30)
def test_the_service_is_what_its_description_says(valkey: Valkey, tmp_path: Path) -> None:
    claims = claims_of(time.time(), exp=int(time.time()) + 600)
    token = Secret().sign(claims | {"gapless": {**claims["gapless"], "admin": True}})
    env = {
        "REDIS_URL": valkey.url,
        "GAPLESS_LIFETIME": "0.2",
        "GAPLESS_JWT_SECRET": SECRET,
        "GAPLESS_NAMESPACES": KINDS,
    }
    with valkey.count_commands() as counted, Service(env) as service:
        argv = [str(Path(sys.executable).with_name("schemathesis")), f"--config-file={CONFIG}", "run"]
        argv += [f"{service.url}/openapi.json", "--header", f"Authorization: Bearer {token}"]
        argv += ["--phases=examples,coverage,fuzzing,stateful", "--no-color"]
        if os.environ.get("CI") == "true":
            argv.append("--generation-deterministic")
        hooks = {"SCHEMATHESIS_HOOKS": "tests.testkit.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        with Process("schemathesis", argv, env=isolated(os.environ) | hooks, cwd=tmp_path) as run:
            assert run.wait(alarm=170) == 0, run.log
            paths = httpx.get(f"{service.url}/openapi.json", trust_env=False).json()["paths"]
            every = sum(map(len, paths.values()))
            assert re.search(rf"Selected: {every}/{every}\n +Tested: {every}\n", run.log), "every operation"
        assert " 500 " not in service.log
        assert "Traceback" not in service.log
    assert counted.keys() >= {"hset", "hgetall", "zadd", "zrem"}, "receipts and presence were really asked for"
