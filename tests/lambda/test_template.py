"""The real serverless.yml: what osls makes of it, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.testkit.lambda_runtime.package import MACHINE, MINOR, SETTINGS, TREE, Package, osls, package
from tests.testkit.lambda_runtime.package import template as made_in

if TYPE_CHECKING:
    from pathlib import Path

# After the one test that is sure to wait until the package is made: see test_zips.py.
pytestmark = pytest.mark.real(seconds=1)


@pytest.fixture(scope="module")
def made() -> Package:
    """The package; not to be written to."""
    return package()


@pytest.fixture
def project(made: Package, tmp_path: Path) -> Path:
    """A copy of what osls reads, with the same zips."""
    shutil.copy(made.folder / "serverless.yml", tmp_path)
    shutil.copytree(made.folder / "deploy", tmp_path / "deploy")
    (tmp_path / "build").symlink_to(made.folder / "build")
    return tmp_path


@pytest.fixture(scope="module")
def template(made: Package) -> dict[str, Any]:
    return made.template


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


def test_what_else_the_docs_say_is_taken(project: Path) -> None:
    """Region, stage and bounds as options, settings from .env, other fronts; in one run, which takes a while."""
    words = ("--region", "us-east-1", "--stage", "beta", "--param=api=7", "--param=stream=0")
    streams = 'http: {path: "/{proxy+}", method: any, timeoutInMillis: 300000, response: {transferMode: STREAM}}'
    buffered = "http: {path: /, method: any}"
    docs = (TREE / "docs" / "deploy-lambda.md").read_text()
    assert all(text in docs for text in (streams, buffered, "url: true", *words[:3:2], "--param=stream="))
    theirs = (project / "serverless.yml").read_text()
    theirs = theirs.replace('      - httpApi: "*"\n', f"      - {buffered}\n    url: true\n")
    theirs = theirs.replace("    url:\n      invokeMode: RESPONSE_STREAM\n", f"    events:\n      - {streams}\n")
    (project / "other.yml").write_text(theirs)
    (project / ".env").write_text("REDIS_URL=rediss://store.example:6379\nOTHER=1\nGAPLESS_PUBLIC=1\n")
    done = osls(project, "package", "--config", "other.yml", "--package", "elsewhere", *words, env={})
    assert done.returncode == 0, done.stderr
    made = made_in(project / "elsewhere")
    functions = resources(made, "AWS::Lambda::Function")
    bounds = {each["FunctionName"]: each["ReservedConcurrentExecutions"] for each in functions.values()}
    assert bounds == {"gapless-beta-api": 7, "gapless-beta-stream": 0}
    assert ":us-east-1:" in functions["StreamLambdaFunction"]["Layers"][0]
    settings = functions["ApiLambdaFunction"]["Environment"]["Variables"]
    assert settings == {"REDIS_URL": "rediss://store.example:6379", "GAPLESS_PUBLIC": "1"}
    methods = [each["Integration"] for each in resources(made, "AWS::ApiGateway::Method").values()]
    (stream,) = (each for each in methods if each.get("ResponseTransferMode") == "STREAM")
    assert stream["TimeoutInMillis"] == functions["StreamLambdaFunction"]["Timeout"] * 1000
    assert "StreamLambdaFunction" in str(stream["Uri"]) and "/response-streaming-invocations" in str(stream["Uri"])
    (url,) = resources(made, "AWS::Lambda::Url").values()
    assert url["TargetFunctionArn"] == {"Fn::GetAtt": ["ApiLambdaFunction", "Arn"]} and "InvokeMode" not in url


def test_the_documented_command_deploys_as_far_as_it_can_without_credentials(project: Path) -> None:
    done = osls(project, "deploy", env=SETTINGS | {"AWS_EC2_METADATA_DISABLED": "true"})
    assert done.returncode == 1
    assert "AWS provider credentials not found" in done.stdout + done.stderr


# --- what it refuses


def refused(project: Path, *words: str, env: dict[str, str] = SETTINGS) -> subprocess.CompletedProcess[str]:
    done = osls(project, "package", "--package", "refused", *words, env=env)
    assert done.returncode == 1 and not (project / "refused").exists()
    return done


def test_nothing_is_packaged_without_a_store(project: Path) -> None:
    done = refused(project, env={"GAPLESS_JWKS_URL": "https://keys.example"})
    assert done.stderr.startswith("No store is set.")


@pytest.mark.parametrize("public", ["", "false", "0"])
def test_nothing_is_packaged_without_keys_unless_it_is_to_be_public(project: Path, public: str) -> None:
    done = refused(project, env=SETTINGS | {"GAPLESS_PUBLIC": public})
    assert "has no keys" in done.stderr and "GAPLESS_JWT_SECRET" in done.stderr and "GAPLESS_PUBLIC=true" in done.stderr


def test_nothing_is_packaged_before_it_is_built(project: Path) -> None:
    (project / "build").unlink()
    assert "deploy/lambda/build.py" in refused(project).stderr


def test_a_misspelt_key_is_an_error(project: Path) -> None:
    wrong = (project / "serverless.yml").read_text().replace("invokeMode:", "invokeMod:")
    (project / "wrong.yml").write_text(wrong)
    done = refused(project, "--config", "wrong.yml")
    assert "invokeMod" in done.stdout + done.stderr
