"""What the pages about platforms want written, built and asked; nothing reaches a platform."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING

import httpx
from anyio import run_process, to_thread

from tests.docs.blocks import TREE, Block
from tests.docs.recipes import serving
from tests.testkit.lambda_runtime import LambdaFront
from tests.testkit.lambda_runtime.package import template
from tests.testkit.need import need
from tests.testkit.node import node_binary
from tests.testkit.port import free_port
from tests.testkit.process import Process
from tests.testkit.service import Service
from tests.testkit.tab import token
from tests.testkit.upstash.process import EmulatorProcess
from tests.testkit.vercel import VercelFunction, build
from tests.testkit.vercel.toolchain import toolchain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.stranger import Stranger

_OPEN = {"GAPLESS_PUBLIC": "true"}
_ADAPTER = {"AWS_LAMBDA_FUNCTION_NAME": "gapless-stream", "AWS_LWA_INVOKE_MODE": "response_stream"}


async def dotenv(stranger: Stranger, block: Block, argument: str) -> None:
    """The file `.env`, which the commands below it read. Every name in it is a setting."""
    known = (TREE / ".env.example").read_text()
    for name in re.findall(r"(?m)^(\w+)=", block.text):
        assert f"#{name}=" in known, name
    (stranger.folder / ".env").write_text(block.text.replace("…", "x" * 32))


async def builds_for(stranger: Stranger, block: Block, argument: str) -> None:
    """Make hands its options to the script that builds, which knows them; what it builds so, test_zips.py runs."""
    asked = re.sub(r"^make", "make --dry-run", block.text.strip())
    _, said = await _ran(["bash", "-c", asked], stranger.folder, stranger.env)
    (options,) = re.findall(r"deploy/lambda/build\.py (.*)", said)
    known = await _ran([sys.executable, "deploy/lambda/build.py", *options.split(), "--help"], stranger.folder)
    assert known[0] == 0 and all(word in known[1] for word in options.split()), known


async def on_lambda(stranger: Stranger, block: Block, argument: str) -> None:
    """The block's two addresses lead to the two functions: Mangum's, and the one behind the Web Adapter."""
    env = {"REDIS_URL": stranger.store.tcp_url, **_OPEN}
    front = await stranger.stack.enter_async_context(LambdaFront("gapless.aws.handler", cwd=TREE, env=env))
    adapter = await stranger.stack.enter_async_context(Service(env | _ADAPTER, server="uvicorn"))
    api, stream = re.findall(r"https://….*", block.text)
    stranger.meant |= {api: front.url, stream: adapter.url}


async def on_vercel(stranger: Stranger, block: Block, argument: str) -> None:
    """The block's address leads to the function that `vercel build` makes."""
    bundle = await to_thread.run_sync(build, TREE)
    upstash = stranger.stack.enter_context(EmulatorProcess(stranger.store.tcp_url))
    env = {"KV_REST_API_URL": upstash.url, "KV_REST_API_TOKEN": upstash.token, **_OPEN}
    function = await stranger.stack.enter_async_context(VercelFunction(bundle, env=env))
    stranger.meant["https://your-project.vercel.app"] = function.url


async def rest_event(stranger: Stranger, block: Block, argument: str) -> None:
    """Takes the place of `url` in serverless.yml, and osls makes a REST API that streams of it."""
    file = stranger.folder / "serverless.yml"
    before = file.read_text()
    url = "    url:\n      invokeMode: RESPONSE_STREAM\n"
    assert url in before
    file.write_text(before.replace(url, "".join(f"    {line}\n" for line in block.text.splitlines())))
    await to_thread.run_sync(stranger.run, "npx osls@4 package --package elsewhere")
    file.write_text(before)
    resources = template(stranger.folder / "elsewhere")["Resources"].values()
    methods = [each["Properties"]["Integration"] for each in resources if each["Type"] == "AWS::ApiGateway::Method"]
    assert [each.get("ResponseTransferMode") for each in methods] == ["STREAM"]


