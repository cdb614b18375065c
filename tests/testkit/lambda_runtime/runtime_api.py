"""Lambda's Runtime API (2018-06-01), one port for each environment.

Paths, headers and statuses: "Using the Lambda runtime API for custom runtimes", Lambda developer guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .environment import Outcome
from .fronts import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from .environment import Environment

ROOT = "/2018-06-01/runtime"
ACCEPTED = {"status": "OK"}


def runtime_api(environments: Mapping[int, Environment], arn: str) -> Starlette:
    """The API for the environments, which are found by the port that a runtime was told to call."""

    def asking(request: Request) -> Environment:
        return environments[request.scope["server"][1]]

    async def next_event(request: Request) -> Response:
        delivery = await asking(request).next()
        if delivery is None:
            return Response(status_code=410)  # Nobody reads it: the process is dead.
        headers = {
            "Lambda-Runtime-Aws-Request-Id": delivery.stamp.request_id,
            "Lambda-Runtime-Deadline-Ms": str(delivery.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": arn,
            "Lambda-Runtime-Trace-Id": delivery.stamp.trace_id,
        }
        return Response(delivery.event, headers=headers, media_type="application/json")

    async def response(request: Request) -> Response:
        status = asking(request).answer(request.path_params["id"], await request.body())
        return JSONResponse(ACCEPTED if status == 202 else _refusal(status), status_code=status)

    async def error(request: Request) -> Response:
        outcome = Outcome(await request.body(), Fault.FUNCTION_ERROR)
        settled = asking(request).settle(request.path_params.get("id"), outcome)
        return JSONResponse(ACCEPTED if settled else _refusal(400), status_code=202 if settled else 400)

    return Starlette(
        routes=[
            Route(f"{ROOT}/invocation/next", next_event, methods=["GET"]),
            Route(f"{ROOT}/invocation/{{id}}/response", response, methods=["POST"]),
            Route(f"{ROOT}/invocation/{{id}}/error", error, methods=["POST"]),
            Route(f"{ROOT}/init/error", error, methods=["POST"]),
        ]
    )


def _refusal(status: int) -> dict[str, str]:
    kind = "RequestEntityTooLarge" if status == 413 else "InvalidRequestID"
    return {"errorType": kind, "errorMessage": kind}
