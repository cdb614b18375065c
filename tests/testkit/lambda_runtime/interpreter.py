"""How a function's process is started: interpreter, import path, environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

# The runtime client and what it imports: all that Lambda itself puts beside a function's own files.
RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function, as it would be configured. Times in seconds, memory in MB.

    `isolated`: the process finds nothing but `cwd`, the runtime client and the standard library, and writes no
    bytecode, as under Lambda, where the function's folder is read-only. Else: what `python` has installed.
    `runtime_dir`: a folder with the runtime client for `python`; None takes it from the running interpreter, which
    fits only an interpreter of the same minor version.
    `late`: seconds beyond the timeout that it is told of in which its answer is still taken, for a test that looks by
    itself at what was left; a process that stood still for so long is the machine's fault.
    `init_timeout`: Lambda's own is 10 s, and its machines start nothing else meanwhile.
    """

    handler: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)
    python: Path = Path(sys.executable)
    timeout: float = 29.0
    late: float = 0.0
    init_timeout: float = 60.0
    freeze: bool = True
    isolated: bool = False
    runtime_dir: Path | None = None
    watch_leftovers: bool = False
    memory: int = 512
    region: str = "eu-central-1"
    name: str = "gapless-api"

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:123456789012:function:{self.name}"


class FunctionOptions(TypedDict, total=False):
    """The fields of FunctionSpec but its handler, as keyword arguments."""

    env: Mapping[str, str]
    cwd: Path
    python: Path
    timeout: float
    late: float
    init_timeout: float
    freeze: bool
    isolated: bool
    runtime_dir: Path | None
    watch_leftovers: bool
    memory: int
    region: str
    name: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A command and its whole environment but AWS_LAMBDA_RUNTIME_API."""

    command: list[str]
    env: dict[str, str]
    cwd: Path


def prepared(spec: FunctionSpec, scratch: Path) -> Launch:
    """Lays the files that the process needs beside the function into `scratch`."""
    runtime = spec.runtime_dir or scratch
    if spec.isolated and spec.runtime_dir is None:
        _link_runtime(scratch)
    env = _lambda_env(spec)
    if spec.watch_leftovers:
        (scratch / "lambda_leftovers.py").symlink_to(Path(__file__).with_name("leftovers.py"))
        env["LEFTOVERS_HANDLER"] = spec.handler
    paths = [spec.cwd, scratch, runtime] if spec.isolated else [scratch]
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(map(str, paths)))
    flags = ["-S"] if spec.isolated else []
    if spec.isolated:
        env["PYTHONDONTWRITEBYTECODE"] = "1"
    env |= spec.env
    return Launch([str(spec.python), *flags, "-m", "awslambdaric", env["_HANDLER"]], env, spec.cwd)


def _lambda_env(spec: FunctionSpec) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": "lambda_leftovers.handler" if spec.watch_leftovers else spec.handler,
        "LAMBDA_TASK_ROOT": str(spec.cwd),
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{_minor(spec.python)}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0123456789abcdef",
    }


def _minor(python: Path) -> str:
    if python == Path(sys.executable):
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout.strip()


def _link_runtime(folder: Path) -> None:
    for name in RUNTIME:
        for file in distribution(name).files or []:
            top = file.parts[0]
            # Modules, packages and the compiled client; no metadata, no scripts.
            if top.endswith(".dist-info") or top in {"..", "__pycache__"} or (folder / top).exists():
                continue
            (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