async def image(stranger: Stranger, block: Block, argument: str) -> None:
    """A container image: what it copies is started as it says, as Lambda and the adapter would, and streams."""
    port = str(free_port())
    steps = _steps(block.text.replace("8080", port))
    root = stranger.home / "image"
    root.mkdir()
    for source, target in (rest.split() for word, rest in steps if word == "COPY" and "--from" not in rest):
        _copy(stranger.folder / source, root, target)
    for pip in (rest.removeprefix("pip ") for word, rest in steps if word == "RUN"):
        argv = [sys.executable, "-m", "pip", *shlex.split(pip), "--dry-run", "--no-deps"]
        status, said = await _ran(argv, root)
        assert status == 0, said
    env = dict(pair.split("=") for word, rest in steps if word == "ENV" for pair in rest.split())
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "gapless", "REDIS_URL": stranger.store.tcp_url, "PATH": "/usr/bin:/bin"}
    (command,) = (json.loads(rest) for word, rest in steps if word == "CMD")
    assert command[0] == "python"
    process = Process("image", [sys.executable, *command[1:]], env=lambdas | env | _OPEN, cwd=root)
    stranger.open.append(process)
    await to_thread.run_sync(lambda: process.wait_for_line(rf"http://127\.0\.0\.1:{port}\b"))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        assert (await http.get(env["AWS_LWA_READINESS_CHECK_PATH"])).status_code == 200
        context = {"x-amzn-lambda-context": json.dumps({"deadline": int((time.time() + 6) * 1000)})}
        told = (await http.get("/channels/c/stream", headers=context)).text
    assert '"mode":"streaming"' in told and '"reason":"deadline"' in told


def _steps(dockerfile: str) -> list[tuple[str, str]]:
    lines = dockerfile.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


def _copy(source: Path, root: Path, target: str) -> None:
    """As Docker does: a file goes into a folder only where the target ends with a slash."""
    if source.is_dir():
        shutil.copytree(source, root / target)
        return
    into = root / target / source.name if target.endswith("/") else root / target
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, into)


async def rewrite(stranger: Stranger, block: Block, argument: str) -> None:
    """A site's next.config.mjs, whose rewrites lead each path of ours to the service: `FROM TO`.

    What Next.js then sends bears the service's Host and the site's Origin: with a cookie that writes only where the
    site is allowed, and else is told of the setting.
    """
    file = stranger.folder / "next.config.mjs"
    file.write_text(block.text)
    code = f"import site from {json.dumps(str(file))}; console.log(JSON.stringify(await site.rewrites()))"
    node = [node_binary(), "--input-type=module", "--eval", code]
    status, said = await _ran(node, stranger.folder)
    assert status == 0, said
    ((source, destination),) = [(each["source"], each["destination"]) for each in json.loads(said)]
    asked, led = argument.split()
    found = re.fullmatch(source.replace(":path*", "(.*)"), asked)
    assert found and destination.replace(":path*", found[1]) == led
    site = "https://site.example"
    for allowed, status in (((), 403), ((site,), 201)):
        async with serving(stranger, origins=allowed) as http:
            headers = {"Origin": site, "Cookie": f"gapless_token={token()}"}
            reply = await http.post("/channels/general/messages", json={"data": 1}, headers=headers)
            assert reply.status_code == status and (status == 201 or "GAPLESS_ORIGINS" in reply.json()["detail"])


async def installs(stranger: Stranger, block: Block, argument: str) -> None:
    """An install command of Vercel's project settings: what it would install holds this package."""
    tools = toolchain()
    (command,) = block.text.splitlines()
    assert command.startswith("uv sync ")
    env = stranger.env | {"VIRTUAL_ENV": str(stranger.home / "venv"), "UV_PYTHON": str(tools.python)}
    argv = [str(tools.uv), *shlex.split(command)[1:], "--dry-run"]
    status, said = await _ran(argv, stranger.folder, env)
    assert status == 0 and re.search(rf"(?m)^ \+ {argument}==", said), said


async def documented_options(stranger: Stranger, block: Block, argument: str) -> None:
    """Without credentials the Vercel CLI looks at no option: each is looked for in its help."""
    cli = TREE / "tests" / "vercel" / "node_modules" / ".bin" / "vercel"
    need(cli.exists(), "the Vercel CLI: run npm install in tests/vercel")
    for line in block.text.splitlines():
        words = shlex.split(line.removeprefix("npx vercel "))
        command = [word for word in words[:2] if word.isalpha() and word.islower() and word != "upstash"]
        argv = [str(cli), *command, "--help"]
        _, told = await _ran(argv, stranger.folder, stranger.env)
        assert f"vercel {' '.join(command)}" in told, told
        assert all(word in told for word in words if word.startswith("--")), told


async def _ran(argv: list[str], folder: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """How a command ended, and what it printed."""
    done = await run_process(argv, cwd=folder, env=env, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()
