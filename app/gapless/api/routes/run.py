"""POST /run: begins a run of the demo at GET /run, and is answered when that is over. (services/typewriter.py)"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from gapless.api.authentication import WriterDep
from gapless.api.dependencies import BodyDep, ServiceDep
from gapless.api.schemas import explain, read_json
from gapless.log.errors import StoreUnavailable, Unprocessable
from gapless.platforms.shutdown import ServerShutdown
from gapless.services.typewriter import CHANNEL

router = APIRouter()


class RunRequest(BaseModel):
    """`channel`: of this run and of nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    channel: Annotated[str, Field(pattern=rf"^{CHANNEL}[A-Za-z0-9]{{4,32}}$")]


@router.post("/run", status_code=204, include_in_schema=False)
async def run(request: Request, grant: WriterDep, raw: BodyDep, service: ServiceDep) -> Response:
    """Type a text into the channel. A client that leaves meanwhile ends nothing; a server that stops does."""
    try:
        channel = RunRequest.model_validate(read_json(raw)).channel
    except ValidationError as error:
        raise Unprocessable(explain(error.errors())) from None
    grant.must_publish(channel)
    try:
        async with service.shutdown.cancel_on_shutdown(request.scope.get("server")):
            await service.typewriter.run(channel, request.app.publish)
    except ServerShutdown:
        raise StoreUnavailable("The service stops, and the run with it.") from None
    return Response(status_code=204)
